"""A session as four CSV files that pandas, a spreadsheet or awk read without options.

An empty cell is something that nobody knows; times are ISO 8601 in UTC; a column is a metric's key
with its display unit. Described in docs/session-format.md.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import TextIO

from loadwatch.core.errors import SessionError
from loadwatch.core.metric import Metric
from loadwatch.core.summary import Summary
from loadwatch.core.tick import Event, HostProcess, Tick
from loadwatch.session.store import Session, open_session

SECTIONS = {"load": 0, "scenario": 1, "generator": 2, "host": 3}
"""The order of columns, by the first segment of their keys."""

COUNTS = ("offered", "sent", "completed", "dropped")
"""What `steps.csv` gives as counts of requests, besides the rates."""

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
"""What makes a spreadsheet take a cell for a formula (OWASP, CSV injection)."""

PROCESS_HEADER = [
    "time",
    "elapsed_s",
    "host",
    "pid",
    "user",
    "rss_kib",
    "cpu_pct",
    "command",
    "group",
]
EVENT_HEADER = ["time", "elapsed_s", "kind", "host", "text"]
STEP_HEADER = ["step", "mark", "start", "end", "elapsed_s", "duration_s"]


def export(session: Session, directory: Path) -> list[Path]:
    """Write timeline.csv, processes.csv, steps.csv and events.csv; returns their paths.

    Files of these names are replaced, each at once, when all four are written. SessionError where
    that fails.
    """
    paths = [directory / f"{name}.csv" for name in ("timeline", "processes", "steps", "events")]
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            _write(session, [stack.enter_context(_replacing(path)) for path in paths])
    except OSError as error:
        raise SessionError(f"{directory}: cannot export here: {error.strerror}") from None
    return paths


def export_beside(path: Path) -> Path:
    """Export the session file `path` into a folder beside it, also while it is being written."""
    directory = path.with_name(path.stem + "-csv")
    with open_session(path) as session:
        export(session, directory)
    return directory


def _write(session: Session, files: Iterable[TextIO]) -> None:
    timeline, processes, steps, events = (csv.writer(file, lineterminator="\n") for file in files)
    metrics = _ordered(session)
    columns = [metric.column for metric in metrics]
    timeline.writerow(["time", "elapsed_s", "step", "mark", *columns])
    processes.writerow(PROCESS_HEADER)
    events.writerow(EVENT_HEADER)
    steps.writerow([*STEP_HEADER, *_asked(session), *COUNTS, "errors", *columns, *_notes(metrics)])
    for _, ticks in groupby(session.ticks(), key=lambda tick: tick.step):
        summary = Summary()
        for tick in ticks:
            summary.add(tick)
            timeline.writerow(_second(tick, metrics))
            when = [_time(tick.time), tick.second]
            processes.writerows([*when, *_process(row)] for row in tick.processes)
            events.writerows(_event(session.start, event) for event in tick.events)
        steps.writerow(_step(session, summary, metrics))


def _ordered(session: Session) -> list[Metric]:
    """The metrics in the order of columns: scenarios as in the plan, hosts by name, and within
    each as they are declared."""

    def place(metric: Metric) -> tuple[int, int, str]:
        section, owner, *_ = metric.key.split(".")
        rank = SECTIONS.get(section, len(SECTIONS))
        if section == "scenario":
            return rank, session.scenarios.index(owner), ""
        return rank, 0, owner if section == "host" else ""

    return sorted(session.metrics.values(), key=place)


# -- rows ----------------------------------------------------------------------------------------


def _second(tick: Tick, metrics: Iterable[Metric]) -> list[object]:
    cells = (_cell(metric, _value(tick.values, metric)) for metric in metrics)
    return [_time(tick.time), tick.second, tick.step, _text(tick.mark), *cells]


def _value(values: Mapping[str, float], metric: Metric) -> float | None:
    """A second's value; a load rate without one (a status code) is 0 in a second with load."""
    value = values.get(metric.key)
    if value is None and metric.kind == "rate" and "load.offered" in values:
        return 0.0 if metric.key.startswith(("load.", "scenario.")) else None
    return value


def _process(row: HostProcess) -> list[object]:
    process = row.process
    return [
        _text(row.host),
        process.pid,
        _text(process.user),
        _number(process.rss / 1024),
        _number(process.cpu),
        _text(process.command),
        _text(" ".join(row.groups)),
    ]


def _event(start: float, event: Event) -> list[object]:
    when = _time(start + event.at)
    return [when, _number(event.at), event.kind, _text(event.host), _text(event.text)]


def _asked(session: Session) -> list[str]:
    return [f"scenario.{name}.asked_per_s" for name in session.scenarios]


def _notes(metrics: Iterable[Metric]) -> list[str]:
    """The columns that say which statistics of a distribution are timeouts."""
    return list(dict.fromkeys(f"{_distribution(m)}.at_least" for m in metrics if _distribution(m)))


def _step(session: Session, summary: Summary, metrics: Sequence[Metric]) -> list[object]:
    end = summary.last + 1
    notes: dict[str, list[str]] = {name: [] for name in _notes(metrics)}
    for metric in metrics:
        if summary.is_at_least(metric) and summary.value(metric) is not None:
            notes[f"{_distribution(metric)}.at_least"].append(metric.key.rpartition(".")[2])
    errors = summary.counts("load.errors")
    return [
        summary.step,
        _text(summary.mark),
        _time(session.start + summary.first),
        _time(session.start + end),
        summary.first,
        end - summary.first,
        *(_number(summary.rates.get(name)) for name in session.scenarios),
        *(summary.count(f"load.{name}") for name in COUNTS),
        sum(errors.values()),
        *(_cell(metric, summary.value(metric)) for metric in metrics),
        *(" ".join(names) for names in notes.values()),
    ]


def _distribution(metric: Metric) -> str:
    """`load.response` of `load.response.p99`; empty for what can be no timeout."""
    prefix, _, _ = metric.key.rpartition(".")
    return prefix if prefix.endswith((".response", ".service")) else ""


# -- cells ---------------------------------------------------------------------------------------


def _time(unix: float) -> str:
    text = datetime.fromtimestamp(unix, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def _cell(metric: Metric, value: float | None) -> str:
    return _number(None if value is None else metric.unit.display(value))


def _number(value: float | None) -> str:
    """Three decimals at most: a microsecond in a column of milliseconds, a byte in one of KiB."""
    if value is None:
        return ""
    rounded = round(value, 3)
    return str(int(rounded)) if rounded == int(rounded) else str(rounded)


def _text(text: str) -> str:
    """Text from elsewhere, on one line, which no spreadsheet can take for a formula."""
    mark = "'" if text.startswith(FORMULA) else ""
    return mark + " ".join(text.splitlines())


@contextmanager
def _replacing(path: Path) -> Iterator[TextIO]:
    """A new file that takes the place of `path` once it is written."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with draft.open("w", encoding="utf-8", newline="") as file:
            yield file
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
