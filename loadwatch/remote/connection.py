"""SSH by paramiko: one verified, authenticated transport per host, a channel per stream.

Host keys are checked against known_hosts before anything is said about who we are, on every hop of
a ProxyJump. No terminal is requested, no agent forwarded. paramiko is imported when a connection is
made, not before: it takes longer to load than the first screen may.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from loadwatch.core.errors import HostError
from loadwatch.remote.answers import Answers
from loadwatch.remote.authentication import Authentication
from loadwatch.remote.hostkeys import verify
from loadwatch.remote.knownhosts import KnownHosts
from loadwatch.remote.link import LinkError
from loadwatch.remote.meter import Meter
from loadwatch.remote.route import ProxyCommand, dial, reason
from loadwatch.remote.sshconfig import Login
from loadwatch.remote.text import Tail, clean

if TYPE_CHECKING:
    from socket import socket

    from paramiko import Channel, Transport

HANDSHAKE = 10.0
"""Seconds for the handshake, and for opening a channel."""

CHUNK = 32768

PROHIBITED = 1
"""SSH_OPEN_ADMINISTRATIVELY_PROHIBITED (RFC 4254, 5.1)."""

_WEAK = {
    "ciphers": ["aes128-cbc", "aes192-cbc", "aes256-cbc", "3des-cbc"],
    "macs": ["hmac-md5", "hmac-md5-96", "hmac-sha1", "hmac-sha1-96"],
    "kex": ["diffie-hellman-group1-sha1", "diffie-hellman-group14-sha1",
            "diffie-hellman-group-exchange-sha1"],
    "keys": ["ssh-rsa"],
    "pubkeys": ["ssh-rsa"],
}  # fmt: skip
"""What one version of paramiko or another would still agree to: CBC modes; MACs by MD5; MACs, key
exchanges and signatures by SHA-1."""


class SshStream:
    """A command on the server: a channel without a terminal."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._tail = Tail()

    def read(self, timeout: float) -> bytes | None:
        """The next output; None if quiet, b"" at the end; LinkError if the connection went."""
        self._channel.settimeout(timeout)
        with _lossy():
            data = self._receive()
            # Output and complaints share one window: what is not read would stop the output.
            while self._channel.recv_stderr_ready():
                self._tail.add(self._channel.recv_stderr(CHUNK))
        if data == b"" and not self._channel.eof_received:
            transport = self._channel.get_transport()
            transport.join(0.5)  # it closes its channels a moment before it ends
            if not transport.is_alive():
                raise LinkError("connection lost")
        return data

    def _receive(self) -> bytes | None:
        try:
            return self._channel.recv(CHUNK)
        except TimeoutError:
            return None

    def write(self, data: bytes) -> None:
        """Send to standard input; LinkError if that is gone."""
        with _lossy():
            self._channel.sendall(data)

    @property
    def complaints(self) -> list[str]:
        """The newest lines on standard error, disarmed."""
        return self._tail.lines

    def close(self) -> None:
        """Close the channel: the guard's standard input ends with it."""
        try:
            with _lossy():
                self._channel.close()
        except LinkError:
            pass  # then it is closed


class SshLink:
    """An authenticated connection to a host, with what it runs through `beneath`."""

    def __init__(self, transport: Transport, meter: Meter, beneath: ExitStack) -> None:
        self._transport = transport
        self._meter = meter
        self._beneath = beneath

    @property
    def traffic(self) -> int:
        """Bytes on the wire so far, both ways; through a jump host, those inside its tunnel."""
        return self._meter.total

    def open(self, command: str) -> SshStream:
        """Start `command` in the login's shell."""
        from paramiko import ChannelException

        try:
            with _lossy():
                channel = self._transport.open_session(timeout=HANDSHAKE)
        except ChannelException as refused:
            raise HostError(f"the server allows no session: {clean(refused.text, 100)}") from None
        try:
            with _lossy():
                channel.exec_command(command)
        except LinkError:
            if self._transport.is_active():
                channel.close()
                raise HostError("the server refuses to run commands") from None
            raise
        return SshStream(channel)

    def tunnel(self, login: Login) -> Channel:
        """A connection that the server makes to the SSH port of `login`."""
        from paramiko import ChannelException

        try:
            with _lossy(f"{login}: "):
                return self._transport.open_channel(
                    "direct-tcpip",
                    (login.hostname, login.port),
                    ("127.0.0.1", 0),
                    timeout=login.route.timeout,
                )
        except ChannelException as refused:
            what = f"{login}: the jump host does not reach it: {clean(refused.text, 100)}"
            if refused.code == PROHIBITED:
                raise HostError(what) from None
            raise LinkError(what) from None

    def close(self) -> None:
        """Drop the connection; the guards end what they guard."""
        self._beneath.close()


@contextmanager
def _lossy(prefix: str = "") -> Iterator[None]:
    """What paramiko raises when a connection fails, as LinkError; a refused channel stays."""
    from paramiko import ChannelException, SSHException

    try:
        yield
    except ChannelException:
        raise
    except (SSHException, EOFError, OSError, UnicodeError) as failure:
        raise LinkError(prefix + reason(failure)) from None


def connect(login: Login, answers: Answers, note: Callable[[str], None]) -> SshLink:
    """Connect, verify the host key, log in; over the hops of a ProxyJump, each in the same way.

    `answers` asks people, `note` takes a line for them. LinkError where trying again may help;
    HostError for an unknown or changed host key, a refused login, or a server too old to talk to.
    """
    from paramiko import Transport

    _silence()
    for text in login.notes:
        note(text)
    with ExitStack() as beneath:
        meter = Meter(_reach(login, beneath, answers, note))
        transport = Transport(meter, disabled_algorithms=_WEAK)  # type: ignore[arg-type]
        beneath.callback(transport.close)
        transport.banner_timeout = transport.handshake_timeout = HANDSHAKE
        transport.use_compression(True)
        known = KnownHosts(login.host_key.files, login.host_key.name)
        _prefer(transport, known.kinds)
        with _lossy(f"{login}: "):
            _shake_hands(transport, login)
            verify(transport.get_remote_server_key(), known, login, answers, note)
            if not transport.is_active():
                raise LinkError(f"{login}: the server hung up meanwhile")
            Authentication(transport, login, answers, note).run()
        return SshLink(transport, meter, beneath.pop_all())


def _reach(
    login: Login, beneath: ExitStack, answers: Answers, note: Callable[[str], None]
) -> socket | Channel:
    """A connection to the server's port; what it needs is closed with `beneath`."""
    if login.route.jump is not None:
        hop = connect(login.route.jump, answers, note)
        beneath.callback(hop.close)
        return hop.tunnel(login)
    if login.route.proxy is not None:
        return beneath.enter_context(ProxyCommand(login.route.proxy)).socket
    return beneath.enter_context(dial(login))


def _shake_hands(transport: Transport, login: Login) -> None:
    from paramiko.ssh_exception import IncompatiblePeer

    try:
        transport.start_client(timeout=HANDSHAKE)
    except IncompatiblePeer as failure:
        what = clean(str(failure), 200)
        raise HostError(
            f"{login}: no common algorithm with the server: {what}; "
            'backend = "openssh" may know older ones'
        ) from None


def _silence() -> None:
    """Keep paramiko's own log off the terminal, which is the screen's."""
    log = logging.getLogger("paramiko")
    log.propagate = False
    if not log.handlers:
        log.addHandler(logging.NullHandler())


def _prefer(transport: Transport, kinds: list[str]) -> None:
    """Ask for the key types that known_hosts holds first, as ssh does."""
    options = transport.get_security_options()
    # An RSA key is proved by a signature with SHA-2; its old name stands for SHA-1.
    wanted = {"rsa-sha2-512", "rsa-sha2-256"} if "ssh-rsa" in kinds else set()
    wanted.update(kinds)
    options.key_types = sorted(options.key_types, key=lambda kind: kind not in wanted)
