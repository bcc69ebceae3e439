"""The search for the limit, on a virtual clock: servers whose limit is known."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadwatch.analysis.evidence import JUDGED_SECONDS
from loadwatch.analysis.limit import as_json, limit_text, slo_of, trial_text, verdict_at
from loadwatch.analysis.queueing import piles_up
from loadwatch.analysis.search import WIDTH, Search
from loadwatch.analysis.thresholds import parse
from loadwatch.analysis.trial import Hopeless, holds, judge_trial
from loadwatch.core.histogram import MICRO, Histogram, index_of
from loadwatch.core.interval import wilson
from loadwatch.core.limit import CAREFUL, QUICK, Goal, Pace, Slo
from loadwatch.core.plan import Plan, Scenario, Target
from loadwatch.core.summary import Summary
from tests.ticks import tick
from tests.ui_fakes import CATALOGUE
from tests.virtual import Answer, VirtualRun, failing, full_queue, mm1, seconds, slow_later

MM1 = Goal(Slo(p99=0.2), start=10.0)
"""An M/M/1 server with mu = 100 holds p99 <= 200 ms up to 100 - ln(100) / 0.2 = 76.97/s."""


def searched(goal: Goal, server: Callable[[float], Answer], seed: int = 1) -> Search:
    search, run = Search(goal), VirtualRun(server, seed)
    for _ in seconds(search, run):
        pass
    return search


# -- known answers -------------------------------------------------------------------------------


def test_the_limit_of_an_mm1_server() -> None:
    found = [searched(MM1, mm1(seed), seed).sustained or 0.0 for seed in range(50)]
    assert min(found) >= 66 and max(found) <= 90
    assert 75 <= statistics.median(found) <= 82


def test_a_quick_search_finds_it_within_three_minutes() -> None:
    found = []
    for seed in range(20):
        search, run = Search(replace(MM1, pace=QUICK)), VirtualRun(mm1(seed), seed)
        for _ in seconds(search, run):
            pass
        assert search.ended in ("found", "not confirmed")
        assert run.second < 180
        found.append(search.sustained or 0.0)
    assert min(found) >= 50 and max(found) <= 92
    assert 72 <= statistics.median(found) <= 86


def test_a_hard_queue_fails_within_one_trial_though_nothing_was_refused() -> None:
    search, run = Search(Goal(start=20.0)), VirtualRun(full_queue())
    refused = sum(tick.values.get("load.status.5xx", 0) for tick in seconds(search, run))
    assert [trial.verdict for trial in search.trials] == ["FAIL"]
    assert search.ended == "the first rate fails"
    assert refused == 0  # it would take 661 / (20 - 17) = 220 s


def test_a_quick_trial_sees_it_by_the_open_requests() -> None:
    search = searched(Goal(start=20.0, pace=QUICK), full_queue())
    assert "open requests rising" in search.trials[0].reason


def test_the_limit_of_a_hard_queue() -> None:
    search = searched(Goal(start=5.0), full_queue())
    assert 14 <= (search.sustained or 0) < (search.fails_at or 0) <= 18


def test_a_server_that_slows_only_after_a_while() -> None:
    search = searched(Goal(start=10.0), slow_later(20, 50))
    assert 45 <= (search.sustained or 0) < 50


def test_random_errors_within_the_level_do_not_pass_for_the_limit() -> None:
    search = searched(Goal(start=10.0), failing(0.005, mu=100))
    assert 80 <= (search.sustained or 0) <= 100
    assert not any("good answer" in t.reason for t in search.trials if t.verdict == "FAIL")


def test_random_errors_beyond_it_do() -> None:
    search = searched(Goal(start=10.0), failing(0.03))
    assert search.sustained is None
    assert "without a good answer" in search.trials[-1].reason


def test_a_ceiling_that_passes_fails_at_nothing() -> None:
    search = searched(Goal(start=10.0, ceiling=30.0), mm1())
    assert (search.sustained, search.fails_at) == (30.0, None)
    assert limit_text(search.status, "poisson").startswith(
        "sustains 30/s, fails at no rate up to 30/s"
    )


def test_the_result_is_a_pair_within_the_width() -> None:
    search = searched(MM1, mm1(4), 4)
    assert search.sustained and search.fails_at
    assert 1 < search.fails_at / search.sustained <= WIDTH + 0.005
    found = as_json(search, arrival="poisson", mark="5 backends", rules=(), hosts=())
    assert (found["sustained"], found["fails_at"]) == (search.sustained, search.fails_at)
    assert {"rate", "verdict"} <= found["trials"][0].keys()
    assert found["slo"] == {"p95_ms": 2000.0, "p99_ms": 200.0, "errors": 0.01, "thresholds": {}}
    assert found["mark"] == "5 backends" and found["verdict"]["name"] == "unknown"


def test_what_was_confirmed_was_seen_for_long() -> None:
    search = searched(MM1, mm1(4), 4)
    confirmed = [t for t in search.trials if t.confirms and t.rate == search.sustained]
    assert sum(t.seconds for t in confirmed if t.verdict == "PASS") >= 240
    assert all(t.requests >= 400 for t in confirmed)


# -- the pace ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pace", "rate", "long"),
    [(CAREFUL, 1.0, 100), (CAREFUL, 10.0, 30), (QUICK, 1.0, 10)],
)
def test_a_trial_takes_half_a_minute_and_a_hundred_requests(
    pace: Pace, rate: float, long: int
) -> None:
    first = searched(Goal(pace=pace, start=rate, ceiling=rate), mm1()).trials[0]
    assert (first.verdict, first.seconds) == ("PASS", long)


def test_the_warm_up_counts_for_nothing() -> None:
    """A server that answers the first four seconds by errors, as one that still starts."""

    def starting(at: float) -> Answer:
        return at + 0.01, 500 if at < 4 else 200

    first = searched(Goal(start=20.0, ceiling=20.0), starting).trials[0]
    assert (first.verdict, first.errors) == ("PASS", 0)
    assert first.first >= 5


def test_what_is_hopeless_is_given_up_within_seconds() -> None:
    def broken(at: float) -> Answer:
        return at + 0.01, 500

    search, run = Search(Goal(start=20.0)), VirtualRun(broken)
    for _ in seconds(search, run):
        pass
    assert search.ended == "the first rate fails"
    assert run.second < 12  # of the 35 that the trial would have taken, and some to drain


# -- the generator -------------------------------------------------------------------------------


def test_an_unhealthy_generator_stops_the_search_and_says_so() -> None:
    search, run = Search(MM1, lambda seen: ("send lag p99 80 ms",)), VirtualRun(mm1())
    for _ in seconds(search, run):
        pass
    assert search.is_invalid and search.ended == "the load generator was the limit"
    assert [trial.verdict for trial in search.trials] == ["INVALID", "INVALID"]
    assert search.status.invalid and search.sustained is None and search.fails_at is None
    found = as_json(search, arrival="poisson", mark="", rules=(), hosts=())
    assert found["valid"] is False
    assert found["verdict"]["name"] == "client-limited"
    assert found["verdict"]["evidence"] == ["send lag p99 80 ms"]


def test_one_spoilt_trial_is_repeated() -> None:
    spoilt = iter([("send lag p99 80 ms",)])
    search, run = Search(MM1, lambda seen: next(spoilt, ())), VirtualRun(mm1())
    for _ in seconds(search, run):
        pass
    assert [t.verdict for t in search.trials][:2] == ["INVALID", "PASS"]
    assert search.trials[0].rate == search.trials[1].rate
    assert search.ended == "found"


def test_requests_dropped_behind_a_server_that_hangs_are_its_failure_not_ours() -> None:
    def hangs(at: float) -> Answer:
        return at + 100, 200

    def dropped(seen: Summary) -> tuple[str, ...]:
        return ("dropped",) if seen.count("load.dropped") else ()

    search = Search(Goal(start=400.0, open_requests=500), dropped)
    run = VirtualRun(hangs)
    for second in seconds(search, run):
        values = dict(second.values)
        assert values["load.in_flight"] >= 0
    assert [trial.verdict for trial in search.trials] == ["FAIL"]


# -- on the way ----------------------------------------------------------------------------------


def test_a_rate_that_fails_is_drained_before_the_next() -> None:
    search, run = Search(replace(MM1, pace=QUICK)), VirtualRun(mm1())
    before = None
    for second in seconds(search, run):
        if before is not None and not sum(before.rates.values()) and sum(second.rates.values()):
            assert before.values["load.in_flight"] == 0
        before = second
    assert search.fails_at


def test_of_a_hopeless_rate_all_that_was_seen_is_told() -> None:
    """Also the warm-up: else a server that answers nothing would be gone too soon to be judged."""

    def deaf(at: float) -> Answer:
        return at, 503

    search, run = Search(replace(MM1, pace=QUICK)), VirtualRun(deaf)
    for _ in seconds(search, run):
        pass
    (trial,) = search.trials
    assert (trial.verdict, trial.errors) == ("FAIL", 1.0)
    assert trial.seconds == search.seen[0].seconds >= JUDGED_SECONDS


def test_a_wrong_page_is_counted_once() -> None:
    """As no goodput; it is an answer, and no other error beside."""
    hopeless = Hopeless(MM1)
    values = {"load.offered": 10.0, "load.completed": 10.0, "load.goodput": 7.0,
              "load.errors.content": 3.0}  # fmt: skip
    assert not any(hopeless.add(tick(second, values)) for second in range(20))


def test_stopping_it_ends_it_at_once() -> None:
    search, run = Search(MM1), VirtualRun(mm1())
    for second in seconds(search, run):
        if second.second == 50:
            search.stop("stopped")
    assert run.second == 51
    assert (search.ended, search.rate, search.status.left) == ("stopped", 0.0, 0.0)
    assert search.sustained == 10.0


def test_the_time_left_is_about_right() -> None:
    search, run = Search(replace(MM1, pace=QUICK)), VirtualRun(mm1(5))
    told = [(second.second, search.status.left) for second in seconds(search, run)]
    errors = [left - (run.second - second) for second, left in told if search.fails_at]
    assert statistics.median(map(abs, errors)) < 45
    assert search.ended == "found" and told[-2][1] < 5


def test_a_rate_that_passes_above_one_that_failed_is_flagged() -> None:
    """Fails only between 30 and 60/s: doubling from 20 sees 40 fail; 80 is never tried; so the
    odd one is found from a start above."""
    search = Search(replace(MM1, pace=QUICK))
    search._passed = {10.0: True, 20.0: False, 40.0: True}
    assert (search.sustained, search.fails_at, search.is_odd) == (10.0, 20.0, True)
    assert "not consistent" in limit_text(search.status, "poisson")


def test_a_confirmation_that_fails_goes_below() -> None:
    search = searched(MM1, mm1(11), 11)
    failed = [t for t in search.trials if t.confirms and t.verdict == "FAIL"]
    assert failed and (search.sustained or 0) < max(t.rate for t in failed)
    assert not search.is_odd


# -- judging one trial ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("count", "total", "low", "high"),
    [(0, 100, 0.0, 3.70), (0, 300, 0.0, 1.26), (0, 368, 0.0, 1.03), (3, 300, 0.34, 2.90),
     (10, 300, 1.82, 6.03)],
)  # fmt: skip
def test_wilson(count: int, total: int, low: float, high: float) -> None:
    assert [round(100 * bound, 2) for bound in wilson(count, total)] == [low, high]


@given(total=st.integers(1, 10_000), share=st.floats(0, 1))
def test_the_interval_holds_what_was_seen(total: int, share: float) -> None:
    count = round(total * share)
    low, high = wilson(count, total)
    assert 0 <= low <= count / total + 1e-12 and count / total <= high + 1e-12 and high <= 1


def seen(
    bad: int = 0, slow: int = 0, of: int = 400, grows: float = 0.0, seconds: int = 20
) -> Summary:
    summary = Summary()
    each = of // seconds
    for second in range(seconds):
        done = each - round(grows)
        wrong = bad // seconds + (second < bad % seconds)
        late = slow // seconds + (second < slow % seconds)
        values = {"load.offered": each, "load.completed": done, "load.goodput": done - wrong,
                  "load.in_flight": 1 + grows * second, "load.dropped": 0}  # fmt: skip
        times = [0.05] * (done - late) + [5.0] * late
        summary.add(tick(second, values, times={("home", "response"): times}))
    return summary


@pytest.mark.parametrize(
    ("summary", "proven", "verdict"),
    [
        (seen(), False, "PASS"),
        (seen(), True, "PASS"),
        (seen(of=380), True, "UNDECIDED"),  # 0 of 380: up to 1.00 %
        (seen(bad=3), False, "PASS"),
        (seen(bad=3), True, "UNDECIDED"),  # 0.75 %, or up to 2.2 %
        (seen(bad=6), False, "UNDECIDED"),  # 1.5 %, or from 0.7 %
        (seen(bad=12), False, "FAIL"),
        (seen(slow=4), False, "PASS"),  # 1 % may take longer than p99
        (seen(slow=10), False, "UNDECIDED"),
        (seen(slow=24), False, "FAIL"),
        (seen(grows=2), False, "FAIL"),
    ],
)
def test_a_trial(summary: Summary, proven: bool, verdict: str) -> None:
    assert judge_trial(summary, Slo(), proven=proven)[0] == verdict


def test_parts_vote_by_what_they_saw() -> None:
    assert holds(seen(bad=3), Slo()) and not holds(seen(bad=6), Slo())


def test_timeouts_are_slow_whatever_the_limit() -> None:
    times = Histogram()
    times.record(1.0, 90)
    times.merge({index_of(2 * MICRO): 10}, censored=10)
    assert [times.above(limit) for limit in (0.5, 1.5, 3.0)] == [100, 10, 10]


def test_open_requests_pile_up_beyond_chance() -> None:
    assert piles_up([3 * n for n in range(10)], 200)
    assert not piles_up([5, 8, 3, 6, 9, 4, 7, 5, 8, 6], 200)
    assert not piles_up([0, 300, 600], 900)  # too short to tell


# -- what it is held against ---------------------------------------------------------------------


def plan(**thresholds: str) -> Plan:
    named = {key.replace("_", "."): rule for key, rule in thresholds.items()}
    return Plan(Target("http://x.example"), scenarios=(Scenario("home"),), thresholds=named)


def test_thresholds_of_the_plan_are_the_level() -> None:
    rules = parse(plan(load_response_p95="< 300ms", load_status_5xx="< 1/s",
                       load_goodput="> 50/s"), CATALOGUE).rules  # fmt: skip
    slo, besides = slo_of(rules)
    assert slo == Slo(p95=0.3)
    assert [rule.metric.key for rule in besides] == ["load.status.5xx"]


def test_a_threshold_besides_fails_a_trial() -> None:
    rules = parse(plan(load_status_5xx="< 1/s"), CATALOGUE).rules
    summary = seen()
    for second in range(20, 40):
        summary.add(tick(second, {"load.offered": 20, "load.completed": 20, "load.goodput": 20,
                                  "load.in_flight": 1, "load.status.5xx": 4}))  # fmt: skip
    verdict, reason = judge_trial(summary, Slo(), rules)
    assert verdict == "FAIL" and "load.status.5xx" in reason


def test_a_trial_in_one_line() -> None:
    search = searched(Goal(start=20.0, pace=QUICK), full_queue())
    assert trial_text(search.trials[0]).startswith("20/s FAIL: ")


def test_undecided_parts_are_added_until_most_agree() -> None:
    pace = Pace(warm_up=1, trial=10, requests=0, votes=1, confirmation=10, soak=0, proven=False,
                confirmed_requests=0)  # fmt: skip
    search = searched(Goal(Slo(p99=0.2), pace, start=80.0), mm1(2), 2)
    assert {trial.seconds for trial in search.trials if trial.verdict != "INVALID"} & {20, 30}


def test_a_quick_search_whose_confirmation_fails_closes_in_again() -> None:
    """At 80/s, the rate that it would confirm, the server has a bad minute."""
    search = Search(replace(MM1, pace=QUICK))
    run = VirtualRun(mm1(3), 3)
    spoilt = False
    for _ in seconds(search, run):
        confirming = search.status.phase == "confirming"
        if confirming and not spoilt:
            run.server, spoilt = failing(0.5), True
        elif spoilt and not confirming:
            run.server = mm1(3)
    assert search.ended == "not confirmed" and run.second < 180
    confirmed = next(t for t in search.trials if t.confirms)
    assert confirmed.verdict == "FAIL" and search.fails_at == confirmed.rate
    assert confirmed.rate / 1.3 < (search.sustained or 0) < confirmed.rate


# -- what holds the server back ------------------------------------------------------------------


def busy(search: Search, run: VirtualRun, full: float) -> None:
    """Search while one CPU of the server is as busy as the rate, and nothing waits for it below
    `full`."""
    while not search.ended:
        run.turn(search.rate)
        second = run.tick()
        share = min(100.0, 0.95 * run.rate)
        web = {"cpu.us": share, "cpu.sy": 0, "cpu.id": 100 - share, "cpu.wa": 0, "cpu.count": 1,
               "procs.r": 3 if run.rate >= full else 1}  # fmt: skip
        for key, value in web.items():
            second.values[f"host.web.{key}"] = value  # type: ignore[index]
        search.add(second)


def test_a_failure_that_nothing_explains_is_explained_by_a_higher_rate() -> None:
    search = Search(replace(MM1, pace=QUICK, start=60.0))
    busy(search, VirtualRun(mm1(4), 4), full=110)
    at = search.fails_at
    assert at is not None and at < 110
    verdict = verdict_at(search, ["web"])
    assert verdict.name == "CPU"
    assert verdict.evidence[:2] == ("at 120/s", "web: us 100 %, sy 0 %, wa 0 %, r 3.0 on 1 CPUs")


def test_where_no_rate_explains_it_the_smallest_is_told() -> None:
    search = Search(replace(MM1, pace=QUICK, start=60.0))
    busy(search, VirtualRun(mm1(4), 4), full=1000)
    verdict = verdict_at(search, ["web"])
    assert verdict.name == "unknown" and "at 120/s" not in verdict.evidence
