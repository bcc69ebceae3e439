"""Every number has a name: a flat dotted key, declared once as a `Metric`.

The same key is a tick's value, a threshold's subject, a chart's series and (with its display unit
behind it) a CSV column. A `*` in a declared key stands for one segment that only a run knows: a
scenario, a host, a group, a status code.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Literal

Kind = Literal["rate", "gauge", "percentile", "maximum"]
"""How a stretch of seconds becomes one number: rates and gauges by their mean, percentiles from
merged histograms, maxima by the largest."""

Better = Literal["lower", "higher", "neither"]


class Unit(Enum):
    """Core units and how they are shown: (suffix of a CSV column, factor, sign on screen)."""

    PER_SECOND = ("per_s", 1.0, "/s")
    SECONDS = ("ms", 1000.0, "ms")
    BYTES = ("kib", 1 / 1024, "KiB")
    BYTES_PER_SECOND = ("kib_per_s", 1 / 1024, "KiB/s")
    PERCENT = ("pct", 1.0, "%")
    SHARE = ("pct", 100.0, "%")
    COUNT = ("", 1.0, "")
    NUMBER = ("", 1.0, " ")  # a pure number; the blank only keeps it apart from COUNT

    @property
    def suffix(self) -> str:
        """The display unit in a CSV column's name; empty for counts and pure numbers."""
        return self.value[0]

    def display(self, value: float) -> float:
        """`value` (core unit) in the display unit."""
        return value * self.value[1]


@dataclass(frozen=True, slots=True)
class Metric:
    """One declared number: its key (may hold `*` segments), unit, label, kind, and what is good."""

    key: str
    unit: Unit
    label: str
    kind: Kind = "gauge"
    better: Better = "neither"

    @property
    def column(self) -> str:
        """The CSV column: the key and its display unit."""
        return f"{self.key}_{self.unit.suffix}" if self.unit.suffix else self.key


class Catalogue:
    """The metrics of a run; finds the declaration behind a concrete key."""

    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._templates = {tuple(metric.key.split(".")): metric for metric in metrics}
        self._known: dict[str, Metric] = {}

    def of(self, key: str) -> Metric:
        """The metric of `key`, under its concrete name; KeyError where nothing declares it."""
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = self._find(key)
        return known

    def _find(self, key: str) -> Metric:
        segments = tuple(key.split("."))
        for template, metric in self._templates.items():
            if len(template) == len(segments) and all(
                part in ("*", segment) for part, segment in zip(template, segments, strict=True)
            ):
                return replace(metric, key=key)
        raise KeyError(key)

    def __contains__(self, key: str) -> bool:
        try:
            self.of(key)
        except KeyError:
            return False
        return True

    def __iter__(self) -> Iterator[Metric]:
        return iter(self._templates.values())


def format_value(value: float | None, unit: Unit) -> str:
    """`value` (core unit) for people: three significant digits, the unit beside it, `–` if unknown.

    >>> format_value(0.0123, Unit.SECONDS), format_value(1.5 * 1024**2, Unit.BYTES)
    ('12.3 ms', '1.50 MiB')
    """
    if value is None or math.isnan(value):
        return "–"
    if unit in (Unit.BYTES, Unit.BYTES_PER_SECOND):
        tail = "/s" if unit is Unit.BYTES_PER_SECOND else ""
        for name, size in (("GiB", 1024**3), ("MiB", 1024**2), ("KiB", 1024)):
            if abs(value) >= size:
                return f"{_significant(value / size)} {name}{tail}"
        return f"{value:.0f} B{tail}"
    if unit is Unit.SECONDS and abs(value) >= 1:
        return f"{_significant(value)} s"
    shown = unit.display(value)
    if unit is Unit.COUNT:
        return f"{shown:.0f}"
    if unit in (Unit.PERCENT, Unit.SHARE):
        return f"{shown:.0f} %" if abs(shown) >= 10 or shown == int(shown) else f"{shown:.1f} %"
    sign = unit.value[2].strip()
    space = " " if sign and sign != "/s" else ""
    return f"{_significant(shown)}{space}{sign}"


def format_clock(seconds: float) -> str:
    """Seconds since the start as m:ss."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def format_rates(rates: Mapping[str, float]) -> str:
    """The asked-for rates (scenario -> 1/s) for people; without any it is a closed loop."""
    return ", ".join(f"{name} {rate:g}/s" for name, rate in rates.items()) or "closed loop"


def _significant(value: float) -> str:
    """Three significant digits, never in exponent form, whole numbers up to 999,999 in full."""
    if value == 0:
        return "0"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    text = f"{value:,.{min(digits, 3)}f}"
    return text.rstrip("0").rstrip(".") if "." in text and value == int(value) else text


PERCENTILES: tuple[tuple[str, float], ...] = (
    ("p50", 0.50),
    ("p90", 0.90),
    ("p95", 0.95),
    ("p99", 0.99),
    ("p999", 0.999),
)
"""The percentiles of every distribution, by the last segment of their keys."""


def _distribution(prefix: str, name: str, label: str, percentiles: Iterable[str]) -> list[Metric]:
    rows = [
        Metric(f"{prefix}.{name}.{p}", Unit.SECONDS, f"{label} {p}", "percentile", "lower")
        for p in percentiles
    ]
    rows.append(
        Metric(f"{prefix}.{name}.max", Unit.SECONDS, f"{label} max", "maximum", "lower"),
    )
    return rows


def _load_metrics(prefix: str) -> list[Metric]:
    per_second = Unit.PER_SECOND
    every = [name for name, _ in PERCENTILES]
    return [
        Metric(f"{prefix}.offered", per_second, "Offered", "rate"),
        Metric(f"{prefix}.sent", per_second, "Sent", "rate"),
        Metric(f"{prefix}.completed", per_second, "Completed", "rate", "higher"),
        Metric(f"{prefix}.goodput", per_second, "Goodput", "rate", "higher"),
        Metric(f"{prefix}.dropped", per_second, "Dropped", "rate", "lower"),
        Metric(f"{prefix}.in_flight", Unit.COUNT, "In flight", "gauge", "lower"),
        Metric(f"{prefix}.oldest", Unit.SECONDS, "Oldest open request", "maximum", "lower"),
        Metric(f"{prefix}.status.*", per_second, "Status", "rate"),
        Metric(f"{prefix}.errors.*", per_second, "Errors", "rate", "lower"),
        Metric(f"{prefix}.connections", per_second, "New connections", "rate"),
        Metric(f"{prefix}.retried", per_second, "Retried on a stale connection", "rate", "lower"),
        Metric(
            f"{prefix}.retry_after", Unit.SECONDS, "Retry-After of 429 and 503", "maximum", "lower"
        ),
        Metric(f"{prefix}.received", Unit.BYTES_PER_SECOND, "Received", "rate"),
        Metric(f"{prefix}.response.mean", Unit.SECONDS, "Response time mean", "gauge", "lower"),
        Metric(f"{prefix}.service.mean", Unit.SECONDS, "Service time mean", "gauge", "lower"),
        *_distribution(prefix, "response", "Response time", every),
        *_distribution(prefix, "service", "Service time", every),
        *_distribution(prefix, "lag", "Send lag", ("p50", "p99")),
    ]


def _visit_metrics(prefix: str) -> list[Metric]:
    per_second = Unit.PER_SECOND
    return [
        Metric(f"{prefix}.visits.offered", per_second, "Visits offered", "rate"),
        Metric(f"{prefix}.visits.completed", per_second, "Visits completed", "rate", "higher"),
        Metric(f"{prefix}.visits.failed", per_second, "Visits broken off", "rate", "lower"),
        Metric(f"{prefix}.visits.active", Unit.COUNT, "Visits under way"),
    ]


def _told_metrics(prefix: str) -> list[Metric]:
    """What samples of the answers say: of the server's own work, and of their sizes."""
    time, number, per_second, size = Unit.SECONDS, Unit.NUMBER, Unit.PER_SECOND, Unit.BYTES
    server, header, body = (f"{prefix}.{name}" for name in ("server", "header", "body"))
    return [
        Metric(f"{server}.*.mean", time, "Server-Timing mean, sampled", "gauge", "lower"),
        Metric(f"{server}.*.p95", time, "Server-Timing p95, sampled", "percentile", "lower"),
        Metric(f"{header}.*.mean", number, "Number in a header, mean, sampled"),
        Metric(f"{header}.*.p95", number, "Number in a header, p95, sampled", "percentile"),
        Metric(f"{server}.sampled", per_second, "Answers read for these", "rate"),
        Metric(f"{server}.unreadable", per_second, "Of these broken or too many", "rate", "lower"),
        Metric(f"{body}.compressed", size, "Body as it came, sampled", "gauge", "lower"),
        Metric(f"{body}.decompressed", size, "Body without its coding, sampled"),
        Metric(f"{body}.undecoded", per_second, "Codings broken or unknown", "rate", "lower"),
    ]


LOAD_METRICS: tuple[Metric, ...] = (
    *_load_metrics("load"),
    *_load_metrics("scenario.*"),
    *_load_metrics("scenario.*.step.*"),
    *_visit_metrics("load"),
    *_visit_metrics("scenario.*"),
    *_told_metrics("scenario.*"),
    *_told_metrics("scenario.*.step.*"),
    Metric("generator.cpu", Unit.SHARE, "Generator CPU", "gauge", "lower"),
    Metric("generator.loop_lag", Unit.SECONDS, "Generator loop lag", "maximum", "lower"),
    Metric("generator.descriptors", Unit.SHARE, "Generator file descriptors", "maximum", "lower"),
    Metric("generator.healthy", Unit.NUMBER, "Generator healthy", "gauge", "higher"),
)
"""What the load side measures; probes declare theirs in their own files."""

GROUP_METRICS: tuple[Metric, ...] = (
    Metric("group.*.count", Unit.COUNT, "Processes"),
    Metric("group.*.rss", Unit.BYTES, "RSS", "gauge", "lower"),
    Metric("group.*.rss_max", Unit.BYTES, "Largest RSS", "maximum", "lower"),
    Metric("group.*.growth", Unit.BYTES, "RSS growth in the step", "maximum", "lower"),
    Metric("group.*.cpu", Unit.PERCENT, "CPU of the group", "gauge", "lower"),
    Metric("group.*.cpu_max", Unit.PERCENT, "CPU of its busiest process", "gauge", "lower"),
    Metric("group.*.restarts", Unit.COUNT, "Processes replaced since the start", "maximum"),
)
"""What `core.group` derives from the processes of a host; keys below `host.<name>.`."""


def under_host(metrics: Iterable[Metric]) -> list[Metric]:
    """`metrics` of a probe or a group, declared relative to a host, as keys of a tick."""
    return [replace(metric, key=f"host.*.{metric.key}") for metric in metrics]
