"""Users of a test's own, each with a login shell of its own, on one server that all may enter."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.sshd import Sshd, find, require

NOISE = "echo Welcome to this server; printf no-newline; echo noise >&2\n"
PROFILES = (".bashrc", ".zshenv", ".cshrc", ".config/fish/config.fish")
"""What the shells read when they are given a command; the others read nothing."""


@contextmanager
def accounts(shells: Iterable[str]) -> Iterator[dict[str, str]]:
    """A user for each shell, by the shell's name; gone with the block. Takes root."""
    if os.geteuid() != 0 or not find("useradd"):
        verdict = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        verdict("users with shells of their own can only be made by root")
    require(*shells)
    users = {shell: f"lw-{secrets.token_hex(4)}" for shell in shells}
    made = []
    try:
        for shell, user in users.items():
            command = ["useradd", "-M", "-d", "/", "-p", "*", "-s", str(find(shell)), user]
            subprocess.run(command, check=True, capture_output=True)
            made.append(user)
        yield users
    finally:
        for user in made:
            subprocess.run(["userdel", "-f", user], check=False, capture_output=True)


@contextmanager
def server_for(users: dict[str, str], **settings: object) -> Iterator[Sshd]:
    """A server that `users` may enter; its client's home knows it by their shells' names.

    Their common home is full of noise.
    """
    directory = Path(tempfile.mkdtemp(prefix="lw-server-"))  # not in a private one: users read it
    directory.chmod(0o755)
    server = Sshd(directory, **settings)  # type: ignore[arg-type]
    try:
        server.login_home.chmod(0o777)
        for profile in PROFILES:
            path = server.login_home / profile
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(NOISE, encoding="utf-8")
        (server.home / ".ssh" / "config").write_text(
            "".join(f"Host {shell}\n  User {user}\n" for shell, user in users.items())
            + f"Host *\n  HostName {server.address}\n  Port {server.port}\n"
            f"  UserKnownHostsFile {server.known_hosts}\n  GlobalKnownHostsFile none\n"
        )
        yield server
    finally:
        server.stop()
        shutil.rmtree(directory, ignore_errors=True)
