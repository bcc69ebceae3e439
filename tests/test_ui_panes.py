"""What the panes say and draw, from a made-up history and without an application."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest

from loadwatch.core.histogram import index_of
from loadwatch.core.reading import HostStatus, Process
from loadwatch.core.tick import HostProcess, Tick
from loadwatch.ui.canvas import Row, plain
from loadwatch.ui.growth import Growth
from loadwatch.ui.pane import Pane
from loadwatch.ui.panes import all_panes
from loadwatch.ui.panes.cpu import CpuPane
from loadwatch.ui.panes.processes import ProcessesPane
from loadwatch.ui.panes.rate import RatePane
from loadwatch.ui.panes.response import ResponsePane
from loadwatch.ui.panes.status import StatusPane
from loadwatch.ui.panes.swap import SwapPane
from loadwatch.ui.view import View
from tests.ui_fakes import MIB, STATUS, story, text_of, tick, told, view

HOST_PANES = (CpuPane, ProcessesPane, SwapPane)


@pytest.fixture(scope="module")
def grown() -> View:
    """Five minutes of a server that runs out of memory."""
    return view(told(story(300)), seconds=300)


def title(pane: Pane, at: View) -> str:
    return "  ".join(text_of(pane.headline(at)))


def picture(pane: Pane, at: View, width: int = 78, height: int = 14) -> list[str]:
    return text_of(pane.draw(at, width, height))


def of(ticks: Iterable[Tick]) -> View:
    return view(told(iter(ticks)))


def test_panes_are_found_by_looking() -> None:
    panes = all_panes()
    assert [pane.TITLE for pane in panes] == [
        "Rate", "Status", "Response time", "CPU", "Processes", "Swap",
    ]  # fmt: skip
    assert len({pane.JUMP for pane in panes}) == len(panes)
    assert all(pane.JUMP in pane.TITLE.upper() for pane in panes)


@pytest.mark.parametrize("pane", all_panes(), ids=lambda pane: pane.TITLE)
@pytest.mark.parametrize(("width", "height"), [(78, 14), (80, 24), (30, 3), (12, 1), (200, 60)])
def test_every_pane_fills_its_room(pane: type[Pane], width: int, height: int, grown: View) -> None:
    rows = picture(pane(), grown, width, height)
    assert len(rows) <= max(height, 3)
    assert all(len(row) <= width for row in rows)
    if height > 10:
        assert len(rows) == height


@pytest.mark.parametrize("pane", all_panes(), ids=lambda pane: pane.TITLE)
def test_every_pane_can_stand_an_empty_history(pane: type[Pane]) -> None:
    nothing = of([])
    assert "–" in title(pane(), nothing)
    pane().draw(nothing, 78, 14)


def test_rate_says_what_was_asked_and_what_came() -> None:
    values = {"load.offered": 50.0, "load.completed": 48.0, "load.goodput": 45.0}
    assert title(RatePane(), of([tick(0, values)])) == "offered 50/s  completed 48/s  goodput 45/s"
    dropping = of([tick(0, {**values, "load.dropped": 2.0})])
    assert title(RatePane(), dropping).endswith("dropped 2/s")


def test_status_counts_every_code_and_error_of_the_step() -> None:
    one = {"load.offered": 9.0, "load.status.2xx": 6.0, "load.status.200": 6.0}
    bad = {"load.status.5xx": 2.0, "load.status.503": 2.0, "load.errors.timeout": 1.0}
    seen = of([tick(0, one), tick(1, {**one, **bad})])
    assert title(StatusPane(), seen) == "2xx 6/s  5xx 2/s  errors 1/s"
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


def test_swap_goes_in_above_and_out_below(grown: View) -> None:
    rows = SwapPane().draw(grown, 78, 14)
    assert {role for row in rows[:6] for _, role in row} >= {"first"}
    assert any("third" in role for row in rows[7:] for _, role in row)
    assert "mem free 40 MiB" in title(SwapPane(), grown)


# -- processes -----------------------------------------------------------------------------------


def processes(*rows: Process, second: int = 0, groups: tuple[str, ...] = ()) -> Tick:
    found = tuple(HostProcess("web", process, groups) for process in rows)
    return tick(second, {"host.web.cpu.us": 1.0}, processes=found)


def table(seen: View, height: int = 8) -> list[str]:
    return picture(ProcessesPane(), seen, 78, height)


def test_processes_by_rss() -> None:
    small = Process(7, "root", 2 * MIB, 0.5, "S", "init")
    large = Process(123456, "www-data", 300 * MIB, 120.0, "R", "gunicorn: worker [wall]")
    head, *rows = table(of([processes(small, large)]))
    assert head.split() == ["PID", "USER", "RSS", "GROWTH", "CPU", "COMMAND"]
    assert [row.split() for row in rows] == [
        ["123456", "www-data", "300", "MiB", "120", "%", "gunicorn:", "worker", "[wall]"],
        ["7", "root", "2", "MiB", "0.5", "%", "init"],
    ]
    assert head.index("COMMAND") == rows[0].index("gunicorn")
    assert head.index("RSS") + 3 == rows[0].index("MiB") + 3


def test_growth_counts_from_the_first_sight() -> None:
    def worker(rss: int, command: str = "a") -> Process:
        return Process(7, "u", rss * MIB, 0, "S", command)

    growth = Growth()
    told_growth = []
    for second, process in enumerate(
        [worker(100), worker(130), worker(150), worker(90), worker(80, "b"), worker(85, "b")]
    ):
        growth.add(processes(process, second=second))
        told_growth.append(growth.of("web", process) // MIB)
    assert told_growth == [0, 30, 50, -10, 0, 5]  # another command is another process
    seen = view(told(iter([processes(worker(85, "b"))])), growth=growth)
    assert "+5 MiB" in table(seen)[1]
    growth.add(processes(Process(8, "u", MIB, 0, "S", "c")))  # it went
    growth.add(processes(worker(200, "b")))
    assert growth.of("web", worker(200, "b")) == 0


HOSTILE = [
    "[@click=app.quit]x",
    "[bold red]not bold[/]",
    "\x1b[31mred\x1b]0;title\x07",
    "line\nbreak\ttab",
    "right\u202eleft",
    "\ud800",
    "コマンド漢字👩‍💻" * 9,
    "=cmd|' /C calc'!A0",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_process_name_is_only_text(name: str) -> None:
    seen = of([processes(Process(1, name, MIB, 0.0, "S", name))])
    pane = ProcessesPane()
    rows = pane.draw(seen, 78, 8)
    said = text_of(rows)[1]
    assert said.isprintable()
    assert plain(name)[:10] in said or "…" in said
    assert cells(rows[1]) == 78


def cells(row: Row) -> int:
    from rich.cells import cell_len

    return sum(cell_len(text) for text, _ in row)


def test_the_table_scrolls_and_stops_at_its_ends() -> None:
    many = [Process(n, "u", (100 - n) * MIB, 0, "S", f"p{n}") for n in range(1, 21)]
    seen = of([processes(*many)])
    pane = ProcessesPane()
    pane._first_row = 5
    assert picture(pane, seen, 78, 8)[1].split()[-1] == "p6"
    pane._first_row = 500
    assert picture(pane, seen, 78, 8)[-1].split()[-1] == "p20"
    assert len(picture(pane, seen, 78, 8)) == 8


def test_groups_are_charted_above_the_table(grown: View) -> None:
    rows = picture(ProcessesPane(), grown)
    assert "┤" in rows[0]
    assert [row for row in rows if "COMMAND" in row]
    assert "backends 1.1" in title(ProcessesPane(), grown)
    assert "× 10" in title(ProcessesPane(), grown)


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
    assert title(CpuPane(), of(ticks)).startswith("web  us –")


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
    frozen = view((bus, history)).frozen()
    before = {pane: (title(pane(), frozen), picture(pane(), frozen)) for pane in all_panes()}
    for each in ticks[50:]:
        bus.publish(each)
    assert history.length == 90  # collection goes on
    for pane, seen in before.items():
        assert (title(pane(), frozen), picture(pane(), frozen)) == seen
