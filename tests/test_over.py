"""A dashboard's run whose time or requests are used up: it goes on watching, and fires no more."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from loadwatch.core.controls import OVER
from loadwatch.core.errors import PlanError
from loadwatch.core.plan import Load, Plan, Scenario, Seconds, Stage, Target
from loadwatch.run import Run
from loadwatch.session import Player
from loadwatch.verbs.planned import firing_time
from tests.servers import OK, answering, serving
from tests.ui_fakes import tick


@pytest.mark.parametrize(("duration", "requests"), [(1.0, None), (None, 20)])
async def test_a_run_that_is_over_says_so_and_refuses_rates(
    tmp_path: Path, duration: float | None, requests: int | None
) -> None:
    path = tmp_path / "a.loadwatch"
    async with serving(answering(OK)) as port:
        load = Load(arrival="uniform", requests=requests)
        target = Target(f"http://127.0.0.1:{port}")
        plan = Plan(target, load, (Scenario("home", rate=20.0),))
        run = Run(plan, path, duration, endless=True)
        try:
            await run.start()
            assert run.status.ended is None
            run.set_rate("home", 25.0)
            async with asyncio.timeout(30):
                while run.status.ended is None or run.history.length < 3:
                    await asyncio.sleep(0.05)
            assert run.status.ended == (duration or pytest.approx(run.result()["duration_s"]))
            assert not run.status.firing
            for refused in (lambda: run.set_rate("home", 5.0), run.find_limit):
                with pytest.raises(PlanError, match=OVER.partition("(")[0]):
                    refused()
            run.pause()
            run.resume()
            assert run.status.rates == {"home": 25.0}
            run.finish()
            await run.wait(10)
        finally:
            await run.close()
    assert {event.kind for event in run.history.events}.isdisjoint({"pause", "resume"})
    replayed = Player(path)
    await replayed.seek(3)
    assert replayed.status.ended == pytest.approx(run.status.ended)
    replayed.close()


def test_stages_are_the_time_of_firing() -> None:
    stages = (Stage(Seconds(20.0)), Stage(Seconds(10.0), 2.0))
    plan = Plan(Target("http://heywall.example"), stages=stages)
    assert firing_time(None, plan) == 30.0
    assert firing_time(5.0, plan) == 5.0
    assert firing_time(None, Plan(Target("http://heywall.example"))) is None


async def test_answers_that_become_others_are_among_the_warnings(tmp_path: Path) -> None:
    plan = Plan(Target("http://127.0.0.1:9"), scenarios=(Scenario("home", rate=1.0),))
    run = Run(plan, tmp_path / "a.loadwatch", endless=True)
    try:
        for second in range(20):
            size = 4000.0 if second < 10 else 300.0
            values = {"completed": 1.0, "status.2xx": 1.0, "received": size}
            run.bus.publish(
                tick(second, {f"scenario.home.{key}": value for key, value in values.items()})
            )
        warnings = run.status.warnings
        assert warnings == ("home: answers are typically 300 B, where they were 3.91 KiB",)
    finally:
        await run.close()
