"""Whether a stretch has come to rest: MSER-5, the marginal standard error rule.

K. P. White, "An effective truncation heuristic for bias reduction in simulation output",
Simulation 69 (1997); White, Cobb and Spratt, Winter Simulation Conference (2000): of the means of
batches of five, cut off so many that the standard error of the rest is least. Where that is at the
end of what may be cut off, which is the first half, the stretch was not steady.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate

from loadwatch.core.history import History
from loadwatch.core.summary import Summary

BATCH = 5
"""Values to a batch."""

LEAST = 60
"""Seconds below which nothing is said: the rule doubts one in ten series of 60 values that are
steady, and one in four of 30."""

JUDGED = ("load.response.mean", "load.in_flight")
"""What must have come to rest for a step to count as steady."""

ROUNDING = 1e-9
"""Differences of the error, relative to the whole, that are none."""


def warm_up(values: Sequence[float]) -> int | None:
    """How many of `values` belong to the warm-up; None where they never came to rest.

    Values left over at the end, fewer than a batch, are not looked at.
    """
    batches = len(values) // BATCH
    means = [math.fsum(values[at * BATCH : (at + 1) * BATCH]) / BATCH for at in range(batches)]
    if batches < 2:
        return None
    sums = list(accumulate(reversed(means), initial=0.0))
    squares = list(accumulate((mean * mean for mean in reversed(means)), initial=0.0))
    errors = [
        max(squares[kept] - sums[kept] ** 2 / kept, 0.0) / kept**2
        for kept in range(batches, batches - batches // 2 - 1, -1)
    ]
    least = min(errors) + ROUNDING * squares[-1] / batches**2
    cut = next(at for at, error in enumerate(errors) if error <= least)
    return None if cut == batches // 2 else cut * BATCH


def is_steady(history: History, step: Summary) -> bool | None:
    """Whether a step's response times and open requests came to rest; None if it is too short."""
    if step.seconds < LEAST or not step.firing:
        return None
    return all(
        warm_up(
            [value for value in history.stretch(key, step.first, step.last + 1) if value == value]
        )
        is not None
        for key in JUDGED
    )
