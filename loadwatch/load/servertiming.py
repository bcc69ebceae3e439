"""What a server tells of its own work in the heads of its answers: `Server-Timing`, and numbers.

Only the first answers of each second are read. What they say is a stranger's text: names become
segments of metric keys, and there is an end to how many and how long they are. What is broken, or
beyond that, is counted and passed over.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from loadwatch.core.bucket import ScenarioBucket
from loadwatch.core.histogram import HIGHEST_SECONDS, MICRO, index_of
from loadwatch.core.tick import HEADER, SERVER

SAMPLE = 100
"""Answers of a second, of one scenario on one worker, that are read."""

NAMES = 16
"""Names of entries that become metrics, of one scenario on one worker: the first ones."""

LONGEST_NAME = 40
"""Bytes of a name."""

ENTRIES, LONGEST = 32, 4096
"""Entries and bytes of one answer's `Server-Timing`."""

_SERVER_TIMING = b"server-timing"
_HEAD_END = b"\r\n\r\n"
# Possessive throughout: no text, however it is made, takes long to be refused.
_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]++"
_STRING = rb'"(?:[^"\\]|\\.)*+"?+'
_ENTRY = re.compile(rb'(?:[^,"]|%b)++' % _STRING)
_NAME = re.compile(rb"[ \t]*+(%b)[ \t]*+(?:;|\Z)" % _TOKEN)
_PARAMETER = re.compile(rb";[ \t]*+(%b)[ \t]*+(?:=[ \t]*+(%b|%b))?+" % (_TOKEN, _TOKEN, _STRING))
_COUNT = re.compile(rb"[0-9]{1,10}")
_NUMBER = re.compile(rb"(?:[0-9]++(?:\.[0-9]*+)?+|\.[0-9]++)(?:[eE][+-]?+[0-9]{1,3})?+")
_UNFIT = re.compile(rb"[^A-Za-z0-9_-]")

Told = tuple[str, float]
"""A name, and seconds or a whole number."""


class Sample:
    """Reads `headers` of the first answers of a second into that second's bucket.

    `Server-Timing` holds times; any other header one whole number. `left` says how many answers are
    still to be read.
    """

    __slots__ = ("_bucket", "_fields", "_known", "_wanted", "left")

    def __init__(self, headers: Sequence[str] = ()) -> None:
        self._wanted = frozenset(name.lower().encode() for name in headers)
        names = b"|".join(map(re.escape, self._wanted))
        self._fields = re.compile(rb"\r\n(%b):[ \t]*+([^\r\n]*+)" % names, re.IGNORECASE)
        self._known: set[str] = set()
        self._bucket = ScenarioBucket()
        self.left = 0

    def begin(self, bucket: ScenarioBucket) -> None:
        """Another second, whose counts go to `bucket`."""
        self._bucket = bucket
        self.left = SAMPLE if self._wanted else 0

    def read(self, head: bytes) -> None:
        """An answer that begins with `head`; what comes behind that is not looked at."""
        end = head.find(_HEAD_END)
        self.take(self._fields.findall(head, 0, len(head) if end < 0 else end))

    def take(self, fields: Iterable[tuple[bytes, bytes]]) -> None:
        """An answer with these headers (name, value), and maybe others: one of a name adds up."""
        bucket = self._bucket
        bucket.sampled += 1
        self.left -= 1
        total: dict[str, float] = {}
        for told in self._told(fields):
            if told is None:
                bucket.unreadable += 1
            else:
                total[told[0]] = total.get(told[0], 0.0) + told[1]
        for kind, value in total.items():
            if value > HIGHEST_SECONDS * MICRO or not self._has_room(kind):
                bucket.unreadable += 1
                continue
            counts = bucket.told.setdefault(kind, {})
            index = index_of(round(value))
            counts[index] = counts.get(index, 0) + 1

    def _told(self, fields: Iterable[tuple[bytes, bytes]]) -> Iterator[Told | None]:
        """Kind and value (microseconds, or a number) of what is said; None for what is broken."""
        timings = []
        for name, value in fields:
            low = name.lower()
            if low == _SERVER_TIMING:
                timings.append(value)
            elif low in self._wanted:
                count = value.strip()
                whole = _COUNT.fullmatch(count)
                yield (f"{HEADER}.{_segment(low)}", int(count)) if whole else None
        if _SERVER_TIMING in self._wanted:
            for told in durations(b",".join(timings)):
                yield told and (f"{SERVER}.{told[0]}", told[1] * MICRO)

    def _has_room(self, kind: str) -> bool:
        """Whether `kind` is known, or may become so; headers are as many as the plan names."""
        if kind.startswith(SERVER) and kind not in self._known:
            if len(self._known) >= NAMES:
                return False
            self._known.add(kind)
        return True


def durations(value: bytes) -> Iterator[Told | None]:
    """Name and seconds of the entries of a `Server-Timing` that have a duration.

    None for each that is broken or too much. Read as browsers do: what stands between parameters is
    passed over (https://www.w3.org/TR/server-timing/, "parse a server-timing header field").
    """
    if len(value) > LONGEST:
        yield None
        return
    entries = [entry for entry in _ENTRY.findall(value) if entry.strip()]
    for number, entry in enumerate(entries):
        name = _NAME.match(entry)
        if name is None or number >= ENTRIES or len(name[1]) > LONGEST_NAME:
            yield None
            continue
        said = _PARAMETER.findall(entry, name.end(1))
        given = [text for key, text in said if key.lower() == b"dur"]
        if given:
            milliseconds = given[0].strip(b'"')
            fits = _NUMBER.fullmatch(milliseconds)
            yield (_segment(name[1]), float(milliseconds) / 1000) if fits else None


def _segment(name: bytes) -> str:
    """`name` as a segment of a metric's key."""
    return _UNFIT.sub(b"_", name).decode()
