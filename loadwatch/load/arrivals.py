"""When requests are due: uniform and Poisson arrivals, as pure functions of time.

Arrivals live on a *phase* axis on which one arrival is expected per unit: uniform ones stand at 0,
1, 2 …, Poisson ones at the sums of unit-exponential gaps. The arrival rate only says how fast time
walks along that axis, so a change of rate keeps the phase: no burst, no debt, and due instants that
never step back. (A Poisson process keeps being one: the time-rescaling theorem.) On a ramp the rate
changes linearly. N workers walk the same axis and take every N-th arrival each.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterator
from typing import Literal

from loadwatch.core.ramp import Ramp

INFINITY = math.inf


def uniform_phases() -> Iterator[float]:
    """0, 1, 2 …: evenly spaced arrivals, the first one at once."""
    return map(float, itertools.count())


def poisson_phases(seed: int | str) -> Iterator[float]:
    """Sums of unit-exponential gaps; the same seed gives the same arrivals."""
    exponential = random.Random(seed).expovariate
    return itertools.accumulate(exponential(1.0) for _ in itertools.repeat(None))


def phases(
    arrival: Literal["uniform", "poisson"], seed: int, scenario: int, worker: int, workers: int
) -> Iterator[float]:
    """This worker's share of a scenario's arrivals: every `workers`-th from `worker` on."""
    if arrival == "uniform":
        every: Iterator[float] = uniform_phases()
    else:
        every = poisson_phases(f"{seed}/{scenario}")
    return itertools.islice(every, worker, None, workers)


class Arrivals:
    """Turns phases into due instants under a rate that may change.

    `due` is the next due instant (monotonic clock, seconds; infinite while the rate is 0). The rate
    is the scenario's whole rate, not this worker's share. On a ramp it changes linearly, so that
    the phase walked after τ seconds is r₀τ + aτ²/2, with the slope a (1/s²); afterwards the rate
    stays.
    """

    begins = True

    __slots__ = ("_last", "_origin", "_phase", "_phases", "_point", "_ramp", "_rate", "due")

    def __init__(self, phases: Iterator[float], start: float, rate: float) -> None:
        self._phases = phases
        self._origin = start
        self._phase = 0.0
        self._rate = rate
        self._ramp: Ramp | None = None
        self._last = start
        self._point = next(phases)
        self.due = self._instant()

    def advance(self) -> float:
        """Take the next arrival: returns its due instant, and moves `due` on."""
        taken = self._last = self.due
        self._point = next(self._phases)
        if self._ramp is None:
            self.due = self._origin + (self._point - self._phase) / self._rate
        else:
            self.due = self._instant()
        return taken

    def dropped(self) -> None:
        """Nothing comes of an arrival that cannot be fired: nobody waits for it."""

    def set_rate(self, at: float, rate: float, over: float = 0.0) -> None:
        """Walk on at `rate` from instant `at`, reached linearly within `over` seconds.

        `at` counts as the last arrival taken if that is later: due instants never step back.
        """
        at = max(at, self._last)
        # An overdue arrival that was not taken yet keeps its phase and stays due.
        self._phase = min(self._phase + self._walked(at - self._origin), self._point)
        before = self._rate_at(at)
        self._origin = at
        self._ramp = Ramp(before, over, rate) if over else None
        self._rate = rate
        self.due = self._instant()

    def _rate_at(self, instant: float) -> float:
        return self._ramp.rate(instant - self._origin) if self._ramp else self._rate

    def _walked(self, seconds: float) -> float:
        """The phase walked since the origin."""
        ramp = self._ramp
        if ramp is None:
            return seconds * self._rate
        on_ramp = min(seconds, ramp.seconds)
        return ramp.walked(on_ramp) + (seconds - on_ramp) * self._rate

    def _instant(self) -> float:
        """When the next arrival is due."""
        ahead, at = self._point - self._phase, self._origin
        ramp = self._ramp
        if ramp is not None:
            if ahead <= (length := ramp.walked(ramp.seconds)):
                return at + ramp.when(ahead)
            ahead, at = ahead - length, at + ramp.seconds
        return at + ahead / self._rate if self._rate else INFINITY
