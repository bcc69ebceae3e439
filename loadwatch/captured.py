"""Logs of `top -b` and `vmstat` that were captured without loadwatch, as ticks at their own times.

top tells the time of day with every frame, vmstat with `-t` date and time with every row; other
rows are an interval apart. All times are taken for local ones: neither says which zone it means.
"""

from __future__ import annotations

import heapq
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from itertools import islice
from pathlib import Path
from typing import Literal

from loadwatch.core.errors import PlanError
from loadwatch.core.plan import Host
from loadwatch.core.reading import Reading
from loadwatch.core.tick import Event, Tick
from loadwatch.core.ticker import Ticker
from loadwatch.remote.probes import top, vmstat
from loadwatch.remote.text import clean

PIECE = 64 * 1024
"""Bytes of a line that are read at once."""

SNIFFED = 1000
"""Lines in which a log shows what it is."""

LONGEST = 31
"""Days that a log may span."""

DAY = 86400.0

_TIME = re.compile(rb"top - (\d\d):(\d\d):(\d\d) up ")
_DATE_AND_TIME = re.compile(rb" (\d{4}-\d\d-\d\d +\d\d:\d\d:\d\d)$")
_ROW = re.compile(rb" *\d+ +\d+ ")


@dataclass(frozen=True, slots=True)
class Log:
    """A log file, as a first look shows it.

    `count` frames or rows over `span` seconds, where it tells its times; `first` is then the time
    of day of the first one (seconds), with vmstat's `-t` its Unix time. Else both are None.
    `written` is when the file was last written to (Unix time).
    """

    path: Path
    kind: Literal["top", "vmstat"]
    count: int
    first: float | None
    span: float | None
    written: float


def examine(path: Path) -> Log:
    """What kind of log a file is, and which times it tells; PlanError for one that is neither."""
    try:
        kind = _kind(path)
        marks = list(_marks(path, kind))
        written = path.stat().st_mtime
    except OSError as error:
        raise PlanError(f"{path}: {(error.strerror or 'cannot be read').lower()}") from None
    told = [at for at in marks if at is not None]
    if not told or len(told) < len(marks):
        return Log(path, kind, len(marks), None, None, written)
    elapsed = _Elapsed()
    span = [elapsed.at(at) for at in told][-1]
    if span > LONGEST * DAY:
        raise PlanError(f"{path}: spans {span / DAY:.0f} days; are these several logs in one?")
    return Log(path, kind, len(marks), told[0], span, written)


def _lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        yield from iter(lambda: file.readline(PIECE), b"")


def _kind(path: Path) -> Literal["top", "vmstat"]:
    for line in islice(_lines(path), SNIFFED):
        text = line.decode("utf-8", "replace")
        if vmstat.is_header(text):
            return "vmstat"
        if top.is_header(text):
            return "top"
    raise PlanError(f"{path}: neither a log of `top -b` nor one of `vmstat`")


def _marks(path: Path, kind: str) -> Iterator[float | None]:
    """What each frame or row tells of its time (seconds); None for one that does not."""
    of_frame: float | None = None
    for line in _lines(path):
        if kind == "vmstat":
            if _ROW.match(line):
                yield _instant(line)
        elif match := _TIME.match(line):
            of_frame = _seconds(match)
        elif top.is_header(line.decode("utf-8", "replace")):
            yield of_frame


def _seconds(match: re.Match[bytes]) -> float:
    """The time of day in a line of top, in seconds."""
    hours, minutes, seconds = map(int, match.groups())
    return 3600.0 * hours + 60.0 * minutes + seconds


def _instant(line: bytes) -> float | None:
    """The Unix time at the end of a row of `vmstat -t`."""
    match = _DATE_AND_TIME.search(line.rstrip())
    try:
        return datetime.fromisoformat(match[1].decode()).timestamp() if match else None
    except ValueError:
        return None


class _Elapsed:
    """Seconds since the first of many clock times; over midnights, and on when a clock is set."""

    def __init__(self) -> None:
        self._last: float | None = None
        self._total = 0.0
        self._usual = 1.0

    def at(self, clock: float) -> float:
        """Seconds since the first."""
        passed = 0.0 if self._last is None else clock - self._last
        if passed < -DAY / 2:
            passed += DAY
        if passed < 0:  # set back: nobody knows by how much
            passed = self._usual
        self._usual = passed or self._usual
        self._last = clock
        self._total += passed
        return self._total


def readings(log: Log, host: str, start: float, interval: float) -> Iterator[Reading]:
    """The log's readings, `at` Unix times."""
    parser = top.TopParser(host) if log.kind == "top" else vmstat.VmstatParser(host)
    elapsed = _Elapsed()
    at, count = start, 0
    for line in _lines(log.path):
        if log.kind == "vmstat" and _ROW.match(line):
            instant = _instant(line) if log.first is not None else None
            at = start + (count * interval if instant is None else elapsed.at(instant))
            count += 1
        elif match := _TIME.match(line):
            at = start + elapsed.at(_seconds(match))
        yield from parser.feed(line, at)
        if (
            log.first is None
            and log.kind == "top"
            and top.is_header(line.decode("utf-8", "replace"))
        ):
            count += 1
            at = start + count * interval  # of the next frame, which begins above its header
    yield from parser.flush()


class Capture:
    """The logs of one server: one of top, one of vmstat, or both, written at the same time.

    `interval` (seconds) is that of a log that does not tell its times, `day` when it was captured.
    PlanError for two logs of a kind, or for what is no log.
    """

    def __init__(
        self, paths: Sequence[Path], interval: float | None = None, day: date | None = None
    ) -> None:
        self.logs = [examine(path) for path in paths]
        kinds = [log.kind for log in self.logs]
        for kind in kinds:
            if kinds.count(kind) > 1:
                raise PlanError(f"two logs of {kind}: import one of each kind at a time")
        names = ", ".join(log.path.name for log in self.logs)
        self.source = clean(f"imported from {names}", 200)
        self._interval = interval
        self._day = day

    def interval(self, log: Log) -> float:
        """Seconds between frames or rows: as they say, as given, as fits the other log, or 1."""
        if log.span is not None and log.count > 1:
            return log.span / (log.count - 1)
        if self._interval is not None:
            return self._interval
        other = self._beside(log)
        if other is None or other.span is None or log.count < 2:
            return 1.0
        fitting = round(other.span / (log.count - 1))
        off = abs(fitting * (log.count - 1) - other.span)
        return float(fitting) if fitting and off <= 0.1 * other.span else 1.0

    def begin(self, log: Log) -> float:
        """The Unix time of a log's first frame or row.

        Without a day the log ends when its file was last written to, as closely as its times of
        day allow. A log without times begins with the other one, if that has any.
        """
        other = self._beside(log)
        if log.first is None and other is not None and other.first is not None:
            return self.begin(other)
        if log.kind == "vmstat" and log.first is not None:
            return log.first
        span = log.span if log.span is not None else self.interval(log) * (log.count - 1)
        guess = datetime.fromtimestamp(log.written - span)
        if log.first is None:
            return datetime.combine(self._day or guess.date(), guess.time()).timestamp()
        hours, rest = divmod(int(log.first), 3600)
        clock = time(hours, *divmod(rest, 60))
        days = [self._day] if self._day else [guess.date() + timedelta(n) for n in (-1, 0, 1)]
        starts = [datetime.combine(day, clock).timestamp() for day in days]
        return min(starts, key=lambda start: abs(start + span - log.written))

    def _beside(self, log: Log) -> Log | None:
        return next((other for other in self.logs if other is not log), None)

    def ticks(self, host: Host) -> Iterator[Tick]:
        """One tick per second of the logs; PlanError if there is no reading in them."""
        merged = heapq.merge(
            *(readings(log, host.name, self.begin(log), self.interval(log)) for log in self.logs),
            key=lambda reading: reading.at,
        )
        first = next(merged, None)
        if first is None:
            why = "vmstat's first row is an average since boot"
            raise PlanError(f"{self.source}: no reading ({why})")
        return self._fold(first, merged, host)

    def _fold(self, first: Reading, others: Iterator[Reading], host: Host) -> Iterator[Tick]:
        start = math.floor(first.at)
        ticker = Ticker((), [host], lambda values: {}, start)
        ticker.event(Event(0.0, "start", self.source))
        ticker.event(Event(0.0, "host", "live", host.name))
        ticker.reading(0, first)
        for reading in others:
            second = math.floor(reading.at) - start
            if second - ticker.next_second > LONGEST * DAY:
                raise PlanError(f"{self.source}: {LONGEST} days apart; --date says when it was")
            while ticker.next_second < second:
                yield ticker.close()
            ticker.reading(second, reading)
        ticker.event(Event(ticker.next_second + 1.0, "end", "end of the logs"))
        yield ticker.close()
