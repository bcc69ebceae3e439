"""Charts, as pictures of known data."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadwatch.core.metric import Unit
from loadwatch.ui import chart
from loadwatch.ui.canvas import Row, crop
from loadwatch.ui.chart import GUTTER, Boundary, Frame, Series
from loadwatch.ui.columns import stack
from tests.ui_fakes import text_of

NAN = math.nan
COUNT = Unit.COUNT


def draw(rows: list[Row]) -> list[str]:
    """The drawing of a chart, without gutter and time axis."""
    return [line[GUTTER:] for line in text_of(rows)][:-1]


def frame(seconds: int, rows: int, columns: int | None = None, end: int | None = None) -> Frame:
    """A drawing of `rows` rows and, by default, a column per second."""
    return Frame((columns or seconds) + GUTTER, rows + 1, end or seconds, seconds)


def line(values: Sequence[float], rows: int = 3, **more: bool) -> list[str]:
    wide = frame(len(values), rows)
    return draw(chart.lines(wide, COUNT, [Series("first", values, **more)]))


# -- lines ---------------------------------------------------------------------------------------


def test_a_line() -> None:
    assert line([0, 4, 8, 4, 0]) == [
        "  ⡜⡄ ",
        " ⡸ ⠸⡀",
        "⢠⠃  ⢣",
    ]


def test_zero_stands_on_the_lowest_dots() -> None:
    *above, lowest = line([0, 0, 0, 0])
    assert set("".join(above)) == {" "}
    assert set(lowest) <= set("⣀⡀⢀")


def test_a_gap_is_a_gap() -> None:
    values = [5, 5, 5, NAN, NAN, NAN, NAN, NAN, 5, 5, 5]
    assert set("".join(row[3:8] for row in line(values))) == {" "}
    assert all(any(row[at] != " " for row in line(values)) for at in (0, 1, 9, 10))


def test_a_single_unknown_second_is_no_gap() -> None:
    assert all(any(row[at] != " " for row in line([5, 5, NAN, 5, 5])) for at in range(5))


def test_a_lonely_second_is_a_dot() -> None:
    values = [NAN] * 5 + [3.0] + [NAN] * 5
    assert sum(sign != " " for row in line(values) for sign in row) == 1


@pytest.mark.parametrize("seconds", [60, 300, 3600])
def test_a_spike_of_one_second_reaches_the_top(seconds: int) -> None:
    values = [0.0] * seconds
    values[seconds // 3] = 10.0
    top, *_ = draw(chart.lines(frame(seconds, 6, 40), COUNT, [Series("first", values)]))
    assert top.strip()


def test_a_step_line_has_corners() -> None:
    assert line([2, 2, 2, 2, 8, 8, 8, 8], is_step=True) == [
        "    ⢸⠉⠉⠉",
        "    ⢸   ",
        "⠈⠉⠉⠉⠉   ",
    ]


def test_a_dot_is_where_its_second_and_value_are() -> None:
    """The drawing has no margin of its own: 2 × 4 dots in every cell, exactly."""
    for second in range(6):
        for value in range(8):
            values = [NAN] * 6
            values[second] = value * 8 / 7
            rows = draw(chart.lines(frame(6, 2, 3), COUNT, [Series("first", values), _rail(6)]))
            dot = (0x40, 0x80, 0x04, 0x20, 0x02, 0x10, 0x01, 0x08)[2 * (value % 4) + second % 2]
            assert ord(rows[1 - value // 4][second // 2]) & dot, (second, value)


def _rail(seconds: int) -> Series:
    """Fixes the axis at 0 to 8."""
    return Series("axis", [8.0] * seconds)


def test_later_lines_lie_on_top() -> None:
    series = [Series("first", [5, 5, 5]), Series("good", [5, 5, 5])]
    roles = {role for row in chart.lines(frame(3, 3), COUNT, series) for _, role in row}
    assert "good" in roles
    assert "first" not in roles


def test_one_chart_leaves_nothing_for_the_next() -> None:
    first = line([1, 5, 9])
    line([9, 1, 9, 1], rows=7)
    assert line([1, 5, 9]) == first


def test_a_logarithmic_axis_shows_decades() -> None:
    values = [0.002, 0.02, 0.2, 0]
    rows = chart.lines(frame(4, 7), Unit.SECONDS, [Series("first", values)], log=True)
    labels = [line[: GUTTER - 1].strip() for line in text_of(rows)[:-1]]
    assert [label for label in labels if label] == ["1s", "100ms", "10ms", "1ms"]
    assert draw(rows)[-1][3] != " "  # zero stands on the lowest line


def test_an_empty_chart_is_only_an_axis() -> None:
    rows = text_of(chart.lines(frame(10, 4), Unit.PER_SECOND, [Series("first", [NAN] * 10)]))
    assert [row.strip() for row in rows[:-1]] == ["1/s┤", "│", "0.5/s┤", "0┤"]


# -- time ----------------------------------------------------------------------------------------


def test_the_same_second_stands_in_the_same_column_of_every_chart() -> None:
    wide = frame(120, 4, 60, end=500)
    values = [NAN] * 120
    values[77] = 5.0
    dots = draw(chart.lines(wide, Unit.SECONDS, [Series("first", values)]))
    bars = draw(chart.columns(wide, Unit.BYTES, [Series("first", values)]))
    places = [
        {at for row in rows for at, sign in enumerate(row) if sign != " "} for rows in (dots, bars)
    ]
    assert places[0] == places[1] != set()
    assert (
        text_of(chart.lines(wide, Unit.SECONDS, []))[-1]
        == text_of(chart.columns(wide, Unit.BYTES, [Series("first", values)]))[-1]
    )


def test_elapsed_time_stands_below() -> None:
    *_, axis = text_of(chart.lines(frame(120, 2, 60, end=240), COUNT, []))
    assert axis.split() == ["2:00", "2:30", "3:00", "3:30"]
    assert axis.index("3:00") + 2 == GUTTER + 30


def test_where_a_step_began_a_line_shows_through() -> None:
    turned = Frame(GUTTER + 10, 4, 10, 10, [Boundary(4), Boundary(99), Boundary(-5)])
    rows = draw(chart.lines(turned, COUNT, [Series("first", [0.0] * 10)]))
    assert [row.index("┊") for row in rows[:-1]] == [4, 4]
    assert "┊" not in rows[-1]  # what is drawn is never hidden


# -- columns -------------------------------------------------------------------------------------


def bars(*up: Sequence[float], down: Sequence[Sequence[float]] = (), rows: int = 4) -> list[str]:
    names = ("good", "first", "warning", "bad")
    layers = [Series(name, values) for name, values in zip(names, up, strict=False)]
    below = [Series("third", values) for values in down]
    return draw(chart.columns(frame(len(up[0]), rows), COUNT, layers, below))


def test_columns_in_eighths() -> None:
    assert bars([0, 1, 2, 4, 8, 3], rows=1) == ["▁▁▂▄█▃"]
    assert bars([8, 6, 2], rows=2) == ["█▄ ", "██▄"]


def test_zero_is_a_line_and_unknown_is_blank() -> None:
    assert bars([0, 0, NAN, NAN, NAN, NAN, 8, 8], rows=1) == ["▁▁    ██"]


@pytest.mark.parametrize("share", [0.5, 0.1, 0.001])
def test_no_layer_is_too_thin_to_be_seen(share: float) -> None:
    good, bad = [100.0] * 3, [0.0, 100 * share, 0.0]
    rows = chart.columns(frame(3, 4), COUNT, [Series("good", good), Series("bad", bad)], high=200.0)
    roles = [role for row in rows for _, role in row]
    assert any("bad" in role for role in roles)
    assert any(role.startswith("good") for role in roles)


def test_the_smallest_value_is_not_zero() -> None:
    assert stack([("good", [0.001])], [], 1, 0, 8.0) == [[("▁", "good")]]
    assert stack([("good", [0.0])], [], 1, 0, 8.0) == [[("▁", "axis")]]


def test_where_layers_meet_a_cell_has_two_colours() -> None:
    cells = stack([("good", [4.0]), ("bad", [4.0])], [], 1, 0, 8.0)
    assert cells == [[("▄", "good on bad")]]


def test_errors_hang_below_zero() -> None:
    assert bars([6, 6, 6], down=[[0, 6, 3]], rows=4) == [
        "███",
        "███",
        " ██",
        " █ ",
    ]


def test_what_hangs_in_part_is_drawn_in_reverse() -> None:
    cells = stack([("good", [0.0])], [("bad", [2.0])], 1, 1, 8.0)
    assert cells[1] == [("▆", "bad reverse")]  # a quarter, hanging: the other six eighths, reversed


def test_no_rows_below_zero_without_errors() -> None:
    assert len(bars([8, 8], down=[[0, 0]], rows=4)) == 4
    assert bars([8, 8], down=[[0, 0]], rows=4) == ["██"] * 4


def test_mirrored_keeps_zero_in_the_middle() -> None:
    up, down = [Series("first", [4.0, 0])], [Series("third", [0.0, 4.0])]
    rows = text_of(chart.columns(frame(2, 5), COUNT, up, down, mirrored=True))
    assert [row[:GUTTER].strip() for row in rows[:5]] == ["4┤", "│", "0┤", "│", "4┤"]
    assert [row[GUTTER:] for row in rows[:5]] == ["█ ", "█▁", "──", " █", " █"]


@given(
    st.lists(
        st.tuples(*[st.one_of(st.just(NAN), st.floats(0, 1000))] * 3), min_size=1, max_size=30
    ),
    st.integers(1, 8),
    st.integers(0, 4),
)
def test_every_cell_of_a_stack_is_drawn(
    seconds: list[tuple[float, float, float]], above: int, below: int
) -> None:
    one, two, three = (list(values) for values in zip(*seconds, strict=True))
    cells = stack([("good", one), ("bad", two)], [("third", three)], above, below, 1000.0)
    assert [len(row) for row in cells] == [len(seconds)] * (above + below)
    for at, (first, second, _) in enumerate(seconds):
        column = [cells[row][at] for row in range(above)]
        if first > 0 or second > 0:
            drawn = "".join(sign for sign, _ in column).lstrip()
            assert drawn
            assert set(drawn[1:]) <= set("█▇▆▅▄▃▂▁")
        elif first != first and second != second:
            assert {sign for sign, _ in column} == {" "}


@pytest.mark.parametrize(("width", "height"), [(1, 1), (11, 1), (10, 2), (30, 3), (200, 60)])
def test_any_size_can_be_drawn(width: int, height: int) -> None:
    small = Frame(width, height, 50, 60)
    series = [Series("first", [float(at % 7) for at in range(50)])]
    for rows in (
        chart.lines(small, COUNT, series),
        chart.columns(small, COUNT, series, series),
        chart.columns(small, COUNT, series, series, mirrored=True),
    ):
        assert len(rows) == height
        assert {len(line) for line in text_of(rows)} == {max(width, GUTTER + 1)}


@pytest.mark.parametrize(
    ("runs", "width", "shown"),
    [
        ([("abc", ""), ("def", "")], 3, "ab…"),
        ([("abc", ""), ("def", "")], 4, "abc…"),
        ([("abc", ""), ("def", "")], 6, "abcdef"),
        ([("abcdef", "")], 3, "ab…"),
        ([("abc", ""), ("", "x")], 3, "abc"),
        ([], 3, ""),
        ([("abc", "")], 0, ""),
    ],
)
def test_what_is_cut_says_so(runs: Row, width: int, shown: str) -> None:
    assert "".join(text for text, _ in crop(runs, width)) == shown


# -- over rates ----------------------------------------------------------------------------------


def over(points: list[tuple[float, float]], marks: Sequence[tuple[float, str]] = ()) -> list[str]:
    """The chart of one curve, 9 rows of 30 cells, as text."""
    return text_of(chart.over_rates(30, 9, Unit.PER_SECOND, [chart.Curve("first", points)], marks))


def test_what_grows_with_the_rate_is_a_straight_line() -> None:
    drawn = over([(1.0, 1.0), (10.0, 10.0), (100.0, 100.0)])
    assert len(drawn) == 9
    ends = [[at for at, sign in enumerate(row[10:]) if sign not in " "] for row in drawn[:-1]]
    middles = [sum(columns) / len(columns) for columns in ends]
    assert middles == sorted(middles, reverse=True)
    assert ends[0][-1] == 19 and ends[-1][0] == 0
    assert [row[:10].strip(" ┤│") for row in drawn[:-1] if row[9] == "┤"] == [
        "100/s",
        "10/s",
        "1/s",
    ]
    assert drawn[-1].split() == ["1/s", "10/s", "100/s"]


@pytest.mark.parametrize("rate", [1.0, 30.0, 100.0])
def test_a_mark_stands_at_its_rate_and_has_its_text_where_there_is_room(rate: float) -> None:
    drawn = over([(1.0, 1.0), (100.0, 1.0)], marks=[(rate, "fails"), (200.0, "")])
    at = 10 + round(math.log10(rate) / 2 * 19)
    assert all(row[at] == chart.BOUNDARY for row in drawn[:4])
    assert "fails" in drawn[0]


def test_nothing_is_drawn_of_no_trials() -> None:
    assert over([]) == []
    assert len(over([(5.0, 0.0)])) == 9
