"""Where the panes stand at which size, and which stretch of time they show."""

from __future__ import annotations

import pytest

from loadwatch.ui.board import OPEN, arrange
from loadwatch.ui.pane import HostPane, Pane
from loadwatch.ui.panes import all_panes
from loadwatch.ui.panes.server import ServerPane
from loadwatch.ui.window import Window


def board(hosts: int = 1) -> list[Pane]:
    """The panes of a run whose server tells nothing of its own work."""
    panes = [pane() for pane in all_panes() if pane is not ServerPane]
    return panes + [type(p)(place=1) for p in panes if isinstance(p, HostPane) and hosts > 1]


def words(columns: list[list[tuple[Pane, int]]]) -> list[list[str]]:
    return [[f"{pane.word()}{pane.place or ''}" for pane, _ in column] for column in columns]


TELLING = ["rate", "status", "response", "cpu", "processes", "swap"]
LOAD, SERVER = TELLING[:3], TELLING[3:]


@pytest.mark.parametrize(
    ("width", "height", "hosts", "expected"),
    [
        (80, 17, 1, [TELLING]),  # 80 × 24 without the bars
        (80, 17, 2, [TELLING]),
        (80, 50, 1, [[pane.word() for pane in board()][:10]]),
        (131, 60, 1, [[pane.word() for pane in board()]]),
        (132, 22, 1, [["rate", "status"], ["cpu", "processes"]]),
        (160, 38, 1, [LOAD, SERVER]),
        (160, 38, 2, [LOAD, SERVER]),
        (160, 21, 1, [TELLING]),  # too low for two above each other
        (250, 63, 1, [[*LOAD, "steps", "events"], SERVER, ["memory", "disk", "network"]]),
        (250, 63, 2, [
            [*LOAD, "steps", "events"], [*SERVER, "memory", "disk"],
            ["cpu1", "processes1", "swap1", "memory1", "disk1"],
        ]),
    ],
)  # fmt: skip
def test_who_stands_where(width: int, height: int, hosts: int, expected: list[list[str]]) -> None:
    panes = board(hosts)
    shown = arrange([pane for pane in panes if width > 198 or not pane.place], None, width, height)
    found = words(shown)
    assert [column[: len(expected[at])] for at, column in enumerate(found)] == expected
    for column in shown:
        assert sum(rows for _, rows in column) == height  # nothing is cut off, nothing left over
        if len(shown) > 1:
            assert min(rows for _, rows in column) >= OPEN * 0.7


@pytest.mark.parametrize(
    ("height", "opened", "charts"),
    [
        (5, None, ["rate"]),
        (17, None, ["rate"]),  # 80 × 24 without the bars
        (17, "swap", ["swap"]),
        (23, None, ["rate", "status"]),
        (23, "cpu", ["rate", "cpu"]),
        (43, None, ["rate", "status", "response", "cpu"]),
        (43, "memory", ["rate", "status", "response", "memory"]),
        (63, None, [*TELLING, "memory"]),
    ],
)
def test_one_column_has_as_many_charts_as_its_height(
    height: int, opened: str | None, charts: list[str]
) -> None:
    panes = board()
    pane = next((pane for pane in panes if pane.word() == opened), None)
    (column,) = arrange(panes, pane, 100, height)
    assert [one.word() for one, rows in column if rows > 1] == charts
    assert sum(rows for _, rows in column) == height
    if height > 5:
        assert min(rows for _, rows in column if rows > 1) >= 8
        assert {*TELLING} <= {one.word() for one, _ in column}


@pytest.mark.parametrize(("width", "height"), [(80, 17), (160, 38), (250, 63)])
def test_what_is_opened_always_has_room(width: int, height: int) -> None:
    panes = board()
    for pane in panes:
        columns = arrange(panes, pane, width, height)
        (rows,) = [rows for column in columns for one, rows in column if one is pane]
        assert rows >= 8


def test_some_panes_only() -> None:
    few = [pane for pane in board() if pane.word() in ("cpu", "swap")]
    assert words(arrange(few, None, 160, 38)) == [["cpu", "swap"]]
    assert words(arrange(few[:1], None, 80, 17)) == [["cpu"]]


# -- time ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("length", "run", "seconds"),
    [(120, 10, 120), (None, 0, 60), (None, 60, 60), (None, 61, 120), (None, 28_800, 28_800)],
)
def test_a_window_is_so_long(length: int | None, run: int, seconds: int) -> None:
    assert Window(length).seconds(run) == seconds


def test_windows_get_longer_up_to_the_whole_run() -> None:
    window = Window(60)
    told = [str(window)] + [str(window := window.resized(1)) for _ in range(6)]
    assert told == ["1 min", "2 min", "5 min", "15 min", "1 h", "whole run", "whole run"]
    assert str(Window(60).resized(-1)) == "1 min"


@pytest.mark.parametrize(
    ("ends", "by", "run", "end"),
    [
        (None, -1, 300, 270),
        (270, -1, 300, 240),
        (270, 1, 300, None),  # now again
        (240, 1, 300, 270),
        (None, 1, 300, None),
        (40, -1, 300, 30),  # not beyond the beginning
        (None, -1, 10, 10),
        (300, 1, 300, None),
    ],
)
def test_moving_by_half_a_window(ends: int | None, by: int, run: int, end: int | None) -> None:
    assert Window(60, ends).moved(by, run).end == end
