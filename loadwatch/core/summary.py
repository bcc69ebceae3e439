"""What a stretch of ticks comes to: a step, or a whole run.

Counts add up, percentiles come from merged histograms, gauges are averaged over the seconds that
know them. The same arithmetic serves the result of `run`, `steps.csv`, thresholds and the screen.
"""

from __future__ import annotations

from collections.abc import Mapping

from loadwatch.core.histogram import Histogram
from loadwatch.core.tick import KINDS, Kind, Tick


class Tally:
    """Sum, count, largest and smallest of one metric over the seconds that know it."""

    __slots__ = ("count", "last", "max", "min", "sum")

    def __init__(self) -> None:
        self.sum = 0.0
        self.count = 0
        self.max = float("-inf")
        self.min = float("inf")
        self.last = 0.0

    def add(self, value: float) -> None:
        """Take one second's value."""
        self.sum += value
        self.count += 1
        self.last = value
        self.max = max(self.max, value)
        self.min = min(self.min, value)

    @property
    def mean(self) -> float:
        """The mean over the seconds that knew the value."""
        return self.sum / self.count if self.count else 0.0


class Summary:
    """Accumulates ticks; `first` and `last` are its first and last second, both included."""

    def __init__(self) -> None:
        self.seconds = 0
        self.first = 0
        self.last = 0
        self.step = 0
        self.mark = ""
        self.rates: Mapping[str, float] = {}
        self.tallies: dict[str, Tally] = {}
        self._histograms: dict[tuple[str, Kind], Histogram] = {}

    def add(self, tick: Tick) -> None:
        """Take the next tick."""
        if not self.seconds:
            self.first, self.step, self.mark = tick.second, tick.step, tick.mark
            self.rates = tick.rates
        self.seconds += 1
        self.last = tick.second
        for key, value in tick.values.items():
            tally = self.tallies.get(key)
            if tally is None:
                tally = self.tallies[key] = Tally()
            tally.add(value)
        for (scenario, kind), counts in tick.histograms.items():
            histogram = self._histograms.setdefault((scenario, kind), Histogram())
            timeouts = tick.values.get(f"scenario.{scenario}.errors.timeout", 0)
            histogram.merge(counts, int(timeouts) if kind != "lag" else 0)

    def count(self, key: str) -> int:
        """How many there were in all of something that is counted per second."""
        tally = self.tallies.get(key)
        return round(tally.sum) if tally else 0

    def counts(self, prefix: str) -> dict[str, int]:
        """The same for every key below `prefix.` by its last segment: status codes, error kinds."""
        start = len(prefix) + 1
        return {
            key[start:]: round(tally.sum)
            for key, tally in sorted(self.tallies.items())
            if key.startswith(prefix + ".") and tally.sum
        }

    def mean(self, key: str) -> float | None:
        """The mean of `key` over the seconds that know it, else None."""
        tally = self.tallies.get(key)
        return tally.mean if tally else None

    def maximum(self, key: str) -> float | None:
        """The largest value of `key`, else None."""
        tally = self.tallies.get(key)
        return tally.max if tally else None

    def histogram(self, kind: Kind, scenario: str | None = None) -> Histogram:
        """The merged distribution of one scenario, or of all."""
        merged = Histogram()
        for (name, own), histogram in self._histograms.items():
            if own == kind and scenario in (None, name):
                merged.merge(histogram.counts, histogram.censored)
        return merged

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """The kinds of distributions that hold anything."""
        return tuple(kind for kind in KINDS if any(own == kind for _, own in self._histograms))
