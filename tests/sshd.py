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

from loadwatch.core.asking import Question
from loadwatch.remote import sshfile
from loadwatch.remote.answers import Answers
from loadwatch.remote.connection import SshLink, connect
from loadwatch.remote.link import Link
from loadwatch.remote.sshconfig import resolve

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
                command = (
                    (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                )
                found[int(process.name)] = command
        except OSError:
            continue  # gone meanwhile, or another user's
    return {pid: command for pid, command in found.items() if command}  # no zombies


def children(parent: int) -> list[int]:
    found = []
    for process in Path("/proc").iterdir():
        try:
            if process.name.isdecimal():
                after_name = (
                    (process / "stat").read_text(errors="replace").rpartition(")")[2].split()
                )
                if int(after_name[1]) == parent:
                    found.append(int(process.name))
        except OSError:
            continue
    return found


def command_line(pid: int) -> bytes:
    """The arguments of a process; empty if it is gone meanwhile, as what a probe starts soon is."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def _name(pid: int) -> str:
    try:
        return (Path("/proc") / str(pid) / "comm").read_text(errors="replace")
    except OSError:
        return ""


def keygen(path: Path, passphrase: str = "", *options: str) -> Path:
    """A new key; ed25519 unless `options` say otherwise."""
    kind = options or ("-t", "ed25519")
    subprocess.run(
        ["ssh-keygen", "-q", *kind, "-N", passphrase, "-f", str(path), "-C", path.name], check=True
    )
    return path


@dataclass
class Sshd:
    """A running server, and a client's home that knows it as `web`.

    `within` is the command that starts it, in a network namespace that has its `address`.
    """

    directory: Path
    user: str = field(default_factory=getpass.getuser)
    options: str = ""
    environment: dict[str, str] = field(default_factory=dict)
    mark: str = field(default_factory=lambda: f"{MARK}={secrets.token_hex(8)}")
    address: str = "127.0.0.1"
    within: tuple[str, ...] = ()
    port: int = 0
    client: Sshd | None = None
    """Whose home, key and files are to be used; else they are made."""

    def __post_init__(self) -> None:
        self.login_home = self.directory / "login"
        self.host_key = keygen(self.directory / "host_key")
        self.login_home.mkdir()
        if self.client is None:
            self.home = self.directory / "home"
            (self.home / ".ssh").mkdir(parents=True)
            self.key = keygen(self.home / ".ssh" / "id_ed25519")
        else:
            self.home, self.key = self.client.home, self.client.key
        authorized = self.directory / "authorized_keys"
        authorized.write_text(self.key.with_suffix(".pub").read_text())
        family = socket.AF_INET6 if ":" in self.address else socket.AF_INET
        with socket.socket(family) as free:
            # An address within a namespace is nobody's here; a port that is free here does.
            free.bind(("" if self.within else self.address, 0))
            self.port = free.getsockname()[1]
        self.known_hosts = self.home / ".ssh" / "known_hosts"
        if self.client is None:
            self.trust(self.host_key)
            self.configure()
        else:
            with self.known_hosts.open("a") as file:
                file.write(self.promise(self.host_key))
        self.start()

    def configure(self, more: str = "") -> None:
        """Write the client's ~/.ssh/config."""
        (self.home / ".ssh" / "config").write_text(
            f"Host web\n  HostName {self.address}\n  Port {self.port}\n  User {self.user}\n"
            f"  UserKnownHostsFile {self.known_hosts}\n  GlobalKnownHostsFile none\n{more}"
        )

    def trust(self, host_key: Path) -> None:
        """Make `host_key` the one that known_hosts promises."""
        self.known_hosts.write_text(self.promise(host_key))

    def promise(self, host_key: Path) -> str:
        """The line of known_hosts that promises `host_key`."""
        return f"[{self.address}]:{self.port} {host_key.with_suffix('.pub').read_text()}"

    def lock(self) -> None:
        """Lock the client's key by `PASSPHRASE`."""
        subprocess.run(["ssh-keygen", "-q", "-p", "-N", PASSPHRASE, "-f", self.key], check=True)

    def start(self) -> None:
        """Start listening; returns once it does."""
        environment = {MARK: self.mark.partition("=")[2], "HOME": str(self.login_home)}
        environment |= self.environment
        settings = " ".join(f'{name}="{value}"' for name, value in environment.items())
        config = self.directory / "sshd_config"
        config.write_text(
            # The first value counts, so that the options can differ from what follows.
            f"{self.options}\n"
            f"Port {self.port}\nListenAddress {self.address}\nHostKey {self.host_key}\n"
            f"AuthorizedKeysFile {self.directory / 'authorized_keys'}\nPidFile none\n"
            "StrictModes no\nUsePAM no\nPermitRootLogin yes\nKbdInteractiveAuthentication no\n"
            f"SetEnv {settings}\n"
        )
        sshd = find("sshd")
        assert sshd is not None
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        with (self.directory / "sshd.log").open("ab") as log:
            self._process = subprocess.Popen(
                [*self.within, sshd, "-D", "-e", "-f", str(config)],
                stdin=subprocess.DEVNULL,
                stderr=log,
            )
        assert eventually(self._answers), self.log

    def _answers(self) -> bool:
        try:
            with socket.create_connection((self.address, self.port), 1) as client:
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
            # The session of another user is held by a process of that user.
            held = [p for p in children(session) if _name(p).startswith("sshd")]
            for process in (session, *held):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)

    def stop(self) -> None:
        """End the server and every connection."""
        self.drop()
        self._process.kill()
        self._process.wait()


class Person:
    """Answers questions as scripted, then declines; remembers what was asked."""

    def __init__(self, *answers: str | tuple[str, ...] | None) -> None:
        self.questions: list[Question] = []
        self._answers = list(answers)

    def __call__(self, question: Question) -> tuple[str, ...] | None:
        self.questions.append(question)
        answer = self._answers.pop(0) if self._answers else None
        return (answer,) if isinstance(answer, str) else answer

    @property
    def labels(self) -> list[str]:
        return [field.label for question in self.questions for field in question.fields]


def log_in(
    alias: str = "web", answers: Answers | None = None, notes: list[str] | None = None
) -> SshLink:
    """A link to an alias of the client's configuration."""
    said = [] if notes is None else notes
    return connect(resolve(alias), answers or Answers(), said.append)


def output_of(link: Link, command: str) -> bytes:
    """All that a command writes."""
    stream = link.open(command)
    output = b""
    while (data := stream.read(1.0)) != b"":
        output += data or b""
    return output


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
        monkeypatch.setattr(sshfile, "SYSTEM_CONFIG", tmp_path / "no ssh_config")
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
