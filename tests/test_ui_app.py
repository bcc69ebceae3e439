"""The dashboard driven by keys: what it asks of the run, and what is on screen then."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from textual import events
from textual.pilot import Pilot

from loadwatch.core.bus import TickBus
from loadwatch.core.controls import OVER, RunStatus, Trial
from loadwatch.core.errors import HostError, LoadwatchError, PlanError
from loadwatch.core.history import History
from loadwatch.core.plan import Group
from loadwatch.core.reading import HostState, HostStatus, Process
from loadwatch.core.tick import HostProcess, Tick
from loadwatch.ui.app import LoadwatchApp
from loadwatch.ui.bars import Header
from loadwatch.ui.pane import Pane
from loadwatch.ui.panes import all_panes, named_panes
from loadwatch.ui.panes.limit import LimitPane
from loadwatch.ui.panes.processes import ProcessesPane
from loadwatch.ui.panes.rate import RatePane
from loadwatch.ui.panes.server import ServerPane
from loadwatch.ui.panes.swap import SwapPane
from loadwatch.ui.screens.confirm import Confirm
from loadwatch.ui.screens.dashboard import Dashboard
from loadwatch.ui.screens.help import keys_of
from loadwatch.ui.screens.prompt import Prompt
from loadwatch.ui.screens.steps import StepsScreen
from loadwatch.ui.themes import THEMES
from tests.ui_fakes import CATALOGUE, MIB, STATUS, FakeControls, shown, story, tick

WIDE, NARROW = (160, 45), (80, 24)

STORY = list(story(70))
RUNNING = replace(STATUS, elapsed=70.0)


class Screen:
    """A dashboard on a fake run, and the keys to press."""

    def __init__(self, pilot: Pilot[None], app: LoadwatchApp, bus: TickBus, history: History,
                 controls: FakeControls) -> None:  # fmt: skip
        self.pilot, self.app, self.bus = pilot, app, bus
        self.history, self.controls = history, controls

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.pilot.pause()

    async def publish(self, *ticks: object) -> None:
        for one in ticks:
            self.bus.publish(one)  # type: ignore[arg-type]
        await self.pilot.pause()

    async def until(self, text: str) -> None:
        """Return when `text` is on screen."""
        while text not in self.text:
            await self.pilot.pause(0.01)

    @property
    def text(self) -> str:
        return shown(self.app)

    @property
    def calls(self) -> list[tuple[object, ...]]:
        return self.controls.calls

    @property
    def said(self) -> str:
        return " ".join(note.message for note in self.app._notifications)

    def line(self, word: str) -> str:
        return next(line for line in self.text.splitlines() if word in line)


@asynccontextmanager
async def screen(
    size: tuple[int, int] = WIDE,
    status: RunStatus = RUNNING,
    seconds: int = 70,
    panes: Sequence[type[Pane]] = (),
    **more: object,
) -> AsyncIterator[Screen]:
    bus, history = TickBus(), History()
    bus.subscribe(history.add)
    controls = FakeControls(status, **more)  # type: ignore[arg-type]
    app = LoadwatchApp(bus, history, controls, CATALOGUE, panes=panes)
    async with app.run_test(size=size, notifications=True) as pilot:
        driven = Screen(pilot, app, bus, history, controls)
        await driven.publish(*STORY[:seconds])
        yield driven


@pytest.fixture(params=[WIDE, NARROW], ids=["160x45", "80x24"])
def size(request: pytest.FixtureRequest) -> tuple[int, int]:
    return request.param  # type: ignore[no-any-return]


# -- rates ---------------------------------------------------------------------------------------


TURNS = [
    ("+", 11), ("-", 9), ("]", 20), ("[", 5), ("++-", 11), ("]]+", 45), ("2+", 3), ("2[", 1),
]  # fmt: skip


async def test_keys_turn_the_chosen_rate(size: tuple[int, int]) -> None:
    async with screen(size) as on:
        for keys, rate in TURNS:
            on.controls.change(rates=RUNNING.rates)
            await on.press(*keys)
            name = "wall" if "2" in keys else "home"
            assert on.calls[-1] == ("set_rate", name, rate), keys
            assert f" {rate}/s " in on.line(f" {name} "), keys  # the pending rate, at once


async def test_nine_scenarios_have_a_key_each() -> None:
    many = {f"s{number}": 1.0 for number in range(1, 12)}
    async with screen(status=replace(RUNNING, rates=many)) as on:
        for key in "987654321":
            await on.press(key, "+")
            assert on.calls[-1] == ("set_rate", f"s{key}", 2.0)


async def test_choosing_a_scenario_marks_it() -> None:
    async with screen() as on:
        assert "▶ 1 home" in on.text
        await on.press("2")
        assert "▶ 2 wall" in on.text
        assert "▶ 1 home" not in on.text
        await on.press("3")  # there is none
        assert "▶ 2 wall" in on.text


async def test_a_typed_rate(size: tuple[int, int]) -> None:
    async with screen(size) as on:
        await on.press("2", "=", *"17.5", "enter")
        assert on.calls == [("set_rate", "wall", 17.5)]
        assert isinstance(on.app.screen, Dashboard)


async def test_escape_leaves_the_rate_as_it_is() -> None:
    async with screen() as on:
        await on.press("=", *"99", "escape")
        assert on.calls == []
        assert isinstance(on.app.screen, Dashboard)


async def test_what_is_no_rate_is_not_taken() -> None:
    async with screen() as on:
        for typed, said in (
            ("", "a number"),
            ("x", "a number"),
            ("-5", "0 or more"),
            ("nan", "0 or more"),
            ("1e300", "up to 1,000,000/s"),
        ):
            await on.press("=", *typed)
            assert said in on.text or not typed, typed  # while it is typed
            await on.press("enter")
            assert isinstance(on.app.screen, Prompt), typed
            assert said in on.text, typed
            await on.press("escape")
        assert on.calls == []


async def test_the_ceiling_of_the_plan_is_told() -> None:
    async with screen(status=replace(RUNNING, max_rate=15.0)) as on:
        await on.press("]")
        assert on.calls == [("set_rate", "home", 20)]
        assert on.controls.status.rates["home"] == 13
        assert "ceiling" in on.said
        assert "13/s" in on.line(" home ")


async def test_a_closed_loop_has_no_rate() -> None:
    async with screen(status=replace(RUNNING, connections=50)) as on:
        for key in "+-][=":
            await on.press(key)
            assert isinstance(on.app.screen, Dashboard), key
            assert on.said == "a closed loop has no rate to turn", key  # one note, not a pile
        assert on.calls == []
        assert "Rate" not in on.text.splitlines()[-1]  # nor are the keys offered
        assert "50 connections" in on.text
        assert "asked" not in on.line(" home ")


async def test_a_click_chooses_a_scenario(size: tuple[int, int]) -> None:
    async with screen(size) as on:
        at = next(n for n, line in enumerate(on.text.splitlines()) if "2 wall" in line)
        await on.pilot.click(offset=(on.text.splitlines()[at].index("2 wall") + 2, at))
        await on.pilot.pause()
        assert "▶ 2 wall" in on.text


@pytest.mark.parametrize("columns", [80, 118, 128, 160, 200, 250])
async def test_nothing_of_a_scenario_is_cut(columns: int) -> None:
    asked = dict.fromkeys(("home", "a-long-name", "wall"), 123_456.0)
    values = {f"scenario.{name}.completed": 12_345.0 for name in asked}
    ticks = [replace(tick(at, values), rates=asked) for at in range(10)]
    async with screen((columns, 45), replace(RUNNING, rates=asked), seconds=0) as on:
        await on.publish(*ticks)
        await on.press("+")  # on its way, and behind
        assert on.text.count("▲ behind") == 3
        assert on.text.count("asked") == 3
        assert on.line("home").count("behind") == min((columns - 2) // 64, 3)
        for number, name in enumerate(asked, 1):
            at = next(
                n for n, line in enumerate(on.text.splitlines()) if f"{number} {name}" in line
            )
            where = on.text.splitlines()[at].index(name)
            await on.pilot.click(offset=(where, at))
            await on.pilot.pause()
            assert f"▶ {number} {name}" in on.text


async def test_a_click_beside_the_scenarios_chooses_none(size: tuple[int, int]) -> None:
    async with screen(size, status=replace(RUNNING, rates={"home": 30.0})) as on:
        at = next(n for n, line in enumerate(on.text.splitlines()) if "1 home" in line)
        await on.pilot.click(offset=(size[0] - 2, at))
        await on.pilot.pause()
        assert "▶ 1 home" in on.text


async def test_a_rate_is_on_its_way_until_its_step_begins() -> None:
    async with screen(status=replace(RUNNING, rates=STORY[-1].rates)) as on:
        assert "→" not in on.line(" home ")
        await on.press("]")
        assert "asked →     40/s" in on.line(" home ")


ASKED = {"home": 10.0}


@pytest.mark.parametrize(
    ("completed", "seconds", "sign"),
    [(10, 20, "✓ held"), (9, 20, "✓ held"), (5, 20, "▲ behind"), (5, 3, ""), (0, 20, "▲ behind")],
)
async def test_whether_the_rate_is_held(completed: float, seconds: int, sign: str) -> None:
    values = {"scenario.home.completed": completed, "load.offered": 10.0, "load.in_flight": 0.0}
    ticks = [tick(at, values) for at in range(seconds)]
    async with screen(status=replace(RUNNING, rates=ASKED), seconds=0) as on:
        await on.publish(*(replace(one, rates=ASKED) for one in ticks))
        assert on.line(" home ").endswith(sign)
        assert ("held" in on.line(" home ")) is (sign == "✓ held")


# -- firing --------------------------------------------------------------------------------------


async def test_space_stops_and_goes_on(size: tuple[int, int]) -> None:
    async with screen(size) as on:
        assert "● firing" in on.text
        await on.press("space")
        assert on.calls == [("pause",)]
        assert "■ PAUSED" in on.text
        await on.press("space")
        assert on.calls == [("pause",), ("resume",)]
        assert "● firing" in on.text


async def test_once_firing_is_over_rates_are_refused_and_all_else_goes_on(
    size: tuple[int, int],
) -> None:
    async with screen(size) as on:
        assert "Rate" in on.text.splitlines()[-1]
        on.controls.change(firing=False, ended=30.0)
        await on.until("■ ended at 0:30")
        await on.pilot.pause()
        assert "PAUSED" not in on.text and "space goes on" not in on.text
        for key in (*"+-][=f", "space"):
            on.app.clear_notifications()
            await on.press(key)
            assert isinstance(on.app.screen, Dashboard), key
            assert on.said == OVER, key
        assert on.calls == []
        assert "Stop/go" not in on.text.splitlines()[-1]  # nor are they offered
        await on.press("e", "left", "s")
        await on.app.workers.wait_for_complete()
        assert on.calls == [("export",)]
        assert isinstance(on.app.screen, StepsScreen)


async def test_ctrl_x_stops_from_everywhere() -> None:
    async with screen() as on:
        for before in ("", "=", "m", "?", "=5"):
            on.controls.change(firing=True)
            on.calls.clear()
            await on.press(*before, "ctrl+x")
            assert on.calls == [("pause",)], before
            await on.press("escape")
        await on.press("ctrl+p")
        on.calls.clear()
        await on.press("ctrl+x")
        assert on.calls == [("pause",)]


async def test_ctrl_x_never_fires() -> None:
    async with screen(status=replace(RUNNING, firing=False)) as on:
        await on.press("ctrl+x", "ctrl+x")
        assert ("resume",) not in on.calls


# -- marks and export ----------------------------------------------------------------------------


async def test_a_mark(size: tuple[int, int]) -> None:
    async with screen(size) as on:
        await on.press("m", *"5 q", "enter")  # what is typed is no command
        assert on.calls == [("mark", "5 q")]


async def test_an_empty_mark_is_none() -> None:
    async with screen() as on:
        await on.press("m", "escape", "m", "enter", "space", "enter")
        assert isinstance(on.app.screen, Prompt)
        await on.press("escape")
        assert on.calls == []


async def test_export_tells_the_directory() -> None:
    async with screen() as on:
        await on.press("e")
        await on.app.workers.wait_for_complete()
        assert on.calls == [("export",)]
        assert "/tmp/[b]somewhere-csv" in on.said  # as it is: no markup
        await on.until("[b]some")


async def test_an_export_that_fails_says_why() -> None:
    async with screen(failure=LoadwatchError("no space left")) as on:
        await on.press("e")
        await on.app.workers.wait_for_complete()
        assert "no space left" in on.said


# -- the view ------------------------------------------------------------------------------------


def panes(on: Screen) -> list[Pane]:
    return [pane for pane in on.app.screen.query(Pane) if pane.content_size.height > 0]


async def test_wide_shows_all_panes_with_axes_in_line() -> None:
    async with screen(WIDE) as on:
        assert len(panes(on)) == 6
        assert len({pane.content_size.width for pane in panes(on)}) == 1
        for word in ("Rate", "Status", "Response", "CPU", "Processes", "Swap", "COMMAND"):
            assert word in on.text


async def test_narrow_opens_the_pane_whose_key_is_pressed() -> None:
    async with screen(NARROW) as on:
        for pane in reversed(all_panes()):
            await on.press(pane.JUMP)
            assert [type(one) for one in panes(on)] == [pane]
            assert panes(on)[0].content_size.height >= 8
            lines = on.text.splitlines()
            assert len(lines) == 24
            for other in all_panes()[:3]:  # the numbers of the most telling stay in sight
                assert any(line.lstrip("─━").startswith(other.TITLE) for line in lines)
            assert lines[-1].endswith("q Quit")  # nothing is cut off


async def test_every_jump_key_goes_to_its_pane() -> None:
    async with screen() as on:
        for key in "LENDMWPCTSRIV":
            await on.press(key)
            assert isinstance(on.app.focused, Pane)
            assert key == on.app.focused.JUMP


async def test_tab_goes_through_all_panes(size: tuple[int, int]) -> None:
    async with screen(size) as on:
        seen = []
        later = (LimitPane, ServerPane)  # hidden until there is something to show
        panes = [pane for pane in all_panes() if pane not in later]
        for _ in panes:
            seen.append(type(on.app.focused))
            await on.press("tab")
        assert seen == panes
        assert type(on.app.focused) is seen[0]
        await on.press("shift+tab")
        assert type(on.app.focused) is seen[-1]


async def test_resizing_there_and_back() -> None:
    async with screen(WIDE) as on:
        for width, height in (NARROW, (120, 30), (60, 18), (250, 70), WIDE):
            await on.pilot.resize_terminal(width, height)
            await on.pilot.pause()
            assert len(on.text.splitlines()) == height
            charts = {WIDE: 6, (250, 70): 11, (120, 30): 2}
            assert len(panes(on)) == charts.get((width, height), 1)
            assert "┤" in on.text


async def test_zoom_shows_one_pane_alone(size: tuple[int, int]) -> None:
    async with screen(size) as on:
        await on.press("T", "z")
        assert [type(pane).__name__ for pane in panes(on)] == ["ResponsePane"]
        assert "Swap" not in on.text
        await on.press("C")
        assert [type(pane).__name__ for pane in panes(on)] == ["CpuPane"]
        await on.press("z")
        assert "Swap" in on.text


async def test_frozen_view_stands_while_collection_goes_on() -> None:
    async with screen(seconds=40) as on:
        await on.press("p")
        assert "FROZEN" in on.text
        before = [pane._rows for pane in panes(on)]
        await on.publish(*STORY[40:])
        assert on.history.length == 70
        assert [pane._rows for pane in panes(on)] == before
        await on.pilot.resize_terminal(170, 50)
        await on.pilot.pause()
        await on.press("p")
        assert "FROZEN" not in on.text
        assert [pane._rows for pane in panes(on)] != before


async def test_a_frozen_view_can_show_another_time() -> None:
    async with screen(seconds=40) as on:
        await on.press("p")
        await on.publish(*STORY[40:])
        await on.press("<")
        assert "< 1 min >" in on.text
        assert "0:30" in on.text
        assert "1:00" not in on.text


async def test_time_windows(size: tuple[int, int]) -> None:
    async with screen(size) as on:
        assert "< 2 min >" in on.text
        await on.press(">", ">", ">", ">", ">")
        assert "< whole run >" in on.text
        await on.press("<", "<", "<", "<", "<")
        assert "< 1 min >" in on.text


async def test_the_response_axis_turns_logarithmic_and_back() -> None:
    async with screen() as on:
        await on.press("T")
        assert "log axis" in on.text
        assert "y log" in on.text  # in the lower edge of the pane
        before = on.text
        await on.press("y")
        assert "log axis" not in on.text
        await on.press("y")
        assert on.text == before


# -- time ----------------------------------------------------------------------------------------


async def test_going_back_in_time_and_returning(size: tuple[int, int]) -> None:
    async with screen(size, seconds=70) as on:
        await on.press("<")
        assert "FROZEN" not in on.text
        await on.press("left")
        assert "FROZEN at 0:40" in on.text
        await on.press("left")
        assert "FROZEN at 0:30" in on.text  # not beyond the beginning
        await on.press("right")
        assert "FROZEN at 1:00" in on.text
        await on.press("right")
        assert "FROZEN" not in on.text
        await on.press("left", "end")
        assert "FROZEN" not in on.text
        await on.publish(*list(story(72))[70:])
        assert "1:10" in on.text


async def test_all_of_an_earlier_time_is_of_that_time() -> None:
    gone = HostProcess("web", Process(4711, "me", 900 * MIB, 0.0, "S", "was-here"))
    ticks = [replace(one, processes=(*one.processes, gone)) if one.second < 45 else one
             for one in STORY]  # fmt: skip
    async with screen(seconds=0, status=replace(RUNNING, rates=STORY[0].rates)) as on:
        for one in ticks:
            on.controls.change(elapsed=one.second + 1.0, rates=dict(one.rates))
            await on.publish(one)
        hosts = (HostStatus("web", "lost", "connection reset"),)
        on.controls.change(firing=False, hosts=hosts, reasons=("a worker died",))
        await on.publish(replace(tick(70, {}), step=3))
        assert "step 3" in on.text and "was-here" not in on.text
        await on.press("<", "left")
        first, second, third, *_ = on.text.splitlines()
        assert "0:41" in first and "step 1" in first and "step 3" not in on.text
        assert "FROZEN at 0:41, −0:30" in first
        assert "now ■ PAUSED" in first  # what is fired at the moment is never hidden
        assert "web ● live" in second
        assert on.text.count("lost") == 1  # among what is wrong now
        assert "result invalid: a worker died" in third
        assert "was-here" in on.text
        assert "asked       10/s" in on.line("1 home")
        assert "nothing is fired" not in on.text
        await on.press("+")
        assert "asked now: home 25/s; the view stands, end returns to now" in on.said
        await on.press("end")
        assert "FROZEN" not in on.text and "web ✗ lost" in on.text


async def test_where_a_frozen_view_is_has_room(size: tuple[int, int]) -> None:
    async with screen(
        size, status=replace(RUNNING, target="http://heywall.example/" + "a" * 90)
    ) as on:
        await on.press("<", "left")
        first = on.text.splitlines()[0]
        for word in (
            "http://",
            "0:40  step 1",
            "FROZEN at 0:40, −0:30",
            "< 1 min >",
            "now ● firing",
        ):
            assert word in first


async def test_what_comes_meanwhile_does_not_move_an_earlier_time() -> None:
    async with screen(seconds=60) as on:
        await on.press("<", "left")
        before = [pane._rows for pane in panes(on) if isinstance(pane, RatePane)]
        await on.publish(*STORY[60:])
        assert [pane._rows for pane in panes(on) if isinstance(pane, RatePane)] == before


# -- panes ---------------------------------------------------------------------------------------


async def test_a_pane_is_hidden_and_comes_back(size: tuple[int, int]) -> None:
    async with screen(size) as on:
        await on.press("S", "x")
        assert "Status" not in on.text
        assert on.app.focused is not None
        await on.press("X")
        assert "Status" in on.text
        await on.press("S", "x", "S")  # its own key brings it back too
        assert "Status" in on.text


async def test_all_panes_come_back_from_a_zoom_too() -> None:
    async with screen() as on:
        await on.press("S", "x", "T", "z")
        assert len(panes(on)) == 1
        await on.press("X")
        assert len(panes(on)) == 6


async def test_of_two_hosts_side_by_side_each_has_its_keys() -> None:
    hosts = (HostStatus("web", "live"), HostStatus("db", "live"))
    async with screen((250, 70), status=replace(RUNNING, hosts=hosts)) as on:
        for place in (0, 1, 0):
            await on.press("P")
            pane = on.app.focused
            assert isinstance(pane, ProcessesPane) and pane.place == place
        await on.press("P", "slash", *"post", "enter")
        assert isinstance(on.app.focused, ProcessesPane)
        assert (on.app.focused.place, on.app.focused.pattern) == (1, "post")
        await on.press("R", "slash", *"gun", "enter")
        assert isinstance(on.app.focused, ProcessesPane)
        assert (on.app.focused.place, on.app.focused.pattern) == (0, "gun")
        await on.pilot.resize_terminal(*WIDE)
        await on.pilot.pause()
        await on.press("P", "P")
        assert on.app.focused.place == 0  # the second one has no room


async def test_the_last_pane_stays() -> None:
    async with screen(NARROW) as on:
        await on.press(*"x" * 20)
        assert len(panes(on)) == 1


async def test_the_plan_chooses_the_panes() -> None:
    chosen = named_panes(["swap", "rate"])
    async with screen(WIDE, panes=chosen) as on:
        assert {type(pane) for pane in panes(on)} == {SwapPane, RatePane}
        await on.press("C", "slash")  # keys of panes that are not there do nothing
        assert isinstance(on.app.screen, Dashboard)
        await on.press("?")
        assert "Go to CPU" not in on.text
        assert "Go to Swap" in on.text


@pytest.mark.parametrize(
    ("name", "hint"), [("swop", "swap"), ("process", "processes"), ("Rate", "rate")]
)
def test_an_unknown_pane_gets_the_nearest_name(name: str, hint: str) -> None:
    with pytest.raises(PlanError, match=f"ui.panes: no pane `{name}`; did you mean `{hint}`"):
        named_panes([name])


async def test_two_hosts_stand_side_by_side_where_there_is_room() -> None:
    hosts = (HostStatus("web", "live"), HostStatus("db", "live"))
    async with screen((250, 70), status=replace(RUNNING, hosts=hosts)) as on:
        assert "CPU  web" in on.text
        assert "CPU  db" in on.text
        await on.press("h")
        line = next(line for line in on.text.splitlines() if "CPU  db" in line)
        assert line.index("CPU  db") < line.index("CPU  web")
        await on.pilot.resize_terminal(*WIDE)
        await on.pilot.pause()
        assert "CPU  web" not in on.text


# -- processes -----------------------------------------------------------------------------------


async def test_the_choice_moves_through_the_process_table() -> None:
    async with screen(NARROW) as on:
        await on.press("P")
        assert "postgres" in on.line("▸")
        await on.press("down")
        assert "904" in on.line("▸")
        await on.press("up")
        assert "postgres" in on.line("▸")
        await on.press("pagedown")
        assert "systemd" in on.line("▸")
        await on.press("pageup")
        assert "postgres" in on.line("▸")
        await on.press("pagedown", "home")
        assert "postgres" in on.line("▸")
        pane = on.app.screen.query_exactly_one(ProcessesPane)
        wheel = (pane, 1, 1, 0, 1, 0, False, False, False)
        pane.post_message(events.MouseScrollDown(*wheel))
        await on.pilot.pause()
        assert "904" in on.line("▸")
        pane.post_message(events.MouseScrollUp(*wheel))
        await on.pilot.pause()
        assert "postgres" in on.line("▸")


async def test_processes_are_sorted_grouped_and_followed_by_keys() -> None:
    async with screen(NARROW) as on:
        await on.press("P")
        assert "▾RSS" in on.text
        await on.press("o")
        assert "▾TREND" in on.text
        await on.press("O")
        assert "▴TREND" in on.text
        await on.press("g")
        assert "backends × 5" in on.text.replace("  ", " ")
        await on.press("g", "home", "enter")
        assert "◆" in on.text
        await on.press("enter")
        assert "◆" not in on.text


@pytest.mark.parametrize("state", ["live", "silent"])
async def test_a_click_sorts_or_chooses(state: HostState) -> None:
    """Also where a line above the table says that the link is not well."""
    async with screen(WIDE, status=replace(RUNNING, hosts=(HostStatus("web", state),))) as on:
        pane = on.app.screen.query_exactly_one(ProcessesPane)
        top = next(at for at, line in enumerate(on.text.splitlines()) if "COMMAND" in line)
        head = on.text.splitlines()[top]
        await on.pilot.click(offset=(head.index("CPU", 80) + 1, top))
        await on.pilot.pause()
        assert "▾CPU" in on.text
        await on.pilot.click(offset=(head.index("PID"), top + 3))
        await on.pilot.pause()
        assert "▸" in on.text.splitlines()[top + 3]
        assert on.app.focused is pane


async def test_process_groups_are_chosen_while_typing(size: tuple[int, int]) -> None:
    async with screen(size) as on:
        await on.press("G")
        assert "Process groups of web" in on.text
        assert "backends=user:www-data; db=user:postgres" in on.text
        assert "now, of 18 listed: backends × 5 (900, 901, 902, 903, …)" in on.text
        assert "db × 1" in on.text
        await on.press(*"; command:systemd(")
        assert "command: not a regular expression" in on.text
        await on.press("enter")
        assert on.calls == []
        await on.press("backspace")
        assert "systemd × 12" in on.text
        await on.press("enter")
        groups = (*STATUS.groups["web"], Group("systemd", command="systemd"))
        assert on.calls == [("set_groups", "web", groups)]
        await on.press("G", *"x", "escape")
        assert len(on.calls) == 1


async def test_where_nothing_is_watched_there_are_no_groups_to_choose() -> None:
    async with screen(status=replace(RUNNING, hosts=(), groups={})) as on:
        await on.press("G")
        assert isinstance(on.app.screen, Dashboard)


async def test_an_empty_filter_shows_all_again() -> None:
    async with screen() as on:
        await on.press("slash", *"postg")
        assert "an empty one shows all" in on.text
        await on.press("enter", "slash", *["backspace"] * 5, "enter")
        assert "“" not in on.text
        assert len(on.app.screen.query_exactly_one(ProcessesPane)._shown) == 18


async def test_the_filter_works_while_it_is_typed(size: tuple[int, int]) -> None:
    async with screen(size) as on:
        await on.press("slash", *"postg")
        assert isinstance(on.app.screen, Prompt)
        pane = on.app.screen_stack[0].query_exactly_one(ProcessesPane)
        assert [one.process.pid for one in pane._shown] == [700]
        await on.press("enter")
        assert "“postg”: 1 of 18" in on.text
        await on.press("slash", "x", "escape")  # as it was before
        assert "“postg”: 1 of 18" in on.text


# -- steps ---------------------------------------------------------------------------------------


async def test_the_table_of_steps_and_two_of_them_compared(size: tuple[int, int]) -> None:
    async with screen(size) as on:
        await on.press("s")
        assert isinstance(on.app.screen, StepsScreen)
        assert "ACHIEVED" in on.text
        assert "1:00" in on.line("▸")
        await on.press("enter", "up", "space")
        assert "step 1" in on.text
        assert "response p95" in on.text
        await on.press("down", "enter")
        assert "response p95" not in on.text
        await on.press("escape")
        assert isinstance(on.app.screen, Dashboard)
        for key in ("s", "q"):
            await on.press("s", key)
            assert isinstance(on.app.screen, Dashboard)


async def test_where_steps_do_not_fit_their_columns_are_shifted() -> None:
    async with screen((80, 24)) as on:
        await on.press("s")
        first = on.line("ACHIEVED")
        assert "SWAP OUT" not in first
        await on.press("left")
        assert on.line("ACHIEVED") == first
        await on.press(*["right"] * 30)
        last = on.line("STEP")
        assert "SWAP OUT" in last and "MARK" in last and "TARGET" not in last
        await on.press("left")
        assert on.line("STEP") != last
        await on.press(*["left"] * 30)
        assert on.line("STEP") == first
    async with screen((200, 45)) as on:
        await on.press("s")
        first = on.line("ACHIEVED")
        await on.press("right")
        assert on.line("ACHIEVED") == first


async def test_a_click_picks_a_step() -> None:
    async with screen() as on:
        await on.press("s")
        row = next(at for at, line in enumerate(on.text.splitlines()) if " 0:00 " in line)
        await on.pilot.click(offset=(20, row))
        await on.pilot.pause()
        assert "▸●" in on.line(" 0:00 ")


async def test_h_shows_the_next_host() -> None:
    hosts = (HostStatus("web", "live"), HostStatus("db", "lost", "connection reset"))
    async with screen(status=replace(RUNNING, hosts=hosts)) as on:
        assert "CPU  web" in on.text
        await on.press("h")
        assert "CPU  db" in on.text
        assert "db lost: connection reset" in on.text
        await on.press("h")
        assert "CPU  web" in on.text


async def test_what_is_amiss_on_a_live_host_is_said() -> None:
    hosts = (HostStatus("web", "live", "vmstat: the server allows no session", ("top",)),)
    async with screen(status=replace(RUNNING, hosts=hosts)) as on:
        assert "▲ web live: vmstat: the server allows no session" in on.text
        on.controls.change(hosts=(HostStatus("web", "connecting", "connecting to web"),))
        await on.publish(replace(tick(70, {}), step=3))
        assert "▲ web" not in on.text


async def test_the_hosts_in_detail_with_what_watching_costs() -> None:
    hosts = (
        HostStatus("web", "live", "", ("top", "proc"), gaps=2, offset=-1.5, error=0.003, skipped=7),
        HostStatus("db", "lost", "[b]reset[/b]"),
    )
    costs = {"host.web.cost.cpu": 0.9, "host.web.cost.sshd": 0.2, "host.web.cost.bytes": 1228.8}
    async with screen(status=replace(RUNNING, hosts=hosts), seconds=0) as on:
        for second in range(10):
            await on.publish(tick(second, costs if second % 5 == 0 else {}))
        await on.press("H")
        assert "reads   top, proc" in on.text
        assert "clock   1.50 s behind ours, give or take 3 ms" in on.text
        assert "gaps    2; 7 rows that could not be read" in on.text
        assert "costs   our tools 0.9 %, their sshd 0.2 %, on the wire 1.20 KiB/s" in on.text
        assert "groups  backends" in on.text
        assert "db  ✗ lost" in on.text and "[b]reset[/b]" in on.text
        assert on.text.count("not measured yet") == 1


@pytest.mark.parametrize("key", ["escape", "H", "q"])
async def test_its_own_keys_close_the_hosts(key: str) -> None:
    async with screen() as on:
        await on.press("H")
        assert "Watched hosts" in on.text
        await on.press(key)
        assert "Watched hosts" not in on.text


async def test_a_click_opens_a_pane() -> None:
    async with screen(NARROW) as on:
        await on.pilot.click("SwapPane")
        await on.pilot.pause()
        assert [type(pane).__name__ for pane in panes(on)] == ["SwapPane"]


# -- help and palette ----------------------------------------------------------------------------


async def test_help_lists_every_key_that_does_something() -> None:
    async with screen((160, 50)) as on:  # lower, it scrolls
        await on.press("?")
        for key in "+-][=12pzme<>q":
            assert any(f" {key}  " in line for line in on.text.splitlines()), key
        for text in ("Raise the rate", "Halve the rate", "Freeze the view", "Go to Swap",
                     "Stop firing, from anywhere", "Write CSV files", "End the run"):  # fmt: skip
            assert text in on.text
        assert "Choose scenario 3" not in on.text
        assert "next host" not in on.text  # there is one only
        assert "Ten rows down" not in on.text  # the process table has no focus
        await on.press("escape")
        assert isinstance(on.app.screen, Dashboard)


@pytest.mark.parametrize("key", ["escape", "question_mark", "enter", "space", "q"])
async def test_its_own_keys_close_the_help(key: str) -> None:
    async with screen() as on:
        await on.press("?", key)
        assert isinstance(on.app.screen, Dashboard)
        assert on.calls == []


async def test_every_action_is_in_the_command_palette() -> None:
    async with screen() as on:
        commands = {command.title: command for command in on.app.get_system_commands(on.app.screen)}
        for title in ("Raise the rate by a step", "Zoom the focused pane, or show all",
                      "Stop firing, from anywhere"):  # fmt: skip
            assert title in commands
        # Nothing else is there: no command, and no theme, of the library.
        keys = {key.tooltip for key in keys_of(on.app.screen)}
        assert set(commands) == keys
        assert {*on.app.available_themes} == {theme.name for theme in THEMES}
        await commands["Double the rate"].callback()
        assert on.calls == [("set_rate", "home", 20)]


@pytest.mark.parametrize("key", ["q", "ctrl+c", "ctrl+q"])
async def test_quit_never_asks(key: str) -> None:
    async with screen() as on:
        await on.press(key)
        assert on.app.return_code == 0
        assert not on.app.is_running or on.app._exit


# -- what is told --------------------------------------------------------------------------------


async def test_the_header_tells_how_the_run_stands(size: tuple[int, int]) -> None:
    async with screen(size) as on:
        first, second, *_ = on.text.splitlines()
        assert "http://127.0.0.1:8000/" in first
        assert "1:10" in first
        assert "step 2" in first
        assert "web ● live" in second
        assert "rec 2026-11-03T14-05-11.loadwatch" in second


def second_of(second: int, answered: bool, **more: float) -> Tick:
    values = {
        "load.offered": 10.0, "load.completed": 10.0 * answered, "load.in_flight": 0.0,
        "load.errors.connect": 10.0 * (not answered), **more,
    }  # fmt: skip
    return replace(tick(second, values), rates=ASKED)


async def test_the_verdict_follows_the_last_seconds() -> None:
    status = replace(RUNNING, hosts=(), groups={}, rates=ASKED)
    async with screen(status=status, seconds=0) as on:
        await on.publish(*(second_of(at, True) for at in range(100)))
        assert "not saturated: 100 of 100 requests answered well" in on.text
        await on.publish(*(second_of(at, False) for at in range(100, 110)))
        assert "no answer: 100 × connect error of 100 requests" in on.text
        await on.publish(*(second_of(at, True) for at in range(110, 120)))
        assert "not saturated: 100 of 100 requests answered well" in on.text
        on.controls.change(firing=False, ended=110.0)
        await on.publish(replace(tick(120, {}), rates=ASKED))
        assert "when it ended ▲ no answer: 100 × connect error of 100" in on.text


async def test_a_queue_that_grows_slowly_is_seen() -> None:
    status = replace(RUNNING, hosts=(), groups={}, rates=ASKED)
    async with screen(status=status, seconds=0) as on:
        grows = [second_of(at, True, **{"load.in_flight": at / 2}) for at in range(60)]
        await on.publish(*grows)
        assert "open requests rising from 0 to 30" in on.text
        await on.publish(*(second_of(at, True) for at in range(60, 70)))
        assert "not saturated" in on.text


async def test_late_answers_are_told_as_such() -> None:
    status = replace(RUNNING, hosts=(), groups={}, rates=ASKED)
    async with screen(status=status, seconds=0) as on:
        await on.publish(*(second_of(at, True, **{"load.completed": 12.0}) for at in range(10)))
        assert "120 requests answered well, some of them due before" in on.text


async def test_the_verdict_has_its_evidence() -> None:
    async with screen() as on:
        assert "not saturated" in on.text
        assert "requests answered well" in on.text


@pytest.mark.parametrize(
    ("offset", "error", "told"),
    [
        (None, None, "web ● live  "),
        (0.004, 0.012, "web ● live  clock ± 12 ms  "),
        (-0.25, 0.012, "web ● live  clock −250 ms ± 12 ms  "),
        (3.5, 0.012, "web ● live  clock +3.50 s ± 12 ms ▲"),
        (0.0, 2.0, "web ● live  clock ± 2 s ▲"),
    ],
)
async def test_the_clock_of_a_host(offset: float | None, error: float | None, told: str) -> None:
    hosts = (HostStatus("web", "live", offset=offset, error=error),)
    async with screen(status=replace(RUNNING, hosts=hosts), seconds=5) as on:
        assert told in on.text.splitlines()[1]


async def test_why_a_host_is_lost_is_said_in_the_header(size: tuple[int, int]) -> None:
    hosts = (HostStatus("web", "failed", "Permission denied (publickey)"),)
    async with screen(size, status=replace(RUNNING, hosts=hosts), seconds=5) as on:
        assert "✗ web failed: Permission denied (publickey)" in on.text.splitlines()[2]


async def test_reasons_and_problems_are_told_in_words(size: tuple[int, int]) -> None:
    async with screen(size) as on:
        on.controls.change(reasons=("a load worker died",), problem="the disk is full")
        await on.publish(*list(story(71))[70:])
        assert "result invalid: a load worker died" in on.text
        assert "the disk is full" in on.text
        assert "client-limited" in on.text
        assert len(on.text.splitlines()) == size[1]


async def test_the_header_keeps_its_height_for_a_while() -> None:
    async with screen() as on:
        header = on.app.screen.query_exactly_one(Header)
        for elapsed, warnings, height in (
            (71, (), 2), (72, ("slow",), 3), (73, (), 3), (100, (), 3), (103, ("slow",), 3),
            (132, (), 3), (134, (), 2), (2, ("slow",), 3),
        ):  # fmt: skip
            on.controls.change(elapsed=float(elapsed), warnings=warnings)
            on.app._dashboard.tell()
            await on.pilot.pause()
            assert header.size.height == height, elapsed
            assert ("▲ slow" in on.text) is bool(warnings)


async def test_a_hostile_process_name_does_nothing(size: tuple[int, int]) -> None:
    name = "[@click=app.quit]x[/] \x1b[31m"
    evil = HostProcess("web", Process(666, "[red]u", 900 * MIB, 0.0, "S", name))
    async with screen(size, seconds=5) as on:
        await on.press("P")
        await on.publish(tick(5, {"host.web.cpu.us": 1.0}, processes=(evil,)))
        assert "[@click=app.quit]x[/]" in on.text
        assert "[red]u" in on.text
        row = next(at for at, line in enumerate(on.text.splitlines()) if "click" in line)
        await on.pilot.click(offset=(size[0] - 20, row))
        await on.pilot.pause()
        assert not on.app._exit


async def test_hostile_text_of_the_user_and_of_hosts_is_plain() -> None:
    evil = "[@click=app.quit]x"
    status = replace(
        RUNNING, target=evil, reasons=(evil,), hosts=(HostStatus("web", "failed", evil),)
    )
    async with screen(status=status, seconds=0) as on:
        await on.publish(replace(tick(0, {}), mark=evil))
        assert on.text.count(evil) >= 5


async def test_without_hosts() -> None:
    async with screen(status=replace(RUNNING, hosts=(), groups={}), seconds=0) as on:
        assert "no host watched" in on.text
        assert "--host local" in on.text
        await on.press("h")
        assert on.calls == []


# -- life ----------------------------------------------------------------------------------------


async def test_the_screen_is_there_before_anything_starts() -> None:
    seen: list[str] = []
    bus, history = TickBus(), History()

    async def startup() -> None:
        seen.append(shown(app))

    status = replace(STATUS, hosts=(HostStatus("web", "connecting"),))
    app = LoadwatchApp(bus, history, FakeControls(status), CATALOGUE, startup=startup)
    async with app.run_test(size=WIDE) as pilot:
        await app.workers.wait_for_complete()
        await pilot.pause()
    assert len(seen) == 1
    assert "web ◌ connecting" in seen[0]
    assert "◌ starting" in seen[0]


async def test_a_start_that_fails_ends_the_screen() -> None:
    failure = HostError("host web: unknown key")

    async def startup() -> None:
        raise failure

    app = LoadwatchApp(TickBus(), History(), FakeControls(), CATALOGUE, startup=startup)
    async with app.run_test() as pilot:
        await app.workers.wait_for_complete()
        await pilot.pause()
    assert app.failure is failure
    assert app.return_code == HostError.exit_code


@pytest.mark.parametrize(("key", "sure"), [("y", True), ("n", False), ("escape", False)])
async def test_a_public_target_takes_a_word(key: str, sure: bool) -> None:
    answers: list[bool] = []

    async def startup() -> None:
        answers.append(await app.push_screen_wait(Confirm("Fire at [b]http://www.example[/b]?")))

    app = LoadwatchApp(TickBus(), History(), FakeControls(), CATALOGUE, startup=startup)
    async with app.run_test(size=NARROW) as pilot:
        while "Fire at [b]http://www.example[/b]?" not in shown(app):
            await pilot.pause(0.01)
        await pilot.press("enter", "space", "q")  # only a yes is a yes
        assert answers == []
        await pilot.press(key)
        await app.workers.wait_for_complete()
    assert answers == [sure]


TRIALS = (
    Trial("home", "200, 6.40 KiB in 12 ms", True),
    Trial("wall", "302, 0 B in 9 ms: redirects to /login/: [b]your cookie", False),
)


async def test_trials_are_told_before_anything_is_measured(size: tuple[int, int]) -> None:
    async with screen(size, status=replace(STATUS, elapsed=0), seconds=0) as on:
        assert "… connecting and starting" in on.text
        on.controls.change(trials=TRIALS)
        await on.until("✓ home: 200, 6.40 KiB in 12 ms")
        # A line below may come a frame later, when there is room for it.
        await on.until("▲ wall: 302, 0 B in 9 ms: redirects to /login/: [b]your")
        on.controls.change(elapsed=1.0)
        await on.publish(STORY[0])
        assert "✓ home" not in on.text
        assert "▲ wall: 302" in on.text  # what is wrong stays in sight for a while
        on.controls.change(elapsed=61.0)
        await on.publish(STORY[1])
        assert "▲ wall: 302" not in on.text


async def test_suspending_stops_firing_first(monkeypatch: pytest.MonkeyPatch) -> None:
    async with screen() as on:
        monkeypatch.setattr(on.app, "action_suspend_process", lambda: on.calls.append(("suspend",)))
        await on.press("ctrl+z")
        assert on.calls == [("pause",), ("suspend",)]


async def test_quitting_does_not_wait_for_the_start() -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def startup() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    app = LoadwatchApp(TickBus(), History(), FakeControls(), CATALOGUE, startup=startup)
    async with app.run_test() as pilot:
        await begun.wait()
        await pilot.press("q")
    await ended.wait()
    assert app.failure is None


async def test_a_slow_screen_skips_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    frames: list[int] = []
    advance = Dashboard.advance

    async def counted(self: Dashboard) -> None:
        frames.append(self._history.length)
        await advance(self)

    async with screen(seconds=0) as on:
        monkeypatch.setattr(Dashboard, "advance", counted)
        await on.publish(*STORY)
        assert on.history.length == 70
        assert frames[-1] == 70
        assert len(frames) < 10


async def test_what_is_not_displayed_is_not_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[str] = []
    for pane in all_panes():
        monkeypatch.setattr(pane, "draw", lambda self, *_: drawn.append(self.TITLE) or [])
    async with screen(NARROW, seconds=10) as on:
        drawn.clear()
        await on.publish(STORY[10])
        assert drawn == ["Rate"]
        await on.press("z")
        told: list[str] = []
        for pane in all_panes():
            monkeypatch.setattr(pane, "headline", lambda self, _: told.append(self.TITLE) or [])
        await on.publish(STORY[11])
        assert told == ["Rate"]


async def test_no_color_is_honoured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with screen() as on:
        strips = on.app.screen._compositor.render_strips()
        filters = on.app._filters
        styles = {
            segment.style
            for strip in strips
            for segment in strip.apply_filter(filters[-1], on.app.screen.background_colors[1])
            if segment.style is not None
        }
        colors = {style.color.get_truecolor() for style in styles if style.color is not None}
        assert colors
        assert all(len({color.red, color.green, color.blue}) == 1 for color in colors)


async def test_without_colour_the_theme_is_that_of_shades(monkeypatch: pytest.MonkeyPatch) -> None:
    async with screen() as on:
        assert on.app.theme == "loadwatch-dark"
    monkeypatch.setenv("NO_COLOR", "1")
    async with screen() as on:
        assert on.app.theme == "loadwatch-mono"
        head = on.app.screen.query_exactly_one(Header)
        roles = {role: head.style_of(role).color for role in ("good", "warning", "bad", "first")}
        assert len(set(roles.values())) == 4


async def test_t_chooses_a_theme() -> None:
    async with screen() as on:
        await on.press("t", *"loadwatch-light")
        while on.app.theme != "loadwatch-light":  # as soon as the list has found it
            await on.press("enter")


async def test_themes_repaint_everything() -> None:
    async with screen() as on:
        header = on.app.screen.query_exactly_one(Header)
        dark = header.style_of("good").color
        for theme, is_dark in (
            ("loadwatch-light", False),
            ("loadwatch-mono", False),
            ("loadwatch-dark", True),
        ):
            on.app.theme = theme
            await on.pilot.pause()
            color = header.style_of("good").color
            assert (color == dark) is is_dark, theme
            assert color in {run.style.color for run in header.render_line(0) if run.style}, theme
            assert {pane.style_of("good").color for pane in panes(on)} == {color}, theme


def test_plotext_is_not_loaded_with_the_app() -> None:
    """It is slow to load: a thread does so after the first frame."""
    import subprocess

    code = "import sys, loadwatch.ui.app; print('plotext' in sys.modules, 'httpx' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
