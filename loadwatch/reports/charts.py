"""What the charts of a report show: series on one time axis, thinned out where there are too many.

Seconds that nobody knows are gaps. Of a bundle of seconds a percentile or a maximum shows the
largest, so that no spike is lost, everything else the mean.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from loadwatch.core.history import History
from loadwatch.core.metric import Metric, Unit
from loadwatch.reports.digest import Digest

POINTS = 1800
"""Points of a chart at most."""

COLOURS = ("first", "fourth", "second", "fifth", "third")

MIB = 1024**2


@dataclass(frozen=True, slots=True)
class Chart:
    """A title, the unit behind every number, and series of (label, key); `log` for its scale."""

    title: str
    unit: str
    series: Sequence[tuple[str, str]]
    log: bool = False


def charts(digest: Digest) -> list[Chart]:
    """Those that the session has anything for."""
    keys = set(digest.history.total.tallies)
    found = [
        _kept(chart, keys)
        for chart in (*_LOAD, *_of_scenarios(digest, keys), *_of_hosts(digest, keys))
    ]
    return [chart for chart in found if chart.series]


def _kept(chart: Chart, keys: set[str]) -> Chart:
    series = [(label, key) for label, key in chart.series if key in keys]
    return Chart(chart.title, chart.unit, series, chart.log)


_LOAD = (
    Chart("Requests per second", "/s", [(name, f"load.{name}") for name in
                                        ("offered", "completed", "goodput")]),
    Chart("Failures per second", "/s", [
        ("5xx", "load.status.5xx"), ("timeout", "load.errors.timeout"),
        ("connect", "load.errors.connect"), ("reset", "load.errors.reset"),
        ("content", "load.errors.content"),
        ("dropped", "load.dropped"),
    ]),
    Chart("Response time", " ms", [(name, f"load.response.{name}")
                                   for name in ("p50", "p95", "p99")], log=True),
)  # fmt: skip


def _of_scenarios(digest: Digest, keys: set[str]) -> Iterator[Chart]:
    for name in digest.result["scenarios"]:
        told = [
            key
            for key in keys
            if key.startswith(f"scenario.{name}.server.") and key.endswith(".mean")
        ]
        yield Chart(f"{name}: server timing, mean", " ms",
                    [(key.split(".")[3], key) for key in sorted(told)])  # fmt: skip


def _of_hosts(digest: Digest, keys: set[str]) -> Iterator[Chart]:
    for host in digest.hosts:
        prefix = f"host.{host}"
        yield Chart(f"{host}: CPU", " %", [
            ("user", f"{prefix}.cpu.us"), ("system", f"{prefix}.cpu.sy"),
            ("I/O wait", f"{prefix}.cpu.wa"), ("stolen", f"{prefix}.cpu.st"),
        ])  # fmt: skip
        groups = [
            key for key in keys if key.startswith(f"{prefix}.group.") and key.endswith(".rss")
        ]
        yield Chart(f"{host}: memory of processes (RSS)", " MiB",
                    [(key.split(".")[3], key) for key in sorted(groups)])  # fmt: skip
        yield Chart(f"{host}: swap", " MiB/s",
                    [("in", f"{prefix}.swap.in"), ("out", f"{prefix}.swap.out")])  # fmt: skip


def as_data(digest: Digest) -> dict[str, Any]:
    """The charts for the page's script: one `time` (seconds), and values in the charts' units."""
    history = digest.history
    stride = max(1, -(-history.length // POINTS))
    return {
        "time": list(range(0, history.length, stride)),
        "stride": stride,
        "steps": _steps(history),
        "charts": [
            {
                "title": chart.title,
                "unit": chart.unit,
                "log": chart.log,
                "series": [
                    {
                        "label": label,
                        "colour": COLOURS[place % len(COLOURS)],
                        "dashed": place == 0 and key == "load.offered",
                        "values": _values(digest, key, stride),
                    }
                    for place, (label, key) in enumerate(chart.series)
                ],
            }
            for chart in charts(digest)
        ],
    }


def _steps(history: History) -> list[dict[str, Any]]:
    """Where steps begin; the mark only where it is another."""
    found, mark = [], ""
    for step in history.steps:
        if step.first:
            found.append({"at": step.first, "mark": step.mark if step.mark != mark else ""})
        mark = step.mark
    return found


def _values(digest: Digest, key: str, stride: int) -> list[float | None]:
    metric, history = digest.catalogue.of(key), digest.history
    values = history.series(key, history.length)
    if metric.kind == "rate" and key.startswith("load."):
        # What did not occur in a second of load (a status code, a kind of error) is known to be 0.
        load = history.series("load.offered", history.length)
        values = [
            0.0 if value != value and offered == offered else value
            for value, offered in zip(values, load, strict=True)
        ]
    total = max if metric.kind in ("percentile", "maximum") else fmean
    found: list[float | None] = []
    for at in range(0, len(values), stride):
        known = [value for value in values[at : at + stride] if value == value]
        found.append(_shown(metric, total(known)) if known else None)
    return found


def _shown(metric: Metric, value: float) -> float:
    """In the chart's unit, to four digits: what a pixel can tell."""
    is_size = metric.unit in (Unit.BYTES, Unit.BYTES_PER_SECOND)
    return float(f"{value / MIB if is_size else metric.unit.display(value):.4g}")
