"""The connections to one target, and what becomes of the requests on them: the hot path.

HTTP/1.1 over asyncio, one request per connection at a time, connections kept. Nothing here is
awaited per request and no object is made per request.
"""

from __future__ import annotations

import asyncio
import errno
import math
import socket
import ssl
import time
from collections.abc import Callable

from loadwatch.load.answer import Checked
from loadwatch.load.connection import Connection
from loadwatch.load.dial import Dialer
from loadwatch.load.stream import Stream, count

_now = time.monotonic


class Wire:
    """The connections to one target, and what becomes of the requests on them.

    `timeout` counts from the due instant, for streams that have none of their own; `open` is how
    many requests are open. `freed` is told after each request that ends whether it
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
        self._standing: set[Connection] = set()
        self._sweeps: dict[Stream, asyncio.TimerHandle] = {}
        self.open = 0
        self.freed: Callable[[bool, float], None] | None = None

    @property
    def connections(self) -> int:
        """How many connections stand, or are being made."""
        return len(self._standing)

    def fire(self, stream: Stream, due: float, now: float) -> bool:
        """Send one request of `stream`.

        Past the limit of open ones, or with no row of data left for it, it is dropped, and False.
        """
        stream.offered += 1
        try:
            request = stream.next_request() if self.open < self._limit else None
        except StopIteration:
            request = None
        if request is None:
            stream.dropped += 1
            return False
        if due < stream.swept:  # it would be passed over
            self._sweep_from(stream, due)
        if self._idle:
            connection = self._idle.pop()
            stream.open[connection] = None
            self.open += 1
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
        del stream.open[connection]
        self.open -= 1
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
        del stream.open[connection]
        self.open -= 1
        stream.failed(kind, now - connection.due, now - connection.sent)
        self.discard(connection)
        if isinstance(connection.request, Checked):
            connection.request.ended(is_good=False)
        if self.freed is not None:
            self.freed(False, now)

    def lost(self, connection: Connection) -> None:
        """The server closed with a request open: an end, a stale connection, or a reset."""
        if connection.head is not None:
            if connection.delimited_by_close():
                connection.ended(connection.parser.get_status_code(), keep=False)
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
        del stream.open[stale]
        self.open -= 1
        stream.bucket.retried += 1
        fresh = self._connect(stream, stale.request, stale.due, stale.sent)
        fresh.again = True
        stream.unsent -= 1  # it counts as sent already
        # It stands last now though it is not the youngest: the sweep could come too late for it.
        wake = stale.due + self._timeout_of(stream)
        self._loop.call_at(wake, self._expire_one, fresh, stale.due)

    def discard(self, connection: Connection) -> None:
        """Close a connection that holds no request."""
        self.forget(connection)
        self._standing.discard(connection)
        if connection.attempt is not None:
            connection.attempt.cancel()
        if connection.transport is not None:
            connection.transport.abort()

    def forget(self, connection: Connection) -> None:
        """An idle connection is gone."""
        self._standing.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)

    def close(self) -> None:
        """Close everything; open requests are not accounted for."""
        self.freed = None
        for stream, sweep in self._sweeps.items():
            sweep.cancel()
            stream.open.clear()
        for connection in tuple(self._standing):
            connection.stream = None
            self.discard(connection)
        self.open = 0

    def _timeout_of(self, stream: Stream) -> float:
        return self._timeout if stream.timeout is None else stream.timeout

    def _expire(self, stream: Stream) -> None:
        """Give up what is past its deadline, and come back at the next one.

        What is fired from now on has a later deadline (or moves the sweep): nothing is polled.
        The requests stand in the order in which they were due.
        """
        stream.swept = math.inf
        last = _now() - self._timeout_of(stream)
        expired = []
        for request in stream.open:
            if request.due > last:
                self._sweep_from(stream, request.due)
                break
            expired.append(request)
        for connection in expired:
            assert isinstance(connection, Connection)
            self.failed(connection, "timeout")

    def _sweep_from(self, stream: Stream, due: float) -> None:
        """Come back when what was due at `due` is past its deadline."""
        if (sweep := self._sweeps.get(stream)) is not None:
            sweep.cancel()
        stream.swept = due
        wake = due + self._timeout_of(stream)
        self._sweeps[stream] = self._loop.call_at(wake, self._expire, stream)

    def _expire_one(self, connection: Connection, due: float) -> None:
        if connection.stream is not None and connection.due == due:
            self.failed(connection, "timeout")

    def _connect(self, stream: Stream, request: bytes, due: float, now: float) -> Connection:
        """A new connection for one request, which goes out when it stands."""
        stream.connected += 1
        stream.unsent += 1
        connection = Connection(self, stream, request, due, now)
        self._standing.add(connection)
        stream.open[connection] = None
        self.open += 1
        connection.attempt = self._loop.create_task(self._attempt(connection))
        return connection

    async def _attempt(self, connection: Connection) -> None:
        try:
            await self._dialer.dial(connection)
        except (OSError, UnicodeError) as error:
            if connection.stream is not None:
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
