"""How far a share that was counted can be trusted."""

from __future__ import annotations

import math

Z = 1.959964
"""Standard normal quantile of a two-sided interval of 95 %."""


def wilson(count: int, total: int) -> tuple[float, float]:
    """The interval (95 %) of a share of which `count` in `total` were seen; all where none were.

    E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22
    (1927).
    """
    if not total:
        return 0.0, 1.0
    share, square = count / total, Z * Z
    centre = share + square / (2 * total)
    spread = Z * math.sqrt(share * (1 - share) / total + square / (4 * total * total))
    scale = 1 + square / total
    return max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)
