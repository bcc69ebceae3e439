"""The search as a run drives it, on a virtual clock and for real."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from loadwatch.core.errors import PlanError
from loadwatch.core.limit import Goal, Pace, Slo
from loadwatch.core.plan import Gates, Load, Plan, Scenario, Seconds, Target
from loadwatch.demo.launch import Site
from loadwatch.demo.title import WORKER
from loadwatch.run import Run
from loadwatch.session import open_session
from tests.servers import serving
from tests.virtual import PLAN, QUICK_MM1, VirtualControls, VirtualRun, by_command, controls, mm1


def test_one_search_at_a_time() -> None:
    run = controls()
    run.find_limit()
    with pytest.raises(PlanError, match="goes on"):
        run.find_limit()


def test_the_mix_is_scaled_together() -> None:
    run = controls()
    run.change(rates={"home": 9.0, "wall": 3.0})
    run.searching.begin(QUICK_MM1, run.status.rates)
    assert run.status.rates == {"home": 7.5, "wall": 2.5}


def test_seconds_of_a_search_are_judged_apart() -> None:
    run = by_command()
    assert run.searching.apart.seconds == 0
    run.step()
    assert run.searching.apart.seconds == 1
    assert run.searching.reasons == ()


def test_an_unhealthy_generator_is_the_reason() -> None:
    run = VirtualControls(PLAN, VirtualRun(mm1(), lag=0.5), QUICK_MM1)
    run.find_limit()
    while not run.ends:
        run.step()
    assert run.searching.found[0]["ended"] == "the load generator was the limit"
    assert "send lag up to 500 ms" in run.searching.reasons[0]
    assert any("INVALID" in line for line in run.told)


# -- for real ------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def capacity(rate: float) -> AsyncIterator[str]:
    """A server that answers one request after the other, `rate` in a second."""
    free = 0.0

    async def behave(head: bytes, writer: asyncio.StreamWriter) -> bool:
        nonlocal free
        now = asyncio.get_running_loop().time()
        free = max(free, now) + 1 / rate
        await asyncio.sleep(free - now)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        return True

    async with serving(behave) as port:
        yield f"http://127.0.0.1:{port}"


SHORT = Pace("short", warm_up=1.0, trial=3.0, requests=0, parts=1, votes=1, confirmation=3.0,
             confirmed_requests=0, confirmed_rates=1, soak=0.0, proven=False)  # fmt: skip


async def test_a_real_run_searches_and_is_stopped(tmp_path: Path) -> None:
    file = tmp_path / "a.loadwatch"
    async with capacity(30) as url:
        load = Load(arrival="uniform", gates=Gates(send_lag=Seconds(2)))
        plan = Plan(Target(url), load, (Scenario("home", rate=7.0),))
        run = Run(plan, file, endless=True)
        try:
            await run.start()
            run.find_limit(Goal(Slo(p95=60, p99=60), SHORT, start=20.0))
            async with asyncio.timeout(60):
                while run.status.search is None or run.status.search.fails_at is None:
                    await asyncio.sleep(0.1)
            run.pause()
            assert run.status.search is not None
            assert run.status.search.ended == "stopped"
            assert not run.status.firing and run.status.rates == {"home": 7.0}
            result = run.result()
            run.finish()
            await run.wait(10)
        finally:
            await run.close()
    found = result["limits"][0]
    assert (found["sustained"], found["fails_at"]) == (20.0, 40.0)
    with contextlib.closing(sqlite3.connect(file)) as db:
        told = [text for (text,) in db.execute("SELECT text FROM event WHERE kind = 'limit'")]
        recorded = json.loads(
            db.execute("SELECT value FROM meta WHERE key = 'result'").fetchone()[0]
        )
        rates = [json.loads(r)["home"] for (r,) in db.execute("SELECT rates FROM step")]
    assert told[0] == "searching from 20/s"
    assert told[1].startswith("20/s PASS") and told[2].startswith("40/s FAIL")
    assert recorded["limits"] == [found]
    assert [rate for rate in rates if rate in (20.0, 40.0)] == [20.0, 40.0]
    with open_session(file) as session:
        first = found["trials"][1]["first"]
        held = next(tick for tick in session.ticks() if tick.second == first)
    assert held.rates == {"home": 40.0}


async def command(*arguments: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "loadwatch", "limit", *arguments,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    out, error = await process.communicate()
    return process.returncode or 0, out.decode(), error.decode()


async def test_the_command_against_a_server_that_fails_at_once(tmp_path: Path) -> None:
    file = tmp_path / "plan.toml"
    async with capacity(20) as url:
        file.write_text(f"""
            [target]
            url = "{url}"
            [load.gates]
            send_lag = "2s"
            [[scenario]]
            name = "home"
            [[scenario]]
            name = "wall"
            rate = 0
            [thresholds]
            "load.response.p99" = "< 900ms"
        """)
        code, out, error = await command(
            str(file), "--quick", "--start", "60", "--p95", "100ms", "--arrival", "uniform",
            "--json", "--session", str(tmp_path / "a.loadwatch"), "--scenario", "wall",
            "--mark", "2 backends",
        )  # fmt: skip
    found: dict[str, Any] = json.loads(out)
    assert code == 0, error
    assert (found["sustained"], found["fails_at"]) == (None, 60.0)
    assert found["slo"] == {"p95_ms": 100.0, "p99_ms": 900.0, "errors": 0.01, "thresholds": {}}
    assert found["arrival"] == "uniform"
    assert [(t["rate"], t["verdict"]) for t in found["trials"]] == [(60.0, "FAIL")]
    assert found["verdict"]["name"] == "unknown"  # no host was watched
    assert "a watched host" in found["verdict"]["advice"]
    assert "limit: 60/s FAIL" in error
    assert found["session"] == str(tmp_path / "a.loadwatch")
    assert found["mark"] == "2 backends"
    with open_session(tmp_path / "a.loadwatch") as session:
        fired = [step.rates for step in session.steps if step.rates["wall"] == 60]
    assert fired == [{"home": 0.0, "wall": 60.0}]


@pytest.mark.soak
@pytest.mark.timeout(300)
@pytest.mark.parametrize("backends", [2, 5])
async def test_the_limit_of_the_demo_site(backends: int, tmp_path: Path) -> None:
    """`loadwatch limit --quick` against the wall; docs/limit.md quotes what it prints."""
    with Site([f"--backends={backends}"]) as site:
        for worker in site.workers:
            os.setpriority(os.PRIO_PROCESS, worker, 19)  # so that the generator stays on time
        code, out, error = await command(
            f"{site.url}/wall/42/", "--header", f"Cookie: {site.cookie}", "--quick",
            "--start", "20", "--host", "local", "--process-command", WORKER, "--json",
            "--session", str(tmp_path / "a.loadwatch"),
        )  # fmt: skip
    found: dict[str, Any] = json.loads(out)
    assert code == 0, error
    (pair,) = (line for line in error.splitlines() if "limit: sustains" in line)
    print(f"\n{backends} workers: {pair.partition('limit: ')[2]}")
    print(found["verdict"]["name"], *found["verdict"]["evidence"], *found["explained"], sep="; ")
    assert 10 < found["sustained"] < found["fails_at"]
    assert found["verdict"]["name"].startswith("CPU")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--rate", "10"], "--rate does not go with a search"),
        (["--duration", "10s"], "--duration does not go with a search"),
        (["--scenario", "wall"], "no scenario 'wall'; there are: home"),
        (["--start", "0"], "argument --start: expected requests per second, got '0'"),
        (["--errors", "1"], "argument --errors: expected a share such as `1%`, got '1'"),
    ],
)
async def test_a_wrong_option_is_one_line(arguments: list[str], line: str) -> None:
    code, out, error = await command("http://127.0.0.1:9/", *arguments)
    assert (code, out) == (2, "")
    assert line in error and error.count("\n") == 1
