"""A server that is one queue, simulated: ticks as a run against it would publish them."""

from __future__ import annotations

import random
from collections.abc import Iterator

from loadwatch.core.bucket import Bucket, ScenarioBucket
from loadwatch.core.histogram import index_of
from loadwatch.core.tick import Tick
from loadwatch.core.ticker import Ticker
from tests.ticks import START


def served(
    seconds: int, rate: float, service: float, seed: int, scenario: str = "home"
) -> Iterator[Tick]:
    """M/M/1: Poisson arrivals at `rate` (1/s), exponential service of mean `service` (seconds).

    Each response time follows from Lindley's recursion: who comes is served when the one before is
    done. It counts in the second of its end, as in a run.
    """
    chance = random.Random(seed)
    ticker = Ticker([scenario], [], lambda values: {"generator.healthy": 1.0}, START)
    ticker.rates(0.0, {scenario: rate})
    parts = [ScenarioBucket() for _ in range(seconds)]
    now = free = 0.0
    while (now := now + chance.expovariate(rate)) < seconds:
        free = max(free, now) + chance.expovariate(1 / service)
        parts[int(now)].offered += 1
        if free < seconds:
            part, bucket = parts[int(free)], index_of(round((free - now) * 1e6))
            part.completed += 1
            part.response[bucket] = part.response.get(bucket, 0) + 1
    for second, part in enumerate(parts):
        ticker.bucket(Bucket(0, second, [part]))
        yield ticker.close()
