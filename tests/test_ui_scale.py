"""From seconds and values to columns and rows."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadwatch.core.metric import Unit
from loadwatch.ui import scale
from loadwatch.ui.scale import TRACE, Span

NAN = math.nan


@pytest.mark.parametrize(
    ("span", "columns"),
    [
        (Span(end=10, seconds=10, columns=10), {0: 0, 9: 9, 10: 10, -1: -1}),  # one second each
        (Span(end=10, seconds=10, columns=5), {0: 0, 1: 0, 8: 4, 9: 4}),  # two seconds each
        (Span(end=11, seconds=10, columns=5), {1: -1, 2: 0, 9: 3, 10: 4}),  # pairs stay pairs
        (Span(end=10, seconds=10, columns=20), {8: 17, 9: 19}),  # two columns each
        (Span(end=3, seconds=10, columns=10), {0: 7, 2: 9}),  # a young run stands at the right
    ],
)
def test_a_second_has_its_column(span: Span, columns: dict[int, int]) -> None:
    assert {second: span.column(second) for second in columns} == columns


@given(st.integers(1, 400), st.integers(1, 200), st.integers(1, 2000))
def test_columns_move_but_never_regroup(seconds: int, columns: int, end: int) -> None:
    """Seconds that share a column do so at any later time: nothing shimmers."""
    now, later = Span(end, seconds, columns), Span(end + 1, seconds, columns)
    moved = {now.column(second) - later.column(second) for second in range(end)}
    assert len(moved) == 1


@pytest.mark.parametrize(
    ("values", "max_gap", "expected"),
    [
        ([1, 2, 3], 3, [[(0, 1), (1, 2), (2, 3)]]),
        ([1, NAN, 3], 3, [[(0, 1), (2, 3)]]),  # one unknown second is connected across
        ([1, NAN, NAN, NAN, 5], 3, [[(0, 1)], [(4, 5)]]),  # more than max_gap: a gap
        ([1, NAN, NAN, 4, NAN], 3, [[(0, 1), (3, 4)]]),
        ([1, NAN, NAN, NAN, NAN, NAN, NAN, 8], 7, [[(0, 1), (7, 8)]]),  # every 3 s: 7 is no gap
        ([NAN, NAN], 3, []),
        ([0, 0], 3, [[(0, 0), (1, 0)]]),  # zero is a value
        ([], 3, []),
    ],
)
def test_lines_break_at_gaps(
    values: list[float], max_gap: int, expected: list[list[tuple[int, float]]]
) -> None:
    span = Span(len(values) or 1, len(values) or 1, len(values) or 1)
    assert scale.runs(values, span, max_gap) == expected


@pytest.mark.parametrize(
    ("seconds", "gap"),
    [
        ([], 3),
        ([5], 3),
        ([1, 2, 3, 4], 3),
        ([0, 3, 6, 9, 12], 7),
        ([0, 3, 6, 20, 23, 26], 7),  # a gap does not make the usual distance longer
        ([0, 5, 10, 11, 16], 11),
        ([*range(0, 200, 10), *range(200, 300)], 3),  # what is usual now
    ],
)
def test_the_usual_distance_tells_what_a_gap_is(seconds: list[int], gap: int) -> None:
    values = [1.0 if at in seconds else NAN for at in range(max(seconds, default=0) + 1)]
    assert scale.usual_gap(values) == gap


@given(
    st.lists(st.one_of(st.floats(0, 1e6), st.just(NAN)), min_size=1, max_size=300),
    st.integers(1, 80),
)
def test_a_spike_survives_at_any_width(values: list[float], columns: int) -> None:
    span = Span(len(values), len(values), columns)
    known = [value for value in values if value == value]
    points = [value for line in scale.runs(values, span) for _, value in line]
    drawn = [value for value in scale.bars(values, span) if value == value]
    assert max(points, default=0) == max(known, default=0)
    assert max(drawn, default=0) == max(known, default=0)
    assert len(points) <= columns


def test_a_reading_stands_until_the_next_one() -> None:
    values = [4, NAN, NAN, 7, NAN, NAN, 0, NAN]
    bars = scale.bars(values, Span(8, 8, 8), max_gap=7)
    assert bars[:7] == [4, 4, 4, 7, 7, 7, 0]
    assert math.isnan(bars[7])


def test_no_bar_where_nothing_is_known() -> None:
    bars = scale.bars([1, NAN, NAN, NAN, NAN, 2], Span(6, 6, 6), max_gap=3)
    assert [value == value for value in bars] == [True, False, False, False, False, True]


def test_stairs_hold_a_value_until_the_next() -> None:
    assert scale.stairs([(0, 1), (1, 1), (4, 3)]) == [(0, 1), (1, 1), (4, 1), (4, 3)]


@pytest.mark.parametrize(
    ("value", "unit", "top"),
    [
        (0, Unit.PER_SECOND, 1),
        (7, Unit.PER_SECOND, 8),
        (10, Unit.PER_SECOND, 10),
        (10.1, Unit.PER_SECOND, 12),
        (99, Unit.PER_SECOND, 100),
        (0.31, Unit.SECONDS, 0.4),
        (1000, Unit.BYTES, 1024),
        (1025, Unit.BYTES, 1280),
        (3 * 1024**2, Unit.BYTES_PER_SECOND, 3 * 1024**2),
    ],
)
def test_axes_end_at_familiar_numbers(value: float, unit: Unit, top: float) -> None:
    assert scale.ceiling(value, unit) == pytest.approx(top)


@given(st.floats(1e-6, 1e12), st.sampled_from(list(Unit)))
def test_an_axis_holds_its_values(value: float, unit: Unit) -> None:
    assert value * (1 - 1e-6) <= scale.ceiling(value, unit) <= value * 2.001


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0, Unit.BYTES, "0"),
        (0.5, Unit.PER_SECOND, "0.5/s"),
        (1200, Unit.PER_SECOND, "1,200/s"),
        (0.01, Unit.SECONDS, "10ms"),
        (1.25 * 1024**3, Unit.BYTES, "1.25GiB"),
        (100, Unit.PERCENT, "100%"),
        (8, Unit.COUNT, "8"),
    ],
)
def test_labels_are_short(value: float, unit: Unit, text: str) -> None:
    assert scale.label(value, unit) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00"), (65.9, "1:05"), (600, "10:00"), (3725, "1:02:05")]
)
def test_elapsed_time(seconds: float, text: str) -> None:
    assert scale.clock(seconds) == text


@given(st.integers(1, 4000), st.sampled_from([60, 300, 3600]), st.integers(20, 200))
def test_time_labels_keep_apart(end: int, seconds: int, columns: int) -> None:
    ticks = scale.time_ticks(Span(end, seconds, columns), 11)
    places = [column for column, _ in ticks]
    assert all(late - early >= 10 for early, late in pairwise(places))
    assert all(0 <= column < columns for column in places)


def test_stacked_columns_are_heights_that_there_were() -> None:
    good, bad = [100.0, 0.0] * 30, [0.0, 100.0] * 30
    good[31], bad[31] = 20.0, 70.0
    for columns in (6, 7, 30):
        up, down = scale.stacked([good, bad], Span(60, 60, columns))
        heights = [a + b for a, b in zip(up, down, strict=True)]
        assert max(heights) == pytest.approx(100)
        assert all(a > 0 and b > 0 for a, b in zip(up, down, strict=True))  # both are seen
    # Neither the first second, nor the one in which a layer is highest: the one in which all are.
    assert scale.stacked([[10.0, 60.0, 50.0], [5.0, 10.0, 50.0]], Span(3, 3, 1)) == [[50.0]] * 2
    up, down = scale.stacked([[60.0, 10.0], [0.0, 0.0]], Span(2, 2, 1))
    assert (up, down) == ([60.0], [0.0])
    up, down = scale.stacked([[60.0, 10.0], [0.0, 5.0]], Span(2, 2, 1))
    assert (up, down) == ([60.0], [TRACE])
    (up, down) = scale.stacked([[math.nan] * 4, [math.nan] * 4], Span(4, 4, 2))
    assert all(value != value for value in (*up, *down))
    assert scale.stacked([good], Span(60, 60, 6)) == [scale.bars(good, Span(60, 60, 6))]
