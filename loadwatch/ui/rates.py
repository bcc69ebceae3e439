"""What the rate keys ask for. Rates are per second."""

from __future__ import annotations

import math

from loadwatch.core.plan import HIGHEST_RATE


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
