"""`loadwatch compare`: before and after a change, with verdicts that say how sure they are."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from loadwatch.verbs.ending import say
from loadwatch.verbs.named import add_session


def add(verbs: Any) -> None:
    """Declare the verb."""
    text = "before and after a change: what differs, and how sure that is"
    command = verbs.add_parser("compare", help=text, description=f"{text[0].upper()}{text[1:]}.")
    command.set_defaults(verb=_carry_out)
    add_session(command, "base", "BASE", help="the session before")
    add_session(command, "candidates", "CANDIDATE", nargs="+", help="those after")
    command.add_argument("--json", action="store_true", help="one object on stdout")


def _carry_out(arguments: argparse.Namespace) -> int:
    import json

    from loadwatch.analysis.compare import Side, compare
    from loadwatch.recorded import side_of
    from loadwatch.reports.comparison import as_json, as_text
    from loadwatch.session import open_session, resolve

    def side(name: str) -> Side:
        with open_session(resolve(name)) as session:
            return side_of(session)

    base = side(arguments.base)
    comparisons = [compare(base, side(name)) for name in arguments.candidates]
    for note in dict.fromkeys(note for one in comparisons for note in one.notes):
        print(f"loadwatch: {note}", file=sys.stderr)
    if arguments.json:
        say(json.dumps(as_json(comparisons), ensure_ascii=False))
    else:
        say(as_text(comparisons))
    return 0
