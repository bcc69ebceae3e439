"""SSH by the system's `ssh`, for what paramiko cannot do: FIDO keys, GSSAPI, very old servers.

One process logs in and holds the connection (ControlMaster), with its socket in a private
directory; each stream is a further `ssh` that uses it. `ssh` reads its own configuration, checks
host keys by its own rules, and asks nobody anything (BatchMode).
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from loadwatch.core.address import Address
from loadwatch.core.errors import HostError
from loadwatch.remote.link import LinkError
from loadwatch.remote.process import ProcessStream, SideProcess

PATIENCE = 60.0
"""Seconds to connect and to log in, a touch of a FIDO key included."""

LOST = 255
"""Exit code of `ssh` for a failure of its own."""

_OPTIONS = ("BatchMode=yes", "ClearAllForwardings=yes", "PermitLocalCommand=no",
            "RemoteCommand=none", "LogLevel=ERROR", "EscapeChar=none")  # fmt: skip
_MASTER = ("ControlMaster=yes", "ControlPersist=no", "Compression=yes", "ConnectTimeout=10",
           "ServerAliveInterval=5", "ServerAliveCountMax=2")  # fmt: skip
_CLIENT = ("ControlMaster=no", "ProxyCommand=false")  # never a connection of its own

# The connection ends when its standard input does, which is when we do, however that comes about;
# the directory $0 goes with it, and so does what `ssh` started (a ProxyCommand).
_LIFELINE = (
    'exec 3<&0; "$@" </dev/null 3<&- & m=$!; { cat <&3; kill $m; } >/dev/null 2>&1 & '
    'wait $m; c=$?; rm -rf "$0"; trap "" 15; kill 0; exit $c'
)
_HOPELESS = re.compile(
    r"Permission denied|Host key verification failed|Too many authentication failures"
    r"|no matching|too long for|Bad configuration|Bad owner|Bad .* option|ssh: (command )?not found"
)


class OpensshStream(ProcessStream):
    """A command on the server, through the connection that `master` holds."""

    def __init__(self, arguments: Sequence[str], master: SideProcess) -> None:
        super().__init__(arguments)
        self._master = master

    def read(self, timeout: float) -> bytes | None:
        """The next output; None if quiet, b"" at the end; LinkError if the connection went.

        A session that the server does not allow ends at once, with its reason in `complaints`.
        """
        data = super().read(timeout)
        if data == b"" and self.exit_code == LOST and self._master.ends_within(1.0):
            raise LinkError(_said(self._master.complaints or self.complaints))
        return data

    @property
    def complaints(self) -> list[str]:
        """The newest lines on standard error, disarmed.

        Where the server allows no further session, `ssh` goes on to a connection of its own, which
        is not to be: what it says of that is left out.
        """
        lines = super().complaints
        refused = [line for line in lines if "session request failed" in line]
        return refused or lines


class OpensshLink:
    """A connection held by `ssh`, which has logged in."""

    traffic: int | None = None
    """It does not tell."""

    def __init__(self, address: Address, directory: Path, master: SideProcess) -> None:
        self._address = address
        self._directory = directory
        self._master = master

    def open(self, command: str) -> OpensshStream:
        """Start `command` in the login's shell."""
        if self._master.ends_within(0.0):
            raise LinkError(_said(self._master.complaints))
        arguments = _ssh(self._directory, _CLIENT, self._address)
        try:
            return OpensshStream([*arguments, command], self._master)
        except OSError as failure:
            raise LinkError(f"cannot start ssh: {failure.strerror}") from None

    def close(self) -> None:
        """Drop the connection; the guards end what they guard."""
        assert self._master.stdin is not None
        self._master.stdin.close()
        self._master.end()


def connect(address: Address) -> OpensshLink:
    """Log in by `ssh`; LinkError where trying again may help, HostError where it would not."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    place = runtime if runtime and os.access(runtime, os.W_OK) else None
    try:
        directory = Path(tempfile.mkdtemp(prefix="loadwatch-", dir=place))
        login = _ssh(directory, _MASTER, address, "-N")
        lifeline = ["/bin/sh", "-c", _LIFELINE, str(directory), *login]
        master = SideProcess(lifeline, subprocess.PIPE, subprocess.DEVNULL)
    except OSError as failure:
        raise LinkError(f"cannot start ssh: {failure.strerror}") from None
    link = OpensshLink(address, directory, master)
    until = time.monotonic() + PATIENCE
    while not (directory / "s").exists():  # it appears once ssh has logged in
        late = time.monotonic() > until
        if late or master.ends_within(0.02):
            link.close()
            said = _said(master.complaints)
            if _HOPELESS.search(said):
                raise HostError(said)
            raise LinkError(f"ssh has not logged in within {PATIENCE:.0f} s" if late else said)
    return link


def _ssh(directory: Path, options: tuple[str, ...], address: Address, *more: str) -> list[str]:
    """The command line of `ssh`: no terminal, no forwarding, no agent, and no secret in it."""
    arguments = ["ssh", "-T", "-a", "-x", "-S", str(directory / "s"), *more]
    for option in (*_OPTIONS, *options):
        arguments += ["-o", option]
    if address.port is not None:
        arguments += ["-p", str(address.port)]
    if address.user is not None:
        arguments += ["-l", address.user]
    return [*arguments, "--", address.host]


def _said(complaints: list[str]) -> str:
    """What `ssh` itself said, in a line."""
    return " ".join(complaints[-2:]) or "ssh: connection lost"
