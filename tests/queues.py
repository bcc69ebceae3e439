"""A server that is one queue, simulated: ticks as a run against it would publish them."""

from __future__ import annotations

import random
from collections.abc import Iterator

from loadwatch.core.histogram import index_of
from loadwatch.core.tick import Tick
from tests.ticks import START


def served(
    seconds: int, rate: float, service: float, seed: int, arrivals: int | None = None
) -> Iterator[Tick]:
    """M/M/1: Poisson arrivals at `rate` (1/s), exponential service of mean `service` (seconds).

    Service times follow from `seed`; so do the arrivals, unless they have a seed of their own. Each
    response time follows from Lindley's recursion: who comes is served when the one before is done.
    It counts in the second of its end, as in a run.
    """
    chance = random.Random(seed)
    coming = random.Random(seed + 1_000_000 if arrivals is None else arrivals)
    offered, completed = [0] * seconds, [0] * seconds
    responses: list[dict[int, int]] = [{} for _ in range(seconds)]
    now = free = 0.0
    while (now := now + coming.expovariate(rate)) < seconds:
        free = max(free, now) + chance.expovariate(1 / service)
        offered[int(now)] += 1
        if free < seconds:
            counts, bucket = responses[int(free)], index_of(round((free - now) * 1e6))
            counts[bucket] = counts.get(bucket, 0) + 1
            completed[int(free)] += 1
    for second in range(seconds):
        came = {"offered": offered[second], "completed": completed[second]}
        values = {f"{owner}.{name}": n for owner in ("load", "scenario.home")
                  for name, n in came.items()}  # fmt: skip
        yield Tick(
            second, START + second, 1, "", {"home": rate}, values,
            {("home", "response"): responses[second]},
        )  # fmt: skip
