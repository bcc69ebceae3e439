"""A session as tables: the rows that every format of an export writes, with typed cells.

A column is a metric's key with its display unit; times are ISO 8601 in UTC; None is something that
nobody knows. Described in docs/export.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby

from loadwatch.core.metric import Metric
from loadwatch.core.summary import CENSORED, Summary
from loadwatch.core.tick import Event, HostProcess, Tick, distribution_of
from loadwatch.session.excerpt import Excerpt

VERSION = 1
"""Of the tables' columns: raised when one is renamed, moved or removed, not when one is added."""

Cell = int | float | str | None
Row = Sequence[Cell]

SECTIONS = {"load": 0, "scenario": 1, "generator": 2, "host": 3}
"""The order of columns, by the first segment of their keys."""

COUNTS = ("offered", "sent", "completed", "dropped")
"""What `steps` gives as counts of requests, besides the rates."""

SECOND = ("time", "elapsed_s", "step", "mark")
PROCESS = ("time", "elapsed_s", "host", "pid", "user", "rss_kib", "cpu_pct", "command", "group")
EVENT = ("time", "elapsed_s", "kind", "host", "text")
STEP = ("step", "mark", "start", "end", "elapsed_s", "duration_s")


@dataclass(frozen=True, slots=True)
class Table:
    """A header, and the rows that a tick, or a step that is over, adds."""

    name: str
    header: Sequence[str]
    of_tick: Callable[[Tick], Iterable[Row]] = lambda tick: ()
    of_step: Callable[[Summary], Iterable[Row]] = lambda summary: ()


def tables(excerpt: Excerpt) -> dict[str, Table]:
    """`timeline`, `processes`, `steps` and `events` of an excerpt, by name."""
    metrics = _ordered(excerpt)
    columns = [metric.column for metric in metrics]
    asked = [f"scenario.{name}.asked_per_s" for name in excerpt.scenarios]
    step = (*STEP, *asked, *COUNTS, "errors", *columns, *_notes(metrics))
    found = (
        Table("timeline", (*SECOND, *columns), lambda tick: [_second(tick, metrics)]),
        Table("processes", PROCESS, _processes),
        Table("steps", step, of_step=lambda summary: [_step(excerpt, summary, metrics)]),
        Table("events", EVENT, lambda tick: [_event(excerpt.start, one) for one in tick.events]),
    )
    return {table.name: table for table in found}


NAMES = ("timeline", "processes", "steps", "events")
"""The names of the tables."""


def rows(excerpt: Excerpt, wanted: Iterable[Table]) -> Iterator[tuple[Table, Iterable[Row]]]:
    """What to add to which table, as the session goes on: it is read once."""
    wanted = list(wanted)
    for _, ticks in groupby(excerpt.ticks(), key=lambda tick: tick.step):
        summary = Summary()
        for tick in ticks:
            summary.add(tick)
            for table in wanted:
                yield table, table.of_tick(tick)
        for table in wanted:
            yield table, table.of_step(summary)


def _ordered(excerpt: Excerpt) -> list[Metric]:
    """The metrics in the order of columns: scenarios as in the plan, hosts by name, and within
    each as they are declared."""

    def place(metric: Metric) -> tuple[int, int, str]:
        section, owner, *_ = metric.key.split(".")
        rank = SECTIONS.get(section, len(SECTIONS))
        if section == "scenario":
            return rank, excerpt.scenarios.index(owner), ""
        return rank, 0, owner if section == "host" else ""

    return sorted(excerpt.metrics.values(), key=place)


# -- rows ----------------------------------------------------------------------------------------


def _second(tick: Tick, metrics: Iterable[Metric]) -> Row:
    cells = (_shown(metric, _value(tick.values, metric)) for metric in metrics)
    return [_time(tick.time), tick.second, tick.step, tick.mark, *cells]


def _value(values: Mapping[str, float], metric: Metric) -> float | None:
    """A second's value; a load rate without one (a status code) is 0 in a second with load."""
    value = values.get(metric.key)
    if value is None and metric.kind == "rate" and "load.offered" in values:
        return 0.0 if metric.key.startswith(("load.", "scenario.")) else None
    return value


def _processes(tick: Tick) -> Iterator[Row]:
    for row in tick.processes:
        yield [_time(tick.time), tick.second, *_process(row)]


def _process(row: HostProcess) -> Row:
    process = row.process
    return [
        row.host,
        process.pid,
        process.user,
        rounded(process.rss / 1024),
        rounded(process.cpu),
        process.command,
        " ".join(row.groups),
    ]


def _event(start: float, event: Event) -> Row:
    return [_time(start + event.at), rounded(event.at), event.kind, event.host, event.text]


def _notes(metrics: Iterable[Metric]) -> list[str]:
    """The columns that say which statistics of a distribution are timeouts."""
    return list(dict.fromkeys(f"{_distribution(m)}.at_least" for m in metrics if _distribution(m)))


def _step(excerpt: Excerpt, summary: Summary, metrics: Sequence[Metric]) -> Row:
    end = summary.last + 1
    notes: dict[str, list[str]] = {name: [] for name in _notes(metrics)}
    for metric in metrics:
        if summary.is_at_least(metric) and summary.value(metric) is not None:
            notes[f"{_distribution(metric)}.at_least"].append(metric.key.rpartition(".")[2])
    return [
        summary.step,
        summary.mark,
        _time(excerpt.start + summary.first),
        _time(excerpt.start + end),
        summary.first,
        end - summary.first,
        *(rounded(summary.rates.get(name)) for name in excerpt.scenarios),
        *(summary.count(f"load.{name}") for name in COUNTS),
        sum(summary.counts("load.errors").values()),
        *(_shown(metric, summary.value(metric)) for metric in metrics),
        *(" ".join(names) for names in notes.values()),
    ]


def _distribution(metric: Metric) -> str:
    """`load.response` of `load.response.p99`; empty for what can be no timeout."""
    _, kind = distribution_of(metric.key) or (None, "")
    return metric.key.rpartition(".")[0] if kind in CENSORED else ""


# -- cells ---------------------------------------------------------------------------------------


def _time(unix: float) -> str:
    text = datetime.fromtimestamp(unix, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def _shown(metric: Metric, value: float | None) -> int | float | None:
    return rounded(None if value is None else metric.unit.display(value))


def rounded(value: float | None) -> int | float | None:
    """Three decimals at most: a microsecond in a column of milliseconds, a byte in one of KiB."""
    if value is None:
        return None
    near = round(float(value), 3)
    return int(near) if near.is_integer() else near
