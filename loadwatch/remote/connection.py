"""SSH by paramiko: one verified, authenticated transport per host, a channel per stream.

Host keys are checked against known_hosts before anything is said about who we are. No terminal is
requested, no agent forwarded. paramiko is imported when a connection is made, not before: it takes
longer to load than the first screen may.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from loadwatch.core.errors import HostError
from loadwatch.remote.credentials import Credentials, gather
from loadwatch.remote.knownhosts import KnownHosts, fingerprint
from loadwatch.remote.link import LinkError, LoginDropError
from loadwatch.remote.sshconfig import Login
from loadwatch.remote.text import Tail, clean

if TYPE_CHECKING:
    from paramiko import Channel, PKey, Transport

CONNECT = 10.0
"""Seconds for TCP to one address, for the handshake, and for opening a channel, each."""

AUTHENTICATE = 30.0
"""Seconds for each attempt to log in: a server may look into directories."""

CHUNK = 32768

# CBC modes and truncated or MD5 based MACs, which paramiko still offers last.
_WEAK = {
    "ciphers": ["aes128-cbc", "aes192-cbc", "aes256-cbc", "3des-cbc"],
    "macs": ["hmac-md5", "hmac-md5-96", "hmac-sha1-96"],
}


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
    """An authenticated connection to a host."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def open(self, command: str) -> SshStream:
        """Start `command` in the login's shell."""
        from paramiko import ChannelException

        try:
            with _lossy():
                channel = self._transport.open_session(timeout=CONNECT)
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

    def close(self) -> None:
        """Drop the connection; the guards end what they guard."""
        self._transport.close()


@contextmanager
def _lossy(prefix: str = "") -> Iterator[None]:
    """What paramiko raises when a connection fails, as LinkError; a refused channel stays."""
    from paramiko import ChannelException, SSHException

    try:
        yield
    except ChannelException:
        raise
    except (SSHException, EOFError, OSError) as failure:
        raise LinkError(prefix + _reason(failure)) from None


def connect(login: Login, secret: str | None = None) -> SshLink:
    """Connect, verify the host key, log in.

    LinkError where trying again may help; HostError for an unknown or changed host key, a refused
    login, or a server too old to talk to.
    """
    from paramiko import Transport

    _silence()
    transport = Transport(_dial(login), disabled_algorithms=_WEAK)
    try:
        transport.banner_timeout = transport.handshake_timeout = CONNECT
        transport.auth_timeout = AUTHENTICATE
        transport.use_compression(True)
        known = KnownHosts(login.known_hosts, login.key_name)
        _prefer(transport, known.kinds)
        with _lossy(f"{login}: "):
            _shake_hands(transport, login)
            _verify(transport.get_remote_server_key(), known, login)
            with gather(login, secret) as credentials:
                _authenticate(transport, login, credentials)
    except BaseException:
        transport.close()
        raise
    return SshLink(transport)


def _shake_hands(transport: Transport, login: Login) -> None:
    from paramiko.ssh_exception import IncompatiblePeer

    try:
        transport.start_client(timeout=CONNECT)
    except IncompatiblePeer as failure:
        what = clean(str(failure), 200)
        raise HostError(f"{login}: no common algorithm with the server: {what}") from None


def _silence() -> None:
    """Keep paramiko's own log off the terminal, which is the screen's."""
    log = logging.getLogger("paramiko")
    log.propagate = False
    if not log.handlers:
        log.addHandler(logging.NullHandler())


def _dial(login: Login) -> socket.socket:
    """A TCP connection to the first address that answers, IPv6 and IPv4 alike.

    A peer that vanishes is noticed by the kernel within 10 to 15 seconds.
    """
    try:
        connected = socket.create_connection((login.hostname, login.port), CONNECT)
    except socket.gaierror as failure:
        raise LinkError(f"{login}: cannot resolve {login.hostname}: {failure.strerror}") from None
    except (OSError, UnicodeError) as failure:
        raise LinkError(f"{login}: {_reason(failure)}") from None
    connected.settimeout(None)
    for level, name, value in (
        (socket.SOL_SOCKET, "SO_KEEPALIVE", 1),
        (socket.IPPROTO_TCP, "TCP_NODELAY", 1),
        (socket.IPPROTO_TCP, "TCP_KEEPIDLE", 5),
        (socket.IPPROTO_TCP, "TCP_KEEPINTVL", 3),
        (socket.IPPROTO_TCP, "TCP_KEEPCNT", 3),
        (socket.IPPROTO_TCP, "TCP_USER_TIMEOUT", 10_000),
    ):
        if hasattr(socket, name):
            connected.setsockopt(level, getattr(socket, name), value)
    return connected


def _reason(failure: BaseException) -> str:
    """A failure in a few words."""
    if isinstance(failure, OSError) and failure.strerror:
        return failure.strerror.lower()
    if isinstance(failure, TimeoutError):
        return "no answer"
    return clean(str(failure), 200) or "connection lost"


def _prefer(transport: Transport, kinds: list[str]) -> None:
    """Ask for the key types that known_hosts holds first, as ssh does."""
    options = transport.get_security_options()
    # An RSA key is proved by a signature with SHA-2; its old name stands for SHA-1.
    wanted = {"rsa-sha2-512", "rsa-sha2-256"} if "ssh-rsa" in kinds else set()
    wanted.update(kinds)
    options.key_types = sorted(options.key_types, key=lambda kind: kind not in wanted)


def _verify(key: PKey, known: KnownHosts, login: Login) -> None:
    """Let only a known key pass; HostError says what to do about any other."""
    verdict = known.check(key.asbytes())
    if verdict == "known":
        return
    what = f"{key.get_name()} {fingerprint(key.asbytes())}"
    if verdict == "unknown":
        raise HostError(
            f"unknown host key of {known.name}: {what}; compare it with the server's own, "
            f"then connect once with `{login.command}` to accept it"
        )
    if verdict == "revoked":
        raise HostError(f"revoked host key of {known.name}: {what}; refused")
    raise HostError(
        f"CHANGED host key of {known.name}: {what}; another one is promised in {known.places}. "
        f"Someone may be listening in. If the server was set up anew: `ssh-keygen -R "
        f"'{known.name}'`, then `{login.command}`"
    )


def _authenticate(transport: Transport, login: Login, credentials: Credentials) -> None:
    """Log in with what there is, keys first; HostError names what was refused."""
    from paramiko import AuthenticationException, BadAuthenticationType, SSHException

    attempts = [
        (key.label, partial(transport.auth_publickey, login.user, key.key))
        for key in credentials.keys
    ]
    if credentials.password is not None:
        password = partial(transport.auth_password, login.user, credentials.password)
        attempts.append(("password", password))
    refused: list[str] = []
    for label, attempt in attempts:
        try:
            if not attempt():
                return  # else accepted, but the server wants another proof as well
        except BadAuthenticationType as failure:
            taken = clean(", ".join(failure.allowed_types), 100)
            refused.append(f"{label} (the server takes {taken})")
        except AuthenticationException as failure:
            if not refused and not transport.is_active():
                raise LoginDropError(f"{login}: hung up on while trying {label}") from failure
            refused.append(label)
            if not transport.is_active():
                break
        except SSHException as failure:
            raise HostError(f"{login}: {label}: {_reason(failure)}") from None
    raise HostError(f"{login}: login refused; {_tried(refused, credentials)}")


def _tried(refused: list[str], credentials: Credentials) -> str:
    tried = f"tried {', '.join(refused)}" if refused else "there is no key and no password to try"
    if credentials.locked:
        files = ", ".join(str(path) for path in credentials.locked)
        tried += f"; locked by a passphrase: {files}"
    return tried + ("" if credentials.password else "; --ask-password asks for one")
