"""top: every process with its RSS and CPU, the load average, the memory that is available.

A frame is a summary, a header row and a row per process. Columns are found by their names (top(1)
of procps 3.2 to 4.x; toybox, BusyBox and FreeBSD as far as they go). A frame is published as soon
as it holds as many rows as its own summary counts tasks; where there is no such count, after a
pause; else when the next frame begins.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from loadwatch.core.metric import Metric, Unit
from loadwatch.core.plan import Host
from loadwatch.core.reading import Process, Reading
from loadwatch.remote.lines import Lines
from loadwatch.remote.number import number, size
from loadwatch.remote.probe import PROCESS_LIMIT, Probe, Tool, decimal, version_in
from loadwatch.remote.text import clean

NAME = "top"

METRICS = (
    Metric("loadavg.1m", Unit.NUMBER, "Load average, 1 min", "gauge", "lower"),
    Metric("tasks.total", Unit.COUNT, "Tasks"),
    Metric("tasks.running", Unit.COUNT, "Tasks running", "gauge", "lower"),
    Metric("memory.available", Unit.BYTES, "Memory available", "gauge", "higher"),
)

# Strict, and longer than the 15 bytes of a process name, in which any user may put a newline:
# a name must not be able to begin a frame.
_TOP = re.compile(r"top - \d\d:\d\d:\d\d up .*load average: [\d., ]+")
_OTHERS = re.compile(
    r"Tasks: *\d+ total, *\d+ running, .*"  # toybox
    r"|Mem: \d+K used, \d+K free, .*cached"  # BusyBox
    r"|last pid: *\d+; *load averages: .*"  # FreeBSD
)
_LOAD = re.compile(r"load averages?: +(\d+[.,]\d+)", re.IGNORECASE)
_TASKS = re.compile(r"Tasks: *(\d{1,9}) total, *(\d{1,9}) running")
_PROCESSES = re.compile(r"(\d{1,9}) processes: *(\d{1,9}) running")
_AVAILABLE = re.compile(r"([KMGTPE])iB \w+ *:.* (\d+(?:[.,]\d+)?) avail Mem")


def interval(host: Host) -> float:
    """The host's interval for top, in seconds."""
    return float(host.interval if host.top_interval is None else host.top_interval)


def command(seconds: float) -> str:
    """How to start it, with wide rows where it can.

    300 columns: some versions of procps crash at the maximum of 512.
    """
    wide = "w=; top -b -n 1 -w 300 >/dev/null 2>&1 && w=300"
    return f"{wide}; exec top -b -d {decimal(seconds)} ${{w:+-w $w}}"


class _Columns(NamedTuple):
    """Where a header has what: indices of fields, None for what it lacks."""

    width: int
    user: int | None
    rss: int | None
    cpu: int
    state: int | None
    command: int


def _header(line: str) -> _Columns | None:
    """The columns, if `line` is a header row."""
    if not line.lstrip().startswith("PID "):
        return None
    names = line.replace("[", " ").replace("]", " ").split()  # toybox: S[%CPU], sorted by it
    if len(names) < 7:
        return None

    def where(*wanted: str) -> int | None:
        return next((names.index(name) for name in wanted if name in names), None)

    cpu = where("%CPU", "WCPU", "CPU")
    if cpu is None:
        return None
    last = len(names) - 1
    return _Columns(
        width=len(names),
        user=where("USER", "USERNAME"),
        rss=where("RES", "RSS"),
        cpu=cpu,
        state=where("S", "STAT", "STATE"),
        command=where("COMMAND", "CMD", "ARGS") or last,
    )


class _Frame:
    """A frame in the making; `rows` counts the process rows seen, readable or not."""

    def __init__(self, at: float) -> None:
        self.at = at
        self.values: dict[str, float] = {}
        self.columns: _Columns | None = None
        self.processes: list[Process] = []
        self.total: int | None = None
        self.rows = 0
        self.skipped = 0

    def summary(self, line: str) -> None:
        """Read a line above the table."""
        if match := _LOAD.search(line):
            self._put("loadavg.1m", match[1])
        elif match := _TASKS.match(line):
            self.total = int(match[1])
            self._tasks(match)
        elif match := _PROCESSES.match(line):
            self._tasks(match)
        elif match := _AVAILABLE.match(line):
            self._put("memory.available", match[2] + match[1])

    def _put(self, key: str, text: str) -> None:
        try:
            self.values[key] = size(text, 1.0)
        except ValueError:
            self.skipped += 1

    def _tasks(self, match: re.Match[str]) -> None:
        self.values["tasks.total"] = float(match[1])
        self.values["tasks.running"] = float(match[2])

    def row(self, fields: list[str], columns: _Columns) -> None:
        """Read the cells of a process's row; one without sense is counted as skipped."""
        self.rows += 1
        if columns.rss is None:
            return
        try:
            process = Process(
                pid=int(fields[0]),
                user="" if columns.user is None else clean(fields[columns.user], 64),
                rss=int(size(fields[columns.rss])),
                cpu=number(fields[columns.cpu]),
                state="" if columns.state is None else clean(fields[columns.state], 16),
                command=clean(fields[columns.command].strip(), 256),
            )
        except ValueError:
            self.skipped += 1
            return
        if len(self.processes) < PROCESS_LIMIT:
            self.processes.append(process)
        else:
            self.skipped += 1


def _cells(line: str, columns: _Columns) -> list[str] | None:
    """A row's cells, or None if it cannot be a row; the last, the command, may be empty."""
    cells = line.split(None, columns.width - 1)
    if len(cells) == columns.width - 1:
        cells.append("")
    if len(cells) != columns.width or not cells[0].isdecimal() or len(cells[0]) > 10:
        return None
    return cells


class TopParser:
    """A reading per frame. The first frame's CPU is an average since boot: it counts as 0."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._lines = Lines()
        self._frame: _Frame | None = None
        self._first = True

    def feed(self, data: bytes, at: float) -> list[Reading]:
        """The readings of the frames that `data` completes."""
        found: list[Reading] = []
        for line, came in self._lines.feed(data, at):
            found += self._read(line.rstrip(), came)
        return found

    def flush(self) -> list[Reading]:
        """The frame so far, unless rows are known to be missing.

        procps ends the line of a frame's last row only with the next frame.
        """
        frame = self._frame
        if frame is None or frame.columns is None:
            return []
        last = _cells(self._lines.rest.rstrip(), frame.columns)
        rows = frame.rows + (last is not None)
        if frame.total is not None and rows != frame.total:
            return []
        if last is not None:
            frame.row(last, frame.columns)
            self._lines.finish()
        return self._publish()

    def _read(self, line: str, at: float) -> list[Reading]:
        frame = self._frame
        if frame is not None and frame.columns is not None:
            cells = _cells(line, frame.columns)
            if cells is not None:
                frame.row(cells, frame.columns)
                return self._publish() if frame.rows == frame.total else []
        columns = _header(line)
        done: list[Reading] = []
        if self._begins(line, columns is not None):
            done = self._publish()
            frame = self._frame = _Frame(at)
        if frame is None:
            pass
        elif columns is not None:
            frame.columns = columns
        elif frame.columns is None:
            frame.summary(line)
        else:
            frame.skipped += bool(line)
        return done

    def _begins(self, line: str, is_header: bool) -> bool:
        """Whether `line` begins a frame: other versions' first lines only outside a summary."""
        if _TOP.fullmatch(line):
            return True
        in_summary = self._frame is not None and self._frame.columns is None
        return not in_summary and (is_header or _OTHERS.fullmatch(line) is not None)

    def _publish(self) -> list[Reading]:
        frame, self._frame = self._frame, None
        if frame is None or frame.columns is None:
            return []
        processes = tuple(frame.processes)
        if self._first:
            self._first = False
            processes = tuple(
                Process(p.pid, p.user, p.rss, 0.0, p.state, p.command) for p in processes
            )
        listed = processes if frame.columns.rss is not None else None
        return [Reading(self._host, NAME, frame.at, frame.values, listed, frame.skipped)]


def is_header(line: str) -> bool:
    """Whether `line` names the columns of top's table."""
    return _header(line) is not None


def recognise(text: str) -> Tool:
    """What `top` says of itself and its header. BusyBox's counts CPU in shares of all CPUs."""
    version = version_in(text)
    headers = [columns for line in text.split("\n") if (columns := _header(line))]
    if not headers:
        return Tool(version=version, lacks="it prints no table of processes")
    if headers[0].rss is None:
        return Tool(version=version, lacks="it shows no RSS")
    if "busybox" in version.lower():
        return Tool(version=version, lacks="BusyBox's counts CPU in shares of all CPUs")
    return Tool(version=version)


PROBE = Probe(
    NAME,
    METRICS,
    interval,
    command,
    TopParser,
    tool="top",
    look="{ top -V || top -v; } 2>&1; top -b -n 1 2>/dev/null",
    recognise=recognise,
)
