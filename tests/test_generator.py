"""The open loop on a virtual clock: nothing sleeps, every instant is known."""

from __future__ import annotations

import math

import pytest

from loadwatch.core.histogram import Histogram
from loadwatch.load.arrivals import Arrivals, uniform_phases
from loadwatch.load.generator import OpenLoop
from loadwatch.load.stream import Stream


class VirtualTime:
    """A clock that stands until it is moved, and a timer that fires when it is moved past."""

    def __init__(self) -> None:
        self.now = 0.0
        self.deadline = math.inf
        self.loop: OpenLoop | None = None

    def __call__(self) -> float:
        return self.now

    def arm(self, at: float) -> None:
        self.deadline = at

    def close(self) -> None:
        self.deadline = math.inf

    def run(self, until: float, lateness: float = 0.0) -> None:
        """Let time pass to `until`; every wake-up comes `lateness` seconds late."""
        assert self.loop is not None
        while self.deadline + lateness < until:
            # The few nanoseconds by which a real timer is always late.
            self.now = max(self.now, self.deadline + lateness) + 1e-9
            self.deadline = math.inf
            self.loop.wake()
        self.now = until


class ScriptedWire:
    """Takes every request, or drops all past `limit`."""

    def __init__(self, limit: float = math.inf) -> None:
        self.fired: list[tuple[str, float, float]] = []
        self.limit = limit

    def fire(self, stream: Stream, due: float, now: float) -> bool:
        stream.bucket.offered += 1
        if len(self.fired) >= self.limit:
            stream.bucket.dropped += 1
            return False
        self.fired.append((stream.name, due, now))
        return True


def open_loop(
    time: VirtualTime, wire: ScriptedWire, rates: dict[str, float], requests: int | None = None
) -> tuple[OpenLoop, list[Stream]]:
    streams = [Stream(n, b"", Arrivals(uniform_phases(), 0.0, rate)) for n, rate in rates.items()]
    loop = OpenLoop(streams, wire, time, requests)
    loop.timer = time
    time.loop = loop
    loop.begin()
    return loop, streams


def test_every_request_is_fired_at_its_due_instant() -> None:
    time, wire = VirtualTime(), ScriptedWire()
    open_loop(time, wire, {"home": 4, "wall": 1})
    time.run(2.0)
    assert [(name, due) for name, due, _ in wire.fired] == [
        ("home", 0.0), ("wall", 0.0), ("home", 0.25), ("home", 0.5), ("home", 0.75),
        ("home", 1.0), ("wall", 1.0), ("home", 1.25), ("home", 1.5), ("home", 1.75),
    ]  # fmt: skip


def test_our_own_lateness_is_on_record_and_nothing_is_skipped() -> None:
    time, wire = VirtualTime(), ScriptedWire()
    _, (stream,) = open_loop(time, wire, {"home": 100})
    time.run(10.0, lateness=0.035)
    dues = [due for _, due, _ in wire.fired]
    assert len(dues) >= 990
    assert dues == pytest.approx([n / 100 for n in range(len(dues))])
    lag = Histogram(stream.bucket.lag)
    assert lag.total == len(dues)
    assert lag.max == pytest.approx(0.035, rel=1e-3)


def test_a_stalled_generator_fires_what_was_due_when_it_wakes() -> None:
    time, wire = VirtualTime(), ScriptedWire()
    loop, (stream,) = open_loop(time, wire, {"home": 10})
    time.run(1.0)
    time.now = 2.0  # nothing ran for a second
    loop.wake()
    assert len(wire.fired) == 20
    assert Histogram(stream.bucket.lag).max == pytest.approx(1.0, rel=1e-3)


def test_a_second_is_closed_with_all_that_was_due_in_it() -> None:
    """`advance` to a boundary excludes the boundary, so counts per second are exact."""
    time, wire = VirtualTime(), ScriptedWire()
    loop, (stream,) = open_loop(time, wire, {"home": 7})
    offered = []
    for second in range(1, 6):
        time.now = second + 0.3
        loop.advance(second)
        offered.append(stream.bucket.offered)
    assert offered == [7, 14, 21, 28, 35]


def test_a_rate_that_nobody_can_fire_leaves_the_loop_its_turn() -> None:
    time, wire = VirtualTime(), ScriptedWire()
    loop, _ = open_loop(time, wire, {"home": 1e6})
    time.now = 1.0
    assert not loop.advance(1.0)
    assert len(wire.fired) == OpenLoop.BATCH
    assert time.deadline < 1.0  # it goes on at once, after whatever else waits


@pytest.mark.parametrize(("requests", "until"), [(1, 0.2), (5, 1.0), (20, 4.0)])
def test_it_ends_after_so_many_requests(requests: int, until: float) -> None:
    time, wire = VirtualTime(), ScriptedWire()
    loop, _ = open_loop(time, wire, {"home": 5}, requests)
    time.run(10.0)
    assert len(wire.fired) == requests
    assert loop.over
    assert loop.until == pytest.approx(until)  # requests / rate: the rate that was asked for


def test_it_ends_at_an_instant_that_is_not_included() -> None:
    time, wire = VirtualTime(), ScriptedWire()
    loop, _ = open_loop(time, wire, {"home": 5})
    loop.finish(2.0)
    time.run(10.0)
    assert len(wire.fired) == 10
    assert loop.over
    assert loop.until == 2.0


def test_what_was_due_before_a_rate_change_is_fired_before_it() -> None:
    time, wire = VirtualTime(), ScriptedWire()
    loop, _ = open_loop(time, wire, {"home": 10})
    time.run(1.0)
    time.now = 1.5  # the command comes while the process was held up
    loop.set_rates(1.5, [2])
    assert [due for _, due, _ in wire.fired] == pytest.approx([n / 10 for n in range(15)])
    time.run(3.4)
    assert [due for _, due, _ in wire.fired[15:]] == pytest.approx([1.5, 2.0, 2.5, 3.0])


def test_a_pause_leaves_no_debt() -> None:
    time, wire = VirtualTime(), ScriptedWire()
    loop, _ = open_loop(time, wire, {"home": 100})
    time.run(1.0)
    loop.set_rates(1.0, [0])
    time.run(61.0)
    fired = len(wire.fired)
    loop.set_rates(61.0, [100])
    time.run(62.0)
    assert fired == 100
    assert len(wire.fired) == 200


def test_drops_are_counted_and_have_no_lag() -> None:
    time, wire = VirtualTime(), ScriptedWire(limit=3)
    _, (stream,) = open_loop(time, wire, {"home": 10})
    time.run(1.0)
    bucket = stream.bucket
    assert (bucket.offered, bucket.dropped, sum(bucket.lag.values())) == (10, 7, 3)
