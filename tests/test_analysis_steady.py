"""Whether a stretch came to rest, against the rule's published and computed answers."""

from __future__ import annotations

import math
import random
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadwatch.analysis.steady import is_steady, warm_up
from loadwatch.core.history import History
from loadwatch.core.tick import Tick

DECAY = [5 + 10 * math.exp(-i / 20) + (0.5 if i % 2 else -0.5) for i in range(200)]


@pytest.mark.parametrize(
    ("values", "cut"),
    [
        ([1.0] * 20 + [0.0] * 80, 20),
        (DECAY, 90),
        ([i / 99 for i in range(100)], None),  # a ramp never comes to rest
        ([3.0] * 40, 0),
        ([0.0] * 40, 0),
        ([1e9 + (i % 2) for i in range(40)], 0),  # large numbers, small differences
        ([1.0] * 9, None),  # not even two batches
        ([], None),
    ],
)
def test_what_is_cut_off(values: list[float], cut: int | None) -> None:
    assert warm_up(values) == cut


def test_the_mean_that_is_kept() -> None:
    cut = warm_up(DECAY)
    assert cut is not None
    assert statistics.fmean(DECAY[cut:]) == pytest.approx(5.020623, abs=1e-6)


def naive(values: list[float]) -> float | None:
    """The rule as it is written down."""
    means = [statistics.fmean(values[at : at + 5]) for at in range(0, len(values) - 4, 5)]
    k = len(means)
    errors = []
    for d in range(k // 2 + 1):
        kept = means[d:]
        centre = statistics.fmean(kept)
        errors.append(math.fsum((mean - centre) ** 2 for mean in kept) / (k - d) ** 2)
    best = min(range(len(errors)), key=errors.__getitem__)
    return None if best == k // 2 else best * 5


@given(st.integers(0, 10_000), st.integers(10, 200), st.floats(0, 5))
def test_the_sums_say_what_the_definition_says(seed: int, length: int, fall: float) -> None:
    chance = random.Random(seed)
    values = [10 + fall * math.exp(-at / 15) + chance.gauss(0, 1) for at in range(length)]
    assert warm_up(values) == naive(values)


def run(*response: float, open_requests: float = 1.0) -> History:
    history = History()
    for second, seconds in enumerate(response):
        values = {
            "load.response.mean": seconds, "load.in_flight": open_requests * (1 + second % 2),
            "load.offered": 5.0,
        }  # fmt: skip
        history.add(Tick(second, 0.0, 1, "", {"home": 5.0}, values))
    return history


@pytest.mark.parametrize(
    ("response", "steady"),
    [
        ([0.01 + 0.001 * (at % 3) for at in range(90)], True),
        ([0.01 + 0.001 * at for at in range(90)], False),  # slower and slower
        ([0.01 + 0.001 * (at % 3) for at in range(59)], None),  # too short to tell
    ],
)
def test_a_step(response: list[float], steady: bool | None) -> None:
    history = run(*response)
    assert is_steady(history, history.step) is steady
