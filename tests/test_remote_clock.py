"""Clocks of a server that answers late, unevenly, in coarse steps, and is set while we look."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadwatch.remote.clock import DRIFT, KEPT, MATTERS, Answer, Clock, Offset

EPOCH = 1_700_000_000.0
DELAY = st.floats(0, 2)


def ask(clock: Clock, at: float, ahead: float, there: float, back: float, grain: float = 0) -> None:
    """One round trip from our instant `at`, against a server whose clocks are so far `ahead`."""
    true = at + there + ahead
    wall = EPOCH + true
    if grain:
        wall = wall // grain * grain
    clock.answered(at, at + there + back, round(true - 0.005, 2), wall, grain)


@given(
    ahead=st.floats(-1e5, 1e5),
    trips=st.lists(st.tuples(DELAY, DELAY), min_size=1, max_size=20),
    grain=st.sampled_from([0.0, 1.0]),
)
def test_the_truth_is_within_the_error_however_uneven_the_way(
    ahead: float, trips: list[tuple[float, float]], grain: float
) -> None:
    clock = Clock(EPOCH)
    for number, (there, back) in enumerate(trips):
        ask(clock, 1e6 + 4.0 * number, ahead, there, back, grain)
        assert clock.jump == 0
    offset = clock.offset
    assert offset is not None
    assert abs(offset.difference - ahead) <= offset.error + 1e-6
    least = min(there + back for there, back in trips) / 2 + grain / 2
    assert least <= offset.error + 1e-9 <= least + 20 * 4 * DRIFT + 1e-6
    local = clock.local(1e6 + ahead)
    assert local is not None
    assert abs(local - 1e6) <= min(there + back for there, back in trips) / 2 + 0.011


def test_the_quickest_answer_counts_until_age_makes_it_worse() -> None:
    offset = Offset()
    offset.add(Answer(0.0, 5.000, 0.001))
    offset.add(Answer(4.0, 5.100, 0.200))
    assert offset.best is not None
    assert offset.best.difference == 5.000
    for number in range(KEPT + 1):
        offset.add(Answer(8.0 + number, 5.100, 0.200))
    assert offset.best.difference == 5.100  # five minutes are enough


def test_errors_grow_with_age() -> None:
    offset = Offset()
    offset.add(Answer(0.0, 5.000, 0.0010))
    offset.add(Answer(100.0, 5.100, 0.0026))
    assert offset.best == Answer(0.0, 5.000, pytest.approx(0.0010 + 100 * DRIFT))
    offset.add(Answer(200.0, 5.200, 0.0038))
    assert offset.best == Answer(200.0, 5.200, 0.0038)


@pytest.mark.parametrize("jump", [-3600.0, -2.0, 2.0, 3600.0])
def test_a_clock_that_is_set_is_noticed_and_followed(jump: float) -> None:
    clock = Clock(EPOCH)
    ask(clock, 1000.0, 0.2, 0.0001, 0.0001)
    assert list(clock.remarks()) == []
    clock.answered(1004.0, 1004.02, 1004.21, EPOCH + 1004.21 + jump, 0)
    assert clock.jump == pytest.approx(jump, abs=0.05)
    direction = "forward" if jump > 0 else "back"
    assert list(clock.remarks()) == [f"the server's clock was set {abs(jump):.1f} s {direction}"]
    assert clock.offset is not None
    assert clock.offset.difference == pytest.approx(0.2 + jump, abs=0.02)
    # Its uptime was not touched: what was collected still gets its right time.
    assert clock.local(1010.21) == pytest.approx(1010.0, abs=0.03)


def test_a_restarted_server_has_an_uptime_of_its_own() -> None:
    clock = Clock(EPOCH)
    ask(clock, 1000.0, 50_000.0, 0.01, 0.01)
    clock.answered(1100.0, 1100.02, 30.0, None, 0)
    assert clock.local(31.0) == pytest.approx(1101.01, abs=0.02)


@pytest.mark.parametrize(
    ("ahead", "said"),
    [
        (0.9 * MATTERS, None),
        (3.2, "the server's clock is 3.2 s ahead (± 0.010 s)"),
        (-75.0, "the server's clock is 75.0 s behind (± 0.010 s)"),
    ],
)
def test_an_offset_is_remarked_once_when_it_matters(ahead: float, said: str | None) -> None:
    clock = Clock(EPOCH)
    ask(clock, 1000.0, ahead, 0.01, 0.01)
    assert list(clock.remarks()) == ([] if said is None else [said])
    ask(clock, 1004.0, ahead, 0.01, 0.01)
    assert list(clock.remarks()) == []


def test_an_offset_that_cannot_be_known_is_remarked_once() -> None:
    clock = Clock(EPOCH)
    ask(clock, 1000.0, 0.0, 0.1, 2.9)
    assert list(clock.remarks()) == ["the server's clock is known to ± 1.5 s"]
    ask(clock, 1004.0, 0.0, 0.1, 2.9)
    assert list(clock.remarks()) == []


def test_a_server_that_does_not_tell_has_no_offset() -> None:
    clock = Clock(EPOCH)
    assert clock.offset is None
    assert clock.local(5.0) is None
    clock.answered(1.0, 2.0, None, None, 0)
    assert clock.offset is None
    assert clock.local(5.0) is None
    assert list(clock.remarks()) == []
