"""When requests are due: uniform and Poisson arrivals, as pure functions of time.

Arrivals live on a *phase* axis on which one arrival is expected per unit: uniform ones stand at 0,
1, 2 …, Poisson ones at the sums of unit-exponential gaps. The arrival rate only says how fast time
walks along that axis, so a change of rate keeps the phase: no burst, no debt, and due instants that
never step back. (A Poisson process keeps being one: the time-rescaling theorem.) N workers walk the
same axis and take every N-th arrival each.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterator
from typing import Literal

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

    `due` is the next due instant (monotonic clock, seconds; infinite while the rate is 0). `rate`
    is the scenario's whole rate, not this worker's share.
    """

    __slots__ = ("_last", "_origin", "_phase", "_phases", "_point", "_rate", "due")

    def __init__(self, phases: Iterator[float], start: float, rate: float) -> None:
        self._phases = phases
        self._origin = start
        self._phase = 0.0
        self._rate = rate
        self._last = start
        self._point = next(phases)
        self.due = self._instant()

    def advance(self) -> float:
        """Take the next arrival: returns its due instant, and moves `due` on."""
        taken = self._last = self.due
        self._point = next(self._phases)
        self.due = self._origin + (self._point - self._phase) / self._rate
        return taken

    def set_rate(self, at: float, rate: float) -> None:
        """Walk on at `rate` from instant `at`, or from the last arrival taken if that is later."""
        at = max(at, self._last)
        if self._rate:
            # An overdue arrival that was not taken yet keeps its phase and stays due.
            self._phase = min(self._phase + (at - self._origin) * self._rate, self._point)
        self._origin = at
        self._rate = rate
        self.due = self._instant()

    def _instant(self) -> float:
        if not self._rate:
            return INFINITY
        return self._origin + (self._point - self._phase) / self._rate
