"""Ways to a server's SSH port: TCP, or a command that speaks for it (ProxyCommand)."""

from __future__ import annotations

import socket
import time
from types import TracebackType
from typing import Any

from loadwatch.remote.link import LinkError
from loadwatch.remote.process import SideProcess
from loadwatch.remote.sshconfig import Login, Route
from loadwatch.remote.text import clean


def dial(login: Login) -> socket.socket:
    """A TCP connection to the first address that answers, IPv6 and IPv4 alike.

    Each address gets its share of the time that is left, so that one which swallows packets does
    not cost the others theirs. A peer that vanishes later is noticed by the kernel within 10 to
    15 seconds.
    """
    route = login.route
    until = time.monotonic() + route.timeout
    try:
        places = socket.getaddrinfo(login.hostname, login.port, route.family, socket.SOCK_STREAM)
    except socket.gaierror as failure:
        raise LinkError(f"{login}: cannot resolve {login.hostname}: {failure.strerror}") from None
    except UnicodeError as failure:
        raise LinkError(f"{login}: {reason(failure)}") from None
    problem: OSError = TimeoutError()
    for left, (family, _, _, _, place) in zip(range(len(places), 0, -1), places, strict=True):
        share = max((until - time.monotonic()) / left, 0.1)
        try:
            return _watchful(_connected(family, place, share, route))
        except OSError as failure:
            problem = failure
    raise LinkError(f"{login}: {reason(problem)}") from None


def _connected(family: int, place: Any, timeout: float, route: Route) -> socket.socket:
    trial = socket.socket(family, socket.SOCK_STREAM)
    try:
        trial.settimeout(timeout)
        if route.bind is not None:
            trial.bind((route.bind, 0))
        trial.connect(place)
    except BaseException:
        trial.close()
        raise
    return trial


def _watchful(connected: socket.socket) -> socket.socket:
    """The same connection, whose end the kernel notices by itself."""
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


class ProxyCommand:
    """A command whose standard input and output are the connection, in `socket`.

    As a context it ends the command, and tells what it said when the connection failed.
    paramiko's own is not used: it never reads what the command complains about, and takes no
    shell syntax.
    """

    def __init__(self, command: str) -> None:
        self.socket, theirs = socket.socketpair()
        with theirs:
            try:
                self._process = SideProcess(
                    ["/bin/sh", "-c", f"exec {command}"], theirs.fileno(), theirs.fileno()
                )
            except OSError as failure:
                self.socket.close()
                raise LinkError(f"ProxyCommand: {reason(failure)}") from None

    def __enter__(self) -> ProxyCommand:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        failure: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.socket.close()
        self._process.end()
        if isinstance(failure, LinkError) and self._process.complaints:
            said = self._process.complaints[-1]
            raise type(failure)(f"{failure}; the ProxyCommand said: {said}") from None


def reason(failure: BaseException) -> str:
    """A failure in a few words."""
    if isinstance(failure, OSError) and failure.strerror:
        return failure.strerror.lower()
    if isinstance(failure, TimeoutError):
        return "no answer"
    return clean(str(failure), 200) or "connection lost"
