"""The verbs. Each imports what it needs when it needs it, so that `--help` is quick.

stdout is data, stderr is narration, the exit code says how it went: 0 passed, 2 bad usage or plan,
3 a host could not be watched, 4 the generator was the limit, 99 a threshold failed, 130 interrupted
by the user, 1 a fault of ours (the session could not be recorded).
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from loadwatch.core.plan import Plan
    from loadwatch.run import Run

INTERRUPTED = 130
THRESHOLD_FAILED = 99

FAREWELL = 1.0
"""Seconds that open requests may take when the dashboard is left."""


class _Parser(argparse.ArgumentParser):
    """Usage errors as one line, in the words of the plan's errors."""

    def error(self, message: str) -> NoReturn:
        """Leave with exit code 2 and one line."""
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """The `loadwatch` command."""
    from loadwatch.core.errors import LoadwatchError

    arguments = _parser().parse_args(argv)
    try:
        code = arguments.verb(arguments)
    except LoadwatchError as error:
        print(f"loadwatch: {error}", file=sys.stderr)
        code = error.exit_code
    except KeyboardInterrupt:
        code = INTERRUPTED
    sys.exit(code)


def _say(text: str) -> None:
    """Data to stdout. If its reader is gone, that is no failure of ours: the exit code stays."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="loadwatch",
        description="Fire an open-loop load, watch the server over SSH, see both on one screen.",
    )
    parser.add_argument("--version", action="version", version=f"loadwatch {version('loadwatch')}")
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    demo = verbs.add_parser("demo", help="the bundled site, its monitor and the dashboard, at once")
    demo.set_defaults(verb=_demo)
    demo.add_argument("--backends", type=_count, default=2, help="worker processes of the site")
    demo.add_argument("--gzip", action="store_true", help="the site compresses")
    demo.add_argument("--optimised", action="store_true", help="the wall with few queries")
    demo.add_argument("--memory-per-worker", metavar="SIZE", help="held by each worker, as 20MiB")
    demo.add_argument("--site-only", action="store_true", help="serve without the dashboard")
    demo.add_argument("--session", type=Path, metavar="FILE", help="where to record")
    for name, verb, text in (
        ("watch", _watch, "the dashboard"),
        ("run", _run, "the same without a screen, for scripts and CI"),
    ):
        command = verbs.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
        command.set_defaults(verb=verb)
        _add_run_options(command)
        if name == "run":
            command.add_argument("--json", action="store_true", help="the result as one object")
    export = verbs.add_parser("export", help="a session as CSV files")
    export.set_defaults(verb=_export)
    export.add_argument("session", metavar="SESSION", help="a session file, or its name")
    export.add_argument("--to", choices=["csv"], default="csv", help="the format")
    export.add_argument("-o", "--output", type=Path, required=True, metavar="DIR")
    return parser


def _add_run_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("plan", metavar="PLAN.toml|URL", help="what to fire at")
    load = command.add_argument_group("load")
    load.add_argument("--rate", metavar="R", help="requests per second, or `max`: a closed loop")
    load.add_argument("--connections", type=_count, metavar="C", help="of the closed loop")
    load.add_argument("--arrival", choices=["uniform", "poisson"])
    load.add_argument("--seed", type=int)
    load.add_argument("--duration", type=_duration, metavar="D", help="time of firing, as 60s")
    load.add_argument("--requests", type=_count, metavar="N", help="end after so many")
    load.add_argument("--timeout", type=_duration, metavar="D", help="from the due instant")
    load.add_argument("--workers", type=_count, metavar="N", help="load processes")
    load.add_argument(
        "--header", action="append", default=[], metavar="'NAME: VALUE'",
        help="for every request; ${env:NAME} or @FILE keep secrets out of the process list",
    )  # fmt: skip
    load.add_argument("--insecure", action="store_true", help="accept any TLS certificate")
    host = command.add_argument_group("watched servers")
    host.add_argument(
        "--host", action="append", default=[], metavar="USER@SERVER", help="or `local`; repeatable"
    )
    host.add_argument("--interval", type=_duration, metavar="D", help="of vmstat and top")
    host.add_argument("--process-user", metavar="USER", help="a group: all processes of USER")
    host.add_argument("--process-pid", type=_pids, metavar="PID,…", help="a group: these processes")
    host.add_argument("--ask-password", action="store_true", help="do not try keys alone")
    command.add_argument("--session", type=Path, metavar="FILE", help="where to record")


def _count(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number from 1 on, got {text!r}")
    return int(text)


def _duration(text: str) -> float:
    from loadwatch.config import duration

    try:
        return duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _pids(text: str) -> tuple[int, ...]:
    return tuple(_count(part) for part in text.split(","))


# -- the plan ------------------------------------------------------------------------------------


def _plan(arguments: argparse.Namespace) -> Plan:
    """The plan that the command line names, with its options applied."""
    from loadwatch import config

    if "://" in arguments.plan:
        plan = config.plan_for(arguments.plan)
    else:
        plan = config.load_plan(Path(arguments.plan))
    plan = config.apply(plan, arguments)
    for scenario in plan.scenarios:
        for name, value in scenario.headers.items():
            if config.is_literal_secret(name, value):
                print(
                    f"loadwatch: scenario {scenario.name}: {name} stands in clear; "
                    "${env:NAME} or @FILE would keep it out of the process list",
                    file=sys.stderr,
                )
    return plan


def _secrets(plan: Plan, ask: bool) -> dict[str, str]:
    """Passwords and passphrases of the hosts that need one, asked for on the terminal."""
    import getpass

    from loadwatch.remote import needs_secret

    secrets = {}
    for host in plan.hosts:
        prompt = needs_secret(host, ask)
        if prompt is not None and sys.stdin.isatty():
            secrets[host.name] = getpass.getpass(f"{prompt}: ")
    return secrets


def _session_path(arguments: argparse.Namespace, plan: Plan) -> Path:
    from loadwatch.session import default_path

    return arguments.session or default_path(plan.target.url)


# -- run -----------------------------------------------------------------------------------------


def _run(arguments: argparse.Namespace) -> int:
    from loadwatch.analysis.thresholds import parse
    from loadwatch.core.errors import PlanError
    from loadwatch.run import Run, catalogue

    plan = _plan(arguments)
    rules = parse(plan, catalogue())
    duration = arguments.duration
    if duration is None and plan.stages:
        duration = sum(stage.duration for stage in plan.stages)
    if duration is None and plan.load.requests is None:
        raise PlanError("run needs an end: --duration, --requests, or stages in the plan")
    if duration is None and not plan.load.connections and not any(s.rate for s in plan.scenarios):
        raise PlanError("at rate 0 the --requests would never come to an end")
    secrets = _secrets(plan, arguments.ask_password)

    async def headless() -> tuple[Run, bool]:
        run = Run(plan, _session_path(arguments, plan), secrets, duration)
        return run, await _headless(run)

    run, interrupted = asyncio.run(headless())
    if not run.began:
        return INTERRUPTED
    outcomes = rules.evaluate(run.history.total)
    _print_result(run, arguments.json)
    for outcome in outcomes:
        print(outcome, file=sys.stderr)
    failed = any(not outcome.passed for outcome in outcomes)
    return _exit_code(run, interrupted, failed)


async def _headless(run: Run) -> bool:
    """The run from start to end with a line per second; True if the user ended it early."""
    from loadwatch.console import Narrator

    narrator = Narrator(sys.stderr)
    run.bus.subscribe(narrator)
    interrupted = asyncio.Event()
    loop = asyncio.get_running_loop()

    def interrupt() -> None:
        if interrupted.is_set() or not run.began:
            waiting.cancel()  # the second time, or before anything was fired: at once
        interrupted.set()
        run.finish()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, interrupt)
    waiting = asyncio.ensure_future(run.start(hosts_first=True))
    try:
        await waiting
        waiting = asyncio.ensure_future(run.wait())
        await waiting
    except asyncio.CancelledError:
        pass
    finally:
        await run.close()
        await asyncio.to_thread(narrator.close)
    return interrupted.is_set()


def _print_result(run: Run, as_json: bool) -> None:
    import json

    from loadwatch.console import summary

    result = run.result()
    if run.status.problem:
        print(f"loadwatch: {run.status.problem}", file=sys.stderr)
    _say(
        json.dumps(result, ensure_ascii=False)
        if as_json
        else summary(result, run.history, run.judged)
    )


def _exit_code(run: Run, interrupted: bool, threshold_failed: bool) -> int:
    """The first that holds of: interrupted, a fault of ours, generator, host, threshold."""
    from loadwatch.core.errors import GeneratorError, HostError, LoadwatchError

    if interrupted:
        return INTERRUPTED
    if run.status.problem:
        return LoadwatchError.exit_code
    if run.reasons:
        return GeneratorError.exit_code
    if any(host.state in ("lost", "failed") for host in run.status.hosts):
        return HostError.exit_code
    return THRESHOLD_FAILED if threshold_failed else 0


# -- watch and demo ------------------------------------------------------------------------------


def _watch(arguments: argparse.Namespace) -> int:
    from loadwatch.analysis.thresholds import parse
    from loadwatch.run import catalogue

    plan = _plan(arguments)
    parse(plan, catalogue())
    secrets = _secrets(plan, arguments.ask_password)
    return _dashboard(plan, _session_path(arguments, plan), secrets, arguments.duration)


def _dashboard(
    plan: Plan, session: Path, secrets: Mapping[str, str], duration: float | None
) -> int:
    from loadwatch.core.errors import PlanError
    from loadwatch.run import Run
    from loadwatch.ui.app import LoadwatchApp

    if not sys.stdout.isatty() or not sys.stdin.isatty():
        raise PlanError("the dashboard needs a terminal; `loadwatch run` does without")

    async def show() -> tuple[Run, int]:
        run = Run(plan, session, secrets, duration, endless=True)
        try:
            app = LoadwatchApp(run.bus, run.history, run, run.catalogue, startup=run.start)
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
    _print_result(run, as_json=False)
    return crashed or _exit_code(run, interrupted=False, threshold_failed=False)


def _end_on_signals(end: Callable[[], Any]) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, end)


def _demo(arguments: argparse.Namespace) -> int:
    from loadwatch.demo.launch import Site, plan_for

    options = [f"--{flag}" for flag in ("gzip", "optimised") if getattr(arguments, flag)]
    if arguments.memory_per_worker:
        options += ["--memory-per-worker", arguments.memory_per_worker]
    with Site([f"--backends={arguments.backends}", *options]) as site:
        if arguments.site_only:
            _say(site.url)
            print(f"wall: {site.url}/wall/42/ with Cookie: {site.cookie}", file=sys.stderr)
            site.wait()
            return 0
        plan = plan_for(site)
        return _dashboard(plan, _session_path(arguments, plan), {}, None)


# -- export --------------------------------------------------------------------------------------


def _export(arguments: argparse.Namespace) -> int:
    from loadwatch.session import export_csv, open_session, resolve

    with open_session(resolve(arguments.session)) as session:
        for path in export_csv(session, arguments.output):
            _say(str(path))
    return 0
