"""`loadwatch limit`: finds the limit, headless."""

from __future__ import annotations

import argparse
import asyncio
import json
from typing import TYPE_CHECKING, Any

from loadwatch.verbs.ending import INTERRUPTED, exit_code, say
from loadwatch.verbs.planned import add_run_options, confirm, duration, plan_of, session_path
from loadwatch.verbs.run import headless

if TYPE_CHECKING:
    from loadwatch.core.limit import Goal
    from loadwatch.core.plan import Plan
    from loadwatch.run import Run


def add(verbs: Any) -> None:
    """Declare the verb."""
    text = "find the largest rate that the server sustains, and the smallest at which it fails"
    command = verbs.add_parser("limit", help=text, description=f"{text[0].upper()}{text[1:]}.")
    command.set_defaults(verb=_carry_out)
    add_run_options(command)
    search = add_search_options(command)
    search.add_argument("--scenario", metavar="NAME", help="of this one alone, the others at 0")
    search.add_argument("--mark", metavar="TEXT", help="what is measured, as the ledger calls it")
    command.add_argument("--json", action="store_true", help="the result as one object")


def add_search_options(command: Any) -> Any:
    """How the limit is searched for; returns their group."""
    search = command.add_argument_group("search")
    search.add_argument(
        "--start", type=rate, metavar="R", help="the first rate; 1/s, or 10/s with --quick"
    )
    search.add_argument("--quick", action="store_true", help="trials of 10 s, confirmed once")
    search.add_argument("--p95", type=duration, metavar="D", help="of response times; 2s")
    search.add_argument("--p99", type=duration, metavar="D", help="of response times; 4s")
    search.add_argument("--errors", type=share, metavar="SHARE", help="of requests at most; 1%%")
    return search


def rate(text: str) -> float:
    """Requests per second above 0."""
    from loadwatch.core.plan import HIGHEST_RATE

    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= HIGHEST_RATE:
        raise argparse.ArgumentTypeError(f"expected requests per second, got {text!r}")
    return value


def share(text: str) -> float:
    """A part of a whole, as `1%`."""
    number, sign, rest = text.partition("%")
    try:
        value = float(number) / 100
    except ValueError:
        value = -1.0
    if not sign or rest or not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f"expected a share such as `1%`, got {text!r}")
    return value


def _carry_out(arguments: argparse.Namespace) -> int:
    from loadwatch.options import alone

    plan = plan_to_search(arguments)
    if arguments.scenario is not None:
        plan = alone(plan, arguments.scenario)
    if not arguments.yes:
        confirm(plan)
    run, interrupted = asyncio.run(_search(plan, arguments))
    if not run.began:
        return INTERRUPTED
    found = run.searching.found[-1] | {"session": str(run.status.recording)}
    say(json.dumps(found, ensure_ascii=False) if arguments.json else _text(run, found))
    return exit_code(run, interrupted)


def plan_to_search(arguments: argparse.Namespace) -> Plan:
    """The plan without what a search decides itself; PlanError for options that say it."""
    import msgspec

    from loadwatch.core.errors import PlanError

    for name in ("rate", "duration", "requests"):
        if getattr(arguments, name) is not None:
            raise PlanError(
                f"--{name} does not go with a search, which turns the rate and ends itself"
            )
    return msgspec.structs.replace(plan_of(arguments), stages=())


async def _search(plan: Plan, arguments: argparse.Namespace) -> tuple[Run, bool]:
    """The run of a search from start to end, and whether the user ended it."""
    from loadwatch.run import Run

    run = Run(plan, session_path(arguments, plan))
    if arguments.mark is not None:
        run.mark(arguments.mark)
    run.find_limit(goal_of(run, arguments))
    return run, await headless(run, dry=False)


def goal_of(run: Run, arguments: argparse.Namespace) -> Goal:
    """What the plan asks for, with the command line's options."""
    from dataclasses import replace

    from loadwatch.core.limit import CAREFUL, QUICK

    goal = run.searching.goal(QUICK if arguments.quick else CAREFUL)
    given = {name: value for name in ("p95", "p99", "errors")
             if (value := getattr(arguments, name)) is not None}  # fmt: skip
    start = arguments.start or (10.0 if arguments.quick else 1.0)
    return replace(goal, start=start, slo=replace(goal.slo, **given))


def _users(found: dict[str, Any]) -> list[str]:
    """How many users the limit is, by the usual assumptions."""
    from loadwatch.analysis.users import Habits, audience, audience_text

    if found["sustained"] is None:
        return []
    told = audience_text(audience(found["sustained"], Habits()))
    return [f"  {told} (loadwatch users says by which assumptions, and takes others)"]


def _text(run: Run, found: dict[str, Any]) -> str:
    """A search for people: the pair, every trial, the verdict, the session."""
    from loadwatch.analysis.limit import limit_text, trial_text

    status, verdict = run.status.search, found["verdict"]
    assert status is not None
    return "\n".join([
        limit_text(status, found["arrival"]),
        *_users(found),
        *(f"  {trial_text(trial)}" for trial in status.trials),
        *found["explained"],
        f"verdict: {verdict['name']}: {'; '.join(verdict['evidence'])}",
        f"  {verdict['advice']}",
        f"session {found['session']}",
    ])  # fmt: skip
