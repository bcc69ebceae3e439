"""Coordinated omission: a server that stalls, and what its users felt.

While `t mod PERIOD < STALL` every request is held until the stall ends. A share f = STALL / PERIOD
of evenly spaced arrivals waits, uniformly between 0 and STALL: the response time at share p is
STALL * (1 - (1 - p) / f). A closed loop with one connection would see one slow request per stall.
"""

from __future__ import annotations

import asyncio
import itertools
import math
import random
import time
from collections.abc import Callable, Iterator

import pytest

from loadwatch.core.bucket import ScenarioBucket, add
from loadwatch.core.histogram import Histogram
from loadwatch.core.plan import Load, Plan, Scenario, Target
from loadwatch.load.arrivals import Arrivals, poisson_phases, uniform_phases
from loadwatch.load.connection import Connection
from loadwatch.load.fleet import Fleet
from loadwatch.load.generator import OpenLoop
from loadwatch.load.request import build, render
from loadwatch.load.stream import Stream
from loadwatch.load.timer import precise_timer
from loadwatch.load.wire import Wire
from tests.servers import OK, serving
from tests.test_generator import VirtualTime


def expected(share: float, stall: float, period: float) -> float:
    return stall * (1 - (1 - share) * period / stall)


class StallingWire:
    """On the virtual clock: answers at once, or when the stall ends."""

    def fire(self, stream: Stream, due: float, now: float) -> bool:
        phase = now % 10.0
        done = now + (1.0 - phase if phase < 1.0 else 0.002)
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


class QueueingWire:
    """On the virtual clock: one server that takes 5 ms for each, in turn, and stops while stalled.

    Services are preempted by a stall and go on after it, as in a stopped process.
    """

    SERVICE = 0.005

    def __init__(self) -> None:
        self.free_at = 0.0

    def fire(self, stream: Stream, due: float, now: float) -> bool:
        begin = _after_stall(max(now, self.free_at))
        done = self.free_at = _working(begin, self.SERVICE)
        stream.answered(200, done - due, done - now)
        return True


def _after_stall(instant: float) -> float:
    phase = instant % 10.0
    return instant + max(0.0, 1.0 - phase)


def _working(begin: float, seconds: float) -> float:
    """When work of so many seconds is done that begins outside a stall."""
    left = 10.0 - begin % 10.0
    return begin + seconds if seconds < left else _after_stall(begin + left) + seconds - left


def test_the_published_vector_at_half_load_on_a_virtual_clock() -> None:
    """The backlog of a stall drains at the spare capacity: twice as many feel it at half load."""
    virtual = VirtualTime()
    stream = Stream("home", b"", Arrivals(uniform_phases(), 0.0, 100))
    loop = OpenLoop([stream], QueueingWire(), virtual)
    loop.timer, virtual.loop = virtual, loop
    loop.begin()
    virtual.run(600.0)
    response = Histogram(stream.bucket.response)
    assert response.total == 60_000
    assert response.percentiles((0.9, 0.95, 0.99, 0.999)) == pytest.approx(
        [0.50, 0.75, 0.95, 0.995], abs=0.02
    )
    assert response.mean == pytest.approx(0.100 + QueueingWire.SERVICE, abs=0.01)


class SingleServerWire:
    """On the virtual clock: one server with a queue before it; services come from a function."""

    def __init__(self, service: Callable[[], float]) -> None:
        self._service = service
        self._free_at = 0.0

    def fire(self, stream: Stream, due: float, now: float) -> bool:
        done = self._free_at = max(now, self._free_at) + self._service()
        stream.answered(200, done - due, done - now)
        return True


@pytest.mark.parametrize(
    ("phases", "service", "milliseconds"),
    [
        # Mean, p50, p95, p99 of M/D/1, M/M/1 and D/M/1 at half load, services of 10 ms.
        (poisson_phases, "fixed", (15.000, 10.000, 30.506, 43.363)),
        (poisson_phases, "exponential", (20.000, 13.863, 59.915, 92.103)),
        (uniform_phases, "exponential", (12.550, 8.699, 37.596, 57.795)),
    ],
)
def test_queues_with_a_known_answer(
    phases: Callable[..., Iterator[float]], service: str, milliseconds: tuple[float, ...]
) -> None:
    """Closed forms of queueing theory, at 50/s for 4000 s on a virtual clock."""
    draw = random.Random(5).expovariate
    services = {"fixed": lambda: 0.010, "exponential": lambda: draw(100)}[service]
    own = phases("7") if phases is poisson_phases else phases()
    stream = Stream("home", b"", Arrivals(own, 0.0, 50))
    virtual = VirtualTime()
    loop = OpenLoop([stream], SingleServerWire(services), virtual)
    loop.timer, virtual.loop = virtual, loop
    loop.begin()
    virtual.run(4000.0)
    response = Histogram(stream.bucket.response)
    seen = [response.mean, *response.percentiles((0.5, 0.95, 0.99))]
    assert [value and value * 1000 for value in seen] == pytest.approx(milliseconds, rel=0.05)


def test_what_a_closed_loop_would_have_said() -> None:
    """One connection that waits for its answers sees one slow request per stall: p99 is 2 ms."""
    times, now = [], 0.0
    while now < 600.0:
        done = _after_stall(now) if now % 10.0 < 1.0 else now + 0.002
        times.append(done - now)
        now = done
    assert sorted(times)[int(len(times) * 0.999)] == pytest.approx(0.002)
    assert max(times) == pytest.approx(1.0, abs=0.01)


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


class RecordingWire(Wire):
    """Notes the due instants of what it fires, and the response times in the order of the ends."""

    def __init__(self, port: int) -> None:
        super().__init__("127.0.0.1", port, None, 5, 1000)
        self.dues: list[float] = []
        self.responses: list[float] = []

    def fire(self, stream: Stream, due: float, now: float) -> bool:
        self.dues.append(due)
        return super().fire(stream, due, now)

    def answered(self, connection: Connection, stream: Stream, keep: bool) -> None:
        self.responses.append(time.monotonic() - connection.due)
        super().answered(connection, stream, keep)


async def test_every_response_time_follows_the_lindley_recursion() -> None:
    """Poisson arrivals at a real server with one queue: T = W + S, request by request.

    W of the next request is max(0, T - gap) (Lindley 1952), from the due instants that were fired
    and the service times that the server measured; only timers and the network come on top.
    """
    services: list[float] = []
    one_at_a_time = asyncio.Lock()

    async def behave(head: bytes, writer: asyncio.StreamWriter) -> bool:
        async with one_at_a_time:  # first come, first served
            begin = time.monotonic()
            await asyncio.sleep(0.01)
            services.append(time.monotonic() - begin)
            writer.write(OK)
        return True

    close = 0.0
    for _ in range(2):
        services.clear()
        async with serving(behave) as port:
            wire = RecordingWire(port)
            start = time.monotonic() + 0.05
            request = render(build(f"http://127.0.0.1:{port}", "/", {}, True))
            stream = Stream("home", request, Arrivals(poisson_phases("7"), start, 50))
            loop = OpenLoop([stream], wire, time.monotonic)
            loop.timer = precise_timer(asyncio.get_running_loop(), loop.wake)
            loop.begin()
            loop.finish(start + 5)
            while not loop.over or wire.open:
                await asyncio.sleep(0.01)
            loop.timer.close()
            wire.close()
        assert len(services) == len(wire.dues) == len(wire.responses) > 150
        truth = [services[0]]
        for (before, due), service in zip(itertools.pairwise(wire.dues), services[1:], strict=True):
            truth.append(max(0.0, truth[-1] - (due - before)) + service)
        near = [abs(seen - true) < 0.005 for seen, true in zip(wire.responses, truth, strict=True)]
        close = sum(near) / len(near)
        if close >= 0.95:
            break  # else the machine was busy: once more
    assert close >= 0.95
    assert max(truth) > 0.02  # there was a queue to be seen
