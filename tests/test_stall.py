"""Coordinated omission: a server that stalls, and what its users felt.

While `t mod PERIOD < STALL` every request is held until the stall ends. A share f = STALL / PERIOD
of evenly spaced arrivals waits, uniformly between 0 and STALL: the response time at share p is
STALL * (1 - (1 - p) / f). A closed loop with one connection would see one slow request per stall.
"""

from __future__ import annotations

import asyncio
import math
import time

import pytest

from loadwatch.core.bucket import ScenarioBucket, add
from loadwatch.core.histogram import Histogram
from loadwatch.core.plan import Load, Plan, Scenario, Target
from loadwatch.load.arrivals import Arrivals, uniform_phases
from loadwatch.load.fleet import Fleet
from loadwatch.load.generator import OpenLoop
from loadwatch.load.stream import Stream
from tests.servers import OK, serving
from tests.test_generator import VirtualTime


def expected(share: float, stall: float, period: float) -> float:
    return stall * (1 - (1 - share) * period / stall)


class StallingWire:
    """On the virtual clock: answers at once, or when the stall ends."""

    def fire(self, stream: Stream, due: float, now: float) -> bool:
        phase = now % 10.0
        done = now + (1.0 - phase if phase < 1.0 else 0.002)
        stream.open += 1
        stream.answered(200, done - due, done - now)
        return True


def test_the_published_vector_on_a_virtual_clock() -> None:
    """1 s in every 10, at 100/s for 600 s: p95 0.50, p99 0.90, p99.9 0.99 s."""
    virtual = VirtualTime()
    stream = Stream("home", b"", Arrivals(uniform_phases(), 0.0, 100))
    loop = OpenLoop([stream], StallingWire(), virtual)
    loop.timer, virtual.loop = virtual, loop
    loop.begin()
    virtual.run(600.0)
    response = Histogram(stream.bucket.response)
    assert response.total == 60_000
    assert response.percentiles((0.5, 0.95, 0.99, 0.999)) == pytest.approx(
        [0.002, 0.50, 0.90, 0.99], abs=0.02
    )


async def test_a_real_server_that_stalls() -> None:
    """Arrivals are open loop: those that come during the stall are sent, and wait."""
    stall, period, seconds = 0.3, 3.0, 6
    begin = math.inf

    async def behave(head: bytes, writer: asyncio.StreamWriter) -> bool:
        phase = (time.monotonic() - begin) % period
        if phase < stall:
            await asyncio.sleep(stall - phase)
        writer.write(OK)
        return True

    for attempt in (1, 2):
        begin = math.inf
        total = ScenarioBucket()
        async with serving(behave) as port:
            plan = Plan(
                Target(f"http://127.0.0.1:{port}"),
                Load(arrival="uniform"),
                (Scenario("home", "/", 200.0),),
            )
            fleet = Fleet(plan, lambda bucket: add(total, bucket.scenarios[0]), print)  # noqa: B023
            await fleet.start()
            begin = time.monotonic() + 0.1
            fleet.begin(begin)
            fleet.finish(begin + seconds)
            while not fleet.done:
                await asyncio.sleep(0.02)
            await fleet.close()
        lag = Histogram(total.lag).percentile(0.99)
        if lag is not None and lag < 0.010:
            break  # the generator was healthy; else once more
        assert attempt == 1, f"the generator lagged twice: {lag}"
    response = Histogram(total.response)
    assert response.total == 200 * seconds
    for share in (0.95, 0.99):
        assert response.percentile(share) == pytest.approx(expected(share, stall, period), abs=0.03)
