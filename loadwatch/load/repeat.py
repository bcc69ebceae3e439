"""The short cut for responses that are all alike: most of what a load test gets back.

A response whose head equals one that httptools has parsed before, but for the value of its Date,
is framed as that one was. A comparison then replaces the parser; what differs goes to it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_HEAD_END = b"\r\n\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n")
_DATE = re.compile(rb"\r\ndate: ")
_DATE_SIZE = 29
"""Bytes of an HTTP date (RFC 9110 §5.6.7), such as `Sun, 06 Nov 1994 08:49:37 GMT`."""


@dataclass(frozen=True, slots=True)
class Repeat:
    """A whole response of `size` bytes: `before`, a date up to `resume`, `after`, and any body.

    `data` is alike if its size is, and it holds `before` at its begin and `after` at `resume`.
    """

    status: int
    size: int
    before: bytes
    resume: int
    after: bytes

    def matches(self, data: bytes) -> bool:
        """Whether `data` is a response like this one, whole."""
        return (
            len(data) == self.size
            and data.startswith(self.before)
            and data.startswith(self.after, self.resume)
        )


def learn(data: bytes, status: int) -> Repeat | None:
    """What makes a response like `data`; None unless it is one whole response with its length.

    `data` was parsed as one complete response.
    """
    head, end, body = data.partition(_HEAD_END)
    head = head + end
    low = head.lower()
    length = _LENGTH.search(low)
    if length is None or int(length[1]) != len(body) or b"\r\ntransfer-encoding:" in low:
        return None
    date = _DATE.search(low)
    begin = date.end() if date else len(head)
    resume = min(begin + _DATE_SIZE, len(head))
    return Repeat(status, len(data), head[:begin], resume, head[resume:])
