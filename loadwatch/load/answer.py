"""An answer that is looked at, and requests that want something of theirs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple, Self

import httpx

HELD = 16 << 20
"""Bytes of a body that are held, and of what it is without its content coding."""

HUGE = 256 << 20
"""Bytes without a content coding that are counted no further."""

CODINGS = {"gzip": 1 << 14, "deflate": 1 << 14, "br": 128, "zstd": 128}
"""The content codings that can be undone, and of how many bytes at once: of a few, Brotli and
Zstandard can make a hundred MiB."""

_CODING = re.compile(rb"(?i)\r\ncontent-encoding:[ \t]*([^\r\n]+)")


class Answer(NamedTuple):
    """A whole answer: its `head` with what may follow it, and its `body` as it came.

    Of the body at most `HELD` bytes, of `size` in all.
    """

    head: bytes
    body: bytes
    size: int

    def headers(self, name: str) -> list[str]:
        """The values of all headers of this name."""
        head, wanted = self.head.partition(b"\r\n\r\n")[0], name.lower().encode("latin-1")
        fields = (line.partition(b":") for line in head.split(b"\r\n")[1:])
        return [value.strip().decode("latin-1") for own, _, value in fields
                if own.lower() == wanted]  # fmt: skip

    def header(self, name: str) -> str | None:
        """The value of the first header of this name."""
        return next(iter(self.headers(name)), None)

    @property
    def is_not_modified(self) -> bool:
        """Whether it stands for one that came before, and has no body."""
        return self.head[9:12] == b"304"

    @property
    def codings(self) -> list[str]:
        """The content codings of the body, in the order in which they were applied."""
        found = _CODING.search(self.head.partition(b"\r\n\r\n")[0])
        names = found[1].decode("latin-1").lower().split(",") if found else []
        return [name for name in map(str.strip, names) if name not in ("", "identity")]

    @property
    def content(self) -> bytes:
        """The body without its content coding, `HELD` bytes at most; of a broken one what can be
        made of it.
        """
        codings = self.codings
        if not codings:
            return self.body
        content = bytearray()
        try:
            for part in self._decoded(codings):
                content += part
                if len(content) >= HELD:
                    break
        except httpx.DecodingError:
            pass
        return bytes(content[:HELD])

    @property
    def plain_size(self) -> int | None:
        """Bytes of the body without its content coding; None where that cannot be known."""
        codings, size = self.codings, 0
        if not codings:
            return self.size
        if self.size > HELD or not CODINGS.keys() >= set(codings):
            return None
        try:
            for part in self._decoded(codings):
                size += len(part)
                if size > HUGE:
                    return None
        except httpx.DecodingError:
            return None
        return size

    def _decoded(self, codings: list[str]) -> Iterator[bytes]:
        """Bit by bit: what a small body swells to shall not be made at once. httpx leaves unknown
        codings as they are."""
        at_once = min(CODINGS.get(coding, 1 << 14) for coding in codings)
        body = self.body
        pieces = (body[at : at + at_once] for at in range(0, len(body), at_once))
        headers = [(b"Content-Encoding", ", ".join(codings).encode("latin-1"))]
        return httpx.Response(200, headers=headers, content=pieces).iter_bytes()


def head_of(response: httpx.Response) -> bytes:
    """The head of an answer by httpx, as HTTP/1.1 would have it."""
    lines = (name + b": " + value for name, value in response.headers.raw)
    return b"\r\n".join((b"HTTP/1.1 %d" % response.status_code, *lines))


class Checked(bytes):
    """A request's bytes, and what the body of its answer must be.

    It must have `contains` in it, and not more than `max_bytes` as it comes over the wire.
    """

    contains: bytes
    max_bytes: int | None

    def __new__(cls, request: bytes, contains: bytes = b"", max_bytes: int | None = None) -> Self:
        """`request` with what is wanted of its answer."""
        checked = super().__new__(cls, request)
        checked.contains = contains
        checked.max_bytes = max_bytes
        return checked

    def again(self, request: bytes) -> Checked:
        """The same with other bytes."""
        return Checked(request, self.contains, self.max_bytes)

    def look(self, answer: Answer) -> bool:
        """Look at the answer: whether the body is as wanted. That of a 304 was looked at before."""
        if answer.is_not_modified:
            return True
        if self.max_bytes is not None and answer.size > self.max_bytes:
            return False
        return self.contains in answer.content

    def ended(self, is_good: bool) -> None:
        """The request is over and counted: whether it had an answer as wanted."""


class Body:
    """Takes a body part by part, and keeps no more of it than `HELD`."""

    __slots__ = ("_held", "size")

    def __init__(self) -> None:
        self._held: list[bytes] = []
        self.size = 0

    def add(self, part: bytes) -> None:
        """The next part of it."""
        if self.size < HELD:
            self._held.append(part[: HELD - self.size])
        self.size += len(part)

    def take(self, head: bytes) -> Answer:
        """The answer that this is the body of; what comes then is the next one's."""
        answer = Answer(head, b"".join(self._held), self.size)
        self._held, self.size = [], 0
        return answer
