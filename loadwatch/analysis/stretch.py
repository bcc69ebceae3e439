"""A stretch: the seconds of one step that fired, second by second, for a comparison."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from itertools import groupby

from loadwatch.core.histogram import Histogram
from loadwatch.core.tick import Tick

LEAST = 60
"""Seconds of firing below which no difference can be told: twelve blocks of the bootstrap."""

WARM_UP = 5
"""Seconds at the beginning of a stretch that are left out; of a short one a twelfth."""

KEPT = (
    "scenario.*.offered",
    "scenario.*.completed",
    "scenario.*.dropped",
    "scenario.*.status.5xx",
    "scenario.*.errors.*",
    "load.completed",
    "host.*.cpu.us",
    "host.*.cpu.sy",
    "host.*.cpu.count",
    "host.*.swap.in",
    "host.*.swap.out",
    "host.*.group.*.rss",
)
"""What is remembered of a second."""

Parts = tuple[Sequence[float], Sequence[float]]
"""A number as a sum over a sum: what each second adds above, and below, the line."""


class Stretch:
    """One step of a session.

    `rates` are what it asked for (scenario -> 1/s; empty in a closed loop), to the end if it
    `is_steady`; `firing` are its seconds of firing. Everything else is without the warm-up:
    `seconds` of it, `values` by key (NaN where a second knows nothing), `responses` by scenario, a
    second's `core.histogram` counts each.
    """

    def __init__(self, ticks: Iterable[Tick]) -> None:
        fired = [_Second(tick) for tick in ticks]
        while fired and not fired[-1].offered:
            fired.pop()
        begin = next((place for place, second in enumerate(fired) if second.offered), 0)
        self.firing = len(fired) - begin
        self.rates: Mapping[str, float] = fired[0].rates if fired else {}
        self.is_steady = bool(fired) and all(second.rates == self.rates for second in fired)
        kept = fired[begin + min(WARM_UP, self.firing // (LEAST // WARM_UP)) :]
        self.seconds = len(kept)
        keys = dict.fromkeys(key for second in kept for key in second.values)
        self.values: Mapping[str, Sequence[float]] = {
            key: [second.values.get(key, math.nan) for second in kept] for key in keys
        }
        self.scenarios = [key.split(".")[1] for key in keys if fnmatchcase(key, KEPT[0])]
        self.responses: Mapping[str, Sequence[Mapping[int, int]]] = {
            name: [second.responses.get(name, {}) for second in kept] for name in self.scenarios
        }

    def counts(self, key: str) -> Sequence[float]:
        """What is counted per second; a second that says nothing of it had none."""
        values = self.values.get(key, [0.0] * self.seconds)
        return [0.0 if math.isnan(value) else value for value in values]

    def response(self, scenario: str) -> Histogram:
        """The distribution of the scenario's response times."""
        merged = Histogram()
        timeouts = self.counts(f"scenario.{scenario}.errors.timeout")
        for counts, timed_out in zip(self.responses[scenario], timeouts, strict=True):
            merged.merge(counts, int(timed_out))
        return merged

    def completed(self, scenario: str) -> Parts:
        """Completed requests per second."""
        return self.counts(f"scenario.{scenario}.completed"), [1.0] * self.seconds

    def errors(self, scenario: str) -> Parts:
        """Requests without a good answer as a share of those offered."""
        prefix = f"scenario.{scenario}"
        keys = [key for key in self.values if key.startswith(f"{prefix}.errors.")]
        bad = (f"{prefix}.status.5xx", f"{prefix}.dropped", *keys)
        failed = [sum(second) for second in zip(*map(self.counts, bad), strict=True)]
        return failed, self.counts(f"{prefix}.offered")

    def mean(self, key: str) -> Parts:
        """The mean of a gauge over the seconds that know it."""
        known = [0.0 if math.isnan(value) else 1.0 for value in self.values[key]]
        return self.counts(key), known

    def cpu_per_request(self, host: str) -> Parts:
        """Seconds of CPU per completed request, over the seconds that know the CPU."""
        columns = (self.values[f"host.{host}.cpu.{part}"] for part in ("us", "sy", "count"))
        spent = [(us + sy) / 100 * count for us, sy, count in zip(*columns, strict=True)]
        known = [not math.isnan(value) for value in spent]
        return (
            [value if is_known else 0.0 for value, is_known in zip(spent, known, strict=True)],
            [n * k for n, k in zip(self.counts("load.completed"), known, strict=True)],
        )


def stretches(ticks: Iterable[Tick]) -> list[Stretch]:
    """The longest stretch at each of a session's rates, the later of two that are equally long.

    A ramp has no rates of its own to be compared at.
    """
    longest: dict[tuple[tuple[str, float], ...], Stretch] = {}
    for _, step in groupby(ticks, key=lambda tick: tick.step):
        stretch = Stretch(step)
        rates = tuple(stretch.rates.items())
        best = longest.get(rates)
        if stretch.is_steady and (best is None or stretch.firing >= best.firing):
            longest[rates] = stretch
    return list(longest.values())


class _Second:
    """What is remembered of a tick: a thousandth of an hour has to fit into a few kilobytes."""

    __slots__ = ("offered", "rates", "responses", "values")

    def __init__(self, tick: Tick) -> None:
        self.rates = tick.rates
        self.offered = tick.values.get("load.offered", 0.0)
        self.values = {key: value for key, value in tick.values.items() if _is_kept(key)}
        self.responses = {
            scenario: counts
            for (scenario, kind), counts in tick.histograms.items()
            if kind == "response"
        }


def _is_kept(key: str) -> bool:
    depth = key.count(".")
    return any(depth == kept.count(".") and fnmatchcase(key, kept) for kept in KEPT)
