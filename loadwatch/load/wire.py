"""The connections to one target, and what becomes of the requests on them: the hot path.

HTTP/1.1 over asyncio, one request per connection at a time, connections kept. Nothing here is
awaited per request and no object is made per request.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
import time
from collections.abc import Callable

from loadwatch.load.connection import Connection
from loadwatch.load.dial import Dialer
from loadwatch.load.stream import Stream, count

_now = time.monotonic


class Wire:
    """The connections to one target, and what becomes of the requests on them.

    `timeout` counts from the due instant. `freed` is told after each request that ends whether it
    was answered, and when (a closed loop fires the next one).
    """

    def __init__(
        self,
        host: str,
        port: int,
        tls: ssl.SSLContext | None,
        timeout: float,
        limit: int,
        keep_alive: bool = True,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._dialer = Dialer(host, port, tls, timeout)
        self.plain = tls is None
        self.keep_alive = keep_alive
        self._timeout = timeout
        self._limit = limit
        self._idle: list[Connection] = []
        # Insertion-ordered, and due instants ascend: the first one is the oldest.
        self._open: dict[Connection, None] = {}
        self._sweep_at(_now() + timeout)
        self.freed: Callable[[bool, float], None] | None = None

    @property
    def open(self) -> int:
        """How many requests are open."""
        return len(self._open)

    @property
    def connections(self) -> int:
        """How many connections stand, or are being made."""
        return len(self._open) + len(self._idle)

    def open_of(self, stream: Stream) -> int:
        """How many requests of `stream` are open."""
        return sum(connection.stream is stream for connection in self._open)

    def oldest(self, stream: Stream) -> float:
        """The due instant of the oldest open request of `stream`; infinite where none is open."""
        return next((c.due for c in self._open if c.stream is stream), float("inf"))

    def fire(self, stream: Stream, due: float, now: float) -> bool:
        """Send one request of `stream`.

        Past the limit of open ones, or with no row of data left for it, it is dropped, and False.
        """
        stream.offered += 1
        try:
            request = stream.next_request() if len(self._open) < self._limit else None
        except StopIteration:
            request = None
        if request is None:
            stream.dropped += 1
            return False
        if due < self._swept_due:  # it comes late: so would the sweep
            self._sweep.cancel()
            self._sweep_at(due + self._timeout)
        if self._idle:
            connection = self._idle.pop()
            self._open[connection] = None
            connection.stream = stream
            connection.due = due
            connection.sent = now
            connection.request = request
            connection.out.write(request)  # type: ignore[union-attr]  # it was kept
        else:
            self._connect(stream, request, due, now)
        return True

    def answered(self, connection: Connection, stream: Stream, keep: bool) -> None:
        """A response is complete and counted: note its times, and keep or close its connection."""
        now = _now()
        due = connection.due
        if connection.sent is due:
            count(stream.prompt, now - due)
        else:
            count(stream.response, now - due)
            count(stream.service, now - connection.sent)
        connection.stream = None
        del self._open[connection]
        if keep and ((out := connection.out or connection.outlet).socket >= 0 or out.free):
            self._idle.append(connection)
        else:
            self.discard(connection)
        if self.freed is not None:
            self.freed(True, now)

    def failed(self, connection: Connection, kind: str) -> None:
        """The open request ends without a response, and its connection with it."""
        stream = connection.stream
        assert stream is not None
        now = _now()
        connection.stream = None
        del self._open[connection]
        stream.failed(kind, now - connection.due, now - connection.sent)
        self.discard(connection)
        if self.freed is not None:
            self.freed(False, now)

    def lost(self, connection: Connection) -> None:
        """The server closed with a request open: an end, a stale connection, or a reset."""
        if connection.head is not None:
            if connection.delimited_by_close():
                stream = connection.stream
                assert stream is not None
                status = connection.parser.get_status_code()
                stream.told(connection.request, status, connection.head)
                self.answered(connection, stream, keep=False)
            else:
                self.failed(connection, "reset")
        elif connection.kept:
            self._retry(connection)
        else:
            self.failed(connection, "reset")

    def _retry(self, stale: Connection) -> None:
        """The server closed a kept connection before it saw the request: once more on a new one.

        Browsers do the same (RFC 9110 §9.2.2); due and sent stay, so that the time shows.
        """
        stream = stale.stream
        assert stream is not None
        stale.stream = None
        del self._open[stale]
        stream.bucket.retried += 1
        fresh = self._connect(stream, stale.request, stale.due, stale.sent)
        fresh.again = True
        stream.unsent -= 1  # it counts as sent already
        # It stands last now though it is not the youngest: the sweep could come too late for it.
        self._loop.call_at(stale.due + self._timeout, self._expire_one, fresh, stale.due)

    def discard(self, connection: Connection) -> None:
        """Close a connection that holds no request."""
        self.forget(connection)
        if connection.attempt is not None:
            connection.attempt.cancel()
        if connection.transport is not None:
            connection.transport.abort()

    def forget(self, connection: Connection) -> None:
        """An idle connection is gone."""
        if connection in self._idle:
            self._idle.remove(connection)

    def close(self) -> None:
        """Close everything; open requests are not accounted for."""
        self._sweep.cancel()
        self.freed = None
        for connection in [*self._open, *self._idle]:
            connection.stream = None
            self.discard(connection)
        self._open.clear()

    def _expire(self) -> None:
        """Give up what is past its deadline, and come back at the next one.

        What is fired from now on has a later deadline (or moves the sweep): nothing is polled.
        """
        now = _now()
        expired = []
        wake = now + self._timeout
        for connection in self._open:
            deadline = connection.due + self._timeout
            if deadline > now:
                wake = deadline
                break
            expired.append(connection)
        for connection in expired:
            self.failed(connection, "timeout")
        self._sweep_at(wake)

    def _sweep_at(self, wake: float) -> None:
        self._swept_due = wake - self._timeout
        self._sweep = self._loop.call_at(wake, self._expire)

    def _expire_one(self, connection: Connection, due: float) -> None:
        if connection in self._open and connection.due == due:
            self.failed(connection, "timeout")

    def _connect(self, stream: Stream, request: bytes, due: float, now: float) -> Connection:
        """A new connection for one request, which goes out when it stands."""
        stream.connected += 1
        stream.unsent += 1
        connection = Connection(self, stream, request, due, now)
        self._open[connection] = None
        connection.attempt = self._loop.create_task(self._attempt(connection))
        return connection

    async def _attempt(self, connection: Connection) -> None:
        try:
            await self._dialer.dial(connection)
        except (OSError, UnicodeError) as error:
            if connection in self._open:
                self.failed(connection, error_kind(error))


_SHORTAGES = {
    errno.EMFILE: "descriptors",
    errno.ENFILE: "descriptors",
    errno.EADDRNOTAVAIL: "ports",
    errno.ENOBUFS: "descriptors",
}


def error_kind(error: BaseException) -> str:
    """The error kind (`core.bucket.ERROR_KINDS`) of a connection that did not come about."""
    # A server that hangs up during the handshake (load.tls).
    if isinstance(error, ssl.SSLError | ConnectionAbortedError):
        return "tls"
    # A name that no resolver could be asked for (idna) raises UnicodeError.
    if isinstance(error, socket.gaierror | UnicodeError):
        return "dns"
    if isinstance(error, OSError) and error.errno in _SHORTAGES:
        return _SHORTAGES[error.errno]
    return "reset" if isinstance(error, ConnectionResetError) else "connect"
