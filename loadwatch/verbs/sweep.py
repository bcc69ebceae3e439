"""`loadwatch sweep`: the limit at each value of a server action, unattended."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loadwatch.verbs.ending import INTERRUPTED, exit_code, say
from loadwatch.verbs.limit import add_search_options, goal_of, plan_to_search
from loadwatch.verbs.planned import add_run_options, confirm, session_path
from loadwatch.verbs.run import headless

if TYPE_CHECKING:
    from loadwatch.core.plan import Action, Plan
    from loadwatch.run import Run
    from loadwatch.sweeping import Sweep


def add(verbs: Any) -> None:
    """Declare the verb."""
    text = "set each value of a server action, and find the limit at each"
    command = verbs.add_parser("sweep", help=text, description=f"{text[0].upper()}{text[1:]}.")
    command.set_defaults(verb=_carry_out)
    command.add_argument("action", metavar="ACTION", help="as the plan names it")
    add_run_options(command)
    search = add_search_options(command)
    search.add_argument(
        "--scenario", metavar="NAME", action="append", default=[],
        help="of this one alone, the others at 0; several are searched one after the other",
    )  # fmt: skip
    command.add_argument("--json", action="store_true", help="the result as one object")


def _carry_out(arguments: argparse.Namespace) -> int:
    from loadwatch.core.action import named
    from loadwatch.core.errors import HostError
    from loadwatch.reports.ledger import as_text
    from loadwatch.reports.limits import gather
    from loadwatch.reports.sweep import curve, sweep_as_json

    plan = plan_to_search(arguments)
    _, action = named(plan, arguments.action)
    mixes = _mixes(plan, arguments.scenario)
    if not arguments.yes:
        confirm(plan)
    run, sweep, interrupted = asyncio.run(_sweep(plan, action, mixes, arguments))
    if not run.began:
        return INTERRUPTED
    session = Path(run.status.recording)
    found = gather([session])
    for problem in (*sweep.problems, *found.problems):
        print(f"loadwatch: {problem}", file=sys.stderr)
    if arguments.json:
        told = sweep_as_json(found, action, sweep.problems, sweep.restored, str(session))
        say(json.dumps(told, ensure_ascii=False))
    elif found.rows:
        say("\n\n".join([curve(found, action), as_text(found), f"session {session}"]))
    code = exit_code(run, interrupted)
    return code or (HostError.exit_code if sweep.problems else 0)


def _mixes(plan: Plan, names: list[str]) -> list[Mapping[str, float]]:
    """What is fired at each value: each of the scenarios alone, or all as the plan mixes them."""
    from loadwatch.options import alone

    plans = [alone(plan, name) for name in names] or [plan]
    return [{scenario.name: scenario.rate for scenario in one.scenarios} for one in plans]


async def _sweep(
    plan: Plan, action: Action, mixes: list[Mapping[str, float]], arguments: argparse.Namespace
) -> tuple[Run, Sweep, bool]:
    """The run of a sweep from start to end, and whether the user ended it."""
    from loadwatch.run import Run
    from loadwatch.sweeping import Sweep

    run = Run(plan, session_path(arguments, plan), endless=True)
    sweep = Sweep(run, action, goal_of(run, arguments), mixes, run.searched)
    return run, sweep, await headless(run, dry=False, task=sweep)
