"""The limits that session files hold, and the ledger of a target that is made of them.

There is no other store: a search is in the session's result, what the server did at a rate in its
samples, what was fired in its steps.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from loadwatch.analysis.ledger import EVIDENCE, Ledger, Limit, ledger
from loadwatch.analysis.limit import slo_as_json, slo_of
from loadwatch.analysis.scalability import cost_of
from loadwatch.analysis.search import CEILING, FIRST_FAILS, FOUND
from loadwatch.analysis.thresholds import parse
from loadwatch.analysis.trial import judge_trial
from loadwatch.analysis.verdict import judge
from loadwatch.core.errors import SessionError
from loadwatch.core.limit import Standing
from loadwatch.core.summary import SHARES, Summary
from loadwatch.recorded import plan_of, reasons_of
from loadwatch.session import Session, open_session
from loadwatch.session.library import Entry, entries
from loadwatch.session.store import Step
from loadwatch.watching import catalogue

LONG = 30
"""Seconds that a step takes at least to tell anything of a limit, as a trial does."""

SURE = (FOUND, CEILING, FIRST_FAILS)
"""The ends of a search that leave nothing open."""


def site(target: str) -> str:
    """A target's URL without what makes no difference: the slash at its end, capitals of a host."""
    parts = urlsplit(target)
    return f"{parts.scheme}://{parts.netloc.lower()}{parts.path.rstrip('/')}"


def sessions_of(target: str) -> list[Path]:
    """The sessions in the default place whose target has `target` in it; of one target only.

    Without a `target` that of the newest one counts. SessionError where none or several have it.
    """
    found = [entry for entry in entries() if entry.target]
    exact = _at(found, target or (found[-1].target if found else ""))
    some = [entry for entry in found if target.lower() in entry.target.lower()]
    targets = sorted({site(entry.target) for entry in some})
    if exact:
        return exact
    if target and not some:
        raise SessionError(f"{target}: no session, and no target of one")
    if len(targets) > 1:
        raise SessionError(f"{target}: several targets have it in them: {', '.join(targets)}")
    return [entry.path for entry in some]


def sessions_at(target: str) -> list[Path]:
    """The sessions in the default place that are of exactly this target."""
    return _at(entries(), target)


def _at(found: Iterable[Entry], target: str) -> list[Path]:
    return [one.path for one in found if one.target and site(one.target) == site(target)]


def gather(paths: Iterable[Path]) -> Ledger:
    """The ledger of these sessions, also of those that are not over.

    SessionError where they are of several targets. One that cannot be read is a problem of it.
    """
    limits, targets, problems = list[Limit](), dict[str, str](), list[str]()
    for path in dict.fromkeys(path.resolve() for path in paths):
        try:
            with open_session(path) as session:
                limits += limits_of(session)
                target = session.meta.get("target", "")
        except SessionError as error:
            problems.append(str(error))
            continue
        targets.setdefault(site(target), target)
    if len(targets) > 1:
        raise SessionError(f"a ledger is of one target, not of {', '.join(targets.values())}")
    return ledger(next(iter(targets.values()), ""), limits, problems)


def limits_of(session: Session) -> list[Limit]:
    """Those of a session: its searches so far, and what steps tell else."""
    about, steps = session.about, session.steps
    found = about.get("limits") or (about.get("result") or {}).get("limits", ())
    limits = [_of_search(session, steps, one) for one in found if one["trials"]]
    taken = {(one.configuration, one.scenario) for one in limits}
    return [*limits, *_of_steps(session, steps, taken)]


def _called(session: Session, mark: str) -> str:
    """A configuration is called as it was marked; without a mark, its session stands for it."""
    return mark or f"({session.name})"


def _mix(rates: Mapping[str, float]) -> str:
    """What was fired: a scenario, or several with their shares."""
    fired = {name: rate for name, rate in rates.items() if rate}
    if len(fired) < 2:
        return next(iter(fired), "")
    total = sum(fired.values())
    return ", ".join(f"{name} {100 * rate / total:.0f} %" for name, rate in fired.items())


# -- from a search -------------------------------------------------------------------------------


def _of_search(session: Session, steps: Sequence[Step], found: Mapping[str, Any]) -> Limit:
    trials = found["trials"]
    last = trials[-1]
    fired = next((step.rates for step in reversed(steps) if step.first <= last["first"]), {})
    held = next((one for one in reversed(trials) if one["rate"] == found["sustained"]), None)
    p95 = held and held["p95_ms"]
    evidence = {
        f"host.{host}.cpu.per_request": cost / 1000
        for host, cost in found["scalability"]["cpu_ms_per_request"].items()
    }
    if held is not None:
        evidence |= _seen(session, held["first"], held["first"] + held["seconds"])
    doubts = [] if found["ended"] in SURE else [found["ended"]]
    if not found["consistent"]:
        doubts.append("a higher rate passed")
    return Limit(
        _called(session, found["mark"]),
        _mix(fired),
        session.start + last["first"],
        session.name,
        found["sustained"],
        found["fails_at"],
        None if p95 is None else p95 / 1000,
        found["verdict"]["name"],
        evidence,
        _terms(found["arrival"], found["slo"], f"{found['trial_s']:g} s"),
        tuple(doubts),
        found["valid"],
    )


def _terms(arrival: str, slo: Mapping[str, Any], trials: str) -> dict[str, str]:
    return {"arrivals": arrival, "service level": json.dumps(slo, sort_keys=True), "trials": trials}


def _seen(session: Session, first: int, end: int) -> dict[str, float]:
    """What is known of the server from second `first` up to `end`."""
    known = session.values("host.*", first, end)
    return {key: value for key, value in known.items() if key in EVIDENCE}


# -- from steps ----------------------------------------------------------------------------------


def _of_steps(
    session: Session, steps: Sequence[Step], taken: Collection[tuple[str, str]]
) -> Iterator[Limit]:
    """What steps tell of configurations in which no search was made: only a pair counts."""
    held: dict[tuple[str, str], list[Step]] = {}
    for step in steps:
        key = _called(session, step.mark), _mix(step.rates)
        if key[1] and key not in taken and step.seconds >= LONG:
            held.setdefault(key, []).append(step)
    for (configuration, scenario), ones in held.items():
        if len({sum(step.rates.values()) for step in ones}) > 1:
            limit = _of_rates(session, configuration, scenario, ones)
            if limit is not None:
                yield limit


def _of_rates(
    session: Session, configuration: str, scenario: str, steps: Sequence[Step]
) -> Limit | None:
    """Steps judged as trials are, none of them warmed up; None where they make no pair."""
    plan = plan_of(session)
    slo, rules = slo_of(parse(plan, catalogue()).rules)
    judged: list[tuple[float, Standing, Summary]] = []
    for step in steps:
        seen = Summary()
        for tick in session.ticks(step.first, step.first + step.seconds):
            seen.add(tick)
        if seen.rates == seen.rates_at_end and not reasons_of(session)(seen):
            standing, _ = judge_trial(seen, slo, rules)
            judged.append((sum(step.rates.values()), standing, seen))
    rates: dict[Standing, list[float]] = {"PASS": [], "FAIL": []}
    for rate, standing, _ in judged:
        rates.setdefault(standing, []).append(rate)
    fails_at = min(rates["FAIL"], default=None)
    sustained = max((r for r in rates["PASS"] if fails_at and r < fails_at), default=None)
    if fails_at is None or sustained is None:
        return None
    low, high = (
        next(seen for rate, standing, seen in reversed(judged) if (rate, standing) == wanted)
        for wanted in ((sustained, "PASS"), (fails_at, "FAIL"))
    )
    times, share = low.histogram("response"), SHARES["p95"]
    costs = ((host, cost_of(low, host)) for host in session.hosts)
    evidence = {f"host.{host}.cpu.per_request": one.demand for host, one in costs if one}
    passed = [seen for _, standing, seen in judged if standing == "PASS"]
    return Limit(
        configuration,
        scenario,
        session.start + high.first,
        session.name,
        sustained,
        fails_at,
        times.percentile(share) if times.is_known(share) else None,
        judge(high, (), session.hosts, passed, plan.verdict, fails=True).name,
        evidence | _seen(session, low.first, low.last + 1),
        _terms(plan.load.arrival, slo_as_json(slo, rules), f"steps of {LONG} s or more"),
        ("a higher rate passed",) if max(rates["PASS"]) > fails_at else (),
        from_steps=True,
    )
