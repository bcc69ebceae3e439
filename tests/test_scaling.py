"""Demand, Little's law, the Universal Scalability Law and the knee, held to published vectors."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadwatch.analysis.scalability import scalability, scalability_lines
from loadwatch.analysis.scaling import Usl, concurrency, cost, fit_usl, knee
from loadwatch.core.limit import RateTrial, Standing
from loadwatch.core.summary import Summary
from loadwatch.core.tick import Kind
from tests.ticks import tick

SPECSDM91 = list(zip(
    (1, 18, 36, 72, 108, 144, 216), (64.9, 995.9, 1652.4, 1853.2, 1828.9, 1775.0, 1702.2),
    strict=True,
))  # fmt: skip
SYNTHETIC = list(zip(
    (1, 2, 4, 6, 8, 10), (1, 1.8868, 3.0769, 3.5294, 3.5398, 3.3557), strict=True
))  # fmt: skip
RAYTRACER = list(zip(
    (1, 4, 8, 12, 16, 20, 24, 28, 32, 48, 64),
    (20, 78, 130, 170, 190, 200, 210, 230, 260, 280, 310), strict=True,
))  # fmt: skip


def fitted(points: list[tuple[int, float]]) -> Usl:
    found = fit_usl(points)
    assert found is not None
    return found


def test_specsdm91() -> None:
    found = fitted(SPECSDM91)
    assert found.alpha == pytest.approx(0.0277285, rel=1e-3)
    assert found.beta == pytest.approx(0.0001044, rel=1e-3)
    assert found.gamma == pytest.approx(89.9952330, rel=1e-3)
    assert found.errors == pytest.approx((0.0091217, 0.0000199, 14.2134894), rel=5e-3)
    assert (found.residual, found.freedom) == (pytest.approx(82.8, rel=1e-3), 4)
    assert found.peak == pytest.approx((96.52, 1884), rel=1e-3)
    assert found.told_peak == found.peak


def test_synthetic() -> None:
    found = fitted(SYNTHETIC)
    assert (found.alpha, found.beta, found.gamma) == pytest.approx((0.02, 0.02, 1.0), rel=5e-3)


def test_the_first_points_of_raytracer_with_intervals_of_the_right_width() -> None:
    found = fitted(RAYTRACER[:6])
    assert (found.alpha, found.beta, found.gamma) == pytest.approx(
        (0.0244440, 0.00162681, 20.85605), rel=1e-3
    )
    assert found.errors == pytest.approx((0.0083907, 0.00026140, 0.788507), rel=5e-3)
    assert found.half_widths[0] == pytest.approx(0.0267, rel=5e-3)  # t(.975, 3) = 3.182


def test_no_peak_is_told_where_coherency_is_at_its_bound() -> None:
    found = fitted(RAYTRACER)
    assert found.beta == pytest.approx(0, abs=1e-7)
    assert (found.alpha, found.gamma) == pytest.approx((0.05777, 21.849), rel=2e-3)
    assert found.gamma / found.alpha == pytest.approx(378.2, rel=2e-3)
    assert found.told_peak is None


def test_a_peak_far_from_all_points_is_not_told() -> None:
    far = Usl(0.001, 1e-5, 10, (0, 1e-7, 0), 1, 5, largest=20)
    assert far.peak is not None and far.peak[0] == pytest.approx(316.0696, rel=1e-6)
    assert far.told_peak is None


def test_a_few_points_are_no_fit() -> None:
    assert fit_usl(SPECSDM91[:5]) is None


@given(alpha=st.floats(0, 0.3), beta=st.floats(0, 0.01), gamma=st.floats(1, 500))
def test_the_law_is_found_in_its_own_values(alpha: float, beta: float, gamma: float) -> None:
    law = Usl(alpha, beta, gamma, (0, 0, 0), 0, 1, 1)
    found = fit_usl([(n, law.rate(n)) for n in (1, 2, 4, 8, 16, 32, 64)])
    assert found is not None
    for n in (1, 10, 60):
        assert found.rate(n) == pytest.approx(law.rate(n), rel=1e-3)


def test_the_knee_of_the_papers_figure() -> None:
    xs = [n / 9 for n in range(10)]
    assert knee([(x, 5 - 1 / (x + 0.1)) for x in xs]) == pytest.approx(0.2222, abs=1e-4)


def test_the_knee_of_specsdm91() -> None:
    assert knee(SPECSDM91) == 36


def test_a_straight_line_has_no_knee() -> None:
    assert knee([(n, 2.0 * n) for n in range(10)]) is None
    assert knee([(1, 1), (2, 2)]) is None


def test_a_request_costs_what_the_utilisation_law_says() -> None:
    found = cost(96, 1, 17)
    assert found is not None
    assert found.demand == pytest.approx(0.0565, abs=1e-4)  # 56 ms at 17/s
    assert found.ceiling == pytest.approx(17.7, abs=0.01)
    assert cost(0, 4, 10) is None and cost(50, 4, 0) is None


def test_littles_law() -> None:
    assert concurrency(17, 0.5) == 8.5
    assert math.isclose(concurrency(1000, 0.0160178), 16.0178)


# -- of a search ---------------------------------------------------------------------------------


def a_trial(rate: float, verdict: Standing = "PASS") -> tuple[RateTrial, Summary]:
    """20 s of a host with 2 CPUs that takes 10 ms of them per request, and 50 ms to answer."""
    seen = Summary()
    done = min(rate, 150)
    for second in range(20):
        opened = 0.05 * rate if rate <= 150 else second * (rate - 150)
        values = {"load.offered": rate, "load.completed": done, "load.in_flight": opened,
                  "host.web.cpu.us": 0.4 * done, "host.web.cpu.sy": 0.1 * done,
                  "host.web.cpu.count": 2}  # fmt: skip
        times: dict[tuple[str, Kind], list[float]] = {("home", "service"): [0.05] * int(done)}
        seen.add(tick(second, values, times=times))
    return RateTrial(rate, verdict, "", 0, 20, 20 * int(rate), None, None, 0.0, rate), seen


def test_what_the_trials_of_a_search_tell() -> None:
    told = [a_trial(10.0 * n) for n in range(1, 8)] + [a_trial(300, "FAIL"), a_trial(90, "INVALID")]
    trials, seen = zip(*told, strict=True)
    found = scalability(trials, seen, ["web", "db"])
    assert found.costs["web"].demand == pytest.approx(0.010)
    assert found.costs["web"].ceiling == pytest.approx(200)
    assert "db" not in found.costs
    assert found.little == pytest.approx(3.5, rel=1e-3) and found.seen == pytest.approx(3.5)
    assert found.usl is not None and found.usl.told_peak is None
    assert found.knee == 70
    lines = scalability_lines(found)
    assert lines[0].startswith("web: 10 ms of CPU per request")
    assert "no peak can be told" in lines[-1]
    assert found.as_json()["cpu_ms_per_request"] == {"web": 10.0}


def test_nothing_passed_tells_nothing() -> None:
    trial, seen = a_trial(300, "FAIL")
    found = scalability([trial], [seen], ["web"])
    assert (found.costs, found.little, found.usl, found.knee) == ({}, None, None, None)
    assert scalability_lines(found) == []
