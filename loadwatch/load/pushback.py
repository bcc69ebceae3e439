"""A server that asks to come again later: 429, or 503 with `Retry-After` (RFC 9110 §10.2.3)."""

from __future__ import annotations

import re
from email.utils import parsedate_to_datetime

STATUSES = frozenset({429, 503})
"""Answers whose `Retry-After` is read (RFC 6585 §4, RFC 9110 §15.6.4)."""

LONGEST = 366 * 86400.0

_FIELD = re.compile(rb"\r\n(retry-after|date):[ \t]*([^\r\n]*)", re.IGNORECASE)


def of_head(head: bytes) -> float:
    """Seconds that the head of a response asks to wait; 0 where it does not say."""
    fields = {
        name.lower(): value.decode("latin-1")
        for name, value in _FIELD.findall(head.partition(b"\r\n\r\n")[0])
    }
    return retry_after(fields.get(b"retry-after", ""), fields.get(b"date", ""))


def retry_after(value: str, date: str) -> float:
    """Seconds of a `Retry-After`: as such, or until a date, counted from the response's own."""
    text = value.strip()
    if text.isascii() and text.isdecimal():
        return min(float(text), LONGEST)
    try:
        until, now = parsedate_to_datetime(text), parsedate_to_datetime(date)
        return min(max(0.0, (until - now).total_seconds()), LONGEST)
    except (ValueError, TypeError):  # no date, or one of two without a zone
        return 0.0
