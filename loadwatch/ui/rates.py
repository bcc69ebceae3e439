"""What the rate keys ask for, and what a search is asked for. Rates are per second."""

from __future__ import annotations

import math
from dataclasses import replace

from loadwatch.core.limit import CAREFUL, QUICK, Goal
from loadwatch.core.metric import Unit, format_value
from loadwatch.core.plan import HIGHEST_RATE

PACES = {"quick": QUICK, "careful": CAREFUL}


def step_of(rate: float) -> float:
    """How far one key press turns `rate`: 1 below 20, 5 below 100, then a round 5 to 10 %."""
    if rate < 20:
        return 1.0
    if rate < 100:
        return 5.0
    tenth = rate / 10
    power = 10.0 ** math.floor(math.log10(tenth))
    return max(part * power for part in (1.0, 2.0, 5.0) if part * power <= tenth * (1 + 1e-9))


def more(rate: float) -> float:
    """The next multiple of the step above `rate`."""
    step = step_of(rate)
    return (math.floor(rate / step + 1e-9) + 1) * step


def less(rate: float) -> float:
    """The next multiple of the step below `rate`, at least 0; `less(more(x)) <= x`."""
    step = step_of(rate * (1 - 1e-6))
    return max(0.0, (math.ceil(rate / step - 1e-9) - 1) * step)


def double(rate: float) -> float:
    """Twice as much; 1 where nothing was asked for."""
    return rate * 2 or 1.0


def halve(rate: float) -> float:
    """Half as much."""
    return rate / 2


def parse(text: str) -> float:
    """A rate as typed: `17`, `2.5`, `100/s`, `1.5k`; ValueError with what is expected."""
    typed = text.strip().lower().removesuffix("/s").strip()
    factor = 1000 if typed.endswith("k") else 1
    try:
        rate = float(typed.removesuffix("k")) * factor
    except ValueError:
        raise ValueError("a number of requests per second, such as 17 or 2.5") from None
    if not 0 <= rate <= HIGHEST_RATE:
        raise ValueError(f"a rate is 0 or more, up to {HIGHEST_RATE:,.0f}/s")
    return rate


def goal_of(text: str, goal: Goal) -> Goal:
    """A search as typed, `quick 12`, `careful 5` or `12`, for what `goal` asks for otherwise.

    ValueError with what is expected.
    """
    pace, *more = text.lower().split() or [""]
    if pace not in PACES:
        pace, more = "careful", [pace, *more]
    if len(more) > 1 or not "".join(more):
        raise ValueError("`quick` or `careful`, and the first rate, such as: quick 10")
    start = parse(more[0])
    if not 0 < start <= goal.ceiling:
        raise ValueError(f"the first rate is above 0, up to {goal.ceiling:,.0f}/s")
    return replace(goal, pace=PACES[pace], start=start)


def told(goal: Goal) -> str:
    """In a line what a search will do."""
    slo, pace = goal.slo, goal.pace
    p95, p99 = (format_value(limit, Unit.SECONDS) for limit in (slo.p95, slo.p99))
    start = format_value(goal.start, Unit.PER_SECOND)
    return (
        f"trials of {pace.trial:g} s from {start} on; what holds has p95 up to {p95}, p99 up to"
        f" {p99}, errors up to {slo.errors:.0%}"
    )
