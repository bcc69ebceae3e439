"""What the panes say and draw, from a made-up history and without an application."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest

from loadwatch.analysis.thresholds import Thresholds, parse
from loadwatch.core.histogram import index_of
from loadwatch.core.plan import Plan, Target
from loadwatch.core.reading import HostStatus
from loadwatch.core.tick import Event, Tick
from loadwatch.ui.chart import GUTTER
from loadwatch.ui.lives import Lives
from loadwatch.ui.pane import HostPane, Pane
from loadwatch.ui.panes import all_panes
from loadwatch.ui.panes.cpu import CpuPane
from loadwatch.ui.panes.disk import DiskPane
from loadwatch.ui.panes.events import EventsPane
from loadwatch.ui.panes.limit import LimitPane
from loadwatch.ui.panes.memory import MemoryPane
from loadwatch.ui.panes.network import NetworkPane
from loadwatch.ui.panes.rate import RatePane
from loadwatch.ui.panes.response import ResponsePane
from loadwatch.ui.panes.server import ServerPane
from loadwatch.ui.panes.status import StatusPane
from loadwatch.ui.panes.steps import StepsPane
from loadwatch.ui.panes.swap import SwapPane
from loadwatch.ui.view import View
from tests.ui_fakes import CATALOGUE, STATUS, story, text_of, tick, told, view
from tests.ui_fakes import seen as seen_after

HOST_PANES = [pane for pane in all_panes() if issubclass(pane, HostPane)]
TABLES = (ServerPane, StepsPane, EventsPane, LimitPane)


@pytest.fixture(scope="module")
def grown() -> View:
    """Five minutes of a server that runs out of memory."""
    return seen_after(story(300), seconds=300)


def title(pane: Pane, at: View) -> str:
    return "  ".join(text_of(pane.headline(at)))


def picture(pane: Pane, at: View, width: int = 78, height: int = 14) -> list[str]:
    return text_of(pane.draw(at, width, height))


def of(ticks: Iterable[Tick]) -> View:
    return seen_after(ticks)


def test_panes_are_found_by_looking() -> None:
    panes = all_panes()
    assert [pane.TITLE for pane in panes] == [
        "Rate", "Status", "Response time", "Server timing", "CPU", "Processes", "Swap", "Memory",
        "Disk & pressure", "Network", "Steps", "Event log", "Limit",
    ]  # fmt: skip
    assert len({pane.JUMP for pane in panes}) == len(panes)
    assert all(pane.JUMP in pane.TITLE.upper() for pane in panes)


@pytest.mark.parametrize("pane", all_panes(), ids=lambda pane: pane.TITLE)
@pytest.mark.parametrize(("width", "height"), [(78, 14), (80, 24), (30, 3), (12, 1), (200, 60)])
def test_every_pane_fills_its_room(pane: type[Pane], width: int, height: int, grown: View) -> None:
    rows = picture(pane(), grown, width, height)
    assert len(rows) <= max(height, 3)
    assert all(len(row) <= width for row in rows)
    if height > 10 and pane not in TABLES:
        assert len(rows) == height


@pytest.mark.parametrize("pane", all_panes(), ids=lambda pane: pane.TITLE)
def test_every_pane_can_stand_an_empty_history(pane: type[Pane]) -> None:
    nothing = of([])
    assert pane in TABLES or "–" in title(pane(), nothing)
    pane().draw(nothing, 78, 14)


def test_rate_says_what_was_asked_and_what_came() -> None:
    values = {"load.offered": 50.0, "load.completed": 48.0, "load.goodput": 45.0}
    assert title(RatePane(), of([tick(0, values)])) == "offered 50/s  completed 48/s  goodput 45/s"
    dropping = of([tick(0, {**values, "load.dropped": 2.0})])
    assert title(RatePane(), dropping).endswith("dropped 2/s ✗")


def test_status_counts_every_code_and_error_of_the_step() -> None:
    one = {"load.offered": 9.0, "load.status.2xx": 6.0, "load.status.200": 6.0}
    bad = {"load.status.5xx": 2.0, "load.status.503": 2.0, "load.errors.timeout": 1.0}
    seen = of([tick(0, one), tick(1, {**one, **bad})])
    assert title(StatusPane(), seen) == "2xx 6/s  5xx 2/s ✗  errors 1/s ✗"
    legend = picture(StatusPane(), seen)[0]
    assert legend == "step 1  200 12  503 2  timeout 1"


def test_status_hangs_errors_below_zero(grown: View) -> None:
    _, *picture = StatusPane().draw(grown, 78, 14)
    assert any("third" in role for row in picture[-3:] for _, role in row)
    assert any("bad" in role for row in picture[:-3] for _, role in row)


def histogram(times: Iterable[float]) -> dict[int, int]:
    counts: dict[int, int] = {}
    for seconds in times:
        index = index_of(round(seconds * 1e6))
        counts[index] = counts.get(index, 0) + 1
    return counts


@pytest.mark.parametrize(
    ("answers", "timeouts", "expected"),
    [
        (5, 0, "p50 –  p95 –  p99 –"),  # too few to bound any of them
        (20, 0, "p50 10.0 ms  p95 –  p99 –"),
        (400, 0, "p50 10.0 ms  p95 10.0 ms  p99 10.0 ms"),
        (390, 10, "p50 10.0 ms  p95 10.0 ms  p99 ≥ 10.0 s"),  # a timeout is at least its time
        (0, 400, "p50 ≥ 10.0 s  p95 ≥ 10.0 s  p99 ≥ 10.0 s"),
    ],
)
def test_response_times_of_the_step(answers: int, timeouts: int, expected: str) -> None:
    counts = histogram([0.01] * answers + [10.0] * timeouts)
    values = {"scenario.home.errors.timeout": float(timeouts)} if timeouts else {}
    seen = of([tick(0, values, histograms={("home", "response"): counts})])
    shown = title(ResponsePane(), seen).removeprefix("step 1  ").removesuffix("  log axis")
    assert shown == expected


def test_percentiles_belong_to_the_step_and_not_to_the_run() -> None:
    slow = tick(0, {}, histograms={("home", "response"): histogram([1.0] * 500)})
    quick = replace(tick(1, {}, histograms={("home", "response"): histogram([0.01] * 50)}), step=2)
    assert title(ResponsePane(), of([slow, quick])).startswith("step 2  p50 10.0 ms  p95 –")


def test_cpu_shows_the_run_queue_against_the_cpus(grown: View) -> None:
    rows = CpuPane().draw(grown, 78, 14)
    assert "on 4 CPUs" in title(CpuPane(), grown)
    roles = {role for row in rows[:4] for _, role in row}
    assert any("fourth" in role for role in roles)
    assert any("bad" in role for role in roles)  # more want a CPU than there are
    short = text_of(CpuPane().draw(grown, 78, 5))
    assert short[0].lstrip().startswith("100%")  # no room for the queue's own chart


def test_no_more_than_all_cpus_are_busy() -> None:
    rounded = [tick(0, {"host.web.cpu.us": 67.0, "host.web.cpu.sy": 34.0})]
    assert "busy 100 %" in title(CpuPane(), of(rounded))


def test_swap_goes_in_above_and_out_below(grown: View) -> None:
    rows = SwapPane().draw(grown, 78, 14)
    assert {role for row in rows[:6] for _, role in row} >= {"first"}
    assert any("third" in role for row in rows[7:] for _, role in row)
    assert "mem free 40 MiB" in title(SwapPane(), grown)


# -- the link to the host ------------------------------------------------------------------------


@pytest.mark.parametrize("pane", HOST_PANES)
def test_without_a_host_the_pane_says_how_to_watch_one(pane: type[Pane]) -> None:
    alone = view(told(story(5, hosts=())), status=replace(STATUS, hosts=(), groups={}), host="")
    said = " ".join(picture(pane(), alone))
    assert "--host user@server" in said
    assert "--host local" in said


@pytest.mark.parametrize("pane", HOST_PANES)
@pytest.mark.parametrize("state", ["connecting", "failed", "lost", "silent", "stopped"])
def test_a_link_that_is_not_well_says_so(pane: type[Pane], state: str) -> None:
    detail = "host key SHA256:abc is not in [b]known_hosts[/b]"
    status = replace(STATUS, hosts=(HostStatus("web", state, detail),))  # type: ignore[arg-type]
    said = " ".join(picture(pane(), view(told(story(5, hosts=())), status=status)))
    assert f"web {state}: {detail}" in said
    after = picture(pane(), view(told(story(5)), status=status))  # what was seen is still shown
    assert f"web {state}" in after[0]
    assert len(after) == 14


def test_a_host_that_fell_silent_has_no_present_values() -> None:
    ticks = [tick(0, {"host.web.cpu.us": 50.0}), *(tick(at, {}) for at in range(1, 40))]
    assert title(CpuPane(), of(ticks)).startswith("web  busy –  us –")


@pytest.mark.parametrize(
    ("pane", "key"), [(NetworkPane, "network.in"), (MemoryPane, "memory.free"), (DiskPane, "io.in")]
)
def test_a_host_without_such_data_says_so(pane: type[Pane], key: str) -> None:
    silent = [tick(0, {"host.web.cpu.us": 50.0})]
    assert picture(pane(), of(silent)) == [f"web tells nothing about its {pane.TITLE.casefold()}"]
    assert "–" in title(pane(), of(silent))
    told_something = [tick(0, {"host.web.cpu.us": 50.0, f"host.web.{key}": 0.0})]
    assert "┤" in picture(pane(), of(told_something))[0]


def test_another_host_has_its_own_numbers() -> None:
    status = replace(STATUS, hosts=(HostStatus("a", "live"), HostStatus("b", "live")), groups={})
    ticks = [tick(0, {"host.a.cpu.us": 10.0, "host.b.cpu.us": 90.0})]
    seen = view(told(iter(ticks)), status=status, host="a")
    assert "us 10 %" in title(CpuPane(), seen)
    assert "us 90 %" in title(CpuPane(), seen.showing("b"))


# -- freezing ------------------------------------------------------------------------------------


def test_a_frozen_view_does_not_move() -> None:
    ticks = list(story(90))
    bus, history = told(iter(ticks[:50]))
    frozen = view((bus, history), end=50)
    before = {pane: (title(pane(), frozen), picture(pane(), frozen)) for pane in all_panes()}
    for each in ticks[50:]:
        bus.publish(each)
    assert history.length == 90  # collection goes on
    for pane, seen in before.items():
        assert (title(pane(), frozen), picture(pane(), frozen)) == seen


def test_all_that_is_shown_of_an_earlier_time_is_of_that_time() -> None:
    """But percentiles of a part of a step, which nobody keeps."""
    ticks, lives, now = list(story(150)), Lives(), Lives()
    told(ticks, lives=now)
    for end in (50, 60, 100, 120, 149):
        then = view(told(ticks[:end], lives=lives), lives=lives)
        back = view(told(ticks), lives=now, end=end)
        for pane in all_panes():
            if pane is not StepsPane or end in (60, 120):  # the ends of steps
                assert picture(pane(), back) == picture(pane(), then), (pane, end)
            if pane is not ResponsePane or end in (60, 120):
                assert title(pane(), back) == title(pane(), then), (pane, end)
        assert back.step.seconds == then.step.seconds
        assert back.step.counts("load.status") == then.step.counts("load.status")
        assert back.step.open_requests == then.step.open_requests
        for key in then.step.tallies:
            assert back.step.mean(key) == then.step.mean(key)
        assert set(back.step.tallies) == set(then.step.tallies)
    text = title(ResponsePane(), view(told(ticks), end=100))
    assert text.startswith("at 1:40") and text.endswith("log axis")
    assert f"p95 {view(told(ticks[:100])).text('load.response.p95')}" in text


# -- meaning -------------------------------------------------------------------------------------


def limited(**rules: str) -> Thresholds:
    """Thresholds as a plan would have them, `_` for `.` in their keys."""
    named = {key.replace("_", "."): rule for key, rule in rules.items()}
    return parse(Plan(Target("http://127.0.0.1"), thresholds=named), CATALOGUE)


@pytest.mark.parametrize(
    ("offered", "shown"),
    [(70.0, "offered 70/s"), (90.0, "offered 90/s ▲"), (101.0, "offered 101/s ✗")],
)
def test_a_threshold_of_the_plan_colours_the_newest_value(offered: float, shown: str) -> None:
    thresholds = limited(load_offered="< 100/s")
    found = seen_after([tick(0, {"load.offered": offered})], thresholds=thresholds)
    row = RatePane().headline(found)[0]
    assert text_of([row]) == [shown]
    assert row[1][1] == {"▲": "warning", "✗": "bad"}.get(shown[-1], "")


def test_a_threshold_colours_the_percentile_of_the_step() -> None:
    counts = histogram([0.6] * 400)
    slow = [tick(0, {}, histograms={("home", "response"): counts})]
    thresholds = limited(load_response_p99="< 500ms")
    said = title(ResponsePane(), seen_after(slow, thresholds=thresholds))
    assert "p99 600 ms ✗" in said
    assert "p50 600 ms  " in said


def test_what_wants_cpu_and_swaps_is_told_by_a_sign(grown: View) -> None:
    assert "busy 7" in title(CpuPane(), grown)
    assert "▲" in title(CpuPane(), grown)
    assert "MiB/s ✗" in title(SwapPane(), grown)
    calm = of(story(30))
    assert not set("▲✗") & set(title(CpuPane(), calm) + title(SwapPane(), calm))


# -- time ----------------------------------------------------------------------------------------


def test_the_mark_is_named_where_it_was_set_and_drawn_through_all(grown: View) -> None:
    rate = RatePane().draw(grown, 78, 14)
    assert "10 backends" in "".join(text_of(rate)[:1])
    for pane in (RatePane, StatusPane, ResponsePane, CpuPane, SwapPane):
        rows = pane().draw(grown, 78, 14)
        assert any("mark" in role.split() for row in rows for _, role in row), pane
        columns = [at for line in text_of(rows) for at, sign in enumerate(line) if sign == "┊"]
        assert len(set(columns)) == 4, pane  # four steps began after the first
    assert "10 backends" not in "".join(picture(StatusPane(), grown))


def test_a_boundary_shows_through_what_is_filled() -> None:
    full = [replace(tick(at, {"load.status.2xx": 100.0}), step=1 + at // 30) for at in range(60)]
    rows = StatusPane().draw(of(full), 70, 12)
    assert any(role == "ground on good" and text == "┊" for row in rows for text, role in row)


def test_looking_back_shows_what_was() -> None:
    ticks = list(story(150))
    then, now = view(told(iter(ticks[:60]))), view(told(iter(ticks)))
    back = view(told(iter(ticks)), end=60)
    for pane in (RatePane, StatusPane, CpuPane):
        assert picture(pane(), back) == picture(pane(), then)
    assert title(RatePane(), back) == title(RatePane(), then)
    assert back.step.step == 1
    assert now.step.step == 3


def test_the_event_log_has_the_newest_first() -> None:
    ticks = [
        tick(0, {}, events=(Event(0.2, "start", "firing"),)),
        tick(1, {}, events=(Event(1.5, "gap", "silent [b]x", "web"), Event(1.9, "mark", "gzip"))),
    ]
    rows = picture(EventsPane(), of(ticks))
    assert [row.split()[2:] for row in rows] == [
        ["mark", "gzip"], ["gap", "web:", "silent", "[b]x"], ["start", "firing"],
    ]  # fmt: skip
    assert title(EventsPane(), of(ticks)) == "3 so far"
    assert title(EventsPane(), view(told(ticks), end=1)) == "1 so far"


def test_where_the_run_queue_is_unknown_nothing_is_drawn() -> None:
    known = {"host.web.procs.r": 1.0, "host.web.cpu.count": 2.0, "host.web.cpu.us": 5.0}
    ticks = [tick(at, known if not 20 <= at < 50 else {}) for at in range(60)]
    ground = picture(CpuPane(), seen_after(ticks))[3][GUTTER:]
    assert ground.strip().count(" ") > 10
    assert not set(ground) & set("▁─")  # neither is it zero
