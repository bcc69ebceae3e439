"""Thresholds: what may be written, and what each comes to on a run with known numbers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from loadwatch.analysis.thresholds import Outcome, parse
from loadwatch.analysis.windows import Watcher
from loadwatch.core.errors import PlanError
from loadwatch.core.plan import Group, Host, Plan, Scenario, Seconds, Target, Threshold
from loadwatch.core.summary import Summary
from loadwatch.core.tick import Tick
from tests.ticks import CATALOGUE, tick

PLAN = Plan(
    Target("http://heywall.example"),
    scenarios=(Scenario("home"), Scenario("wall")),
    hosts=(
        Host("web", "local", groups=(Group("backends", user="www-data"),)),
        Host("db", "local"),
    ),
)


def plan(thresholds: dict[str, str | Threshold]) -> Plan:
    return Plan(PLAN.target, scenarios=PLAN.scenarios, hosts=PLAN.hosts, thresholds=thresholds)


def known_run() -> list[Tick]:
    """10 seconds: 40 requests a second answer in 10 ms (home) and 200 ms (wall), 2 fail with 503
    in every other second, the last second times out once; `db` is silent from second 5."""
    made = []
    for second in range(10):
        failed = {"load.status.503": 2.0, "scenario.wall.status.503": 2.0} if second % 2 else {}
        late = {"load.errors.timeout": 1.0, "scenario.wall.errors.timeout": 1.0}
        values = {
            "load.offered": 40,
            "load.response.p99": 0.2,
            "load.response.max": 10.0 if second == 9 else 0.2,
            "scenario.home.offered": 30,
            "scenario.home.response.p99": 0.01,
            "scenario.wall.offered": 10,
            "scenario.wall.response.p99": 0.2,
            "load.received": 1280 * 1024,
            "load.oldest": second / 10,
            "generator.cpu": 0.25,
            "host.web.cpu.st": 0.5,
            "host.web.swap.in": 512 * 1024,
            "host.web.procs.r": second,
            "host.web.cpu.count": 2,
            "host.web.group.cpu.count": 9,  # a group that is called `cpu`
            **({"host.db.swap.in": 0.0} if second < 5 else {}),
            **failed,
            **(late if second == 9 else {}),
        }
        wall = [0.2] * 9 + ([10.0] if second == 9 else [0.2])
        times = {("home", "response"): [0.01] * 30, ("wall", "response"): wall}
        made.append(tick(second, values, times=times))  # type: ignore[arg-type]
    return made


def outcomes(key: str, rule: str) -> list[Outcome]:
    summary = Summary()
    for one in known_run():
        summary.add(one)
    return [
        one for each in parse(plan({key: rule}), CATALOGUE).rules for one in each.judge(summary)
    ]


@pytest.mark.parametrize(
    ("key", "rule", "passed", "value"),
    [
        # Percentiles come from the merged distribution: 300 × 10 ms, 99 × 200 ms, 1 timeout.
        ("load.response.p50", "< 500ms", True, 0.010007),
        ("load.response.p50", "<10ms", False, 0.010007),
        ("load.response.p50", "<= 0.02s", True, 0.010007),
        ("load.response.p99", "< 201ms", True, 0.200063),
        ("load.response.p99", "> 200000us", True, 0.200063),
        # A timeout decides: the truth is above, so it cannot be below anything.
        ("load.response.max", "< 1m", False, 10.002431),
        ("load.response.max", "> 9s", True, 10.002431),
        ("load.response.max", "== 0", False, 10.002431),
        # The mean of all requests, not of the seconds' means.
        ("load.response.mean", "> 50ms", True, 0.0819935),
        ("load.response.mean", "< 100ms", False, 0.0819935),  # timeouts are in it: it is more
        # Rates by their mean over seconds with load, also of what did not occur in most of them.
        ("load.offered", ">= 40/s", True, 40.0),
        ("load.offered", "> 40", False, 40.0),
        ("load.status.503", "< 1.1/s", True, 1.0),
        ("load.status.503", "== 0", False, 1.0),
        ("load.status.500", "== 0", True, 0.0),
        ("load.errors.connect", "<= 0/s", True, 0.0),
        ("load.received", "< 2MiB/s", True, 1280 * 1024),
        ("load.received", ">= 1.25MiB/s", True, 1280 * 1024),
        # Gauges by their mean, maxima by the largest.
        ("host.web.procs.r", "< 5", True, 4.5),
        ("load.oldest", "< 800ms", False, 0.9),
        ("host.web.cpu.st", "<= 1%", True, 0.5),
        ("generator.cpu", "< 25%", False, 0.25),
        ("generator.cpu", "<= 25%", True, 0.25),
    ],
)
def test_known_answers(key: str, rule: str, passed: bool, value: float) -> None:
    (outcome,) = outcomes(key, rule)
    assert (outcome.key, outcome.rule, outcome.passed) == (key, rule, passed)
    assert outcome.value == pytest.approx(value, rel=1e-3)


@pytest.mark.parametrize(
    ("key", "rule", "found"),
    [
        ("host.*.swap.in", "< 100KiB/s", {"host.web.swap.in": False, "host.db.swap.in": True}),
        ("scenario.*.response.p50", "< 100ms",
         {"scenario.home.response.p50": True, "scenario.wall.response.p50": False}),
        # What occurred in one scenario only is known to be zero in the other.
        ("scenario.*.status.503", "== 0",
         {"scenario.home.status.503": True, "scenario.wall.status.503": False}),
        ("host.*.cpu.count", "== 2", {"host.web.cpu.count": True}),
        ("load.errors.*", "== 0", {"load.errors.timeout": False}),
        ("scenario.home.errors.*", "== 0", {"scenario.home.errors.*": True}),
    ],
)  # fmt: skip
def test_a_star_means_every_concrete_key(key: str, rule: str, found: dict[str, bool]) -> None:
    assert {outcome.key: outcome.passed for outcome in outcomes(key, rule)} == found


@pytest.mark.parametrize(
    ("key", "rule", "reason"),
    [
        ("scenario.wall.response.p99", "< 10s", "too few requests to know p99: it takes 368"),
        ("load.service.p50", "< 10s", "no data"),
        ("host.db.cpu.us", "< 100%", "no data"),
        ("host.*.cpu.us", "< 100%", "no data"),
    ],
)
def test_what_is_unknown_fails(key: str, rule: str, reason: str) -> None:
    (outcome,) = outcomes(key, rule)
    assert outcome.reason == reason
    assert (outcome.passed, outcome.value) == (False, None)


def test_an_outcome_is_one_line_for_people() -> None:
    (bound,) = outcomes("load.response.max", "< 1m")
    assert str(bound) == "threshold FAILED: load.response.max < 1m: at least 10.0 s"
    (passed,) = outcomes("load.received", "< 2MiB/s")
    assert str(passed) == "threshold passed: load.received < 2MiB/s: 1.25 MiB/s"


@pytest.mark.parametrize(
    ("key", "rule", "message"),
    [
        ("load.respose.p99", "< 1s", "unknown metric; did you mean `load.response.p99`?"),
        ("host.*.swap.inn", "< 1", r"unknown metric; did you mean `host.\*.swap.in`?"),
        ("nonsense", "< 1", "unknown metric; did you mean"),
        ("", "< 1", "unknown metric"),
        ("scenario.hom.offered", "> 1", "no scenario `hom`; did you mean `home`?"),
        ("host.wbe.swap.in", "< 1B/s", "no host `wbe`; did you mean `web`?"),
        ("host.web.group.backend.rss", "< 1GiB", "no group `backend`; did you mean `backends`?"),
        ("load.response.p99", "< 500", "expected a time such as `500ms`, got '< 500'"),
        ("load.response.p99", "< 5MiB", "expected a time such as"),
        ("load.response.p99", "500ms", "expected <, <=, >, >= or == and a time such as `500ms`"),
        ("load.response.p99", "< -5ms", "expected <, <=, >, >= or =="),
        ("load.response.p99", "=< 5ms", "expected <, <=, >, >= or =="),
        ("host.web.swap.in", "< 1MiB", "expected bytes per second, such as `1MiB/s`"),
        ("host.web.swap.in", "< 1MB/s", "expected bytes per second, such as `1MiB/s`"),
        ("host.web.memory.free", "> 10%", "expected a size such as `1MiB`"),
        ("host.web.cpu.st", "<= 1", "expected a share such as `90%`"),
        ("load.in_flight", "< 5/s", "expected a plain number"),
    ],
)
def test_a_wrong_rule_is_one_line_that_names_key_and_expectation(
    key: str, rule: str, message: str
) -> None:
    with pytest.raises(PlanError, match=f"thresholds: .*: {message}".replace("?", r"\?")) as error:
        parse(plan({key: rule}), CATALOGUE)
    assert "\n" not in str(error.value)
    assert key in str(error.value)


def test_a_plan_without_hosts_has_no_host_to_judge() -> None:
    bare = Plan(PLAN.target, scenarios=PLAN.scenarios, thresholds={"host.web.swap.in": "== 0"})
    with pytest.raises(PlanError, match="no host `web`; the plan has none"):
        parse(bare, CATALOGUE)


# -- windows and abort ---------------------------------------------------------------------------


def watched(
    key: str, threshold: Threshold, made: list[Tick]
) -> tuple[list[Outcome], list[Outcome]]:
    """What became of the threshold, and what it would have ended the run with."""
    aborts: list[Outcome] = []
    total = Summary()
    watcher = Watcher(parse(plan({key: threshold}), CATALOGUE), total, aborts.append)
    for one in made:
        total.add(one)
        watcher.add(one)
    return watcher.outcomes, aborts


def burst(second: int) -> list[Tick]:
    """Ten seconds at 10/s; five time out in `second`."""
    late = {"load.errors.timeout": 5.0, "scenario.wall.errors.timeout": 5.0}
    base = {"load.offered": 10.0, "scenario.wall.offered": 10.0}
    return [tick(n, {**base, **(late if n == second else {})}) for n in range(10)]


@pytest.mark.parametrize(
    ("rule", "window", "passed", "found"),
    [
        ("< 1/s", None, True, "0.500/s"),  # over the run it does not show
        ("< 1/s", 1, False, "5/s from 0:04 to 0:05"),
        ("< 1/s", 4, False, "1.25/s from 0:01 to 0:05"),
        ("< 1/s", 5, False, "1/s from 0:00 to 0:05"),
        ("< 1/s", 6, True, "0.833/s from 0:00 to 0:06"),
        ("< 1/s", 11, False, "no 11 s that tell"),
        ("== 0", 5, False, "1/s from 0:00 to 0:05"),
        (">= 0/s", 2, True, "0/s from 0:00 to 0:02"),
        ("> 0/s", 2, False, "0/s from 0:00 to 0:02"),
    ],
)
def test_every_window_has_to_hold(rule: str, window: int | None, passed: bool, found: str) -> None:
    given = Threshold(rule, None if window is None else Seconds(window))
    for key in ("load.errors.timeout", "scenario.wall.errors.timeout"):
        (outcome,), _ = watched(key, given, burst(4))
        assert (outcome.passed, outcome.reason) == (passed, found)
        assert outcome.window == window


def test_a_percentile_of_a_window_is_of_its_requests_alone() -> None:
    made = [
        tick(n, {"load.offered": 10.0, "load.response.p50": 0.1},
             times={("home", "response"): [1.0 if n in (3, 4) else 0.1] * 10})
        for n in range(10)
    ]  # fmt: skip
    (whole,), _ = watched("load.response.p50", Threshold("< 500ms"), made)
    (window,), _ = watched("load.response.p50", Threshold("< 500ms", Seconds(2)), made)
    assert (whole.passed, window.passed) == (True, False)
    assert window.reason == "1.00 s from 0:03 to 0:05"


def test_the_time_in_which_the_last_requests_run_out_is_in_no_window() -> None:
    idle = [tick(n, {"load.offered": 0.0, "load.completed": 0.0}) for n in range(5, 9)]
    fired = [tick(n, {"load.offered": 10.0, "load.completed": 10.0}) for n in range(5)]
    given = Threshold("> 5/s", Seconds(2))
    (outcome,), _ = watched("load.completed", given, fired + idle)
    assert outcome.passed
    later = [tick(9, {"load.offered": 10.0, "load.completed": 10.0})]
    (outcome,), _ = watched("load.completed", given, fired + idle + later)
    assert (outcome.passed, outcome.reason) == (False, "0/s from 0:05 to 0:07")


def test_a_gap_ends_nothing_and_hides_nothing() -> None:
    """Seconds without a reading are no seconds below the limit; those that have one count."""
    made = [
        tick(n, {"load.offered": 1.0, **({"host.web.swap.in": 2e6} if n == 6 else {})})
        for n in range(10)
    ]
    given = Threshold("< 1MiB/s", Seconds(3), abort=True)
    (outcome,), aborts = watched("host.*.swap.in", given, made)
    assert (outcome.key, outcome.passed) == ("host.web.swap.in", False)
    assert outcome.reason == "1.91 MiB/s from 0:04 to 0:07"
    assert aborts == [replace(outcome, reason="1.91 MiB/s")]


def test_an_abort_comes_once_and_as_soon_as_it_is_known() -> None:
    for window in (None, Seconds(1)):
        made, aborts = burst(4) + burst(4), []
        _, aborts = watched("load.errors.timeout", Threshold("== 0", window, abort=True), made)
        assert len(aborts) == 1
    _, aborts = watched("load.errors.timeout", Threshold("== 0", Seconds(1)), burst(4))
    assert aborts == []
    # Nobody knows p99 of ten requests: that fails in the end, but ends nothing.
    (outcome,), aborts = watched("load.response.p99", Threshold("< 1s", abort=True), burst(4))
    assert (outcome.passed, aborts) == (False, [])


@pytest.mark.parametrize(
    ("window", "message"),
    [(0.5, "expected a window of whole seconds"), (601, "expected a window of whole seconds")],
)
def test_a_window_is_of_whole_seconds(window: float, message: str) -> None:
    with pytest.raises(PlanError, match=f"thresholds: load.offered: {message}, up to 10m"):
        parse(plan({"load.offered": Threshold("> 1/s", Seconds(window))}), CATALOGUE)


def test_seconds_in_which_nobody_came_count_in_a_window() -> None:
    made = [
        tick(n, {"load.offered": 10.0 * (n % 2), "load.completed": 10.0 * (n % 2)})
        for n in range(8)
    ]
    (outcome,), _ = watched("load.completed", Threshold("> 5/s", Seconds(2)), made)
    assert (outcome.passed, outcome.reason) == (False, "5/s from 0:00 to 0:02")
