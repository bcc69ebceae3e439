"""The front: speaks HTTP/1.1 with the clients and hands their requests to the pool.

A client costs a worker's time only between its whole request and the whole response. A slow one
costs no more than its connection, and that only until it has been quiet for too long.
"""

from __future__ import annotations

import asyncio
import math
import re
import time
from http import HTTPStatus
from typing import cast

from loadwatch.demo.exchange import RequestError, body_size, parse, refusal
from loadwatch.demo.pool import Job, Pool

LONGEST_HEAD = 16 * 1024
"""Bytes of a request's head that are accepted."""

PATIENCE = 60.0
"""Seconds that a connection may be open without a request on its way."""

_HEAD_END = re.compile(rb"\n\r?\n")


class Front:
    """The open connections to the clients, whose requests go to `pool`."""

    def __init__(self, pool: Pool, patience: float = PATIENCE) -> None:
        self.pool = pool
        self.connections: set[Connection] = set()
        self._patience = patience
        self._server: asyncio.Server | None = None
        self._sweep: asyncio.TimerHandle | None = None

    async def listen(self, port: int) -> int:
        """Accept clients on a loopback port, any free one for 0; returns it. OSError if taken."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: Connection(self), "127.0.0.1", port, backlog=1024
        )
        self._drop_quiet()
        return int(self._server.sockets[0].getsockname()[1])

    def close(self) -> None:
        """Part with all clients."""
        if self._server is not None:
            self._server.close()
        if self._sweep is not None:
            self._sweep.cancel()
        for connection in self.connections:
            connection.abort()

    def _drop_quiet(self) -> None:
        """Part with the clients that want nothing, now and again after a while."""
        earliest = time.monotonic() - self._patience
        for connection in self.connections:
            if connection.quiet_since < earliest:
                connection.abort()
        loop = asyncio.get_running_loop()
        self._sweep = loop.call_later(self._patience / 10, self._drop_quiet)


class Connection(asyncio.Protocol):
    """A client. Its requests are served one after the other, even if they come all at once."""

    def __init__(self, front: Front) -> None:
        self._front = front
        self._since = time.monotonic()
        self._buffer = bytearray()
        self._job: Job | None = None
        self._choked = False
        self._ending = False

    @property
    def quiet_since(self) -> float:
        """When the last answer was written (monotonic clock); infinity while one is on its way."""
        return self._since if self._job is None else math.inf

    def abort(self) -> None:
        """Part with the client, whatever is open."""
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio: a client has come."""
        self._transport = cast(asyncio.Transport, transport)
        self._front.connections.add(self)

    def connection_lost(self, error: Exception | None) -> None:
        """asyncio: the client has gone."""
        self._front.connections.discard(self)
        self._ending = True
        if self._job is not None:
            self._front.pool.withdraw(self._job)

    def data_received(self, data: bytes) -> None:
        """asyncio: part of a request, or of several."""
        if not self._ending:
            self._buffer += data
            self._proceed()

    def pause_writing(self) -> None:
        """asyncio: the client is slow to take its answers."""
        self._choked = True

    def resume_writing(self) -> None:
        """asyncio: the client has taken its answers."""
        self._choked = False
        self._proceed()

    def _proceed(self) -> None:
        """Take the next request if none is on its way, and no more from the client than needed."""
        while self._job is None and not self._choked and not self._ending:
            if not self._take_request():
                break
        if len(self._buffer) > LONGEST_HEAD:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    def _take_request(self) -> bool:
        """Submit, or refuse, the request at the head of the buffer; False if there is none yet."""
        found = _HEAD_END.search(self._buffer)
        if (found.end() if found else len(self._buffer)) > LONGEST_HEAD:
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
            return False
        if found is None:
            return False
        end = found.end() + body_size(bytes(self._buffer[: found.end()]))
        if len(self._buffer) < end:
            return False
        request = bytes(self._buffer[:end])
        del self._buffer[:end]
        try:
            job = Job(parse(request), self._answered)
        except RequestError as error:
            self._refuse(error.status)
            return False
        self._job = job
        if not self._front.pool.submit(job):
            self._answer(job.refusal(HTTPStatus.SERVICE_UNAVAILABLE))
        return True

    def _answered(self, response: bytes) -> None:
        self._answer(response)
        self._proceed()

    def _answer(self, response: bytes) -> None:
        """Write the response to the open request."""
        assert self._job is not None
        keep_alive = self._job.request.keep_alive
        self._job = None
        self._write(response, keep_alive)

    def _refuse(self, status: HTTPStatus) -> None:
        """Answer what is no request; where the next one would begin is unknown."""
        self._write(refusal(status).encode(keep_alive=False), keep_alive=False)

    def _write(self, response: bytes, keep_alive: bool) -> None:
        if self._transport.is_closing():
            return
        self._since = time.monotonic()
        self._transport.write(response)
        if not keep_alive:
            # What still comes is read and thrown away: closing now would reset the connection,
            # and the client might lose this very response.
            self._ending = True
            self._buffer.clear()
            self._transport.write_eof()
