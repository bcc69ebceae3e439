"""How sure a number of a stretch of seconds is: a circular block bootstrap over its seconds.

Requests of one run are not independent: one slow second is slow for all that came in it, and the
next one still feels it. Tests on single requests call every second difference one. What is drawn
again here are therefore blocks of seconds, as they followed each other (D. N. Politis and J. P.
Romano, "A circular block-resampling procedure for stationary data", 1992). Percentiles are those of
the merged histograms of the drawn seconds.
"""

from __future__ import annotations

import math
import random
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import accumulate
from operator import add, itemgetter, sub

from loadwatch.core.histogram import MICRO, bounds

BLOCK = 5
"""Seconds of a block: longer than most queues take to empty at 80 % of the capacity."""

RESAMPLES = 2000
"""How often a stretch is drawn again."""

RESOLUTION = 200
"""Buckets per factor e into which times are sorted: 0.5 % wide, well below any margin."""

Pick = Callable[[Sequence[float]], tuple[float, ...]]
"""Takes a number of every block, and returns those of the blocks that were drawn."""


class Resamples:
    """`count` resamples of a stretch of `seconds` seconds, as long as it is to within a block.

    All numbers of a stretch are taken from the same resamples; of a longer one, from its first
    `seconds`. `seed` makes them repeatable.
    """

    def __init__(self, seconds: int, count: int = RESAMPLES, seed: int = 1) -> None:
        chance = random.Random(seed)
        blocks = max(2, math.ceil(seconds / BLOCK))
        every = range(seconds)
        self._seconds = seconds
        self._picks: list[Pick] = [
            itemgetter(*chance.choices(every, k=blocks)) for _ in range(count)
        ]

    def sums(self, values: Sequence[float]) -> list[float]:
        """The sum of `values`, one a second, over each resample."""
        blocks = _blocks(values[: self._seconds])
        return [sum(pick(blocks)) for pick in self._picks]

    def percentiles(
        self, histograms: Sequence[Mapping[int, int]], shares: Sequence[float]
    ) -> list[list[float]]:
        """For each of `shares` (of 1) the percentile (seconds) of every resample's histogram.

        `histograms` are a second's `core.histogram` counts each. NaN where a resample is empty.
        """
        times, below = _cumulated(histograms[: self._seconds])
        found: list[list[float]] = [[] for _ in shares]
        for pick in self._picks:
            total = sum(pick(below[-1])) if below else 0
            count = partial(_sum_of, pick)
            for values, share in zip(found, shares, strict=True):
                rank: float = max(1, math.ceil(share * total - 1e-9))
                values.append(times[bisect_left(below, rank, key=count)] if total else math.nan)
        return found


def _sum_of(pick: Pick, row: Sequence[float]) -> float:
    return sum(pick(row))


def interval(values: Sequence[float], confidence: float) -> tuple[float, float]:
    """The percentile interval of bootstrap `values` that holds `confidence` of 1 of them."""
    ordered = sorted(values)
    tail = (1 - confidence) / 2
    last = len(ordered) - 1
    return ordered[math.floor(tail * last)], ordered[math.ceil((1 - tail) * last)]


def _blocks(values: Sequence[float]) -> list[float]:
    """The sums of the blocks that begin with each second; the first follow the last ones."""
    around = [0, *accumulate([*values, *values[: BLOCK - 1]])]
    return list(map(sub, around[BLOCK:], around[: len(values)]))


def _cumulated(
    histograms: Sequence[Mapping[int, int]],
) -> tuple[list[float], list[list[float]]]:
    """Ascending times, and for each the requests of every block that took at most that long."""
    columns: dict[int, list[float]] = {}
    empty = [0.0] * len(histograms)
    keys: dict[int, int] = {}
    for second, counts in enumerate(histograms):
        for index, count in counts.items():
            key = keys.get(index)
            if key is None:
                key = keys[index] = math.ceil(math.log(max(1, bounds(index)[1])) * RESOLUTION)
            columns.setdefault(key, empty.copy())[second] += count
    times = [math.exp(key / RESOLUTION) / MICRO for key in sorted(columns)]
    blocks = (_blocks(columns[key]) for key in sorted(columns))
    return times, list(accumulate(blocks, lambda below, row: list(map(add, below, row))))
