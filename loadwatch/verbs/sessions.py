"""`loadwatch sessions`: what was recorded, found, renamed, tagged, deleted."""

from __future__ import annotations

import argparse
import sys
import time
from typing import TYPE_CHECKING, Any

from loadwatch.verbs.ending import say
from loadwatch.verbs.named import add_session

if TYPE_CHECKING:
    from loadwatch.session.library import Entry


def add(verbs: Any) -> None:
    """Declare the verb and its actions; without one it lists."""
    text = "what was recorded: list, find, rename, tag, delete"
    command = verbs.add_parser("sessions", help=text, description=f"{text[0].upper()}{text[1:]}.")
    command.set_defaults(verb=_list)
    command.add_argument("--name", metavar="TEXT", help="whose name has it in it")
    command.add_argument("--target", metavar="TEXT", help="whose target has it in it")
    command.add_argument("--mark", metavar="TEXT", help="one of whose marks has it in it")
    command.add_argument("--tag", metavar="TAG", help="that have this tag")
    command.add_argument("--since", metavar="WHEN", type=_instant, help="12h, or 2026-11-23")
    command.add_argument("--json", action="store_true", help="one array on stdout")
    actions = command.add_subparsers(metavar="ACTION")
    rename = actions.add_parser("rename", help="call a session something else")
    rename.set_defaults(verb=_rename)
    add_session(rename)
    rename.add_argument("new", metavar="NAME")
    tag = actions.add_parser("tag", help="add tags, or remove them")
    tag.set_defaults(verb=_tag)
    add_session(tag)
    tag.add_argument("tags", metavar="TAG", nargs="*")
    tag.add_argument("--remove", metavar="TAG", action="append", default=[])
    delete = actions.add_parser("delete", help="remove sessions for good")
    delete.set_defaults(verb=_delete)
    add_session(delete, "sessions", nargs="+")
    delete.add_argument("--yes", action="store_true", help="do not ask")


def _list(arguments: argparse.Namespace) -> int:
    from loadwatch.reports.listing import as_json, as_text
    from loadwatch.session.library import entries

    found = [entry for entry in entries() if _is_wanted(entry, arguments)]
    say((as_json if arguments.json else as_text)(found, time.time()))
    return 0


def _is_wanted(entry: Entry, wanted: argparse.Namespace) -> bool:
    def has(text: str | None, *places: str) -> bool:
        return text is None or any(text.lower() in place.lower() for place in places)

    return (
        has(wanted.name, entry.name, entry.path.stem)
        and has(wanted.target, entry.target)
        and has(wanted.mark, *entry.marks)
        and (wanted.tag is None or wanted.tag in entry.tags)
        and (wanted.since is None or entry.started >= wanted.since)
    )


def _rename(arguments: argparse.Namespace) -> int:
    from loadwatch.session.library import rename, resolve

    rename(resolve(arguments.session), arguments.new)
    return 0


def _tag(arguments: argparse.Namespace) -> int:
    from loadwatch.session.library import resolve, tag

    tags = tag(resolve(arguments.session), arguments.tags, arguments.remove)
    say(" ".join(tags))
    return 0


def _delete(arguments: argparse.Namespace) -> int:
    from loadwatch.core.errors import PlanError
    from loadwatch.session.library import delete, resolve

    paths = list(dict.fromkeys(resolve(name) for name in arguments.sessions))
    if not arguments.yes:
        if not sys.stdin.isatty():
            raise PlanError("to delete sessions without being asked, say --yes")
        for path in paths:
            print(path, file=sys.stderr)
        print("Delete for good? [y/N] ", end="", file=sys.stderr, flush=True)
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            return 0
    for path in paths:
        delete(path)
    return 0


def _instant(text: str) -> float:
    """Unix seconds of a date, or of a duration ago."""
    from datetime import datetime

    from loadwatch.verbs.planned import duration

    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return time.time() - duration(text)
