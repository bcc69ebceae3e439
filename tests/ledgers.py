"""Sessions for the ledger: limits as a search leaves them behind, with what the server did."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from loadwatch.analysis.limit import slo_as_json
from loadwatch.config import redact
from loadwatch.core.limit import Slo
from loadwatch.core.plan import Host, Plan, Scenario, Target
from loadwatch.core.tick import Tick
from tests import ticks
from tests.recordings import record

MIB = 1024**2
TARGET = "http://heywall.example/"
DAY = 86_400.0
LENGTH = 40
"""Seconds of a made-up search: of its only trial."""


@dataclass(frozen=True)
class Measured:
    """A limit of `scenario` under `mark` and, at it, the server in core units."""

    mark: str
    scenario: str
    sustained: float | None
    fails_at: float | None
    verdict: str = "worker queue"
    p95: float = 0.8
    cpu: float = 0.01
    rss: float = 40 * MIB
    swap: float = 0.0
    more: Mapping[str, Any] = field(default_factory=dict)


def plan(target: str = TARGET) -> Plan:
    scenarios = (Scenario("home"), Scenario("wall", path="/wall/42/", rate=2.0))
    return Plan(Target(target), scenarios=scenarios, hosts=(Host("web", "local"),))


def session(path: Path, measured: Iterable[Measured], day: float = 0, target: str = TARGET) -> Path:
    """A session, begun `day` days later than others, in which these limits were searched for."""
    made, found = list[Tick](), []
    for number, one in enumerate(measured):
        first = number * LENGTH
        rates = {"home": 0.0, "wall": 0.0} | {one.scenario: one.sustained or one.fails_at or 1.0}
        for second in range(first, first + LENGTH):
            values = {
                "host.web.group.backends.rss_max": one.rss - MIB * (second < first + 20),
                "host.web.swap.in": one.swap / 4,
                "host.web.swap.out": one.swap * 3 / 4,
                "load.offered": rates[one.scenario],
            }
            made.append(ticks.tick(second, values, step=number + 1, mark=one.mark, rates=rates))
        found.append(as_found(one, first))
    late = [replace(one, time=one.time + day * DAY) for one in made]
    meta = {"target": target, "plan": redact(plan(target)), "seed": 1, "arrival": "poisson"}
    return record(path, late, meta, {"limits": found, "generator": {"reasons": []}})


def as_found(one: Measured, first: int) -> dict[str, Any]:
    """What `limit --json` says of it."""
    trials = [
        {"rate": rate, "verdict": verdict, "reason": "", "confirms": False, "first": first,
         "seconds": LENGTH, "requests": 400, "p95_ms": p95, "p99_ms": None, "errors": 0.0,
         "completed": rate}
        for rate, verdict, p95 in (
            (one.fails_at, "FAIL", 9e3), (one.sustained, "PASS", one.p95 * 1000)
        )
        if rate is not None
    ]  # fmt: skip
    return {
        "sustained": one.sustained, "fails_at": one.fails_at, "ended": "found", "valid": True,
        "consistent": True, "slo": slo_as_json(Slo(), ()), "arrival": "poisson", "quick": False,
        "warm_up_s": 5.0, "trial_s": 30.0, "mark": one.mark, "trials": trials,
        "scalability": {"cpu_ms_per_request": {"web": one.cpu * 1000}, "knee": None},
        "explained": [],
        "verdict": {"name": one.verdict, "also": [], "evidence": [], "advice": ""},
    } | dict(one.more)  # fmt: skip
