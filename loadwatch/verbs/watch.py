"""`loadwatch watch`: a plan under the dashboard."""

from __future__ import annotations

import argparse
import asyncio
import os
import select
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loadwatch.verbs.ending import exit_code, print_result
from loadwatch.verbs.ledger import telling
from loadwatch.verbs.named import comparing
from loadwatch.verbs.planned import add_run_options, doubt, firing_time, plan_of, session_path

if TYPE_CHECKING:
    from loadwatch.core.plan import Plan

FAREWELL = 1.0
"""Seconds that open requests may take when the dashboard is left."""

LAST = 10.0
"""Seconds that the screen may take to go; after those the process goes as it is."""

LOOK = 1.0
"""Seconds between two looks whether the terminal is still there."""


def add(verbs: Any) -> None:
    """Declare the verb."""
    command = verbs.add_parser("watch", help="the dashboard", description="The dashboard.")
    command.set_defaults(verb=_carry_out)
    add_run_options(command)
    command.add_argument(
        "--follow", action="store_true", help="PLAN is a session that another process records"
    )
    command.add_argument("--no-dry-run", action="store_true", help="do not try a request before")


def _carry_out(arguments: argparse.Namespace) -> int:
    if arguments.follow:
        from loadwatch.session import resolve
        from loadwatch.verbs.replay import replay

        return replay(resolve(arguments.plan), follow=True)
    plan = plan_of(arguments)
    return dashboard(
        plan, session_path(arguments, plan), firing_time(arguments.duration, plan),
        dry=not arguments.no_dry_run, is_sure=arguments.yes,
    )  # fmt: skip


def dashboard(
    plan: Plan, session: Path, duration: float | None, dry: bool = True, is_sure: bool = False
) -> int:
    """Show the plan's run until the user leaves; returns the exit code.

    Before the first shot a request per scenario is tried (`dry`), and who is not `is_sure` is asked
    about a public target.
    """
    from loadwatch.core.errors import PlanError
    from loadwatch.run import Run
    from loadwatch.ui.app import LoadwatchApp
    from loadwatch.ui.others import Others
    from loadwatch.ui.panes import named_panes
    from loadwatch.ui.screens.confirm import Confirm
    from loadwatch.ui.screens.questions import in_dialogs

    panes = named_panes(plan.ui.panes)
    if not sys.stdout.isatty() or not sys.stdin.isatty():
        raise PlanError("the dashboard needs a terminal; `loadwatch run` does without")

    async def show() -> tuple[Run, int]:
        run = Run(plan, session, duration, endless=True)

        async def begin() -> None:
            question = "" if is_sure else await doubt(plan)
            if question and not await app.push_screen_wait(Confirm(question)):
                app.exit()
                return
            await run.start(in_dialogs(app), dry=dry)

        def leave() -> None:
            run.finish()  # first of all: what follows needs a terminal
            app.exit()

        try:
            app = LoadwatchApp(
                run.bus, run.history, run, run.catalogue,
                startup=begin, thresholds=run.thresholds, panes=panes,
                others=Others(comparing(session), telling(session)),
            )  # fmt: skip
            with _ending_without_terminal(leave):
                await app.run_async()
            if app.failure is not None:
                raise app.failure
        finally:
            run.finish()
            await run.wait(FAREWELL)
            await run.close()
        return run, app.return_code or 0

    run, crashed = asyncio.run(show())
    if not run.began:
        print("loadwatch: nothing was fired", file=sys.stderr)
        return crashed
    print_result(run, as_json=False)
    return crashed or exit_code(run, interrupted=False)


@contextmanager
def _ending_without_terminal(end: Callable[[], Any]) -> Iterator[None]:
    """Call `end` upon a signal, or when nobody can be behind the terminal any more.

    A terminal that goes sends SIGHUP, but only to those whose controlling terminal it is. Whatever
    then holds up the block, the process is gone `LAST` seconds later; a session keeps each second
    that was written, and the guards on the servers notice by themselves.
    """
    loop = asyncio.get_running_loop()
    terminal = select.poll()
    terminal.register(sys.stdin.fileno(), 0)  # a hang-up is told unasked
    deadline = threading.Timer(LAST, os._exit, (128 + signal.SIGHUP,))
    deadline.daemon = True

    def leave() -> None:
        if deadline.ident is None:
            deadline.start()
            end()

    def look() -> None:
        if terminal.poll(0):
            leave()
        else:
            loop.call_later(LOOK, look)

    for number in (signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, leave)
    look()
    try:
        yield
    finally:
        deadline.cancel()
