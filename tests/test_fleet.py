"""Load workers as processes: real ones, against a server in this process."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from loadwatch.core.bucket import Bucket, ScenarioBucket, add
from loadwatch.core.errors import PlanError
from loadwatch.core.plan import Load, Plan, Scenario, Seconds, Target
from loadwatch.load import messages
from loadwatch.load.fleet import Fleet, share_out
from tests.servers import OK, answering, hanging, serving


def plan(port: int, **load: object) -> Plan:
    return Plan(
        target=Target(f"http://127.0.0.1:{port}", timeout=Seconds(2)),
        load=Load(arrival="uniform", **load),  # type: ignore[arg-type]
        scenarios=(Scenario("home", "/", 100.0), Scenario("wall", "/wall/", 20.0)),
    )


class Recorded:
    """A fleet with what it reported."""

    def __init__(self, plan: Plan) -> None:
        self.buckets: list[Bucket] = []
        self.deaths: list[str] = []
        self.fleet = Fleet(plan, self.buckets.append, self.deaths.append)

    async def begin(self) -> float:
        await self.fleet.start()
        start = time.monotonic() + 0.05
        self.fleet.begin(start)
        return start

    async def done(self) -> None:
        async with asyncio.timeout(20):
            while not self.fleet.done:
                await asyncio.sleep(0.02)

    def total(self, scenario: int) -> ScenarioBucket:
        total = ScenarioBucket()
        for bucket in self.buckets:
            add(total, bucket.scenarios[scenario])
        return total


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_fleet_fires_exactly_what_is_asked(workers: int) -> None:
    async with serving(answering(OK)) as port:
        recorded = Recorded(plan(port, workers=workers))
        start = await recorded.begin()
        recorded.fleet.finish(start + 2)
        await recorded.done()
        await recorded.fleet.close()
    home, wall = recorded.total(0), recorded.total(1)
    assert (home.offered, home.status) == (200, {200: 200})
    assert (wall.offered, wall.status) == (40, {200: 40})
    assert recorded.fleet.fired_until == start + 2
    # Every second is exact, whatever worker its requests fell to.
    for second in (0, 1):
        parts = [b.scenarios[0].offered for b in recorded.buckets if b.second == second]
        assert sum(parts) == 100
        assert len(parts) == workers
    assert recorded.deaths == []


async def test_rates_turn_while_firing() -> None:
    async with serving(answering(OK)) as port:
        recorded = Recorded(plan(port))
        start = await recorded.begin()
        await asyncio.sleep(max(0, start + 1 - time.monotonic()))
        recorded.fleet.set_rates(start + 1, [10, 0])
        recorded.fleet.finish(start + 3)
        await recorded.done()
        await recorded.fleet.close()
    assert recorded.total(1).offered == pytest.approx(20, abs=3)
    assert recorded.total(0).offered == pytest.approx(120, abs=15)
    assert [b.scenarios[0].offered for b in recorded.buckets if b.second == 2] == [10]


async def test_the_number_of_requests_is_shared_out() -> None:
    async with serving(answering(OK)) as port:
        recorded = Recorded(plan(port, workers=2, requests=25))
        await recorded.begin()
        await recorded.done()
        await recorded.fleet.close()
    assert recorded.total(0).offered + recorded.total(1).offered == 25


async def test_firing_ends_where_the_next_request_of_all_would_have_been_due() -> None:
    async with serving(answering(OK)) as port:
        alone = Plan(
            Target(f"http://127.0.0.1:{port}"),
            Load(arrival="uniform", workers=3, requests=10),
            (Scenario("home", "/", 100.0),),
        )
        recorded = Recorded(alone)
        start = await recorded.begin()
        await recorded.done()
        await recorded.fleet.close()
    assert recorded.fleet.fired_until - start == pytest.approx(0.1)


async def test_a_worker_that_dies_is_said_and_the_other_goes_on() -> None:
    async with serving(answering(OK)) as port:
        recorded = Recorded(plan(port, workers=2))
        start = await recorded.begin()
        os.kill(recorded.fleet._workers[0].process.pid, signal.SIGKILL)
        recorded.fleet.finish(start + 1)
        await recorded.done()
        await recorded.fleet.close()
    assert recorded.deaths == ["load worker 1 died: signal 9"]
    assert recorded.total(0).offered >= 50


async def test_closing_ends_workers_that_still_wait() -> None:
    async with serving(hanging) as port:
        recorded = Recorded(plan(port))
        await recorded.begin()
        await asyncio.sleep(0.3)
        process = recorded.fleet._workers[0].process
        await recorded.fleet.close()
    assert process.returncode is not None
    assert recorded.deaths == []


async def test_a_request_that_cannot_be_built_is_a_plan_error() -> None:
    broken = Plan(
        target=Target("http://127.0.0.1:1"),
        scenarios=(Scenario("home", "/", 1.0, headers={"X": "a\nb"}),),
    )
    with pytest.raises(PlanError, match="line break"):
        await Recorded(broken).fleet.start()


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs /proc")
@pytest.mark.parametrize("rate", [50, 1_000_000])
async def test_a_worker_whose_parent_is_gone_ends_within_a_second(rate: int) -> None:
    program = """
        import asyncio, sys, time
        from loadwatch.core.plan import *
        from loadwatch.load.fleet import Fleet
        async def main():
            plan = Plan(Target("http://127.0.0.1:%s"), scenarios=(Scenario("home", "/", %s.0),))
            fleet = Fleet(plan, lambda bucket: None, print)
            await fleet.start()
            fleet.begin(time.monotonic())
            print(fleet._workers[0].process.pid, flush=True)
            await asyncio.sleep(60)
        asyncio.run(main())
    """
    async with serving(answering(OK)) as port:
        parent = await asyncio.create_subprocess_exec(
            sys.executable, "-c", textwrap.dedent(program % (port, rate)), stdout=subprocess.PIPE
        )
        assert parent.stdout is not None
        worker = int(await parent.stdout.readline())
        await asyncio.sleep(0.3)
        assert alive(worker)
        parent.kill()
        await parent.wait()
        deadline = time.monotonic() + 1.0
        while alive(worker) and time.monotonic() < deadline:
            await asyncio.sleep(0.02)
        assert not alive(worker)


def test_shares_add_up() -> None:
    whole = plan(1, workers=3, max_in_flight=10, requests=100)
    jobs = share_out(whole)
    assert [job.max_in_flight for job in jobs] == [4, 3, 3]
    assert sum(job.requests or 0 for job in jobs) == 100
    closed = share_out(plan(1, workers=4, connections=2))
    assert [job.connections for job in closed] == [1, 1]  # no worker without a connection


def test_messages_survive_any_cut() -> None:
    sent = [messages.Begin(1.5), messages.Rates(2.0, [1.0, 2.5]), messages.Finish(3.0)]
    data = b"".join(map(messages.encode, sent))
    for size in (1, 2, 5, 1000):
        splitter = messages.Splitter()
        bodies = [b for i in range(0, len(data), size) for b in splitter.feed(data[i : i + size])]
        assert [messages.decode_command(body) for body in bodies] == sent
