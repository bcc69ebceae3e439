"""Arrival rates that change linearly."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from loadwatch.core.plan import Plan, Seconds, Stage


@dataclass(frozen=True, slots=True)
class Ramp:
    """A linear change of the rate (1/s) from `begin` to `end` within `seconds` (> 0)."""

    begin: float
    seconds: float
    end: float

    def rate(self, elapsed: float) -> float:
        """The rate after `elapsed` seconds; before and after the ramp that of its ends."""
        return self.begin + self._slope * min(max(elapsed, 0.0), self.seconds)

    def walked(self, elapsed: float) -> float:
        """Arrivals expected in the first `elapsed` seconds."""
        return (self.begin + self._slope * elapsed / 2) * elapsed

    def when(self, phase: float) -> float:
        """After how many seconds so many arrivals are expected; `phase` lies on the ramp.

        The root of aτ²/2 + r₀τ = phase that grows with the phase, in the form that loses no digits
        where the slope is small.
        """
        if phase <= 0:
            return 0.0
        root = math.sqrt(max(0.0, self.begin**2 + 2 * self._slope * phase))
        return min(2 * phase / (self.begin + root), self.seconds)

    @property
    def _slope(self) -> float:
        return (self.end - self.begin) / self.seconds


@dataclass(frozen=True, slots=True)
class Turn:
    """New rates (1/s, by scenario) from instant `at`, reached linearly within `over` seconds."""

    at: float
    before: Mapping[str, float]
    after: Mapping[str, float]
    over: float = 0.0

    @property
    def end(self) -> float:
        """The instant from which the new rates hold."""
        return self.at + self.over

    def rates(self, instant: float) -> dict[str, float]:
        """The rates at `instant`; before `at` they are those of `at`."""
        if not self.over or instant >= self.end:
            return dict(self.after)
        return {
            name: Ramp(self.before.get(name, 0.0), self.over, rate).rate(instant - self.at)
            for name, rate in self.after.items()
        }


def steady(rates: Mapping[str, float], at: float) -> Turn:
    """These rates from `at` on."""
    return Turn(at, rates, rates)


def first_turn(plan: Plan) -> Turn:
    """The rates that a plan begins with: its scenarios', or its first stage's."""
    first = plan.stages[0] if plan.stages else Stage(Seconds(0))
    rates = {scenario.name: scenario.rate * first.scale for scenario in plan.scenarios}
    if first.ramp:
        return Turn(0.0, dict.fromkeys(rates, 0.0), rates, first.duration)
    return steady(rates, 0.0)
