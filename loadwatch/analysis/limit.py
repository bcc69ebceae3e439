"""A search for the limit as text and as JSON-ready data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from loadwatch.analysis.scalability import scalability, scalability_lines
from loadwatch.analysis.search import CEILING, FOUND, Search
from loadwatch.analysis.thresholds import Rule
from loadwatch.analysis.verdict import UNKNOWN, Verdict, judge
from loadwatch.core.limit import RateTrial, SearchStatus, Slo
from loadwatch.core.metric import Unit, format_value
from loadwatch.core.plan import SIGNS, Signs


def slo_of(rules: Sequence[Rule]) -> tuple[Slo, tuple[Rule, ...]]:
    """The service level that thresholds ask for, and those that a trial must hold besides.

    A threshold on p95 or p99 of all response times takes the place of the default. Rules that ask
    for more of something than a limit say nothing about a low rate, and are left out.
    """
    upper = [rule for rule in rules if rule.compare in ("<", "<=")]
    own = {rule.metric.key.removeprefix("load.response."): rule.limit
           for rule in upper if rule.metric.key in OWN}  # fmt: skip
    return Slo(**own), tuple(rule for rule in upper if rule.metric.key not in OWN)


OWN = ("load.response.p95", "load.response.p99")
"""The metrics that a service level has limits of its own for."""


def rate_text(rate: float | None) -> str:
    """A rate for people."""
    return format_value(rate, Unit.PER_SECOND)


def trial_text(trial: RateTrial) -> str:
    """A trial in one line."""
    p95, p99 = (format_value(time, Unit.SECONDS) for time in (trial.p95, trial.p99))
    seen = f"p95 {p95}, p99 {p99}, errors {format_value(trial.errors, Unit.SHARE)}"
    why = f"{trial.reason}; {seen}" if trial.reason else seen
    what = " to confirm" if trial.confirms else ""
    return f"{rate_text(trial.rate)} {trial.verdict}{what}: {why} ({trial.seconds} s)"


def limit_text(status: SearchStatus, arrival: str) -> str:
    """What a search came to in one sentence: always the pair, never one number alone."""
    low, high = status.sustained, status.fails_at
    told = "sustains no rate that was tried" if low is None else f"sustains {rate_text(low)}"
    if high is not None:
        told += f", fails at {rate_text(high)}"
    elif low is not None and status.ended == CEILING:
        told += f", fails at no rate up to {rate_text(low)}"
    last = next((trial for trial in reversed(status.trials) if trial.rate == low), None)
    p95 = "" if last is None else f"p95 {format_value(last.p95, Unit.SECONDS)}, "
    pace = status.goal.pace
    told += (
        f" ({p95}{arrival} arrivals, {pace.name + ' ' if pace.name else ''}{pace.trial:g} s trials)"
    )
    if status.ended not in ("", FOUND):
        told += f": {status.ended}"
    if status.is_odd:
        told += "; a higher rate passed, so that the results are not consistent"
    return told


def verdict_at(search: Search, hosts: Sequence[str], signs: Signs = SIGNS) -> Verdict:
    """What holds the server back at the smallest rate that failed; else at the largest that passed.

    Just above its limit a server may still have idle moments. Where no rule explains a failure,
    the next higher rate that failed is judged, and named in the evidence. The lowest rate that
    passed is what the response times are compared with.
    """
    trials = list(zip(search.trials, search.seen, strict=True))
    if not trials:
        return Verdict(UNKNOWN, (), (), "no trial was finished")
    passed = [seen for trial, seen in trials if trial.verdict == "PASS"]
    last, seen = trials[-1]
    if search.is_invalid:
        return judge(seen, (last.reason,), hosts, passed, signs)
    at = search.fails_at
    if at is None:
        return judge(search.summary_at(search.sustained) or seen, (), hosts, passed, signs)
    rates = sorted({at} | {t.rate for t, _ in trials if t.verdict == "FAIL" and t.rate > at})
    found = [
        (rate, judge(search.summary_at(rate) or seen, (), hosts, passed, signs, fails=True))
        for rate in rates
    ]
    rate, verdict = next((one for one in found if one[1].name != UNKNOWN), found[0])
    if rate == at:
        return verdict
    return replace(verdict, evidence=(f"at {rate_text(rate)}", *verdict.evidence))


def slo_as_json(slo: Slo, rules: Sequence[Rule]) -> dict[str, Any]:
    """What must hold at a rate, as JSON-ready data; times in ms."""
    return {
        "p95_ms": slo.p95 * 1000,
        "p99_ms": slo.p99 * 1000,
        "errors": slo.errors,
        "thresholds": {rule.metric.key: rule.text for rule in rules},
    }


def as_json(
    search: Search,
    *,
    arrival: str,
    mark: str,
    rules: Sequence[Rule],
    hosts: Sequence[str],
    signs: Signs = SIGNS,
) -> dict[str, Any]:
    """A search as `limit --json` prints it; rates in 1/s, times in ms."""
    goal, verdict = search.goal, verdict_at(search, hosts, signs)
    scaling = scalability(search.trials, search.seen, hosts)
    return {
        "sustained": search.sustained,
        "fails_at": search.fails_at,
        "ended": search.ended,
        "valid": not search.is_invalid,
        "consistent": not search.is_odd,
        "slo": slo_as_json(goal.slo, rules),
        "arrival": arrival,
        "quick": goal.pace.name == "quick",
        "warm_up_s": goal.pace.warm_up,
        "trial_s": goal.pace.trial,
        "mark": mark,
        "trials": [
            {
                "rate": trial.rate,
                "verdict": trial.verdict,
                "reason": trial.reason,
                "confirms": trial.confirms,
                "first": trial.first,
                "seconds": trial.seconds,
                "requests": trial.requests,
                "p95_ms": None if trial.p95 is None else round(trial.p95 * 1000, 3),
                "p99_ms": None if trial.p99 is None else round(trial.p99 * 1000, 3),
                "errors": round(trial.errors, 6),
                "completed": round(trial.completed, 3),
            }
            for trial in search.trials
        ],
        "scalability": scaling.as_json(),
        "explained": scalability_lines(scaling),
        "verdict": verdict.as_json(),
    }
