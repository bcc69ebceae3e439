"""A real sshd on a loopback port: keys, configuration and homes of its own, nothing of the system.

Everything that a login starts carries a mark in its environment, so that a test can tell what is
left of it.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

MARK = "LOADWATCH_TEST"
PASSPHRASE = "open, please"


def require(*programs: str) -> None:
    """Skip where a program is missing; under CI, where none may be, fail."""
    missing = [program for program in programs if not find(program)]
    if missing:
        verdict = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        verdict(f"not installed: {', '.join(missing)}")


def find(program: str) -> str | None:
    return shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")


def eventually(condition: Callable[[], object], seconds: float = 20.0) -> bool:
    """Whether `condition` comes true; the bound is generous, for machines that are busy."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if condition():
            return True
        time.sleep(0.02)
    return bool(condition())


def marked(mark: str) -> dict[int, str]:
    """Every process that carries `mark`: PID and command line."""
    found = {}
    for process in Path("/proc").iterdir():
        try:
            if process.name.isdecimal() and mark.encode() in (process / "environ").read_bytes():
                command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                found[int(process.name)] = command
        except OSError:
            continue  # gone meanwhile, or another user's
    return {pid: command for pid, command in found.items() if command}  # no zombies


def children(parent: int) -> list[int]:
    found = []
    for process in Path("/proc").iterdir():
        try:
            if process.name.isdecimal():
                after_name = (process / "stat").read_text().rpartition(")")[2].split()
                if int(after_name[1]) == parent:
                    found.append(int(process.name))
        except OSError:
            continue
    return found


def keygen(path: Path, passphrase: str = "", *options: str) -> Path:
    """A new key; ed25519 unless `options` say otherwise."""
    kind = options or ("-t", "ed25519")
    subprocess.run(
        ["ssh-keygen", "-q", *kind, "-N", passphrase, "-f", str(path), "-C", path.name], check=True
    )
    return path


@dataclass
class Sshd:
    """A running server, and a client's home that knows it as `web`."""

    directory: Path
    user: str = field(default_factory=getpass.getuser)
    options: str = ""
    environment: dict[str, str] = field(default_factory=dict)
    mark: str = field(default_factory=lambda: f"{MARK}={secrets.token_hex(8)}")
    port: int = 0

    def __post_init__(self) -> None:
        self.home = self.directory / "home"
        self.login_home = self.directory / "login"
        self.host_key = keygen(self.directory / "host_key")
        self.login_home.mkdir()
        (self.home / ".ssh").mkdir(parents=True)
        self.key = keygen(self.home / ".ssh" / "id_ed25519")
        authorized = self.directory / "authorized_keys"
        authorized.write_text(self.key.with_suffix(".pub").read_text())
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.known_hosts = self.home / ".ssh" / "known_hosts"
        self.trust(self.host_key)
        self.configure()
        self.start()

    def configure(self, more: str = "") -> None:
        """Write the client's ~/.ssh/config."""
        (self.home / ".ssh" / "config").write_text(
            f"Host web\n  HostName 127.0.0.1\n  Port {self.port}\n  User {self.user}\n"
            f"  UserKnownHostsFile {self.known_hosts}\n  GlobalKnownHostsFile none\n{more}"
        )

    def trust(self, host_key: Path) -> None:
        """Make `host_key` the one that known_hosts promises."""
        public = host_key.with_suffix(".pub").read_text()
        self.known_hosts.write_text(f"[127.0.0.1]:{self.port} {public}")

    def start(self) -> None:
        """Start listening; returns once it does."""
        environment = {MARK: self.mark.partition("=")[2], "HOME": str(self.login_home)}
        environment |= self.environment
        settings = " ".join(f'{name}="{value}"' for name, value in environment.items())
        config = self.directory / "sshd_config"
        config.write_text(
            f"Port {self.port}\nListenAddress 127.0.0.1\nHostKey {self.host_key}\n"
            f"AuthorizedKeysFile {self.directory / 'authorized_keys'}\nPidFile none\n"
            "StrictModes no\nUsePAM no\nPermitRootLogin yes\nKbdInteractiveAuthentication no\n"
            f"{self.options}\nSetEnv {settings}\n"
        )
        sshd = find("sshd")
        assert sshd is not None
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        with (self.directory / "sshd.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sshd, "-D", "-e", "-f", str(config)], stdin=subprocess.DEVNULL, stderr=log
            )
        assert eventually(self._answers), self.log

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1) as client:
                return client.recv(4) == b"SSH-"
        except OSError:
            return False

    @property
    def log(self) -> str:
        """What the server logged."""
        return (self.directory / "sshd.log").read_text()

    def sessions(self) -> list[int]:
        """The processes that serve connections."""
        return children(self._process.pid)

    def leftovers(self) -> dict[int, str]:
        """What logins started and what still runs."""
        return marked(self.mark)

    def drop(self) -> None:
        """Kill every connection, as a broken network would; go on listening."""
        for session in self.sessions():
            with contextlib.suppress(ProcessLookupError):  # it ended by itself just now
                os.kill(session, signal.SIGKILL)

    def stop(self) -> None:
        """End the server and every connection."""
        self.drop()
        self._process.kill()
        self._process.wait()


Start = Callable[..., Sshd]


@pytest.fixture
def start_sshd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Starts servers; HOME is the client's home of the newest, and there is no agent."""
    require("sshd", "ssh-keygen", "top", "vmstat")
    started: list[Sshd] = []

    def start(**settings: object) -> Sshd:
        directory = tmp_path / f"sshd{len(started)}"
        directory.mkdir()
        server = Sshd(directory, **settings)  # type: ignore[arg-type]
        started.append(server)
        monkeypatch.setenv("HOME", str(server.home))
        monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
        return server

    yield start
    for server in started:
        server.stop()
        left = dict(server.leftovers())
        for pid in left:
            os.kill(pid, signal.SIGKILL)


@pytest.fixture
def sshd(start_sshd: Start) -> Sshd:
    return start_sshd()
