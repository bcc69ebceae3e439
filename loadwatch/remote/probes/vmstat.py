"""vmstat: run queue, memory, swap traffic, block I/O, interrupts and CPU; a row per interval.

Columns are found by their names in the header (vmstat(8) of procps 3.2 to 4.x; toybox, BusyBox and
FreeBSD as far as they go). Memory, swap and block columns are KiB or KiB/s.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from loadwatch.core.metric import Metric, Unit
from loadwatch.core.plan import Host
from loadwatch.core.reading import Reading
from loadwatch.remote.lines import Lines
from loadwatch.remote.number import number, size
from loadwatch.remote.probe import Probe, Tool, decimal, version_in

NAME = "vmstat"

METRICS = (
    Metric("procs.r", Unit.COUNT, "Runnable processes", "gauge", "lower"),
    Metric("procs.b", Unit.COUNT, "Blocked processes", "gauge", "lower"),
    Metric("memory.free", Unit.BYTES, "Memory free"),
    Metric("memory.buffers", Unit.BYTES, "Buffers"),
    Metric("memory.cache", Unit.BYTES, "Page cache"),
    Metric("swap.used", Unit.BYTES, "Swap used", "gauge", "lower"),
    Metric("swap.in", Unit.BYTES_PER_SECOND, "Swap in", "rate", "lower"),
    Metric("swap.out", Unit.BYTES_PER_SECOND, "Swap out", "rate", "lower"),
    Metric("io.in", Unit.BYTES_PER_SECOND, "Blocks in", "rate"),
    Metric("io.out", Unit.BYTES_PER_SECOND, "Blocks out", "rate"),
    Metric("system.interrupts", Unit.PER_SECOND, "Interrupts", "rate"),
    Metric("system.switches", Unit.PER_SECOND, "Context switches", "rate"),
    Metric("cpu.us", Unit.PERCENT, "CPU user", "gauge", "lower"),
    Metric("cpu.sy", Unit.PERCENT, "CPU system", "gauge", "lower"),
    Metric("cpu.id", Unit.PERCENT, "CPU idle", "gauge", "higher"),
    Metric("cpu.wa", Unit.PERCENT, "CPU waiting for I/O", "gauge", "lower"),
    Metric("cpu.st", Unit.PERCENT, "CPU stolen", "gauge", "lower"),
    Metric("cpu.gu", Unit.PERCENT, "CPU of guests", "gauge", "lower"),
)


def _kibibytes(text: str) -> float:
    """A rate in KiB per second, of which BusyBox cuts large ones (`1.2k`), as bytes."""
    return 1024 * number(text)


def _percent(text: str) -> float:
    value = number(text)
    if value > 100:
        raise ValueError(f"not a share: {text}")
    return value


_COLUMNS: Mapping[str, tuple[str, Callable[[str], float]]] = {
    "r": ("procs.r", number),
    "b": ("procs.b", number),
    "swpd": ("swap.used", size),
    "free": ("memory.free", size),
    "fre": ("memory.free", size),
    "buff": ("memory.buffers", size),
    "cache": ("memory.cache", size),
    "si": ("swap.in", _kibibytes),
    "so": ("swap.out", _kibibytes),
    "bi": ("io.in", _kibibytes),
    "bo": ("io.out", _kibibytes),
    "in": ("system.interrupts", number),
    "cs": ("system.switches", number),
    "us": ("cpu.us", _percent),
    "sy": ("cpu.sy", _percent),
    "id": ("cpu.id", _percent),
    "wa": ("cpu.wa", _percent),
    "st": ("cpu.st", _percent),
    "gu": ("cpu.gu", _percent),
}
"""vmstat's column -> (key, what reads it)."""

_CPU = frozenset({"us", "sy", "id", "wa", "st", "gu"})
_HEADER = frozenset({"r", "b", "us", "sy", "id"})
_GROUPS = re.compile(r"\s*-*procs[\s-]")


def interval(host: Host) -> float:
    """The host's interval in whole seconds: vmstat knows no other."""
    return float(max(1, round(host.interval)))


def command(seconds: float) -> str:
    """How to start it."""
    return f"exec vmstat {decimal(seconds)}"


class VmstatParser:
    """A reading per row, except the first, which is an average since boot."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._lines = Lines()
        self._columns: tuple[str, ...] = ()
        self._stamped = False
        self._first = True
        self._skipped = 0

    def feed(self, data: bytes, at: float) -> list[Reading]:
        """The readings of the rows that `data` completes."""
        found = (self._read(line, came) for line, came in self._lines.feed(data, at))
        return [reading for reading in found if reading is not None]

    def flush(self) -> list[Reading]:
        """Nothing: a row ends with its line."""
        return []

    def _read(self, line: str, at: float) -> Reading | None:
        tokens = line.split()
        if not tokens or _GROUPS.match(line):
            return None
        if tokens[0] == "r" and is_header(line):
            self._learn(tokens)
            return None
        try:
            values = self._row(tokens)
        except ValueError:
            self._skipped += 1
            return None
        if self._first:
            self._first = False
            return None
        skipped, self._skipped = self._skipped, 0
        return Reading(self._host, NAME, at, values, skipped=skipped)

    def _learn(self, names: list[str]) -> None:
        """Keep the header; what follows the CPU columns is the time zone of `-t`."""
        self._stamped = names[-1] not in _CPU
        while names[-1] not in _CPU:
            names = names[:-1]
        self._columns = tuple(names)

    def _row(self, tokens: list[str]) -> dict[str, float]:
        stamp = 2 if self._stamped else 0  # date and time
        if not self._columns or len(tokens) != len(self._columns) + stamp:
            raise ValueError("not a row of this header")
        # FreeBSD has two `sy` columns, system calls and CPU: the later one, CPU, prevails.
        cells = dict(zip(self._columns, tokens, strict=False))
        return {key: read(cells[name]) for name, (key, read) in _COLUMNS.items() if name in cells}


def is_header(line: str) -> bool:
    """Whether `line` names vmstat's columns."""
    return _HEADER.issubset(line.split())


def recognise(text: str) -> Tool:
    """What `vmstat` says of itself and its header. BusyBox's counts swap traffic in pages."""
    version = version_in(text)
    if "busybox" in version.lower():
        return Tool(version=version, lacks="BusyBox's counts swap traffic in pages")
    if not any(map(is_header, text.split("\n"))):
        return Tool(version=version, lacks="it prints no table")
    return Tool(version=version)


PROBE = Probe(
    NAME,
    METRICS,
    interval,
    command,
    VmstatParser,
    tool="vmstat",
    look="vmstat -V 2>&1; vmstat 2>/dev/null",
    recognise=recognise,
)
