"""`loadwatch check`: before a run, what of it would work, and what to do about the rest."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from loadwatch.verbs.ending import say
from loadwatch.verbs.planned import add_run_options, plan_of

if TYPE_CHECKING:
    from loadwatch.core.asking import Asker
    from loadwatch.core.finding import Finding
    from loadwatch.core.plan import Plan

SIGNS = {"ok": "✓", "warning": "!", "failure": "✗", "unknown": "–"}


def add(verbs: Any) -> None:
    """Declare the verb."""
    text = "before a run: the target, this machine, every watched server"
    check = verbs.add_parser("check", help=text, description=f"{text[0].upper()}{text[1:]}.")
    check.set_defaults(verb=_carry_out)
    add_run_options(check)
    check.add_argument("--json", action="store_true", help="the findings as one object")


def _carry_out(arguments: argparse.Namespace) -> int:
    import json
    from dataclasses import asdict

    from loadwatch.analysis.thresholds import parse
    from loadwatch.core.errors import HostError
    from loadwatch.verbs.asking import on_terminal
    from loadwatch.watching import catalogue

    plan = plan_of(arguments)
    parse(plan, catalogue())
    findings: list[Finding] = []
    with on_terminal() as asker:
        for finding in _findings(plan, asker):
            if not arguments.json:
                say(_line(finding, findings[-1] if findings else None))
            findings.append(finding)
    passed = all(finding.verdict != "failure" for finding in findings)
    if arguments.json:
        shown = {"passed": passed, "findings": [asdict(finding) for finding in findings]}
        say(json.dumps(shown, ensure_ascii=False))
    return 0 if passed else HostError.exit_code


def _findings(plan: Plan, asker: Asker | None) -> Iterator[Finding]:
    from loadwatch import config
    from loadwatch.load.approach import approach
    from loadwatch.remote import Answers, inspect

    yield from approach(config.fill_in(plan))
    yield from _generator(plan)
    answers = Answers(asker)
    for host in plan.hosts:
        yield from inspect(host, answers)


def _generator(plan: Plan) -> Iterator[Finding]:
    """What this machine lends the load: files and ports, against the plan's highest rate."""
    from loadwatch.core.finding import Finding
    from loadwatch.load.fleet import workers_of
    from loadwatch.load.health import Health, Limits

    workers, limits = workers_of(plan), Limits.here()
    foreseen = Health(plan, workers, limits).foreseen()
    for warning in foreseen:
        yield Finding("generator", "limits", "warning", warning, "see docs/load.md")
    if not foreseen:
        text = (
            f"{workers} worker{'s' if workers > 1 else ''}, {limits.descriptors:.0f} files each, "
        )
        yield Finding("generator", "limits", "ok", f"{text}{limits.ports:.0f} local ports")


def _line(finding: Finding, before: Finding | None) -> str:
    """A finding as a line, under its subject where that is a new one."""
    head = (
        "" if before is not None and before.subject == finding.subject else f"{finding.subject}\n"
    )
    advice = f" ({finding.advice})" if finding.advice else ""
    return f"{head}  {SIGNS[finding.verdict]} {finding.name}: {finding.text}{advice}"
