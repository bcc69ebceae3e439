"""What a user's browser keeps of a page: its entity tag, to ask only for what is new.

Requests that are alike, byte for byte, are one user's for one page: cookie and path are in them.
The answer to the next one may be a 304 without a body (RFC 9110 §13.1.2). Nothing is taken for
fresh: every request goes out, as when a user reloads.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from loadwatch.load.answer import Checked

MOST = 50_000
"""Pages of users whose tags are kept, those of the last answers."""

_HEAD_END = b"\r\n\r\n"
_ASKS = re.compile(rb"\r\nif-none-match:", re.IGNORECASE)
_OURS = re.compile(rb"\r\nIf-None-Match: [^\r\n]*+(?=\r\n\r\n)")
_TAG = re.compile(
    rb'\r\netag:[ \t]*+((?:W/)?+"[\x21\x23-\x7e\x80-\xff]{0,256}+")[ \t]*+\r\n', re.IGNORECASE
)
_NO_STORE = re.compile(rb"\r\ncache-control:[^\r\n]*?\bno-store\b", re.IGNORECASE)


class Validators:
    """The entity tags that the users of a scenario got with their pages."""

    def __init__(self) -> None:
        self._tags: dict[bytes, bytes] = {}

    def conditional(self, requests: Iterator[bytes]) -> Iterator[bytes]:
        """`requests`, each with the tag of its last answer where there was one."""
        tags = self._tags
        for request in requests:
            tag = tags.get(request)
            yield request if tag is None else _with_tag(request, tag)

    def heard(self, request: bytes, status: int, head: bytes) -> None:
        """`request` was answered by `head`, and what follows it."""
        if status != 200 or not request.startswith((b"GET ", b"HEAD ")):
            return
        plain = _OURS.sub(b"", request, 1)
        if _ASKS.search(plain):
            return  # the scenario says itself what it has
        head = head.partition(_HEAD_END)[0] + b"\r\n"
        tag = None if _NO_STORE.search(head) else _TAG.search(head)
        self._tags.pop(plain, None)
        if tag is not None:
            self._tags[plain] = tag[1]
            if len(self._tags) > MOST:
                del self._tags[next(iter(self._tags))]


def _with_tag(request: bytes, tag: bytes) -> bytes:
    head, end, body = request.partition(_HEAD_END)
    asking = b"%b\r\nIf-None-Match: %b%b%b" % (head, tag, end, body)
    return request.again(asking) if isinstance(request, Checked) else asking
