"""What a session file says about its run: the plan, the result, a side of a comparison."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from loadwatch import config
from loadwatch.analysis.compare import Side
from loadwatch.analysis.result import result
from loadwatch.analysis.stretch import stretches
from loadwatch.core.errors import SessionError
from loadwatch.core.plan import Plan
from loadwatch.core.reading import HostStatus
from loadwatch.core.summary import Summary
from loadwatch.load.health import Health, Limits
from loadwatch.session import Session


def meta_of(plan: Plan, duration: float | None) -> dict[str, object]:
    """What is recorded about a run before it begins; secrets stay out."""
    closed = plan.load.connections is not None
    return {
        "target": plan.target.url,
        "plan": config.redact(plan),
        "seed": plan.load.seed,
        "arrival": "closed" if closed else plan.load.arrival,
        "duration": None if duration is None else float(duration),
    }


def result_of(session: Session) -> dict[str, Any]:
    """What `run --json` printed at the end; of a run that crashed, what its seconds come to."""
    told: dict[str, Any] | None = json.loads(session.meta.get("result", "null"))
    if told is not None:
        return told
    summary = Summary()
    for tick in session.ticks():
        summary.add(tick)
    return result(
        summary,
        duration=summary.firing,
        hosts=[HostStatus(host, "stopped") for host in session.hosts],
        reasons=reasons_of(session)(summary),
        signs=plan_of(session).verdict,
        closed=session.meta.get("arrival") == "closed",
        session=str(session.path),
    )


def reasons_of(session: Session) -> Callable[[Summary], tuple[str, ...]]:
    """What says why the load generator of the run was the limit of a stretch."""
    return Health(plan_of(session), 1, Limits()).reasons


def plan_of(session: Session) -> Plan:
    """The plan that was carried out; SessionError where none is recorded."""
    if "plan" not in session.meta:
        raise SessionError(f"{session.path}: holds no plan, so nobody knows what was fired")
    return config.recorded(json.loads(session.meta["plan"]), str(session.path))


def side_of(session: Session) -> Side:
    """The session as one side of a comparison; SessionError where it has no plan."""
    return Side(
        name=session.name,
        plan=config.redact(plan_of(session)),
        environment=json.loads(session.meta.get("environment", "{}")),
        reasons=result_of(session)["generator"]["reasons"],
        stretches=stretches(session.ticks()),
        metrics=session.metrics,
    )
