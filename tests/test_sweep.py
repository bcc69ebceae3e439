"""A sweep: each value set in turn, its limit found, the first one set again, whatever happens."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from loadwatch.analysis import search
from loadwatch.analysis.ledger import Cell
from loadwatch.core.action import Done
from loadwatch.core.errors import HostError
from loadwatch.core.limit import Goal, Pace, Slo
from loadwatch.core.plan import Action, Gates, Host, Load, Plan, Scenario, Seconds, Target, Value
from loadwatch.reports.limits import gather
from loadwatch.reports.sweep import curve, sweep_as_json
from loadwatch.run import Run
from loadwatch.sweeping import Sweep
from tests import pool
from tests.ledgers import Measured, session
from tests.servers import OK, serving
from tests.sshd import Sshd, eventually, sshd, start_sshd
from tests.virtual import PLAN, QUICK_MM1, VirtualControls, VirtualRun, mm1

__all__ = ["sshd", "start_sshd"]  # the fixtures

ACTION = Action("backends", "set {value}", (2, 5, 10))


class Knob(VirtualControls):
    """A run on a virtual clock whose server takes 20/s per backend, and swaps with ten of them."""

    def __init__(self, fails: Callable[[int, Value], Done] = lambda count, value: Done(0)) -> None:
        super().__init__(PLAN, VirtualRun(mm1()), QUICK_MM1)
        self.set: list[Value] = []
        self._fails = fails

    async def act(self, name: str, value: Value) -> Done:
        assert name == "backends" and not self.status.firing
        self.set.append(value)
        await asyncio.sleep(0)
        done = self._fails(len(self.set), value)
        assert isinstance(value, int)
        self.run.server = mm1(mu=20.0 * (value if value < 10 else 3))
        return done

    def resume(self) -> None:
        super().resume()
        self.run.turn(sum(self.status.rates.values()))

    async def searched(self) -> None:
        while not self.ends or not self.searching.status or not self.searching.status.ended:
            self.step()
            if self.run.second % 50 == 0:
                await asyncio.sleep(0)


def sweep_of(knob: Knob) -> Sweep:
    return Sweep(knob, ACTION, QUICK_MM1, [{"home": 10.0}], knob.searched)


async def test_every_value_has_its_limit_and_the_first_stands_at_the_end() -> None:
    knob = Knob()
    sweep = sweep_of(knob)
    await sweep.carry_out()
    assert knob.set == [2, 5, 10, 2]
    assert (sweep.problems, sweep.restored, knob.status.firing) == ([], True, False)
    # M/M/1 with p99 <= 200 ms: mu - ln(100) / 0.2
    truths = [40 - 23.03, 100 - 23.03, 60 - 23.03]
    for found, truth in zip(knob.searching.found, truths, strict=True):
        assert truth * 0.6 < found["sustained"] < truth * 1.3


def raising(count: int, value: Value) -> Done:
    if count == 2:
        raise HostError("host web: not connected")
    return Done(0)


@pytest.mark.parametrize(
    ("fails", "set_", "problem"),
    [
        (raising, [2, 5, 2], "backends = 5: host web: not connected"),
        (lambda n, value: Done(int(n == 2), ("no",)), [2, 5, 2], "backends = 5: exit code 1: no"),
        (lambda n, value: Done(int(n == 1)), [2, 2], "backends = 2: exit code 1"),
    ],
)  # fmt: skip
async def test_a_failure_ends_it_and_the_first_value_is_set_again(
    fails: Callable[[int, Value], Done], set_: list[int], problem: str
) -> None:
    knob = Knob(fails)
    sweep = sweep_of(knob)
    await sweep.carry_out()
    assert (knob.set, sweep.problems, sweep.restored) == (set_, [problem], True)


async def test_what_cannot_be_restored_is_said() -> None:
    sweep = sweep_of(Knob(lambda count, value: Done(int(count > 1))))
    await sweep.carry_out()
    assert sweep.problems == [
        "backends = 5: exit code 1", "backends = 2: exit code 1", "backends = 2 is not restored",
    ]  # fmt: skip
    assert not sweep.restored


async def test_an_unhealthy_generator_ends_it() -> None:
    knob = Knob()
    knob.run.lag = 0.5
    sweep = sweep_of(knob)
    await sweep.carry_out()
    assert (knob.set, sweep.problems) == ([2], ["the load generator was the limit"])


async def test_stopped_it_sets_the_first_value_again() -> None:
    knob = Knob()
    sweep = sweep_of(knob)
    task = asyncio.create_task(sweep.carry_out())
    while knob.set != [2, 5] or knob.searching.status is None or knob.searching.status.ended:
        await asyncio.sleep(0)
    sweep.stop()
    await task
    assert (knob.set, sweep.restored, sweep.problems) == ([2, 5, 2], True, [])
    assert knob.searching.found[-1]["ended"] == "stopped"


async def test_cancelled_it_lets_a_command_end_and_then_restores() -> None:
    order: list[str] = []

    class Slow(Knob):
        async def act(self, name: str, value: Value) -> Done:
            order.append(f"begin {value}")
            if value == 5:
                await asyncio.sleep(0.05)
            order.append(f"end {value}")
            return await super().act(name, value)

    knob = Slow()
    sweep = sweep_of(knob)
    task = asyncio.create_task(sweep.carry_out())
    while "begin 5" not in order:
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert order == ["begin 2", "end 2", "begin 5", "end 5", "begin 2", "end 2"]
    assert sweep.restored


async def test_each_scenario_is_searched_alone() -> None:
    knob = Knob()
    knob.change(rates={"home": 10.0, "wall": 2.0})
    fired = []
    mixes = [{"home": 10.0, "wall": 0.0}, {"home": 0.0, "wall": 2.0}]

    async def searched() -> None:
        fired.append({name: rate > 0 for name, rate in knob.status.rates.items()})
        knob.searching.stop()

    await Sweep(
        knob, Action("backends", "set {value}", (2,)), QUICK_MM1, mixes, searched
    ).carry_out()
    assert fired == [{"home": True, "wall": False}, {"home": False, "wall": True}]


# -- as it is told -------------------------------------------------------------------------------


def test_the_curve_over_the_values(tmp_path: Path) -> None:
    found = gather([session(tmp_path / "a.loadwatch", [
        Measured("backends = 10", "wall", 7, 7.3), Measured("backends = 2", "wall", 8, 8.4),
        Measured("backends = 5", "wall", 11, 11.5), Measured("other", "wall", 99, 100),
    ])])  # fmt: skip
    assert curve(found, ACTION) == (
        "backends  wall\n"
        f"2         8–8.4/s    {'█' * 29}\n"
        f"5         11–11.5/s  {'█' * 40}\n"
        f"10        7–7.3/s    {'█' * 25}"
    )
    told = sweep_as_json(found, ACTION, ["x"], False, "a")
    assert [one["value"] for one in told["values"]] == [2, 5, 10]
    assert told["values"][1]["limits"]["wall"]["fails_at"] == 11.5
    assert (told["restored"], told["problems"]) == (False, ["x"])


def test_where_no_rate_held_there_is_no_bar(tmp_path: Path) -> None:
    found = gather([session(tmp_path / "a.loadwatch", [Measured("backends = 2", "wall", None, 8)])])
    assert curve(found, ACTION) == "backends  wall\n2         < 8/s"


# -- for real ------------------------------------------------------------------------------------

SHORT = Pace("short", warm_up=1.0, trial=2.0, requests=0, parts=1, votes=1, confirmation=2.0,
             confirmed_requests=0, confirmed_rates=1, soak=0.0, proven=False)  # fmt: skip


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


async def swept(directory: Path) -> list[tuple[Cell, str]]:
    """A coarse sweep over 1 and 2 workers that take 20/s each, restarted over SSH."""
    port = free_port()
    command = f"{sys.executable} {pool.__file__} {directory} {port} {{value}}"
    action = Action("workers", command, (1, 2), "http 200 on /")
    load = Load(arrival="uniform", gates=Gates(send_lag=Seconds(2)))
    plan = Plan(Target(f"http://127.0.0.1:{port}"), load, (Scenario("home", rate=5),),
                hosts=(Host("web", "web", actions=(action,)),))  # fmt: skip
    run = Run(plan, directory / "a.loadwatch", endless=True)
    sweep = Sweep(run, action, Goal(Slo(), SHORT, start=15.0), [{"home": 5.0}], run.searched)
    try:
        await run.start(hosts_first=True)
        async with asyncio.timeout(100):
            await sweep.carry_out()
        run.finish()
        await run.wait(20)
    finally:
        await run.close()
    assert sweep.restored
    assert (directory / "log").read_text() == "1\n2\n1\n"
    found = gather([directory / "a.loadwatch"])
    return [(row.cells["home"], row.configuration) for row in found.rows]


@pytest.mark.timeout(200)
async def test_the_workers_of_a_real_server_over_ssh(
    sshd: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once more where this machine stood still in a trial, which fails a rate that would hold."""
    monkeypatch.setattr(search, "WIDTH", 2.0)
    for directory in (tmp_path / "first", tmp_path / "again"):
        directory.mkdir()
        found = await swept(directory)
        pairs = [(cell.limit.sustained, cell.limit.fails_at) for cell, _ in found]
        if pairs == [(15.0, 30.0), (30.0, 60.0)]:
            break
    assert pairs == [(15.0, 30.0), (30.0, 60.0)]
    assert [name for _, name in found] == ["workers = 1", "workers = 2"]
    change = found[1][0].change
    assert change is not None and change.verdict == "more"


@contextlib.asynccontextmanager
async def refusing() -> AsyncIterator[str]:
    """A server that is there, but has no page other than its first."""

    async def behave(head: bytes, writer: asyncio.StreamWriter) -> bool:
        refused = b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"
        writer.write(OK if head.startswith(b"GET / ") else refused)
        return True

    async with serving(behave) as port:
        yield f"http://127.0.0.1:{port}"


@contextlib.asynccontextmanager
async def sweeping(
    tmp_path: Path, url: str, *more: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """The command, over two values of a file; the first rate of a search fails."""
    file = tmp_path / "plan.toml"
    file.write_text(f"""
        [target]
        url = "{url}"
        [load]
        arrival = "uniform"
        [load.gates]
        send_lag = "2s"
        [[scenario]]
        name = "home"
        path = "/home"
        [[host]]
        name = "here"
        ssh = "local"
        [[host.action]]
        name = "backends"
        command = "echo {{value}} >>{tmp_path / "log"}"
        values = [2, 5]
        wait = "http 200 on /"
    """)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "loadwatch", "sweep", "backends", str(file), "--quick", "--start",
        "60", "--session", str(tmp_path / "a.loadwatch"), *more,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_interrupted_the_command_sets_the_first_value_again(tmp_path: Path) -> None:
    """Ctrl-C comes in the second search."""
    log = tmp_path / "log"
    async with refusing() as url, sweeping(tmp_path, url, "--json") as process:
        assert await asyncio.to_thread(
            eventually, lambda: log.exists() and log.read_text() == "2\n5\n", 60
        )
        process.send_signal(signal.SIGINT)
        out, error = await process.communicate()
    assert process.returncode == 130, error.decode()
    assert log.read_text() == "2\n5\n2\n"
    told = json.loads(out)
    assert (told["action"], told["restored"], told["problems"]) == ("backends", True, [])
    assert told["values"][0]["configuration"] == "backends = 2"
    limit = told["values"][0]["limits"]["home"]
    assert (limit["sustained"], limit["fails_at"]) == (None, 60)


async def test_the_command_fills_the_ledger(tmp_path: Path) -> None:
    async with refusing() as url, sweeping(tmp_path, url) as process:
        out, error = await process.communicate()
    assert process.returncode == 0, error.decode()
    assert (tmp_path / "log").read_text() == "2\n5\n2\n"
    text = out.decode()
    assert text.startswith("backends  home\n2         < 60/s\n5         < 60/s\n")
    assert "backends = 5   < 60/s  not told apart" in text
    assert "action: here: backends = 5: exit code 0" in error.decode()


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["backends", "http://127.0.0.1:9/"], "the plan has no action 'backends'; it has: none"),
        (["backends", "http://127.0.0.1:9/", "--rate", "3"], "--rate does not go with a search"),
    ],
)
def test_a_wrong_sweep_is_one_line(arguments: list[str], line: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "loadwatch", "sweep", *arguments],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, "")
    assert line in done.stderr and done.stderr.count("\n") == 1
