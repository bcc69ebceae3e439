"""Requests by httpx: for HTTP/2 and proxies, at many times the cost of the wire engine.

One task per request. Nothing of httpx's own comes between: no redirects are followed, no cookies
kept, no proxies taken from the environment, and the only timeout counts from the due instant.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import anyio
import anyio.lowlevel
import httpx

from loadwatch.load.answer import Answer, Body, Checked, head_of
from loadwatch.load.pushback import STATUSES, retry_after
from loadwatch.load.request import read
from loadwatch.load.stream import Stream
from loadwatch.load.wire import error_kind


class HttpxEngine:
    """An `Engine` over one httpx connection pool to the server of `url`."""

    def __init__(
        self,
        url: str,
        transport: httpx.AsyncBaseTransport,
        timeout: float,
        limit: int,
    ) -> None:
        self._url = url
        self._transport = transport
        self._timeout = timeout
        self._limit = limit
        self._open: dict[asyncio.Task[None], _Exchange] = {}
        # httpcore loads its back end upon the first request, which would come late by that.
        self._loading = asyncio.get_running_loop().create_task(anyio.lowlevel.checkpoint())
        self.freed: Callable[[bool, float], None] | None = None

    @property
    def open(self) -> int:
        """How many requests are open."""
        return len(self._open)

    @property
    def connections(self) -> int:
        """How many connections there can be at most now: httpx does not tell how many there are."""
        return len(self._open)

    def fire(self, stream: Stream, due: float, now: float) -> bool:
        """Send one request of `stream`.

        Past the limit of open ones, or with no row of data left for it, it is dropped, and False.
        """
        stream.offered += 1
        try:
            rendered = stream.next_request() if len(self._open) < self._limit else None
        except StopIteration:
            rendered = None
        if rendered is None:
            stream.dropped += 1
            return False
        stream.unsent += 1
        exchange = _Exchange(stream, rendered, due, now)
        task = asyncio.get_running_loop().create_task(self._carry_out(exchange))
        self._open[task] = exchange
        stream.open[exchange] = None
        return True

    async def _carry_out(self, exchange: _Exchange) -> None:
        own = exchange.stream.timeout
        try:
            async with asyncio.timeout_at(exchange.due + (self._timeout if own is None else own)):
                status = await self._exchange(exchange)
        except TimeoutError:
            self._end(exchange, "timeout")
        except (httpx.TransportError, OSError, UnicodeError) as error:
            self._end(exchange, _kind(error))
        else:
            self._end(exchange, status)

    async def _exchange(self, exchange: _Exchange) -> int:
        """Send the request and take the whole answer, held only to be looked at; its status."""
        stream, body = exchange.stream, Body()
        weighs = stream.scales.take()
        request = read(exchange.request, self._url)
        request.extensions["trace"] = exchange.trace
        response = await self._transport.handle_async_request(request)
        try:
            assert isinstance(response.stream, httpx.AsyncByteStream)
            async for part in response.stream:
                stream.received += len(part)
                if weighs or stream.checked:
                    body.add(part)
        finally:
            await response.aclose()
        if stream.sample.left:
            stream.sample.take(response.headers.raw)
        if stream.validators is not None:
            stream.validators.heard(exchange.request, response.status_code, head_of(response))
        if stream.doorman is not None:
            head = head_of(response)
            exchange.is_out = stream.doorman.is_out(exchange.request, response.status_code, head)
        if response.status_code in STATUSES:
            asked = (response.headers.get(name, "") for name in ("Retry-After", "Date"))
            stream.retry_after = retry_after(*asked)
        if weighs or stream.checked:
            exchange.answer = answer = body.take(head_of(response))
            if weighs:
                stream.scales.weigh(response.status_code, answer)
        return response.status_code

    def _end(self, exchange: _Exchange, how: int | str) -> None:
        """Account for the end: a status, or an error kind."""
        task = asyncio.current_task()
        assert task is not None
        stream = exchange.stream
        del self._open[task]
        del stream.open[exchange]
        now = time.monotonic()
        response, service = now - exchange.due, now - exchange.fired
        is_good = False
        if isinstance(how, int):
            is_good = stream.answered(how, response, service, exchange.look())
        else:
            stream.failed(how, response, service)
        if isinstance(exchange.request, Checked):
            exchange.request.ended(is_good)
        if self.freed is not None:
            self.freed(isinstance(how, int), now)

    async def aclose(self) -> None:
        """Close everything; open requests are not accounted for."""
        self.freed = None
        tasks = tuple(self._open)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for exchange in self._open.values():
            exchange.stream.open.pop(exchange, None)
        self._open.clear()
        await self._transport.aclose()


class _Exchange:
    """One open request: whose it is, as bytes, when it was due, and when it was fired.

    `answer` is what came, where it is looked at.
    """

    __slots__ = ("_sent", "answer", "due", "fired", "is_out", "request", "stream")

    def __init__(self, stream: Stream, request: bytes, due: float, fired: float) -> None:
        self.stream = stream
        self.request = request
        self.due = due
        self.fired = fired
        self.answer: Answer | None = None
        self.is_out = False
        self._sent = False

    def look(self) -> bool:
        """Whether the body of the answer is as wanted, and for somebody who is logged in."""
        if self.is_out:
            return False
        if self.answer is None or not isinstance(self.request, Checked):
            return True
        return self.request.look(self.answer)

    async def trace(self, event: str, info: Mapping[str, Any]) -> None:
        """httpcore's `trace` extension: what happens on the way."""
        if event.endswith(".send_request_headers.started") and not self._sent:
            self._sent = True  # once: a proxy is sent a request of its own before
            self.stream.unsent -= 1
        elif event == "connection.connect_tcp.started":
            self.stream.connected += 1


def transport(
    tls: ssl.SSLContext | None, keep_alive: bool, http2: bool, proxy: str | None
) -> httpx.AsyncBaseTransport:
    """A pool without limits of its own. HTTP/2 on `http://` is spoken without being negotiated."""
    return httpx.AsyncHTTPTransport(
        verify=tls or False,
        http1=not (http2 and tls is None),
        http2=http2,
        limits=httpx.Limits(max_keepalive_connections=None if keep_alive else 0),
        trust_env=False,
        proxy=proxy,
    )


def _kind(error: Exception) -> str:
    """The error kind (`core.bucket.ERROR_KINDS`): by the system's own error where there is one."""
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLError | socket.gaierror | UnicodeError):
            return error_kind(cause)
        if isinstance(cause, OSError) and cause.errno is not None:
            return error_kind(cause)
    if isinstance(error, httpx.ProtocolError) and "disconnected" not in str(error):
        return "protocol"
    return "connect" if isinstance(error, httpx.ConnectError | httpx.ProxyError) else "reset"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """`error` and what it came of, which httpx and httpcore wrap several times."""
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        if isinstance(seen, BaseExceptionGroup):
            for inner in seen.exceptions:
                yield from _causes(inner)
        seen = seen.__cause__ or seen.__context__
