"""Response times counted in HdrHistogram's buckets: mergeable, 0.1 % wide, a plain dict.

Values are recorded in whole microseconds with three significant digits. The index of a value is
HdrHistogram's own counts index for `lowest=1, digits=3` (sub-bucket count 2048), so that a dict of
counts turns into an HdrHistogram without loss (AbstractHistogram of
https://github.com/HdrHistogram/HdrHistogram).
The hot path (`load.wire`) inlines `index_of`; a test holds both to the library's result.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

MICRO = 1_000_000
"""Recorded units per second."""

SUB_BUCKET_BITS = 11
"""log2 of HdrHistogram's sub-bucket count for three significant digits."""

HIGHEST_SECONDS = 3600
"""Values above are counted as this many seconds."""


def index_of(microseconds: int) -> int:
    """The bucket of a value in microseconds; negative values count as 0."""
    value = min(max(microseconds, 0), HIGHEST_SECONDS * MICRO)
    shift = value.bit_length() - SUB_BUCKET_BITS
    return value if shift <= 0 else (shift << (SUB_BUCKET_BITS - 1)) + (value >> shift)


def bounds(index: int) -> tuple[int, int]:
    """The smallest and the largest value (microseconds) that `index` stands for."""
    half = 1 << (SUB_BUCKET_BITS - 1)
    if index < 2 * half:
        return index, index
    shift = (index >> (SUB_BUCKET_BITS - 1)) - 1
    lowest = (index - (shift << (SUB_BUCKET_BITS - 1))) << shift
    return lowest, lowest + (1 << shift) - 1


class Histogram:
    """A distribution of times in seconds.

    `counts` maps bucket index to count, `timeouts` the same for those of the values that stand at
    the time when we gave up: the true ones are longer. Where only their number is known
    (`censored`) they are the largest, as all answers of a scenario come within its timeout; those
    of several scenarios may have several.
    """

    __slots__ = ("counts", "timeouts", "total")

    def __init__(self, counts: Mapping[int, int] | None = None, censored: int = 0) -> None:
        self.counts: dict[int, int] = {}
        self.timeouts: dict[int, int] = {}
        self.total = 0
        self.merge(counts or {}, censored)

    @property
    def censored(self) -> int:
        """How many of the values are timeouts."""
        return sum(self.timeouts.values())

    def record(self, seconds: float, count: int = 1) -> None:
        """Count a time in seconds."""
        index = index_of(round(seconds * MICRO))
        self.counts[index] = self.counts.get(index, 0) + count
        self.total += count

    def merge(self, counts: Mapping[int, int], censored: int = 0) -> None:
        """Add another distribution's counts, of which the `censored` largest are timeouts."""
        self.total += _add(self.counts, counts)
        for index in sorted(counts, reverse=True) if censored else ():
            timeouts = min(censored, counts[index])
            _add(self.timeouts, {index: timeouts})
            censored -= timeouts
            if not censored:
                break

    def join(self, other: Histogram) -> None:
        """Add another distribution, which knows its timeouts."""
        self.total += _add(self.counts, other.counts)
        _add(self.timeouts, other.timeouts)

    def percentiles(self, shares: tuple[float, ...]) -> list[float | None]:
        """The values (seconds) at ascending `shares` of 1; None where nothing was recorded.

        HdrHistogram's definition: the highest value equivalent to the first bucket whose cumulative
        count reaches ceil(share × total).
        """
        if not self.total:
            return [None] * len(shares)
        found: list[float | None] = []
        wanted = [max(1, math.ceil(share * self.total - 1e-9)) for share in shares]
        seen = 0
        buckets = iter(sorted(self.counts.items()))
        value = 0.0
        for rank in wanted:
            while seen < rank:
                index, count = next(buckets)
                seen += count
                value = bounds(index)[1] / MICRO
            found.append(value)
        return found

    def percentile(self, share: float) -> float | None:
        """The value (seconds) at `share` of 1, or None where nothing was recorded."""
        return self.percentiles((share,))[0]

    def above(self, seconds: float) -> int:
        """How many values are above `seconds`; a timeout always is, for all that is known."""
        limit = seconds * MICRO
        above = sum(n for index, n in self.counts.items() if bounds(index)[0] > limit)
        return above + sum(n for index, n in self.timeouts.items() if bounds(index)[0] <= limit)

    def is_censored(self, share: float) -> bool:
        """Whether a timeout decides the percentile at `share`, so that the truth is "at least".

        It does where any is at or below it: its true value may be above.
        """
        if not self.timeouts:
            return False
        first = min(self.timeouts)
        answered = sum(n for index, n in self.counts.items() if index <= first)
        rank = max(1, math.ceil(share * self.total - 1e-9))
        return rank > answered - self.timeouts[first]

    def is_known(self, share: float) -> bool:
        """Whether there are samples enough to bound the percentile from above.

        The largest of n values exceeds the true percentile with a probability of 1 - share**n; this
        asks for 97.5 %: 6 samples for p50, 72 for p95, 368 for p99, 3688 for p99.9 (order
        statistics; no distribution assumed).
        """
        return self.total > 0 and share**self.total <= 0.025

    @property
    def mean(self) -> float | None:
        """The mean in seconds, from bucket middles (error below 0.05 %); None where empty."""
        if not self.total:
            return None
        weighted = sum(sum(bounds(index)) * count for index, count in self.counts.items())
        return weighted / 2 / self.total / MICRO

    @property
    def max(self) -> float | None:
        """The largest recorded value (seconds, to bucket width); None where empty."""
        return bounds(max(self.counts))[1] / MICRO if self.counts else None


def _add(total: dict[int, int], counts: Mapping[int, int]) -> int:
    """Add `counts` to `total`; how many they are."""
    for index, count in counts.items():
        total[index] = total.get(index, 0) + count
    return sum(counts.values())
