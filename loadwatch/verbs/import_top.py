"""`loadwatch import top`: a session of logs that were captured without loadwatch."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loadwatch.verbs.ending import say
from loadwatch.verbs.planned import add_group_options, duration

if TYPE_CHECKING:
    from loadwatch.core.plan import Plan
    from loadwatch.core.tick import Tick


def add(formats: Any) -> None:
    """Declare the format."""
    text = "logs of `top -b` and `vmstat` of one server"
    of_top = formats.add_parser("top", help=text, description=f"A session of {text}.")
    of_top.set_defaults(verb=_carry_out)
    of_top.add_argument("logs", nargs="+", type=Path, metavar="LOG", help="one of each, or either")
    of_top.add_argument("-o", "--output", type=Path, metavar="FILE", help="where to record")
    of_top.add_argument("--host", default="server", metavar="NAME", help="what to call the server")
    of_top.add_argument("--date", type=_day, metavar="YYYY-MM-DD", help="when they begin")
    of_top.add_argument(
        "--interval", type=duration, metavar="D", help="of a log that tells no times"
    )
    add_group_options(of_top)


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a date as 2026-11-24, got {text!r}") from None


def _carry_out(arguments: argparse.Namespace) -> int:
    from loadwatch.captured import Capture
    from loadwatch.config import check_groups
    from loadwatch.core.errors import PlanError
    from loadwatch.core.plan import NAME, Host, Plan, Target
    from loadwatch.options import watched
    from loadwatch.session import default_path

    if not NAME.fullmatch(arguments.host):
        raise PlanError("--host: a name is made of letters, digits, `_` and `-`")
    capture = Capture(arguments.logs, arguments.interval, arguments.date)
    arguments.interval = None  # the host's own says nothing here
    host = watched(Host(arguments.host, "imported"), arguments)
    check_groups(host, "command line")
    path = arguments.output or default_path(f"//{arguments.host}")
    plan = Plan(Target(capture.source), hosts=(host,))
    _record(path, plan, capture.ticks(host))
    for log in capture.logs:
        if log.first is None:
            apart = f"taken as {capture.interval(log):g} s apart; --interval says otherwise"
            print(f"loadwatch: {log.path} tells no times: {apart}", file=sys.stderr)
    say(str(path))
    return 0


def _record(path: Path, plan: Plan, ticks: Iterator[Tick]) -> None:
    """The ticks as the session of a plan that fired nothing; no file is left if that fails."""
    from loadwatch.config import redact
    from loadwatch.core.errors import LoadwatchError
    from loadwatch.session import Recorder
    from loadwatch.watching import catalogue

    problems: list[str] = []
    recorder = Recorder(
        path, {"target": plan.target.url, "plan": redact(plan)}, catalogue(), problems.append
    )
    try:
        for tick in ticks:
            recorder.add(tick)
        recorder.close()
        if problems:
            raise LoadwatchError(problems[0])
    except BaseException:
        recorder.close()
        path.unlink(missing_ok=True)
        raise
