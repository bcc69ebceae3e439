"""What verbs that carry out a plan share: its options, the plan itself, the session."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loadwatch.verbs.named import add_session

if TYPE_CHECKING:
    from loadwatch.core.plan import Plan


def add_run_options(command: argparse.ArgumentParser) -> None:
    """What to fire at, how, and whom to watch: the options of `watch` and `run`."""
    add_session(
        command, "plan", "PLAN.toml|URL|SESSION",
        help="what to fire at; a session is repeated: its plan, seed and duration",
    )  # fmt: skip
    load = command.add_argument_group("load")
    load.add_argument("--rate", metavar="R", help="requests per second, or `max`: a closed loop")
    load.add_argument("--connections", type=count, metavar="C", help="of the closed loop")
    load.add_argument("--arrival", choices=["uniform", "poisson"])
    load.add_argument("--seed", type=int)
    load.add_argument("--duration", type=duration, metavar="D", help="time of firing, as 60s")
    load.add_argument("--requests", type=count, metavar="N", help="end after so many")
    load.add_argument("--timeout", type=duration, metavar="D", help="from the due instant")
    load.add_argument("--workers", type=count, metavar="N", help="load processes")
    load.add_argument(
        "--header", action="append", default=[], metavar="'NAME: VALUE'",
        help="for every request; ${env:NAME} or @FILE keep secrets out of the process list",
    )  # fmt: skip
    load.add_argument("--insecure", action="store_true", help="accept any TLS certificate")
    load.add_argument("--ca", metavar="FILE", help="authorities to check the certificate against")
    load.add_argument("--engine", choices=["wire", "httpx"], help="what sends the requests")
    load.add_argument("--http2", action="store_true", help="by the engine httpx")
    load.add_argument("--proxy", metavar="URL", help="by the engine httpx")
    host = command.add_argument_group("watched servers")
    host.add_argument(
        "--host", action="append", default=[], metavar="USER@SERVER", help="or `local`; repeatable"
    )
    host.add_argument("--interval", type=duration, metavar="D", help="of vmstat and top")
    add_group_options(host)
    command.add_argument("--session", type=Path, metavar="FILE", help="where to record")
    command.add_argument("--yes", action="store_true", help="fire at a public host unasked")


def add_group_options(command: Any) -> None:
    """Which processes of a watched server are followed as groups."""
    command.add_argument(
        "--process-user",
        action="append",
        default=[],
        metavar="USER",
        help="a group: all processes of USER; repeatable",
    )
    command.add_argument(
        "--process-command", action="append", default=[], metavar="REGEX",
        help="a group: whose command matches; repeatable",
    )  # fmt: skip
    command.add_argument(
        "--process-pid", type=pids, metavar="PID,…", help="a group: these processes"
    )


def count(text: str) -> int:
    """A whole number from 1 on."""
    if not text.isascii() or not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number from 1 on, got {text!r}")
    return int(text)


def duration(text: str) -> float:
    """Seconds of `30s`, `250ms`, `5m`."""
    from loadwatch import config

    try:
        return config.duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def pids(text: str) -> tuple[int, ...]:
    """Process numbers, as `12,13`."""
    return tuple(count(part) for part in text.split(","))


def firing_time(duration: float | None, plan: Plan) -> float | None:
    """Seconds of firing: the `duration` that was asked for, else that of the plan's stages."""
    if duration is None and plan.stages:
        return sum(stage.duration for stage in plan.stages)
    return duration


def plan_of(arguments: argparse.Namespace) -> Plan:
    """The plan that the command line names, with its options applied."""
    from loadwatch import config, options

    if "://" in arguments.plan:
        plan = config.plan_for(arguments.plan)
    elif Path(arguments.plan).suffix == ".toml":
        plan = config.load_plan(Path(arguments.plan))
    else:
        plan = _repeated(arguments)
    plan = options.apply(plan, arguments)
    for scenario in plan.scenarios:
        for name, value in scenario.headers.items():
            if config.is_literal_secret(name, value):
                print(
                    f"loadwatch: scenario {scenario.name}: {name} stands in clear; "
                    "${env:NAME} or @FILE would keep it out of the process list",
                    file=sys.stderr,
                )
    return plan


def _repeated(arguments: argparse.Namespace) -> Plan:
    """The plan of a session, for as long as it was asked for then, or of a plan without suffix."""
    from loadwatch import config
    from loadwatch.core.errors import PlanError
    from loadwatch.core.texts import texts
    from loadwatch.recorded import plan_of as recorded_plan
    from loadwatch.session import is_session, open_session, resolve

    path = resolve(arguments.plan)
    if not path.is_file():
        raise PlanError(f"{arguments.plan}: no such plan, URL or session")
    if not is_session(path):
        return config.load_plan(path)
    with open_session(path) as session:
        plan = recorded_plan(session)
        if arguments.duration is None and not plan.stages:
            arguments.duration = session.about.get("duration")
    for scenario in plan.scenarios:
        missing = [name for name, value in scenario.headers.items() if value == config.REDACTED]
        given = [text.partition(":")[0].strip().lower() for text in arguments.header]
        for place, text in texts(scenario):
            if text == config.REDACTED and (place.step or place.field != "headers"):
                raise PlanError(f"scenario {scenario.name}: {place} was not recorded, as it stood"
                                " in clear: run the plan itself")  # fmt: skip
        for name in missing:
            if name.lower() not in given:
                raise PlanError(f"scenario {scenario.name}: {name} was not recorded, as it stood"
                                " in clear: give it by --header")  # fmt: skip
    return plan


async def doubt(plan: Plan) -> str:
    """What to ask before firing at this target; empty where nothing needs a word."""
    from loadwatch.load.reach import public_address

    address = await public_address(plan.target)
    return f"Fire at {plan.target.url}? {address} is a public address." if address else ""


def confirm(plan: Plan) -> None:
    """Without a screen: ask before firing at a public host. PlanError without a yes."""
    import asyncio

    from loadwatch.core.asking import Field, Question
    from loadwatch.core.errors import PlanError
    from loadwatch.verbs.asking import on_terminal

    question = asyncio.run(doubt(plan))
    if not question:
        return
    with on_terminal() as asker:
        if asker is None:
            raise PlanError(f"{question} --yes fires, or its name in the plan's [target] allow")
        if asker(Question(question, (Field("yes or no", echo=True),))) != ("yes",):
            raise PlanError("nothing was fired")


def session_path(arguments: argparse.Namespace, plan: Plan) -> Path:
    """Where to record: as told, else a new file in the default place."""
    from loadwatch.session import default_path

    return arguments.session or default_path(plan.target.url)
