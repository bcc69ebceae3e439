"""`loadwatch plan`: what a plan will send, whether it is right, and its schema for editors."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loadwatch.verbs.ending import say

if TYPE_CHECKING:
    from loadwatch.core.plan import Plan

SHOWN = 2000
"""Characters of a request that are shown."""


def add(verbs: Any) -> None:
    """Declare the verb."""
    text = "what a plan will send, and whether it is right"
    plan = verbs.add_parser("plan", help=text, description=f"{text[0].upper()}{text[1:]}.")
    actions = plan.add_subparsers(required=True, metavar="ACTION")
    show = actions.add_parser("show", help="the first request of each scenario, without secrets")
    show.set_defaults(verb=_show)
    show.add_argument("plan", metavar="PLAN.toml|URL")
    check = actions.add_parser("check", help="load plans, and all that they need; start nothing")
    check.set_defaults(verb=_check)
    check.add_argument("plans", nargs="+", type=Path, metavar="PLAN.toml")
    schema = actions.add_parser("schema", help="the JSON Schema of plans, for editors")
    schema.set_defaults(verb=_schema)


def _show(arguments: argparse.Namespace) -> int:
    from loadwatch.config import load_plan, plan_for
    from loadwatch.preview import first_requests
    from loadwatch.remote.text import clean

    named = arguments.plan
    plan = plan_for(named) if "://" in named else load_plan(Path(named))
    for number, (scenario, step, request) in enumerate(first_requests(plan)):
        rate = "as fast as it goes" if plan.load.connections else f"{scenario.rate:g}/s"
        rate = f"step {step} of visits, {rate}" if step else rate
        text = request.decode(errors="replace")
        more = f"\n… ({len(request):,} bytes in all)" if len(text) > SHOWN else ""
        lines = re.split(r"\r?\n", text[:SHOWN].rstrip())
        shown = "\n".join(clean(line, SHOWN) for line in lines)
        say(f"{chr(10) * bool(number)}# {scenario.name}: {rate}\n{shown}{more}")
    return 0


def _check(arguments: argparse.Namespace) -> int:
    from loadwatch.core.errors import LoadwatchError, PlanError

    code = 0
    for path in arguments.plans:
        try:
            say(f"{path}: {_summary(path)}")
        except LoadwatchError as error:
            text = str(error)
            print(text if text.startswith(str(path)) else f"{path}: {text}", file=sys.stderr)
            code = PlanError.exit_code
    return code


def _summary(path: Path) -> str:
    """What a plan holds, in a line; LoadwatchError for whatever would keep it from starting."""
    from loadwatch import config
    from loadwatch.analysis.thresholds import parse
    from loadwatch.preview import first_requests
    from loadwatch.ui.panes import named_panes
    from loadwatch.watching import catalogue

    plan = config.load_plan(path)
    config.fill_in(plan)
    for _ in first_requests(plan):
        pass
    parse(plan, catalogue())
    named_panes(plan.ui.panes)
    return _told(plan)


def _told(plan: Plan) -> str:
    rate = sum(scenario.rate for scenario in plan.scenarios)
    parts = [
        _count(len(plan.scenarios), "scenario"),
        "a closed loop" if plan.load.connections else f"{rate:g} requests per second",
        *(
            _count(len(some), name)
            for some, name in (
                (plan.stages, "stage"), (plan.hosts, "host"), (plan.thresholds, "threshold"),
            )
            if some
        ),
    ]  # fmt: skip
    return ", ".join(parts)


def _count(number: int, name: str) -> str:
    return f"{number} {name}{'s' * (number != 1)}"


def _schema(arguments: argparse.Namespace) -> int:
    import json

    from loadwatch.schema import plan_schema

    say(json.dumps(plan_schema(), indent=2, ensure_ascii=False))
    return 0
