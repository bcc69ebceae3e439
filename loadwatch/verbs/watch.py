"""`loadwatch watch`: a plan under the dashboard."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loadwatch.verbs.ending import exit_code, print_result
from loadwatch.verbs.planned import add_run_options, plan_of, secrets_of, session_path

if TYPE_CHECKING:
    from loadwatch.core.plan import Plan

FAREWELL = 1.0
"""Seconds that open requests may take when the dashboard is left."""


def add(verbs: Any) -> None:
    """Declare the verb."""
    command = verbs.add_parser("watch", help="the dashboard", description="The dashboard.")
    command.set_defaults(verb=_carry_out)
    add_run_options(command)


def _carry_out(arguments: argparse.Namespace) -> int:
    plan = plan_of(arguments)
    secrets = secrets_of(plan, arguments.ask_password)
    return dashboard(plan, session_path(arguments, plan), secrets, arguments.duration)


def dashboard(plan: Plan, session: Path, secrets: Mapping[str, str], duration: float | None) -> int:
    """Show the plan's run until the user leaves; returns the exit code."""
    from loadwatch.analysis.thresholds import parse
    from loadwatch.core.errors import PlanError
    from loadwatch.run import Run, catalogue
    from loadwatch.ui.app import LoadwatchApp
    from loadwatch.ui.panes import named_panes

    thresholds, panes = parse(plan, catalogue()), named_panes(plan.ui.panes)

    if not sys.stdout.isatty() or not sys.stdin.isatty():
        raise PlanError("the dashboard needs a terminal; `loadwatch run` does without")

    async def show() -> tuple[Run, int]:
        run = Run(plan, session, secrets, duration, endless=True)
        try:
            app = LoadwatchApp(
                run.bus, run.history, run, run.catalogue,
                startup=run.start, thresholds=thresholds, panes=panes,
            )  # fmt: skip
            _end_on_signals(app.exit)
            await app.run_async()
            if app.failure is not None:
                raise app.failure
        finally:
            run.finish()
            await run.wait(FAREWELL)
            await run.close()
        return run, app.return_code or 0

    run, crashed = asyncio.run(show())
    print_result(run, as_json=False)
    return crashed or exit_code(run, interrupted=False, threshold_failed=False)


def _end_on_signals(end: Callable[[], Any]) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, end)
