"""Comparisons: known answers, what may be compared, and how often the verdicts are right."""

from __future__ import annotations

import json
import math
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadwatch.analysis.bootstrap import BLOCK, RESOLUTION, Resamples, interval
from loadwatch.analysis.change import Row, changes
from loadwatch.analysis.compare import Side, compare
from loadwatch.analysis.stretch import Stretch, stretches
from loadwatch.config import redact
from loadwatch.core.histogram import Histogram
from loadwatch.core.plan import Load, Plan, Scenario, Target
from loadwatch.core.tick import Tick
from loadwatch.recorded import side_of
from loadwatch.reports.comparison import as_json, as_text, change, verdict
from loadwatch.session import open_session
from tests import ticks
from tests.queues import served
from tests.recordings import record
from tests.ticks import CATALOGUE, RATES, tick

# -- the bootstrap -------------------------------------------------------------------------------


class Drawn(Resamples):
    """Resamples whose blocks are known."""

    def __init__(self, seconds: int, starts: Sequence[Sequence[int]]) -> None:
        super().__init__(seconds, 0)
        self._picks = [lambda row, one=one: tuple(row[n] for n in one) for one in starts]


DRAWS = st.integers(6, 20).flatmap(
    lambda n: st.tuples(
        st.lists(
            st.dictionaries(st.integers(100, 9000), st.integers(1, 50), max_size=5),
            min_size=n, max_size=n,
        ),
        st.lists(st.integers(0, n - 1), min_size=2, max_size=4),
        st.sampled_from([0.5, 0.95, 0.99]),
    )
)  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(DRAWS)
def test_a_resample_is_the_merged_histogram_of_its_blocks(
    drawn: tuple[list[dict[int, int]], list[int], float],
) -> None:
    seconds, starts, share = drawn
    length = len(seconds)
    merged, total = Histogram(), 0
    for start in starts:
        for offset in range(BLOCK):
            merged.merge(seconds[(start + offset) % length])
            total += (start + offset) % length
    resamples = Drawn(length, [starts])
    assert resamples.sums(list(range(length))) == [total]
    ((found,),) = resamples.percentiles(seconds, [share])
    exact = merged.percentile(share)
    if exact is None:
        assert math.isnan(found)
    else:
        assert exact <= found * (1 + 1e-12)
        assert found <= exact * math.exp(1 / RESOLUTION) * (1 + 1e-12)


def test_resamples_are_as_long_as_the_stretch_and_repeatable() -> None:
    assert Resamples(60, 3).sums([1.0] * 60) == [60.0] * 3
    assert Resamples(61, 3).sums([1.0] * 61) == [65.0] * 3
    values = [float(n) for n in range(60)]
    assert Resamples(60, 5, 1).sums(values) == Resamples(60, 5, 1).sums(values)
    assert Resamples(60, 5, 1).sums(values) != Resamples(60, 5, 2).sums(values)


def test_an_interval_leaves_out_the_same_share_on_both_sides() -> None:
    values = list(range(2001))
    random.Random(1).shuffle(values)
    assert interval(values, 0.95) == (50, 1950)
    assert interval([7.0], 0.95) == (7.0, 7.0)


# -- how often they are right --------------------------------------------------------------------


def verdicts(pairs: int, factor: float, resamples: int, paired: bool) -> Counter[tuple[str, str]]:
    """Of so many pairs of runs at half load for a minute, the second with `factor` the service.

    `paired` ones have the same arrivals, as runs with the same seed do.
    """
    counted: Counter[tuple[str, str]] = Counter()
    metrics = {row.key: row for row in map(CATALOGUE.of, ALL_OF_HOME)}
    for pair in range(pairs):
        seed = pair if paired else None
        base = Stretch(served(60, 50, 0.010, 2 * pair, seed))
        candidate = Stretch(served(60, 50, 0.010 * factor, 2 * pair + 1, seed))
        rows = changes(base, candidate, metrics, paired, resamples)
        for row in rows:
            counted[row.metric.key.rpartition(".")[2], row.verdict] += 1
        found = {row.verdict for row in rows} & {"faster", "slower"}
        counted["any", "difference" if found else "none"] += 1
    return counted


COMPARED = ("completed", "response.p50", "response.p95", "response.p99")
ALL_OF_HOME = [f"scenario.home.{key}" for key in COMPARED]


def check_the_same(pairs: int, resamples: int, paired: bool) -> Counter[tuple[str, str]]:
    """Nothing was changed: one pair of ten at most has a difference in any of its numbers."""
    counted = verdicts(pairs, 1.0, resamples, paired)
    assert counted["any", "difference"] <= pairs // 10, counted
    return counted


def check_a_third_slower(pairs: int, resamples: int, paired: bool) -> Counter[tuple[str, str]]:
    counted = verdicts(pairs, 1.3, resamples, paired)
    for percentile in ("p50", "p95"):
        assert counted[percentile, "slower"] >= pairs * 9 // 10, counted
        assert counted[percentile, "faster"] == 0
    return counted


def test_nothing_is_called_a_difference_that_is_none() -> None:
    check_the_same(100, 200, paired=False)


def test_a_service_a_third_slower_is_found_at_half_load() -> None:
    check_a_third_slower(100, 200, paired=False)


@pytest.mark.soak
@pytest.mark.parametrize("paired", [False, True])
def test_verdicts_as_users_get_them(paired: bool) -> None:
    print("paired" if paired else "independent")
    print(sorted(check_the_same(100, 2000, paired).items()))
    print(sorted(check_a_third_slower(100, 2000, paired).items()))


def test_the_same_arrivals_cancel_out() -> None:
    """Nothing was changed but chance: that as many came is then known, and not left to chance."""
    metrics = {row.key: row for row in map(CATALOGUE.of, ALL_OF_HOME)}
    base, candidate = (Stretch(served(60, 50, 0.010, seed, arrivals=7)) for seed in (1, 2))
    longer = Stretch(served(61, 50, 0.010, 2, arrivals=7))
    much = Stretch(served(90, 50, 0.010, 2, arrivals=7))

    def width(other: Stretch, paired: bool) -> float:
        completed, *_ = changes(base, other, metrics, paired, 200)
        assert completed.metric.label == "Completed"
        return (completed.high or 0) - (completed.low or 0)

    assert 0 < width(candidate, True) < width(candidate, False) / 5
    # One that is a second longer is cut; one that is much longer cannot be paired.
    assert width(longer, True) == width(candidate, True)
    assert width(much, True) > width(candidate, True) * 5


# -- known answers -------------------------------------------------------------------------------


def load(seconds: int = 70, **values: float) -> list[Tick]:
    """Seconds that are all alike: ten requests of `home`, 20 ms each."""
    return seconds_of(seconds, {k.replace("__", "."): v for k, v in values.items()}, [0.020] * 10)


def seconds_of(
    seconds: int, values: Mapping[str, float], times: Sequence[float], **more: Any
) -> list[Tick]:
    base = {
        "load.offered": 10,
        "load.completed": 10,
        "scenario.home.offered": 10,
        "scenario.home.completed": 10,
        "scenario.home.response.p50": 0.02,
        "scenario.home.response.p95": 0.02,
        "scenario.home.response.p99": 0.02,
    }
    rates = {"home": 10.0}
    return [
        tick(n, {**base, **values}, times={("home", "response"): times},
             **{"rates": rates, **more})
        for n in range(seconds)
    ]  # fmt: skip


def rows_of(base: Iterable[Tick], candidate: Iterable[Tick]) -> dict[str, Row]:
    (one,), (other,) = stretches(base), stretches(candidate)
    keys = [*ALL_OF_HOME, *(key for key in one.values if key.startswith("host."))]
    metrics = {key: CATALOGUE.of(key) for key in keys}
    return {row.metric.key: row for row in changes(one, other, metrics, resamples=200)}


HOST = {"host.web.cpu.us": 40.0, "host.web.cpu.sy": 10.0, "host.web.cpu.count": 2.0}


@pytest.mark.parametrize(
    ("key", "base", "candidate", "values", "said"),
    [
        # Half of two CPUs for ten requests a second: 0.1 s of CPU each.
        ("host.web.cpu.per_request", HOST, {**HOST, "host.web.cpu.us": 90.0}, (0.1, 0.2), "slower"),
        ("host.web.cpu.per_request", HOST, HOST, (0.1, 0.1), "no practical change"),
        ("host.web.group.backends.rss", {"host.web.group.backends.rss": 100e6},
         {"host.web.group.backends.rss": 80e6}, (100e6, 80e6), "faster"),
        ("host.web.swap.in", {"host.web.swap.in": 0.0}, {"host.web.swap.in": 4e6}, (0, 4e6),
         "slower"),
        ("host.web.swap.in", {"host.web.swap.in": 0.0}, {"host.web.swap.in": 1e5}, (0, 1e5),
         "no practical change"),
        ("scenario.home.errors", {}, {"scenario.home.status.5xx": 1.0}, (0, 0.1), "slower"),
        ("scenario.home.errors", {"scenario.home.errors.timeout": 2.0}, {}, (0.2, 0), "faster"),
        ("scenario.home.errors", {}, {"scenario.home.dropped": 3.0}, (0, 0.3), "slower"),
        ("scenario.home.errors", {}, {}, (0, 0), "no practical change"),
        ("scenario.home.completed", {}, {"scenario.home.completed": 8.0}, (10, 8), "slower"),
        ("scenario.home.completed", {"scenario.home.completed": 8.0}, {}, (8, 10), "faster"),
        ("scenario.home.response.p50", {}, {}, (0.02, 0.02), "no practical change"),
    ],
)  # fmt: skip
def test_known_answers(
    key: str, base: dict[str, float], candidate: dict[str, float],
    values: tuple[float, float], said: str,
) -> None:  # fmt: skip
    times = [0.020] * 10
    row = rows_of(seconds_of(70, base, times), seconds_of(70, candidate, times))[key]
    assert (row.base, row.candidate) == pytest.approx(values, rel=1e-3)
    assert row.verdict == said
    if values[0] and values[1]:
        expected = pytest.approx(values[1] / values[0], rel=1e-2)
        assert (row.ratio, row.low, row.high) == (expected, expected, expected)
    assert (row.scenario, row.rate) == ("home" if key.startswith("scenario") else None, 10.0)


def test_few_requests_without_an_error_prove_little() -> None:
    """Not one of 65 failed: up to 3 in 65 still may."""
    values = {"load.offered": 1, "scenario.home.offered": 1}
    row = rows_of(*[seconds_of(70, values, [0.02])] * 2)["scenario.home.errors"]
    assert (row.base, row.candidate, row.verdict) == (0, 0, "inconclusive")


def test_a_timeout_has_no_upper_bound() -> None:
    slow = {"scenario.home.errors.timeout": 5.0}
    fast, late = seconds_of(70, {}, [0.02] * 10), seconds_of(70, slow, [0.02] * 5 + [1.0] * 5)
    row = rows_of(fast, late)["scenario.home.response.p95"]
    assert (row.verdict, row.high) == ("slower", None)
    assert row.low == pytest.approx(50, rel=0.01)
    back = rows_of(late, fast)["scenario.home.response.p95"]
    assert (back.verdict, back.low) == ("faster", None)
    both = rows_of(late, late)["scenario.home.response.p95"]
    assert (both.verdict, both.low, both.high) == ("inconclusive", None, None)


def test_too_few_requests_for_a_percentile_leave_it_unknown() -> None:
    few = seconds_of(70, {}, [0.02])
    row = rows_of(few, few)["scenario.home.response.p99"]
    assert (row.base, row.candidate, row.ratio, row.verdict) == (None, None, None, "inconclusive")


def test_what_one_side_never_measured_is_not_compared() -> None:
    rows = rows_of(seconds_of(70, HOST, [0.02] * 10), load())
    assert not [key for key in rows if key.startswith("host.")]


def test_seconds_that_know_no_cpu_do_not_count() -> None:
    made = seconds_of(70, HOST, [0.02] * 10)
    gappy = [
        t
        if t.second % 2
        else replace(t, values={k: v for k, v in t.values.items() if k not in HOST})
        for t in made
    ]
    assert rows_of(made, gappy)["host.web.cpu.per_request"].candidate == pytest.approx(0.1)


# -- stretches -----------------------------------------------------------------------------------


def test_a_stretch_is_what_fired_without_the_warm_up() -> None:
    silent = {"load.offered": 0.0}
    made = [
        *(replace(t, values={**t.values, **silent}) for t in load(3)),
        *(replace(t, second=t.second + 3) for t in load(60)),
        *(replace(t, second=t.second + 63, values={**t.values, **silent}) for t in load(4)),
    ]
    stretch = Stretch(made)
    assert (stretch.firing, stretch.seconds) == (60, 55)
    assert Stretch(load(12)).seconds == 11
    assert (Stretch([]).firing, Stretch([]).seconds) == (0, 0)


def test_of_equal_rates_the_longest_stretch_counts_and_a_pause_does_not() -> None:
    made = list(
        ticks.run(100, turns={10: {"home": 20}, 40: {"home": 10}, 90: {"home": 0, "wall": 0}})
    )
    found = stretches(made)
    assert [(dict(s.rates), s.firing) for s in found] == [
        ({"home": 10.0, "wall": 2.0}, 50),
        ({"home": 20.0, "wall": 2.0}, 30),
    ]


def test_a_ramp_is_no_stretch() -> None:
    made = [replace(t, rates={"home": 10.0 + t.second}) for t in load(70)]
    assert stretches(made) == []


# -- comparable at all? --------------------------------------------------------------------------

PLAN = Plan(Target("http://a.example"), Load(), (Scenario("home"), Scenario("wall", "/wall/", 2.0)))


def side(plan: Plan = PLAN, made: Iterable[Tick] | None = None, **more: Any) -> Side:
    made = ticks.run(65) if made is None else made
    metrics = {key: CATALOGUE.of(key) for t in ticks.run(2) for key in t.values}
    given: dict[str, Any] = {"name": "a", "environment": {"host": "x"}, "reasons": (), **more}
    return Side(plan=redact(plan), stretches=stretches(made), metrics=metrics, **given)


def planned(**changes: Any) -> Plan:
    """The plan with other values for fields of its target or load, or other scenarios."""
    import msgspec

    parts = {}
    for name, table in (("target", PLAN.target), ("load", PLAN.load)):
        mine = {k: v for k, v in changes.items() if k in table.__struct_fields__}
        parts[name] = msgspec.structs.replace(table, **mine)
    return Plan(**parts, scenarios=changes.get("scenarios", PLAN.scenarios))


@pytest.mark.parametrize(
    ("candidate", "reason"),
    [
        (side(planned(timeout=3.0)), "target.timeout differs: 10.0 and 3.0"),
        (side(planned(arrival="uniform")), "load.arrival differs: poisson and uniform"),
        (side(planned(keep_alive=False)), "load.keep_alive differs: True and False"),
        (side(planned(connections=5)), "load.connections differs: None and 5"),
        (side(planned(scenarios=PLAN.scenarios[:1])), "the scenarios differ in what they request"),
        (side(planned(scenarios=(Scenario("home", "/other"), PLAN.scenarios[1]))),
         "the scenarios differ in what they request"),
        (side(reasons=["too slow"]), "a: the load generator was the limit: too slow"),
        (side(made=ticks.run(65, rates={"home": 11.0, "wall": 2.0})),
         "no rates in common: a fired home 10/s, wall 2/s, a fired home 11/s, wall 2/s"),
        (side(made=[]), "no rates in common: a fired home 10/s, wall 2/s, a fired nothing"),
    ],
)  # fmt: skip
def test_another_load_is_not_compared(candidate: Side, reason: str) -> None:
    found = compare(side(), candidate, 50)
    assert (found.comparable, found.reasons, found.rows) == (False, [reason], ())
    assert f"a cannot be compared to a:\n  {reason}" == as_text([found])


def test_rates_within_two_percent_are_one() -> None:
    close = {"home": 10.15, "wall": 2.0}
    assert compare(side(), side(made=ticks.run(65, rates=close)), 50).comparable


def test_what_else_differs_is_said() -> None:
    other = side(planned(url="http://b.example", seed=2), ticks.run(20), environment={"host": "y"})
    assert compare(side(), other, 50).notes == (
        "the targets differ: http://a.example and http://b.example",
        "the seeds differ: 1 and 2",
        "the generators differ: x and y",
        "20 s of firing tell no difference: it takes 60",
    )
    assert compare(side(), side(), 50).notes == ()


def test_a_short_stretch_shows_numbers_and_tells_nothing() -> None:
    found = compare(side(), side(made=ticks.run(20)), 50)
    assert found.comparable
    assert {row.verdict for row in found.rows} == {"inconclusive"}
    assert all(row.low is None and row.high is None for row in found.rows)
    assert any(row.ratio for row in found.rows)


def test_every_shared_load_has_its_rows() -> None:
    made = list(ticks.run(140, turns={70: {"home": 40}}))
    rows = compare(side(made=made), side(made=made), 50).rows
    loads = dict.fromkeys(tuple(row.rates.values()) for row in rows)
    assert list(loads) == [(10.0, 2.0), (40.0, 2.0)]
    per_load = Counter((tuple(row.rates.values()), row.metric.key) for row in rows)
    assert set(per_load.values()) == {1}
    keys = [row.metric.key for row in rows if row.rates["home"] == 40]
    assert keys == [
        *(f"scenario.{name}.{what}" for name in ("home", "wall")
          for what in ("completed", "errors", "response.p50", "response.p95", "response.p99")),
        "host.web.cpu.per_request", "host.web.swap.in", "host.web.swap.out",
        "host.web.group.backends.rss",
    ]  # fmt: skip


# -- for people and programs ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ratio", "bounds", "text"),
    [
        (1.21, (1.09, 1.35), "+21 % (+9 … +35)"),
        (0.5, (0.4, 0.999), "−50 % (−60 … +0)"),
        (50, (49, None), "+4900 % (+4800 … )"),
        (1.5, (None, None), "+50 %"),
        (None, (None, 0.07), "( … −93)"),
        (None, (None, None), ""),
    ],
)
def test_a_change_in_words(
    ratio: float | None, bounds: tuple[float | None, float | None], text: str
) -> None:
    assert change(ratio, *bounds) == text


@pytest.mark.parametrize(
    ("key", "said", "word"),
    [
        ("scenario.home.response.p95", "faster", "faster"),
        ("scenario.home.completed", "faster", "more"),
        ("scenario.home.completed", "slower", "less"),
        ("host.web.group.backends.rss", "faster", "less"),
        ("host.web.swap.in", "slower", "more"),
        ("host.web.swap.in", "inconclusive", "inconclusive"),
    ],
)
def test_a_verdict_in_words_that_fit(key: str, said: Any, word: str) -> None:
    assert verdict(Row(RATES, CATALOGUE.of(key), 1.0, 2.0, 2.0, None, None, said)) == word


def sessions(tmp_path: Path) -> list[str]:
    return [
        str(record(tmp_path / f"{name}.lw", made, {"plan": redact(PLAN)}))
        for name, made in (
            ("before", ticks.run(70, seed=1)),
            ("after", ticks.run(70, seed=2)),
            ("other", ticks.run(70, seed=3, rates={"home": 30.0, "wall": 3.0})),
        )
    ]


def run_compare(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "loadwatch", "compare", *arguments],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_the_object_of_two_sessions(tmp_path: Path) -> None:
    before, after, other = sessions(tmp_path)
    done = run_compare(before, after, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert set(found) == {"comparable", "reasons", "rows"}
    assert (found["comparable"], found["reasons"]) == (True, [])
    for row in found["rows"]:
        assert list(row) == [
            "scenario", "rate", "metric", "base", "candidate", "ratio", "low", "high", "verdict",
        ]  # fmt: skip
    (p95,) = [row for row in found["rows"] if row["metric"] == "scenario.home.response.p95"]
    assert (p95["scenario"], p95["rate"]) == ("home", 10.0)
    assert p95["low"] < p95["ratio"] < p95["high"]
    refused = json.loads(run_compare(before, other, "--json").stdout)
    assert (refused["comparable"], refused["rows"]) == (False, [])
    assert len(refused["reasons"]) == 1


def test_the_tables_of_three_sessions(tmp_path: Path) -> None:
    before, after, other = sessions(tmp_path)
    done = run_compare(before, after, before, other)
    assert done.returncode == 0, done.stderr
    refusal, legend, table, note = done.stdout.strip().split("\n\n")
    assert refusal.startswith("other cannot be compared to before:\n  no rates in common")
    assert legend.split() == [
        "base",
        "before",
        "candidate",
        "1",
        "after",
        "candidate",
        "2",
        "before",
    ]
    header, *lines = table.splitlines()
    assert header.startswith("home 10/s, wall 2/s  ")
    assert len(lines) == 14
    assert "no practical change" in lines[0]
    assert note.startswith("Changes with their 95 % intervals")
    rows = json.loads(run_compare(before, after, before, "--json").stdout)["rows"]
    assert Counter(row["session"] for row in rows) == {"after": 14, "before": 14}


def test_a_session_without_a_plan_is_one_line(tmp_path: Path) -> None:
    path = record(tmp_path / "a.lw", ticks.run(3))
    done = run_compare(str(path), str(path))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.strip().endswith("holds no plan, so nobody knows what was fired")


def test_a_session_that_crashed_is_compared_by_its_seconds(tmp_path: Path) -> None:
    before, *_ = sessions(tmp_path)
    with open_session(Path(before)) as session:
        assert "result" not in session.meta
        assert side_of(session).reasons == []


def test_json_has_no_noise() -> None:
    found = compare(side(), side(), 50)
    rows = json.loads(json.dumps(as_json([found]), allow_nan=False))["rows"]
    numbers = [value for row in rows for value in row.values() if isinstance(value, float)]
    assert all(value == float(f"{value:.6g}") for value in numbers)
