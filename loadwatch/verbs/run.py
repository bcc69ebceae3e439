"""`loadwatch run`: a plan headless, for scripts and CI."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loadwatch.verbs.ending import INTERRUPTED, exit_code, print_result
from loadwatch.verbs.planned import add_run_options, confirm, firing_time, plan_of, session_path

if TYPE_CHECKING:
    from loadwatch.run import Run
    from loadwatch.sweeping import Sweep


def add(verbs: Any) -> None:
    """Declare the verb."""
    text = "the same without a screen, for scripts and CI"
    command = verbs.add_parser("run", help=text, description=f"{text[0].upper()}{text[1:]}.")
    command.set_defaults(verb=_carry_out)
    add_run_options(command)
    command.add_argument("--json", action="store_true", help="the result as one object")
    command.add_argument("--junit", type=Path, metavar="FILE", help="the result as JUnit XML too")
    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    command.add_argument(
        "--summary", type=Path, metavar="FILE", default=Path(summary) if summary else None,
        help="the result as Markdown too, appended; default: $GITHUB_STEP_SUMMARY where it is set",
    )  # fmt: skip
    command.add_argument("--dry-run", action="store_true", help="try a request per scenario before")


def _carry_out(arguments: argparse.Namespace) -> int:
    from loadwatch.core.errors import PlanError
    from loadwatch.run import Run

    plan = plan_of(arguments)
    duration = firing_time(arguments.duration, plan)
    if duration is None and plan.load.requests is None:
        raise PlanError("run needs an end: --duration, --requests, or stages in the plan")
    if duration is None and not plan.load.connections and not any(s.rate for s in plan.scenarios):
        raise PlanError("at rate 0 the --requests would never come to an end")

    if not arguments.yes:
        confirm(plan)

    async def carried_out() -> tuple[Run, bool]:
        run = Run(plan, session_path(arguments, plan), duration)
        return run, await headless(run, arguments.dry_run)

    run, interrupted = asyncio.run(carried_out())
    if not run.began:
        return INTERRUPTED
    print_result(run, arguments.json)
    for outcome in run.outcomes:
        print(outcome, file=sys.stderr)
    written = _write_reports(run, arguments)
    return exit_code(run, interrupted, run.outcomes) or written


def _write_reports(run: Run, arguments: argparse.Namespace) -> int:
    """The reports that were asked for; the exit code of what could not be written."""
    from loadwatch.core.errors import LoadwatchError
    from loadwatch.reports.junit import as_junit
    from loadwatch.reports.markdown import result_as_markdown

    code = 0
    for path, mode, report in (
        (arguments.junit, "w", as_junit),
        (arguments.summary, "a", result_as_markdown),
    ):
        if path is None:
            continue
        try:
            with path.open(mode, encoding="utf-8") as file:
                file.write(report(run.result(), run.status.problem))
        except OSError as error:
            print(f"loadwatch: {path}: cannot be written: {error.strerror}", file=sys.stderr)
            code = LoadwatchError.exit_code
    return code


def _login_progress() -> Callable[[int, int], None]:
    """Says once a second how many users have logged in, and at the end."""
    told = time.monotonic()

    def progress(done: int, users: int) -> None:
        nonlocal told
        if done == users or time.monotonic() - told >= 1:
            told = time.monotonic()
            print(f"login: {done} of {users} users", file=sys.stderr, flush=True)

    return progress


async def headless(run: Run, dry: bool, task: Sweep | None = None) -> bool:
    """The run from start to end with a line per second; True if the user ended it early.

    A `task` says when that end is: after it is carried out, or has stopped.
    """
    from loadwatch.console import Narrator
    from loadwatch.verbs.asking import on_terminal

    narrator = Narrator(sys.stderr)
    run.bus.subscribe(narrator)
    interrupted = asyncio.Event()
    loop = asyncio.get_running_loop()

    def interrupt() -> None:
        if interrupted.is_set() or not run.began:
            waiting.cancel()  # the second time, or before anything was fired: at once
        interrupted.set()
        (run.finish if task is None else task.stop)()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, interrupt)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as it is under nohup
        loop.add_signal_handler(signal.SIGHUP, interrupt)
    try:
        with on_terminal() as asker:
            start = run.start(asker, hosts_first=True, dry=dry, on_login=_login_progress())
            waiting = asyncio.ensure_future(start)
            await waiting
        if task is not None:
            waiting = asyncio.ensure_future(task.carry_out())
            await waiting
            run.finish()
        waiting = asyncio.ensure_future(run.wait())
        await waiting
    except asyncio.CancelledError:
        pass
    finally:
        await run.close()
        await asyncio.to_thread(narrator.close)
    return interrupted.is_set()
