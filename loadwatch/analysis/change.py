"""How the numbers of two stretches at the same rates differ, and how sure that is.

Each number has a ratio, candidate to base, with the interval that a block bootstrap gives
(`analysis.bootstrap`). The verdict follows from where the interval lies: a change counts only if
all of it lies beyond a margin below which nobody would care. "Inconclusive" is not "no difference".
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from operator import sub, truediv
from typing import Literal

from loadwatch.analysis.bootstrap import BLOCK, RESAMPLES, Resamples, interval
from loadwatch.analysis.stretch import LEAST, Parts, Stretch
from loadwatch.core.metric import Metric, Unit
from loadwatch.core.summary import SHARES

Verdict = Literal["faster", "slower", "no practical change", "inconclusive"]
"""`faster` is the better one: less time, memory or errors, a higher rate."""

Bounds = tuple[float, float] | None
"""An interval; None where nothing can be told."""

CONFIDENCE = 0.95
"""Share of the resamples that an interval holds."""

MARGIN = 0.05
"""Relative change below which nobody would care."""

PERCENTILES = {"p50": MARGIN, "p95": 0.10, "p99": 0.10}
"""The percentiles that are compared, with their margins."""

POINT = 0.01
"""The same for a share of requests, as a change of the share itself: it may be zero."""

SWAPPING = 1024.0**2
"""The same for swap traffic, in bytes/s."""

ERRORS = Metric("scenario.*.errors", Unit.SHARE, "Errors", "gauge", "lower")
"""Requests without a good answer (5xx, none at all, dropped) as a share of those offered."""

CPU_PER_REQUEST = Metric(
    "host.*.cpu.per_request", Unit.SECONDS, "CPU per request", "gauge", "lower"
)
"""CPU time of the whole host (us + sy) per completed request of the whole load."""


@dataclass(frozen=True, slots=True)
class Row:
    """One number of both sessions, in the core unit of `metric`, under its concrete key.

    `rates` are the load's (scenario -> 1/s; empty in a closed loop). `low` and `high` bound
    `ratio` = candidate / base; None is unknown, or no bound: of a timeout nobody knows how long it
    would have been.
    """

    rates: Mapping[str, float]
    metric: Metric
    base: float | None
    candidate: float | None
    ratio: float | None
    low: float | None
    high: float | None
    verdict: Verdict

    @property
    def scenario(self) -> str | None:
        """Whose number it is; None for a host's."""
        section, owner, *_ = self.metric.key.split(".")
        return owner if section == "scenario" else None

    @property
    def rate(self) -> float | None:
        """The scenario's rate, or the whole load's; None in a closed loop."""
        return self.rates.get(self.scenario) if self.scenario else sum(self.rates.values()) or None


def changes(
    base: Stretch,
    candidate: Stretch,
    metrics: Mapping[str, Metric],
    paired: bool = False,
    resamples: int = RESAMPLES,
) -> list[Row]:
    """How the numbers of `candidate` differ from those of `base`, at the same rates.

    Those of the scenarios come first, then those of the hosts; `metrics` declare their keys.
    `paired` says that second k of both had the very same arrivals (common random numbers): the
    same seconds are then drawn from both, and what the arrivals vary cancels out.
    """
    return _Pair(base, candidate, paired, resamples).rows(metrics)


class _Pair:
    """Two stretches, and how their numbers may come out."""

    def __init__(self, base: Stretch, candidate: Stretch, paired: bool, resamples: int) -> None:
        self._both = (base, candidate)
        self._scenarios = [name for name in base.scenarios if name in candidate.scenarios]
        self._keys = [key for key in base.values if key in candidate.values]
        self._can_tell = min(base.firing, candidate.firing) >= LEAST
        count = resamples if self._can_tell else 0
        if paired and abs(base.seconds - candidate.seconds) <= BLOCK:
            both = Resamples(min(base.seconds, candidate.seconds), count)
            self._resamples = (both, both)
        else:
            self._resamples = (Resamples(base.seconds, count, 1),
                               Resamples(candidate.seconds, count, 2))  # fmt: skip

    def rows(self, metrics: Mapping[str, Metric]) -> list[Row]:
        """The rows of every scenario, then those of every host."""
        rows = [row for name in self._scenarios for row in self._of_scenario(name, metrics)]
        hosts = dict.fromkeys(k.split(".")[1] for k in self._keys if k.startswith("host."))
        return rows + [row for host in hosts for row in self._of_host(host, metrics)]

    def _of_scenario(self, name: str, metrics: Mapping[str, Metric]) -> list[Row]:
        prefix = f"scenario.{name}"
        errors = replace(ERRORS, key=f"{prefix}.errors")
        rows = [
            self._ratio(metrics[f"{prefix}.completed"],
                        partial(Stretch.completed, scenario=name), MARGIN),
            self._difference(errors, partial(Stretch.errors, scenario=name), POINT),
        ]  # fmt: skip
        return rows + self._percentiles(name, metrics)

    def _of_host(self, host: str, metrics: Mapping[str, Metric]) -> list[Row]:
        prefix = f"host.{host}"
        rows = []
        if all(f"{prefix}.cpu.{part}" in self._keys for part in ("us", "sy", "count")):
            metric = replace(CPU_PER_REQUEST, key=f"{prefix}.cpu.per_request")
            parts = partial(Stretch.cpu_per_request, host=host)
            rows.append(self._ratio(metric, parts, MARGIN))
        for key in self._keys:
            mean = partial(Stretch.mean, key=key)
            if key.startswith(f"{prefix}.group."):
                rows.append(self._ratio(metrics[key], mean, MARGIN))
            elif key.startswith(f"{prefix}.swap."):
                rows.append(self._difference(metrics[key], mean, SWAPPING))
        return rows

    def _ratio(self, metric: Metric, parts: Callable[[Stretch], Parts], margin: float) -> Row:
        """A row about a sum over a sum, judged by its ratio."""
        values, draws = self._quotients(parts)
        change = self._bounds(draws)
        verdict = _verdict(change, (1 / (1 + margin), 1 + margin), metric)
        return self._row(metric, values, change, verdict)

    def _difference(self, metric: Metric, parts: Callable[[Stretch], Parts], margin: float) -> Row:
        """The same of what may be zero, judged by its change."""
        values, draws = self._quotients(parts)
        change: Bounds = None
        if self._can_tell and None not in values:
            low, high = interval(list(map(sub, draws[1], draws[0])), CONFIDENCE)
            # Rule of three: what n requests never met may still befall 3 of n.
            spare = [3 / max(1.0, sum(parts(stretch)[1])) for stretch in self._both]
            share = metric.unit is Unit.SHARE
            change = (low - spare[0], high + spare[1]) if share else (low, high)
        verdict = _verdict(change, (-margin, margin), metric)
        return self._row(metric, values, self._bounds(draws), verdict)

    def _percentiles(self, scenario: str, metrics: Mapping[str, Metric]) -> list[Row]:
        """Rows about the percentiles of a scenario's response times."""
        times = [stretch.response(scenario) for stretch in self._both]
        shares = [SHARES[name] for name in PERCENTILES]
        base, candidate = (
            resamples.percentiles(stretch.responses[scenario], shares)
            for resamples, stretch in zip(self._resamples, self._both, strict=True)
        )
        rows = []
        for share, margin, name, *draws in zip(
            shares, PERCENTILES.values(), PERCENTILES, base, candidate, strict=True
        ):
            metric = metrics.get(f"scenario.{scenario}.response.{name}")
            values = [t.percentile(share) if t.is_known(share) else None for t in times]
            change = None if None in values else self._bounds(draws)
            if change is not None:
                # A timeout is shorter than the truth: whose it is, that side may be longer still.
                less, more = (t.is_censored(share) for t in times)
                change = (0.0 if less else change[0], math.inf if more else change[1])
            if metric is not None:
                verdict = _verdict(change, (1 / (1 + margin), 1 + margin), metric)
                rows.append(self._row(metric, values, change, verdict))
        return rows

    def _quotients(
        self, parts: Callable[[Stretch], Parts]
    ) -> tuple[list[float | None], list[list[float]]]:
        """Both sides' numbers, and how they come out when their seconds are drawn again."""
        values: list[float | None] = []
        draws = []
        for stretch, resamples in zip(self._both, self._resamples, strict=True):
            above, below = parts(stretch)
            total = sum(below)
            values.append(sum(above) / total if total else None)
            sums = zip(resamples.sums(above), resamples.sums(below), strict=True)
            draws.append([over / under if under else math.nan for over, under in sums])
        return values, draws

    def _bounds(self, draws: Sequence[Sequence[float]]) -> Bounds:
        """The interval of the ratio of `draws`; None where it cannot be told."""
        base, candidate = draws
        if (
            not self._can_tell
            or not all(value > 0 for value in base)
            or any(map(math.isnan, candidate))
        ):
            return None
        return interval(list(map(truediv, candidate, base)), CONFIDENCE)

    def _row(
        self,
        metric: Metric,
        values: Sequence[float | None],
        bounds: Bounds,
        verdict: Verdict,
    ) -> Row:
        base, candidate = values
        ratio = candidate / base if base and candidate is not None else None
        low, high = bounds or (None, None)
        high = None if high == math.inf else high
        rates = self._both[0].rates
        return Row(rates, metric, base, candidate, ratio, low or None, high, verdict)


def _verdict(change: Bounds, limits: tuple[float, float], metric: Metric) -> Verdict:
    """Where the interval of a change lies, seen from the limits of what nobody would care about."""
    if change is None:
        return "inconclusive"
    (low, high), (least, most) = change, limits
    more: Verdict = "faster" if metric.better == "higher" else "slower"
    less: Verdict = "slower" if metric.better == "higher" else "faster"
    if low > most:
        return more
    if high < least:
        return less
    return "no practical change" if least <= low and high <= most else "inconclusive"
