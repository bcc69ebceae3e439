"""What a stretch of ticks comes to: a step, or a whole run.

Counts add up, percentiles come from merged histograms, gauges are averaged over the seconds that
know them. The same arithmetic serves the result of `run`, `steps.csv`, thresholds and the screen.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping
from typing import Self

from loadwatch.core.histogram import Histogram
from loadwatch.core.metric import PERCENTILES, Metric
from loadwatch.core.tick import KINDS, STEP, Kind, Tick, distribution_of, meant, step_owner

SHARES = dict(PERCENTILES)
"""Name of a percentile -> its share of 1."""

CENSORED: tuple[Kind, ...] = ("response", "service")
"""The distributions in which timeouts stand at the time when they were given up."""


class Tally:
    """Sum, count, largest and smallest of one metric over the seconds that know it.

    `positive` counts the seconds in which it was above zero.
    """

    __slots__ = ("count", "last", "max", "min", "positive", "sum")

    def __init__(self) -> None:
        self.sum = 0.0
        self.count = 0
        self.max = float("-inf")
        self.min = float("inf")
        self.last = 0.0
        self.positive = 0

    def add(self, value: float) -> None:
        """Take one second's value."""
        self.sum += value
        self.count += 1
        self.positive += value > 0
        self.last = value
        self.max = max(self.max, value)
        self.min = min(self.min, value)

    @property
    def mean(self) -> float:
        """The mean over the seconds that knew the value."""
        return self.sum / self.count if self.count else 0.0


class Summary:
    """Accumulates ticks; `first` and `last` are its first and last second, both included.

    `rates` are the asked-for ones of the first second, `rates_at_end` those of the last: they
    differ on a ramp.
    `open_requests` holds how many were in flight at the end of each second that fired: of a run,
    not of the time in which its last requests run out.
    """

    def __init__(self) -> None:
        self.seconds = 0
        self.first = 0
        self.last = 0
        self.step = 0
        self.mark = ""
        self.rates: Mapping[str, float] = {}
        self.rates_at_end: Mapping[str, float] = {}
        self.duration: float | None = None
        self._fired: tuple[int, int] | None = None
        self._tallies: dict[str, Tally] = {}
        self.tallies: Mapping[str, Tally] = self._tallies
        self.open_requests: array[float] = array("d")
        self._histograms: dict[tuple[str, Kind], Histogram] = {}

    @classmethod
    def part(
        cls, step: Summary, first: int, tallies: Mapping[str, Tally],
        requests: Iterable[tuple[float, float]],
    ) -> Self:  # fmt: skip
        """The seconds of `step` from `first` on, one for each of `requests`: how many were offered
        in it, and how many open at its end.

        Distributions are kept for whole steps only: those of `step`, unknown where it went on.
        """
        part = cls()
        part.first, part.step, part.mark = first, step.step, step.mark
        part.rates, part.rates_at_end = step.rates, step.rates_at_end
        part.tallies = tallies
        for second, (offered, still_open) in enumerate(requests, first):
            part.last, part.seconds = second, part.seconds + 1
            part._note(second, offered, still_open)
        if part.last >= step.last:
            part._histograms = step._histograms
        return part

    def add(self, tick: Tick) -> None:
        """Take the next tick."""
        if not self.seconds:
            self.first, self.step, self.mark = tick.second, tick.step, tick.mark
            self.rates = tick.rates
        self.seconds += 1
        self.last = tick.second
        self.rates_at_end = tick.rates
        self.complete(tick.values)
        values = tick.values
        self._note(tick.second, values.get("load.offered", 0), values.get("load.in_flight", 0))
        for (scenario, kind), counts in tick.histograms.items():
            histogram = self._histograms.setdefault((scenario, kind), Histogram())
            timeouts = tick.values.get(f"scenario.{scenario}.errors.timeout", 0)
            histogram.merge(counts, int(timeouts) if kind in CENSORED else 0)

    def _note(self, second: int, offered: float, still_open: float) -> None:
        if offered > 0:
            self._fired = (self._fired[0] if self._fired else second, second)
            self.open_requests.append(still_open if still_open == still_open else 0)

    def complete(self, values: Mapping[str, float]) -> None:
        """Take what came to be known of one of its seconds."""
        for key, value in values.items():
            tally = self._tallies.get(key)
            if tally is None:
                tally = self._tallies[key] = Tally()
            tally.add(value)

    def count(self, key: str) -> int:
        """How many there were in all of something that is counted per second."""
        tally = self.tallies.get(key)
        return round(tally.sum) if tally else 0

    def counts(self, prefix: str) -> dict[str, int]:
        """The same for every key below `prefix.` by its last segment: status codes, error kinds."""
        start = len(prefix) + 1
        keys = sorted(key for key in self.tallies if key.startswith(prefix + "."))
        return {key[start:]: round(self.tallies[key].sum) for key in keys if self.tallies[key].sum}

    @property
    def firing(self) -> float:
        """Seconds of firing: as told by `duration`, else from the first that fired to the last."""
        if self.duration is not None:
            return self.duration
        return self._fired[1] - self._fired[0] + 1 if self._fired else 0

    def rate(self, key: str) -> float:
        """What is counted per second, per second of firing: the last answers take no time."""
        return self.count(key) / self.firing if self.firing else 0.0

    @property
    def unanswered(self) -> int:
        """Requests that ended without any answer; one with a wrong body was answered."""
        errors = self.counts("load.errors")
        return sum(errors.values()) - errors.get("content", 0)

    def mean(self, key: str) -> float | None:
        """The mean of `key` over the seconds that know it, else None."""
        tally = self.tallies.get(key)
        return tally.mean if tally else None

    def maximum(self, key: str) -> float | None:
        """The largest value of `key`, else None."""
        tally = self.tallies.get(key)
        return tally.max if tally else None

    def histogram(self, kind: Kind, scenario: str | None = None) -> Histogram:
        """The merged distribution of one scenario, one step of it (`tick.step_owner`), or of all.

        That of visits comes from their steps: each knows its timeouts.
        """
        merged = Histogram()
        names = [name for name, own in self._histograms if own == kind]
        visits = {name.partition(".")[0] for name in names if "." in name}
        for name in names:
            if name not in visits and scenario in (None, name, name.partition(".")[0]):
                merged.join(self._histograms[name, kind])
        return merged

    def value(self, metric: Metric) -> float | None:
        """What `metric`, under a concrete key, comes to by its kind; None where unknown.

        All statistics of a distribution come from its merged histogram, a percentile only where
        there are samples enough. A load rate counts as 0 in a second of load that has no value of
        it: a status code or a kind of error that did not occur.
        """
        if distribution_of(metric.key) is not None:
            return self.statistic(metric.key)
        if metric.kind == "maximum":
            return self.maximum(metric.key)
        section, *segments = metric.key.split(".")
        owner = f"{section}.{segments[0]}" if section == "scenario" else section
        if len(segments) > 3 and segments[1] == STEP:
            owner = f"{section}.{step_owner(segments[0], segments[2])}"
        load = self.tallies.get(f"{owner}.offered")
        if metric.kind == "rate" and load is not None:
            tally = self.tallies.get(metric.key)
            return self.rate(metric.key) if tally else 0.0
        return self.mean(metric.key)

    def statistic(self, key: str) -> float | None:
        """What `key`, a statistic of a distribution, comes to; None where too little is known."""
        distribution = distribution_of(key)
        assert distribution is not None
        scenario, kind = distribution
        times, name = self.histogram(kind, scenario), key.rpartition(".")[2]
        if name in SHARES:
            value = times.percentile(SHARES[name]) if times.is_known(SHARES[name]) else None
        else:
            value = times.max if name == "max" else times.mean
        return None if value is None else meant(kind, value)

    def is_at_least(self, metric: Metric) -> bool:
        """Whether `value(metric)` is a timeout, so that the true percentile or maximum is above."""
        distribution = distribution_of(metric.key)
        if distribution is None:
            return False
        scenario, kind = distribution
        times = self.histogram(kind, scenario)
        name = metric.key.rpartition(".")[2]
        if name == "mean":
            return times.censored > 0
        return times.is_censored(SHARES.get(name, 1.0))

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """The kinds of distributions that hold anything."""
        return tuple(kind for kind in KINDS if any(own == kind for _, own in self._histograms))
