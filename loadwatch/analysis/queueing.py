"""Open requests over time: whether they pile up."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

LEAST = 5
"""Seconds below which there is no trend."""


def piles_up(opened: Sequence[float], offered: float) -> bool:
    """Whether open requests grow by 1 % of what was `offered`, and more than chance would explain.

    `opened` is how many were open at the end of each second. Above the capacity of a server they
    grow by the difference, long before its full queue turns anybody away. Counts of independent
    arrivals vary by the root of their number (Poisson).
    """
    if len(opened) < LEAST:
        return False
    slope = statistics.linear_regression(range(len(opened)), opened).slope
    return slope * len(opened) > max(chance(opened), 0.01 * offered)


def chance(opened: Sequence[float]) -> float:
    """By how many requests the number that is open may change without a meaning."""
    return 3 * math.sqrt(max(1.0, statistics.fmean(opened or [0.0])))
