"""`loadwatch export`: a session as CSV files."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from loadwatch.verbs.ending import say


def add(verbs: Any) -> None:
    """Declare the verb."""
    export = verbs.add_parser("export", help="a session as CSV files")
    export.set_defaults(verb=_carry_out)
    export.add_argument("session", metavar="SESSION", help="a session file, or its name")
    export.add_argument("--to", choices=["csv"], default="csv", help="the format")
    export.add_argument("-o", "--output", type=Path, required=True, metavar="DIR")


def _carry_out(arguments: argparse.Namespace) -> int:
    from loadwatch.session import export_csv, open_session, resolve

    with open_session(resolve(arguments.session)) as session:
        for path in export_csv(session, arguments.output):
            say(str(path))
    return 0
