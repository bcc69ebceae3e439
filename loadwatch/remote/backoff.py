"""How long to wait before the next attempt."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

LONGEST = 30.0
"""Seconds; also how long a connection must have held to count as a fresh start."""


def backoff(jitter: Callable[[], float] = random.random) -> Iterator[float]:
    """Delays in seconds: 1, 2, 4 … 30, each up to a quarter longer, so that hosts do not march."""
    delay = 1.0
    while True:
        yield delay * (1 + jitter() / 4)
        delay = min(LONGEST, delay * 2)
