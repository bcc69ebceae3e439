"""Which stretch of the run is shown: how long, and whether it moves with the run."""

from __future__ import annotations

from dataclasses import dataclass, replace

LENGTHS: tuple[int | None, ...] = (60, 120, 300, 900, 3600, None)
"""Seconds that may be shown; None is the whole run."""

ROUND = 60
"""The whole run is shown as so many times this: its picture does not shimmer each second."""


@dataclass(frozen=True, slots=True)
class Window:
    """`length` seconds (None: the whole run) before second `end` (None: now)."""

    length: int | None = LENGTHS[1]
    end: int | None = None

    def seconds(self, run: int) -> int:
        """The seconds shown of a run that has `run` of them."""
        if self.length is not None:
            return self.length
        return max(-(-(self.end or run) // ROUND), 1) * ROUND

    def resized(self, by: int) -> Window:
        """So many lengths longer, or shorter."""
        at = LENGTHS.index(self.length) + by
        return replace(self, length=LENGTHS[min(max(at, 0), len(LENGTHS) - 1)])

    def moved(self, by: int, run: int) -> Window:
        """So many halves later, or earlier; it comes to rest at either end of the run."""
        half = self.seconds(run) // 2
        end = (run if self.end is None else self.end) + by * half
        if end >= run:
            return self.now() if by > 0 else replace(self, end=run)
        return replace(self, end=max(end, min(half, run)))

    def frozen(self, run: int) -> Window:
        """The same stretch, standing."""
        return replace(self, end=run if self.end is None else self.end)

    def now(self) -> Window:
        """The same length, moving with the run again."""
        return replace(self, end=None)

    def __str__(self) -> str:
        if self.length is None:
            return "whole run"
        return f"{self.length // 60} min" if self.length < 3600 else f"{self.length // 3600} h"
