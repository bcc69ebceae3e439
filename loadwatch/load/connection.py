"""One connection: an asyncio.Protocol that writes prepared bytes and finds the end of the answer.

Most of what a load test gets back is like what it got before: one comparison then does
(`load.repeat`). What differs goes to httptools. Bodies are not held.
"""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, cast

import httptools

from loadwatch.load.answer import Body, Checked
from loadwatch.load.outlet import Outlet
from loadwatch.load.stream import Stream
from loadwatch.load.tls import Plain, TlsChannel

if TYPE_CHECKING:
    from loadwatch.load.wire import Wire

_HEAD_END = b"\r\n\r\n"
_LONGEST_HEAD = 64 * 1024
_FRAMING = (b"content-length:", b"transfer-encoding:")
_INTERIM = re.compile(rb"HTTP/1\.\d 1")


class Connection(Plain):
    """One connection, begun for a `request` of `stream` that was due at `due`, fired at `now`.

    `stream` is the scenario whose request is open on it, else None. `out` takes the
    requests after the first. `weighs` says that the size of the answer's body is wanted.
    """

    __slots__ = (
        "_body",
        "_parser",
        "_reader",
        "again",
        "attempt",
        "born",
        "done",
        "due",
        "head",
        "keep",
        "out",
        "plain",
        "request",
        "sent",
        "status",
        "stream",
        "transport",
        "weighs",
        "wire",
    )

    def __init__(self, wire: Wire, stream: Stream, request: bytes, due: float, now: float) -> None:
        self.wire = wire
        self.request = request
        self.plain = wire.plain
        self._parser: httptools.HttpResponseParser | None = None
        self._reader: httptools.HttpResponseParser | None = None
        self._body: Body | None = None
        self.transport: asyncio.Transport | None = None
        self.attempt: asyncio.Task[None] | None = None
        self.stream: Stream | None = stream
        self.due = due
        self.sent = self.born = now
        self.head: bytes | None = None
        self.out: Outlet | TlsChannel | None = None
        self.again = False
        self.done = False
        self.keep = False
        self.weighs = False
        self.status = 0

    @property
    def parser(self) -> httptools.HttpResponseParser:
        """Reads the answer: made when the first one comes that is not like another.

        Only where the answer is looked at does it hand on the body: that takes copies.
        """
        assert self.stream is not None
        if self.weighs or self.stream.checked:
            if self._reader is None:
                self._body = Body()
                self._reader = httptools.HttpResponseParser(_WithBody(self, self._body))
            return self._reader
        if self._parser is None:
            self._parser = httptools.HttpResponseParser(self)
        return self._parser

    @property
    def outlet(self) -> Outlet | TlsChannel:
        """Takes what is to be sent; made when the connection is kept, which many never are."""
        if self.out is None:
            transport = self.transport
            assert transport is not None
            self.out = transport if isinstance(transport, TlsChannel) else Outlet(transport)
        return self.out

    @property
    def kept(self) -> bool:
        """Whether it is open for another request than the one it was begun for."""
        return self.sent is not self.born

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio: the connection is up; its first request goes out."""
        self.transport = cast(asyncio.Transport, transport)  # uvloop's own class, by shape
        self.attempt = None
        if self.stream is None:
            self.wire.discard(self)
            return
        if not self.again:
            self.stream.unsent -= 1
        self.transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        """asyncio: bytes of a response."""
        stream = self.stream
        if stream is None:
            # Nothing was asked: a goodbye such as 408, or a server that talks out of turn.
            self.wire.discard(self)
            return
        if self.head is None and (data == stream.known or stream.resembles(data)):
            stream.alike += 1
            self.wire.answered(self, stream, stream.keep)
            return
        if self.plain:
            stream.received += len(data)
        if stream.bodiless:
            self._read_head(data)
        else:
            self._parse(data)

    def _parse(self, data: bytes) -> None:
        """Bytes for the parser; the request ends if the response does."""
        stream = self.stream
        assert stream is not None
        if self.head is None:
            self.head = data
            self.weighs = stream.scales.free and stream.scales.take()
        elif _HEAD_END not in self.head and len(self.head) < _LONGEST_HEAD:
            self.head += data
        try:
            self.parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self.wire.failed(self, "protocol")
            return
        if self.done:
            if stream.lessons and self.head is data:
                stream.learn(data, self.status, self.keep, len(data) if self.plain else 0)
            self.done = False
            self.ended(self.status, self.keep)

    def ended(self, status: int, keep: bool) -> None:
        """The whole answer is here: its time is noted, and then it is looked at where wanted."""
        stream, head, request = self.stream, self.head, self.request
        assert stream is not None and head is not None
        self.head = None
        if self.weighs or stream.checked:
            assert self._body is not None
            answer = self._body.take(head)
            self.wire.answered(self, stream, keep)
            checked = request if isinstance(request, Checked) else None
            good = stream.told(request, status, head, checked is None or checked.look(answer))
            if checked is not None:
                checked.ended(good)
            if self.weighs:
                stream.scales.weigh(status, answer)
        else:
            stream.told(request, status, head)
            self.wire.answered(self, stream, keep)

    def _read_head(self, data: bytes) -> None:
        """Bytes of the answer to a HEAD request: it ends with its head, whatever that promises.

        httptools cannot be told so: it gets the head without its framing (RFC 9110 §9.3.2).
        """
        head, end, rest = ((self.head or b"") + data).partition(_HEAD_END)
        if not end:
            self.head = head
            if len(head) > _LONGEST_HEAD:
                self.wire.failed(self, "protocol")
            return
        lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(_FRAMING)]
        if not _INTERIM.match(head):
            lines.append(b"Content-Length: 0")
            if (
                rest
            ):  # a server that sends a body all the same: it cannot be told from the next answer
                lines.append(b"Connection: close")
        self.head = None
        self._parse(b"\r\n".join(lines) + end)
        if rest and self.stream is not None:
            self._read_head(rest)

    def encrypted(self, size: int) -> None:
        """`load.tls`: what came before it was decrypted, handshakes included."""
        if self.stream is not None:
            self.stream.received += size

    def on_message_complete(self) -> None:
        """httptools: the end of a response, or of an interim one (1xx), which is passed over."""
        parser = self.parser
        self.status = parser.get_status_code()
        if self.status >= 200:
            self.done = True
            self.keep = parser.should_keep_alive() and self.wire.keep_alive
        else:
            self.head = (self.head or b"").partition(_HEAD_END)[2]  # the real one comes now

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncio: the connection is gone, by the server or by us."""
        if self.stream is not None:
            self.wire.lost(self)
        else:
            self.wire.forget(self)

    def delimited_by_close(self) -> bool:
        """Whether the response that is open ends where the connection does (RFC 9112 §6.3)."""
        head, end, _ = (self.head or b"").partition(_HEAD_END)
        lines = head.lower().split(b"\r\n")
        framed = any(
            line.startswith((b"content-length:", b"transfer-encoding:")) for line in lines[1:]
        )
        return bool(end) and lines[0].startswith(b"http/1.") and not framed


class _WithBody:
    """What httptools tells of an answer that is looked at."""

    __slots__ = ("on_body", "on_message_complete")

    def __init__(self, connection: Connection, body: Body) -> None:
        self.on_body = body.add
        self.on_message_complete = connection.on_message_complete
