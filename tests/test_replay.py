"""Replays: the dashboard from a file, its time in our hands; sessions followed and repeated."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from textual.pilot import Pilot

from loadwatch.config import redact
from loadwatch.core.controls import SPEEDS, RunStatus
from loadwatch.core.errors import PlanError
from loadwatch.core.plan import Group, Host, Load, Plan, Scenario, Target, Ui
from loadwatch.core.reading import HostStatus
from loadwatch.core.tick import Event, Tick
from loadwatch.session import Player, Recorder, open_session
from loadwatch.session.player import PATIENCE
from loadwatch.ui.app import LoadwatchApp
from loadwatch.ui.screens.replay import ReplayApp, seconds_of
from tests import ticks
from tests.recordings import record
from tests.terminal import terminal
from tests.test_cli import a_site, loadwatch, result_of
from tests.ticks import CATALOGUE
from tests.ui_fakes import FakeControls, shown, told

PLAN = Plan(
    Target("http://heywall.example"),
    Load(),
    (Scenario("home", rate=10.0), Scenario("wall", "/wall/", 2.0)),
    (Host("web", "web", groups=(Group("backends", user="www-data"),)),),
)

MARKS = {20: "10 backends", 40: "gzip on"}


def story() -> list[Tick]:
    """A minute with two marks, a pause and a host that is lost for a while."""
    made = list(ticks.run(60, turns={30: {"home": 40.0}}, marks=MARKS, gaps=[50, 51]))
    said = {
        0: Event(0.0, "host", "live", "web"),
        45: Event(45.0, "pause", "firing stopped"),
        48: Event(48.0, "resume", "firing resumed"),
        50: Event(50.0, "gap", "lost: connection reset", "web"),
        53: Event(53.0, "host", "live", "web"),
    }
    return [replace(t, events=(*t.events, said[t.second])) if t.second in said else t for t in made]


META = {"target": PLAN.target.url, "plan": redact(PLAN), "seed": 1, "duration": 60.0}


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return record(tmp_path_factory.mktemp("replay") / "a.loadwatch", story(), META)


@contextlib.contextmanager
def player(path: Path, **more: Any) -> Iterator[Player]:
    made = Player(path, **more)
    try:
        yield made
    finally:
        made.close()


# -- the same picture ----------------------------------------------------------------------------


def live_status(at: int) -> RunStatus:
    """What the run itself said after so many seconds."""
    state = "lost" if 50 < at <= 53 else "live"
    detail = "connection reset" if state == "lost" else ""
    return RunStatus(
        target="http://heywall.example",
        rates={"home": 40.0 if at > 30 else 10.0, "wall": 2.0},
        firing=not (45 < at <= 48 or at >= 60),
        ended=60.0 if at >= 60 else None,
        elapsed=float(at),
        hosts=(HostStatus("web", state, detail, gaps=int(at > 50)),),  # type: ignore[arg-type]
        recording="a.loadwatch",
        groups={"web": (Group("backends", user="www-data"),)},
    )


async def picture(app: LoadwatchApp, size: tuple[int, int]) -> str:
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        await app._dashboard.advance()
        await pilot.pause()
        return app.export_screenshot(title="loadwatch")


@pytest.mark.parametrize("size", [(160, 45), (80, 24)])
@pytest.mark.parametrize("at", [12, 47, 52, 60])
async def test_live_and_replay_are_the_same_picture(
    session: Path, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int], at: int
) -> None:
    monkeypatch.chdir(session.parent)
    bus, history = told(iter(story()[:at]))
    live = LoadwatchApp(bus, history, FakeControls(live_status(at)), CATALOGUE)
    with player(Path("a.loadwatch")) as played:
        await played.seek(at)
        assert played.status == live_status(at)
        recorded = LoadwatchApp(played.bus, played.history, played, CATALOGUE)
        assert await picture(recorded, size) == await picture(live, size)


# -- its time ------------------------------------------------------------------------------------


async def test_any_way_to_a_second_shows_the_same(session: Path) -> None:
    with player(session) as played:
        for second in (60, 12, 13, 5, 48):
            await played.seek(second)
            _, history = told(iter(story()[:second]))
            assert played.position.second == played.history.length == second
            assert played.status == replace(live_status(second), recording=str(session))
            assert played.history.events == history.events
            assert played.history.total.tallies.keys() == history.total.tallies.keys()
            for key in history.total.tallies:
                assert played.history.total.mean(key) == history.total.mean(key)
            assert [s.first for s in played.history.steps] == [s.first for s in history.steps]


async def test_whoever_listens_finds_the_status_of_the_second(session: Path) -> None:
    with player(session) as played:
        seen = []
        played.bus.subscribe(lambda tick: seen.append((tick.second, played.status)))
        await played.seek(60)
        await played.seek(49)  # from the first second on again
        told = [replace(live_status(at + 1), recording=str(session)) for at in range(60)]
        assert seen == list(enumerate(told)) + list(enumerate(told[:49]))


@pytest.mark.parametrize(("asked", "at"), [(-5, 1), (0, 1), (61, 60), (10**9, 60)])
async def test_beyond_an_end_is_that_end(session: Path, asked: int, at: int) -> None:
    with player(session) as played:
        await played.seek(asked)
        assert played.position.second == at


class Time:
    """Sleeps that end when they are told to, and what they were asked for."""

    def __init__(self) -> None:
        self.asked: list[float] = []
        self._asleep: list[asyncio.Future[None]] = []

    async def sleep(self, seconds: float) -> None:
        self.asked.append(seconds)
        self._asleep.append(asyncio.get_running_loop().create_future())
        await self._asleep[-1]

    async def pass_(self, times: int = 1) -> None:
        for _ in range(times):
            await self._settle()
            while self._asleep:
                self._asleep.pop().set_result(None)
            await self._settle()

    async def _settle(self) -> None:
        for _ in range(20):
            await asyncio.sleep(0)


@asynccontextmanager
async def playing(path: Path, **more: Any) -> AsyncIterator[tuple[Player, Time]]:
    clock = Time()
    with player(path, sleep=clock.sleep, **more) as played:
        task = asyncio.create_task(played.play())
        await asyncio.sleep(0)
        try:
            yield played, clock
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def test_it_plays_at_any_speed_and_stands_when_it_is_told_to(session: Path) -> None:
    async with playing(session) as (played, clock):
        await clock.pass_(3)
        assert (played.position.second, played.position.playing) == (3, True)
        for speed in SPEEDS:
            played.set_speed(speed)
            await clock.pass_()
            assert clock.asked[-1] == 1 / speed
        played.pause()
        await clock.pass_(2)
        assert (played.position.second, played.position.playing) == (9, False)
        played.resume()
        await clock.pass_(1)
        assert played.position.second == 10
        with pytest.raises(PlanError, match="a speed is one of 1, 2, 5, 10, 30, 60, got 3"):
            played.set_speed(3)


async def test_at_the_end_it_stands_and_begins_anew(session: Path) -> None:
    async with playing(session) as (played, clock):
        await played.seek(58)
        await clock.pass_(5)
        assert (played.position.second, played.position.playing) == (60, False)
        played.resume()
        await clock.pass_(2)
        assert (played.position.second, played.history.length) == (2, 2)


async def test_what_a_recorded_run_cannot_is_refused(session: Path) -> None:
    with player(session) as played:
        for refused in (lambda: played.set_rate("home", 5), lambda: played.mark("x")):
            with pytest.raises(PlanError, match="a recorded run"):
                refused()


async def test_why_it_is_invalid_is_said_as_it_was(tmp_path: Path) -> None:
    died = {"generator": {"reasons": ["load worker 1 died"]}}
    path = record(tmp_path / "a.lw", story()[:5], META, died)
    with player(path, reasons=lambda total: (f"{total.seconds} late",)) as played:
        await played.seek(3)
        assert played.status.reasons == ("3 late",)
        await played.seek(5)
        assert played.status.reasons == ("load worker 1 died",)


async def test_an_export_goes_beside_the_session(session: Path) -> None:
    with player(session) as played:
        directory = Path(await played.export())
    assert directory == session.with_name("a-csv")
    assert (directory / "timeline.csv").exists()


# -- under the dashboard -------------------------------------------------------------------------


@asynccontextmanager
async def replayed(path: Path, **more: Any) -> AsyncIterator[tuple[Pilot[None], Player, Any]]:
    with player(path, **more) as played:
        app = ReplayApp(played.bus, played.history, played, CATALOGUE)
        async with app.run_test(size=(160, 45)) as pilot:
            await played.seek(5)
            await pilot.pause()
            yield pilot, played, app


async def test_keys_turn_the_time(session: Path) -> None:
    async with replayed(session) as (pilot, played, app):
        await pilot.press("full_stop", "full_stop", "comma")
        assert played.position.second == 6
        await pilot.press("n")
        assert played.position.second == 21
        await pilot.press("n")
        assert (played.position.second, played.history.step.mark) == (41, "gzip on")
        await pilot.press("n")
        assert played.position.second == 41
        await pilot.press("b")
        assert played.position.second == 21
        await pilot.press("+", "+", "-")
        assert played.position.speed == 2
        await pilot.press("space")
        assert played.position.playing
        await pilot.press("space")
        assert not played.position.playing
        await pilot.press("=")
        await pilot.press(*"0:33", "enter")
        await pilot.pause()
        assert played.position.second == 33
        text = shown(app)
        assert "0:33 of 1:00" in text
        assert "“10 backends”" in text
        assert "■ ×2" in text


async def test_nothing_fires_or_records_in_a_replay(session: Path) -> None:
    async with replayed(session) as (pilot, _, app):
        assert "● firing (recorded)" in shown(app)
        assert "of a.loadwatch" in shown(app)
        assert "rec a.loadwatch" not in shown(app)
        await pilot.press("=", *"46", "enter")
        await pilot.pause()
        assert "■ paused (recorded)" in shown(app)
        await pilot.press("=", *"1:00", "enter")
        await pilot.pause()
        assert "■ ended at 1:00" in shown(app)


async def test_what_it_cannot_is_not_offered(session: Path) -> None:
    async with replayed(session) as (pilot, played, app):
        await pilot.press("]", "m", "ctrl+x", "[")
        assert played.position.second == 5
        await pilot.press("question_mark")
        await pilot.pause()
        text = shown(app)
        assert "To the next mark" in text
        for absent in ("Double the rate", "Stop firing", "Note what follows", "Type a rate"):
            assert absent not in text


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("1:30", 90), (" 1:02:03 ", 3723), ("0", 0)]
)
def test_a_time_as_typed(text: str, seconds: int) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "1:", "1:2:3:4", "-5", "1.5", "x", "99:99:99", "1:60"])
def test_no_time(text: str) -> None:
    with pytest.raises(ValueError, match="such as 90 or 1:30"):
        seconds_of(text)


# -- followed ------------------------------------------------------------------------------------


async def test_a_run_that_another_process_records_is_followed(tmp_path: Path) -> None:
    path = tmp_path / "a.lw"
    recorder = Recorder(path, META, CATALOGUE)
    made = story()
    async with playing(path, follow=True) as (played, clock):
        for second, one in enumerate(made[:6]):
            recorder.add(one)
            while played.history.length <= second:
                await clock.pass_()
                await asyncio.sleep(0.002)
        assert played.status.rates == {"home": 10.0, "wall": 2.0}
        played.pause()  # its time is not ours
        played.resume()
        assert played.position.following
        recorder.close()
        assert played.status.ended is None
        await clock.pass_(2)
        assert (played.history.length, played.position.end) == (6, 6)
        assert played.status.ended == 6.0
        assert not played.position.following  # from now on it is like any other
        assert not played.position.playing
        await played.seek(3)
        assert (played.history.length, played.status.ended) == (3, None)


async def test_a_followed_run_that_crashed_is_over_after_a_while(tmp_path: Path) -> None:
    path = tmp_path / "a.lw"
    recorder = Recorder(path, META, CATALOGUE)
    recorder.add(story()[0])
    async with playing(path, follow=True) as (played, clock):
        while not played.history.length:
            await clock.pass_()
            await asyncio.sleep(0.002)
        await clock.pass_(PATIENCE - 1)
        assert played.position.following
        await clock.pass_(2)
        assert not played.position.following
        assert played.status.ended == 1.0
    recorder.close()


async def test_following_offers_no_time(session: Path) -> None:
    async with replayed(session, follow=True) as (pilot, played, app):
        await pilot.press("n", "comma", "space", "=")
        assert played.position.second == 5
        assert "◉ following: this run is recorded elsewhere" in shown(app)


def test_two_terminals_follow_a_run(tmp_path: Path) -> None:
    session = tmp_path / "a.loadwatch"
    with a_site() as url:
        run = subprocess.Popen(
            [sys.executable, "-m", "loadwatch", "run", url, "--rate", "20", "--duration", "60s",
             "--arrival", "uniform", "--json", "--session", str(session)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert run.stderr is not None
        next(line for line in run.stderr if "0:00  offered" in line)
        watch = (sys.executable, "-m", "loadwatch", "watch", "--follow", str(session))
        with terminal(*watch) as one, terminal(*watch, columns=80, rows=24) as other:
            for each in (one, other):
                each.wait_for(lambda text: "following" in text and "completed" in text)
                each.wait_for("20/s")
            for each in (one, other):
                each.press("q")
                assert each.end() == (0, each.raw.decode(errors="replace"))
        run.send_signal(signal.SIGINT)
        out, _ = run.communicate(timeout=30)
    assert json.loads(out)["generator"]["healthy"] in (True, False)
    with open_session(session) as recorded:
        seconds = [tick.second for tick in recorded.ticks()]
    assert seconds == list(range(len(seconds)))


def test_a_replay_in_a_terminal(session: Path) -> None:
    with terminal(sys.executable, "-m", "loadwatch", "replay", str(session)) as shown_:
        shown_.wait_for("heywall.example")
        shown_.press("n")
        shown_.wait_for("“10 backends”")
        shown_.press("q")
        code, said = shown_.end()
    assert code == 0, said


def test_a_replay_has_the_panes_that_its_plan_names(tmp_path: Path) -> None:
    chosen = msgspec.structs.replace(PLAN, ui=Ui(panes=("swap", "gone", "rate")))
    path = record(tmp_path / "a.lw", story(), {**META, "plan": redact(chosen)})
    with terminal(sys.executable, "-m", "loadwatch", "replay", str(path)) as shown_:
        shown_.wait_for(lambda text: " Rate " in text and " Swap " in text)
        assert " Status " not in shown_.text
        shown_.press("q")
        code, said = shown_.end()
    assert code == 0, said


# -- repeated ------------------------------------------------------------------------------------


def test_a_session_is_repeated(tmp_path: Path) -> None:
    with a_site() as url:
        plan = tmp_path / "plan.toml"
        plan.write_text(
            f'[target]\nurl = "{url}"\n[load]\nseed = 7\n[[scenario]]\nname = "home"\nrate = 40\n'
            'headers = { X-Test = "${env:LW_REPEAT}" }\n',
            encoding="utf-8",
        )
        env = {"LW_REPEAT": "once"}
        first = loadwatch("run", str(plan), "--duration", "2s", "--json", "--session",
                          str(tmp_path / "a.lw"), env=env)  # fmt: skip
        again = loadwatch("run", str(tmp_path / "a.lw"), "--json", "--session",
                          str(tmp_path / "b.lw"), env=env)  # fmt: skip
        assert again.returncode in (0, 4), again.stderr  # a busy machine is not the question
        # The same seed: the same Poisson arrivals, to the last one.
        assert result_of(again)["offered"] == result_of(first)["offered"]
        assert result_of(again)["duration_s"] == 2.0
        longer = loadwatch("run", str(tmp_path / "a.lw"), "--duration", "1s", "--seed", "8",
                           "--json", "--session", str(tmp_path / "c.lw"), env=env)  # fmt: skip
        assert result_of(longer)["duration_s"] == 1.0
    with open_session(tmp_path / "b.lw") as session:
        assert session.about["plan"]["load"]["seed"] == 7
    with open_session(tmp_path / "c.lw") as session:
        assert session.about["plan"]["load"]["seed"] == 8


def test_a_staged_session_is_repeated_with_its_stages(tmp_path: Path) -> None:
    with a_site() as url:
        plan = tmp_path / "plan.toml"
        plan.write_text(
            f'[target]\nurl = "{url}"\n[load]\narrival = "uniform"\n'
            '[[scenario]]\nname = "home"\nrate = 20\n[[stage]]\nduration = "1s"\nscale = 0.5\n'
            '[[stage]]\nduration = "1s"\n',
            encoding="utf-8",
        )
        first = loadwatch("run", str(plan), "--json", "--session", str(tmp_path / "a.lw"))
        again = loadwatch("run", str(tmp_path / "a.lw"), "--json", "--session",
                          str(tmp_path / "b.lw"))  # fmt: skip
    assert result_of(again)["offered"] == result_of(first)["offered"]


def test_what_was_not_recorded_has_to_be_given(tmp_path: Path) -> None:
    secret = replace_headers({"Cookie": "sessionid=clear"})
    path = record(tmp_path / "a.lw", story()[:3], {**META, "plan": redact(secret)})
    done = loadwatch("run", str(path), "--session", str(tmp_path / "b.lw"))
    assert (done.returncode, done.stdout) == (2, "")
    assert "scenario home: Cookie was not recorded, as it stood in clear: give it by --header" in (
        done.stderr
    )
    none = loadwatch("run", "nothing-of-that-name")
    assert none.returncode == 2
    assert "nothing-of-that-name: no such plan, URL or session" in none.stderr


def replace_headers(headers: dict[str, str]) -> Plan:
    return Plan(PLAN.target, PLAN.load, (Scenario("home", headers=headers),))
