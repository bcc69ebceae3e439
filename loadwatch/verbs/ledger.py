"""`loadwatch ledger`: what each configuration takes, over all sessions of a target."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from loadwatch.verbs.ending import say
from loadwatch.verbs.named import add_session

NOTHING = "no limit was found in these sessions; `loadwatch limit` finds one, and the key f"


def add(verbs: Any) -> None:
    """Declare the verb."""
    text = "what each configuration takes: a table of all limits that were found at a target"
    command = verbs.add_parser("ledger", help=text, description=f"{text[0].upper()}{text[1:]}.")
    command.set_defaults(verb=_carry_out)
    add_session(
        command, "of", "TARGET|SESSION", nargs="*",
        help="a target, or a part of its URL; or some sessions. Default: the newest one's target",
    )  # fmt: skip
    formats = command.add_mutually_exclusive_group()
    formats.add_argument("--csv", action="store_true", help="a line per configuration and scenario")
    formats.add_argument("--markdown", action="store_true", help="for a pull request")
    formats.add_argument("--json", action="store_true", help="one object")


def _carry_out(arguments: argparse.Namespace) -> int:
    import json

    from loadwatch.core.errors import PlanError, SessionError
    from loadwatch.reports.ledger import as_csv, as_json, as_text
    from loadwatch.reports.limits import gather
    from loadwatch.reports.markdown import ledger_as_markdown

    found = gather(_paths(arguments.of))
    for problem in found.problems:
        print(f"loadwatch: {problem}", file=sys.stderr)
    if not found.rows and not arguments.json:
        raise PlanError(NOTHING)
    if arguments.json:
        say(json.dumps(as_json(found), ensure_ascii=False))
    else:
        write = as_csv if arguments.csv else ledger_as_markdown if arguments.markdown else as_text
        say(write(found).rstrip("\n"))
    return SessionError.exit_code if found.problems else 0


def telling(session: Path) -> Callable[[], Awaitable[str]]:
    """What tells the ledger of the target of `session`, as text, in a thread of its own."""
    import asyncio

    from loadwatch.core.errors import PlanError
    from loadwatch.reports.ledger import as_text
    from loadwatch.reports.limits import gather, sessions_at
    from loadwatch.session import open_session

    def told() -> str:
        with open_session(session) as own:
            paths = [*sessions_at(own.meta.get("target", "")), session]
        ledger = gather(paths)
        if not ledger.rows:
            raise PlanError(NOTHING)
        return "\n\n".join([as_text(ledger), *ledger.problems])

    return lambda: asyncio.to_thread(told)


def _paths(names: Sequence[str]) -> list[Path]:
    """The sessions that are meant: those that are named, else all of the target that is."""
    from loadwatch.reports.limits import sessions_of
    from loadwatch.session import resolve

    if len(names) == 1 and ("://" in names[0] or not resolve(names[0]).is_file()):
        return sessions_of(names[0])
    return [resolve(name) for name in names] if names else sessions_of("")
