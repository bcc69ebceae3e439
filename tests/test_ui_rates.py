"""What the rate keys ask for."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadwatch.core.limit import CAREFUL, QUICK, Goal, Pace, Slo
from loadwatch.ui import rates


@pytest.mark.parametrize(
    ("rate", "more", "less"),
    [
        (0, 1, 0),
        (0.4, 1, 0),
        (10, 11, 9),
        (17.3, 18, 17),  # to the next whole step
        (19, 20, 18),
        (20, 25, 19),  # from 20 on by 5
        (95, 100, 90),
        (100, 110, 95),  # from 100 on by 5 to 10 %
        (200, 220, 190),
        (250, 260, 240),
        (500, 550, 480),
        (1000, 1100, 950),
        (12345, 13000, 12000),
    ],
)
def test_steps(rate: float, more: float, less: float) -> None:
    assert rates.more(rate) == pytest.approx(more)
    assert rates.less(rate) == pytest.approx(less)


@given(st.floats(0, 1e6))
def test_more_is_more_and_less_is_less(rate: float) -> None:
    assert rates.more(rate) > rate
    assert rates.less(rate) < rate or rate == 0
    assert rates.less(rates.more(rate)) <= rate * (1 + 1e-9)
    assert rates.more(rate) <= max(rate * 1.3, rate + 1)


def test_double_and_halve() -> None:
    assert rates.double(17) == 34
    assert rates.double(0) == 1  # not stuck at nothing
    assert rates.halve(17) == 8.5


@pytest.mark.parametrize(
    ("text", "rate"),
    [("17", 17), (" 2.5 ", 2.5), ("100/s", 100), ("1.5k", 1500), ("1k/s", 1000), ("0", 0)],
)
def test_typed_rates(text: str, rate: float) -> None:
    assert rates.parse(text) == rate


@pytest.mark.parametrize("text", ["", "x", "-1", "nan", "inf", "1e999", "10 20", "1kk", "/s"])
def test_what_is_no_rate(text: str) -> None:
    with pytest.raises(ValueError, match=r"rate|number"):
        rates.parse(text)


# -- a search ------------------------------------------------------------------------------------

ASKED = Goal(Slo(p95=0.3), ceiling=400.0)


@pytest.mark.parametrize(
    ("text", "pace", "start"),
    [
        ("quick 12", QUICK, 12.0), ("QUICK 2.5/s", QUICK, 2.5), ("careful 5", CAREFUL, 5.0),
        (" 1 ", CAREFUL, 1.0), ("quick 400", QUICK, 400.0),
    ],
)  # fmt: skip
def test_a_search_as_typed(text: str, pace: Pace, start: float) -> None:
    goal = rates.goal_of(text, ASKED)
    assert goal == replace(ASKED, pace=pace, start=start)
    assert f"trials of {pace.trial:g} s from {start:g}" in rates.told(goal)
    assert "p95 up to 300 ms" in rates.told(goal)


@pytest.mark.parametrize(
    "text", ["", "quick", "fast 3", "quick 3 4", "quick 0", "401", "-1", "quick nan"]
)
def test_what_is_no_search(text: str) -> None:
    with pytest.raises(ValueError, match=r"quick|rate|number"):
        rates.goal_of(text, ASKED)
