"""What travels between the front and its workers: requests one way, whole HTTP responses back.

Each message is a frame: its length in four bytes (big-endian), then its bytes. A worker serves one
request at a time, so that frames need no number.
"""

from __future__ import annotations

import json
import re
import struct
import time
from http import HTTPStatus
from typing import BinaryIO, NamedTuple

import httptools

LOGIN = "/login/"
"""The only page to which something may be sent: a form."""

LONGEST_BODY = 4096
"""Bytes of it that are accepted."""

_LENGTH = struct.Struct("!I")
_POSTED = re.compile(rb"POST " + LOGIN.encode() + rb"[ ?]")
_SIZE = re.compile(rb"(?i)\r\ncontent-length: *(\d{1,4})\r\n")


class Request(NamedTuple):
    """A request for a page, as far as a page can depend on it; `path` has no query.

    `body` is that of a login's form. `queued` is how long it waited for a worker, in seconds.
    """

    method: str
    path: str
    cookie: str = ""
    accept_encoding: str = ""
    keep_alive: bool = True
    if_none_match: str = ""
    body: str = ""
    queued: float = 0.0

    def encode(self) -> bytes:
        """The body of a frame."""
        return json.dumps(self).encode()

    @classmethod
    def decode(cls, data: bytes) -> Request:
        """What `encode` made."""
        return cls(*json.loads(data))


class RequestError(Exception):
    """A request that no page is asked about; `status` says why."""

    def __init__(self, status: HTTPStatus) -> None:
        super().__init__(status.phrase)
        self.status = status


class _Head:
    """Collects what httptools finds in a request's head."""

    def __init__(self) -> None:
        self.url = b""
        self.headers: dict[bytes, bytes] = {}
        self.body = b""
        self.complete = False

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers[name.lower()] = value

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.complete = True

    def header(self, name: bytes) -> str:
        return self.headers.get(name, b"").decode("latin-1")


def body_size(head: bytes) -> int:
    """Bytes of the body that belongs to a head and is read: that of a login's form, if it says so
    and is short; 0 for all others."""
    size = _SIZE.search(head) if _POSTED.match(head) else None
    return 0 if size is None or int(size[1]) > LONGEST_BODY else int(size[1])


def parse(data: bytes) -> Request:
    """The request in `data`, a head up to its empty line and the body that `body_size` tells of.

    RequestError for what is not HTTP, for other methods than GET and HEAD (and POST to the login),
    and for a request with another body.
    """
    head = _Head()
    parser = httptools.HttpRequestParser(head)
    try:
        parser.feed_data(data)
    except httptools.HttpParserUpgrade:
        pass  # an offer to speak another protocol; declined by answering in this one
    except httptools.HttpParserError:
        raise RequestError(HTTPStatus.BAD_REQUEST) from None
    method = parser.get_method().decode("ascii")
    is_old = parser.get_http_version() == "1.0"
    if not head.url or not (is_old or b"host" in head.headers):
        raise RequestError(HTTPStatus.BAD_REQUEST)
    if method not in ("GET", "HEAD") and not _POSTED.match(data):
        raise RequestError(HTTPStatus.METHOD_NOT_ALLOWED)
    if not head.complete:
        raise RequestError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    try:
        path = httptools.parse_url(head.url).path or b"/"
    except httptools.HttpParserInvalidURLError:
        raise RequestError(HTTPStatus.BAD_REQUEST) from None
    connection = head.header(b"connection").lower()
    return Request(
        method,
        path.decode("latin-1"),
        head.header(b"cookie"),
        head.header(b"accept-encoding"),
        keep_alive="keep-alive" in connection if is_old else "close" not in connection,
        if_none_match=head.header(b"if-none-match"),
        body=head.body.decode("latin-1"),
    )


class Response(NamedTuple):
    """A status, its body (HTML) and the headers that belong to both."""

    status: HTTPStatus
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()

    def encode(self, keep_alive: bool, head_only: bool = False) -> bytes:
        """The response on the wire (RFC 9112); without its body for HEAD."""
        lines = [
            f"HTTP/1.1 {self.status.value} {self.status.phrase}",
            "Server: heywall",
            time.strftime("Date: %a, %d %b %Y %H:%M:%S GMT", time.gmtime()),
            *(self._about_body() if self.status is not HTTPStatus.NOT_MODIFIED else ()),
            f"Connection: {'keep-alive' if keep_alive else 'close'}",
            *(f"{name}: {value}" for name, value in self.headers),
        ]
        head = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"
        return head if head_only else head + self.body

    def _about_body(self) -> tuple[str, str]:
        return "Content-Type: text/html; charset=utf-8", f"Content-Length: {len(self.body)}"


_CONSOLATION = {
    HTTPStatus.METHOD_NOT_ALLOWED: (("Allow", "GET, HEAD"),),
    HTTPStatus.SERVICE_UNAVAILABLE: (("Retry-After", "1"),),
}


def refusal(status: HTTPStatus) -> Response:
    """The answer that says no more than `status`."""
    text = f"<!DOCTYPE html><title>{status.phrase}</title><h1>{status.value} {status.phrase}</h1>\n"
    return Response(status, text.encode(), _CONSOLATION.get(status, ()))


def frame(body: bytes) -> bytes:
    """`body` with its length before it."""
    return _LENGTH.pack(len(body)) + body


def take(buffer: bytearray) -> bytes | None:
    """The first whole frame's body, removed from `buffer`; None while it is incomplete."""
    if len(buffer) < _LENGTH.size:
        return None
    end = _LENGTH.size + _LENGTH.unpack_from(buffer)[0]
    if len(buffer) < end:
        return None
    body = bytes(buffer[_LENGTH.size : end])
    del buffer[:end]
    return body


def read(stream: BinaryIO) -> bytes | None:
    """The next frame's body, waiting for it; None when the other side is gone."""
    length = stream.read(_LENGTH.size)
    if len(length) < _LENGTH.size:
        return None
    body = stream.read(size := _LENGTH.unpack(length)[0])
    return body if len(body) == size else None
