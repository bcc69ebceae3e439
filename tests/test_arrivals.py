"""Arrivals are pure functions of time: tables with known answers, and what must always hold."""

from __future__ import annotations

import itertools
import math
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadwatch.load.arrivals import Arrivals, phases, poisson_phases, uniform_phases


def take(arrivals: Arrivals, until: float) -> list[float]:
    taken = []
    while arrivals.due < until:
        taken.append(arrivals.advance())
    return taken


@pytest.mark.parametrize(
    ("rate", "until", "due"),
    [
        (2, 2.0, [0.0, 0.5, 1.0, 1.5]),  # the first at once, the end excluded
        (10, 0.35, [0.0, 0.1, 0.2, 0.3]),
        (0, 5.0, []),
        (0.5, 5.0, [0.0, 2.0, 4.0]),
    ],
)
def test_uniform_arrivals(rate: float, until: float, due: list[float]) -> None:
    assert take(Arrivals(uniform_phases(), 0.0, rate), until) == pytest.approx(due)


@pytest.mark.parametrize(
    ("changes", "until", "due"),
    [
        # Half-way to the next arrival at 1/s, then 10/s: half a gap is left, 0.05 s.
        ([(0.5, 10)], 0.8, [0.0, 0.55, 0.65, 0.75]),
        # Slowing down stretches the rest of the gap, and forgets nothing.
        ([(0.5, 0.5)], 4.0, [0.0, 1.5, 3.5]),
        # Stopped for a long time: no burst, no debt; the phase is where it was.
        ([(0.5, 0), (100.0, 1)], 102.0, [0.0, 100.5, 101.5]),
        # Two changes before anything is due.
        ([(0.2, 2), (0.4, 4)], 0.8, [0.0, 0.5, 0.75]),
    ],
)
def test_a_rate_change_keeps_the_phase(
    changes: list[tuple[float, float]], until: float, due: list[float]
) -> None:
    arrivals = Arrivals(uniform_phases(), 0.0, 1)
    taken = []
    for at, rate in changes:
        taken += take(arrivals, at)
        arrivals.set_rate(at, rate)
    assert taken + take(arrivals, until) == pytest.approx(due)


@pytest.mark.parametrize(
    ("before", "over", "after", "until", "due"),
    [
        # From 0 to 10/s in 2 s: phase 2.5 t², so that arrival n is due at √(n / 2.5); then 10/s.
        (0, 2, 10, 2.15, [*(math.sqrt(n / 2.5) for n in range(11)), 2.1]),
        # Downwards: phase 10 t - 2.5 t², which is at its end just as arrival 10 would be due.
        (10, 2, 0, 9.0, [2 - math.sqrt(4 - n / 2.5) for n in range(11)]),
        # A ramp to where we are is none.
        (4, 3, 4, 1.1, [0, 0.25, 0.5, 0.75, 1.0]),
        # From 1/s to 3/s in 1 s: phase t + t²; arrival 1 at (√5 - 1)/2, 2 at the end, then 3/s.
        (1, 1, 3, 1.9, [0, (math.sqrt(5) - 1) / 2, 1, 4 / 3, 5 / 3]),
    ],
)
def test_ramps(before: float, over: float, after: float, until: float, due: list[float]) -> None:
    arrivals = Arrivals(uniform_phases(), 0.0, before)
    arrivals.set_rate(0.0, after, over)
    assert take(arrivals, until) == pytest.approx(due)


@pytest.mark.parametrize("turn", [0.5, 1.0, 2.0, 3.0])
def test_a_change_on_a_ramp_goes_on_from_the_phase_and_the_rate_reached(turn: float) -> None:
    """A ramp from 0 to 10/s in 2 s, cut by another to 0/s in 1 s: what is expected adds up."""
    arrivals = Arrivals(uniform_phases(), 0.0, 0.0)
    arrivals.set_rate(0.0, 10, 2)
    taken = take(arrivals, turn)
    arrivals.set_rate(turn, 0, 1)
    taken += take(arrivals, 100)
    reached = min(10.0, 5 * turn)
    expected = 2.5 * min(turn, 2) ** 2 + 10 * max(0.0, turn - 2) + reached / 2
    assert taken == sorted(taken)
    assert len(taken) == math.floor(expected + 1e-9) + 1


@given(
    st.lists(
        st.tuples(st.floats(0, 5), st.floats(0, 1000), st.just(0.0) | st.floats(0.001, 10)),
        max_size=20,
    ),
    st.sampled_from(["uniform", "poisson"]),
)
def test_due_instants_never_step_back_and_no_change_makes_a_burst(
    changes: list[tuple[float, float, float]], kind: str
) -> None:
    arrivals = Arrivals(phases(kind, 1, 0, 0, 1), 0.0, 50)  # type: ignore[arg-type]
    now, last, highest = 0.0, -1.0, 50.0
    for wait, new, over in changes:
        begin, now = now, now + wait
        taken = []
        while arrivals.due < now and len(taken) < 5000:
            taken.append(arrivals.advance())
        assert taken == sorted(taken)
        assert all(instant >= last for instant in taken)
        if kind == "uniform":
            assert len(taken) <= highest * (now - begin) + 1.001
        last = taken[-1] if taken else last
        if arrivals.due < now:
            return  # more than this test wants to take
        arrivals.set_rate(now, new, over)
        highest = max(new, highest if over else 0.0)
        assert arrivals.due >= now or arrivals.due == math.inf


@pytest.mark.parametrize("kind", ["uniform", "poisson"])
@pytest.mark.parametrize("workers", [1, 2, 3])
def test_workers_share_one_schedule(kind: str, workers: int) -> None:
    whole = list(itertools.islice(phases(kind, 7, 0, 0, 1), 60))  # type: ignore[arg-type]
    shares = [
        list(itertools.islice(phases(kind, 7, 0, n, workers), 60 // workers))  # type: ignore[arg-type]
        for n in range(workers)
    ]
    assert sorted(itertools.chain.from_iterable(shares)) == whole


def _anderson_darling(gaps: list[float]) -> float:
    """A² against the exponential distribution of their own mean; its 1 % point is 1.959.

    Stephens, "EDF Statistics for Goodness of Fit", JASA 69 (1974), case of unknown mean.
    """
    n, mean = len(gaps), statistics.mean(gaps)
    shares = [-math.expm1(-gap / mean) for gap in sorted(gaps)]
    total = sum(
        (2 * i + 1) * (math.log(low) + math.log1p(-high))
        for i, (low, high) in enumerate(zip(shares, reversed(shares), strict=True))
    )
    return (-n - total / n) * (1 + 0.6 / n)


def test_uniform_arrivals_are_even() -> None:
    gaps = [b - a for a, b in itertools.pairwise(itertools.islice(uniform_phases(), 1000))]
    assert statistics.stdev(gaps) / statistics.mean(gaps) < 0.1
    assert _anderson_darling([gap + 1e-9 * n for n, gap in enumerate(gaps)]) > 2 * 1.959


def test_poisson_arrivals_are_poisson_and_follow_the_seed() -> None:
    points = list(itertools.islice(poisson_phases("1/0"), 20_001))
    gaps = [b - a for a, b in itertools.pairwise(points)]
    n = len(gaps)
    # Exponential gaps: mean 1, coefficient of variation 1, both within three standard errors.
    assert statistics.mean(gaps) == pytest.approx(1, abs=3 / math.sqrt(n))
    cv = statistics.stdev(gaps) / statistics.mean(gaps)
    assert cv == pytest.approx(1, abs=3 / math.sqrt(n))
    # Counts per window of 20 expected: index of dispersion 1.
    counts = [0] * 1000
    for point in points:
        if point < 20_000:
            counts[int(point // 20)] += 1
    dispersion = statistics.variance(counts) / statistics.mean(counts)
    assert dispersion == pytest.approx(1, abs=3 * math.sqrt(2 / 999))
    assert _anderson_darling(gaps) < 2 * 1.959
    assert points[:100] == list(itertools.islice(poisson_phases("1/0"), 100))
    assert points[:100] != list(itertools.islice(poisson_phases("2/0"), 100))
