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


@given(
    st.lists(st.tuples(st.floats(0, 5), st.floats(0, 1000)), max_size=20),
    st.sampled_from(["uniform", "poisson"]),
)
def test_due_instants_never_step_back_and_no_change_makes_a_burst(
    changes: list[tuple[float, float]], kind: str
) -> None:
    arrivals = Arrivals(phases(kind, 1, 0, 0, 1), 0.0, 50)  # type: ignore[arg-type]
    now, last, rate = 0.0, -1.0, 50.0
    for wait, new in changes:
        begin, now = now, now + wait
        taken = []
        while arrivals.due < now and len(taken) < 5000:
            taken.append(arrivals.advance())
        assert taken == sorted(taken)
        assert all(instant >= last for instant in taken)
        if kind == "uniform":
            assert len(taken) <= rate * (now - begin) + 1.001
        last = taken[-1] if taken else last
        if arrivals.due < now:
            return  # more than this test wants to take
        arrivals.set_rate(now, new)
        rate = new
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
    assert points[:100] == list(itertools.islice(poisson_phases("1/0"), 100))
    assert points[:100] != list(itertools.islice(poisson_phases("2/0"), 100))
