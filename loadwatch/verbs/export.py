"""`loadwatch export`: a session as CSV, JSON or HdrHistogram logs."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loadwatch.verbs.ending import say, to_reader
from loadwatch.verbs.named import add_session

if TYPE_CHECKING:
    from loadwatch.session import Excerpt
    from loadwatch.session.exporters import Exporter


def add(verbs: Any) -> None:
    """Declare the verb."""
    text = "a session as CSV, JSON or HdrHistogram logs"
    export = verbs.add_parser("export", help=text, description=f"{text[0].upper()}{text[1:]}.")
    export.set_defaults(verb=_carry_out)
    add_session(export)
    export.add_argument("--format", metavar="NAME", help="csv, json or hlog; csv unless given")
    export.add_argument(
        "-o", "--output", required=True, metavar="DIR", help="or `-`, for one table on stdout"
    )
    export.add_argument(
        "--table", metavar="NAME", help="which one: timeline, processes, steps or events"
    )
    part = export.add_argument_group("which part")
    part.add_argument("--from", dest="first", type=_instant, default=0, metavar="T",
                      help="from this time on, since the start: 90s, 5m")  # fmt: skip
    part.add_argument(
        "--to", dest="until", action="append", type=_instant_or_format, default=[], metavar="T",
        help="up to this time; `--to json` is `--format json`",
    )  # fmt: skip
    part.add_argument("--step", action="append", type=int, default=[], metavar="N",
                      help="this step only; repeatable")  # fmt: skip
    part.add_argument("--scenario", action="append", default=[], metavar="NAME",
                      help="of the scenarios this one only; repeatable")  # fmt: skip


def _carry_out(arguments: argparse.Namespace) -> int:
    from loadwatch.core.errors import PlanError
    from loadwatch.session import Excerpt, Selection, open_session, resolve
    from loadwatch.session.exporters import exporters

    named = [value for value in arguments.until if isinstance(value, str)]
    until = [value for value in arguments.until if not isinstance(value, str)]
    name = arguments.format or (named or ["csv"])[-1]
    known = exporters()
    if name not in known:
        raise PlanError(f"no format {name!r}; there are: {', '.join(known)}")
    to_stdout = arguments.output == "-"
    if to_stdout != (arguments.table is not None):
        raise PlanError("--table and `-o -` belong together: one table on stdout")
    selection = Selection(
        first=arguments.first,
        end=until[-1] if until else None,
        steps=frozenset(arguments.step) or None,
        scenarios=frozenset(arguments.scenario) or None,
    )
    with open_session(resolve(arguments.session)) as session:
        excerpt = Excerpt(session, selection)
        if to_stdout:
            _write_table(known[name], excerpt, arguments.table)
        else:
            for path in known[name].export(excerpt, Path(arguments.output)):
                say(str(path))
    return 0


def _write_table(exporter: Exporter, excerpt: Excerpt, table: str) -> None:
    from loadwatch.core.errors import PlanError
    from loadwatch.session.tables import NAMES

    if exporter.write is None:
        raise PlanError("this format has no tables")
    if table not in NAMES:
        raise PlanError(f"no table {table!r}; there are: {', '.join(NAMES)}")
    with to_reader():
        exporter.write(excerpt, table, sys.stdout)


def _instant(text: str) -> int:
    """Whole seconds of `0`, `90s`, `5m`."""
    import math

    from loadwatch.verbs.planned import duration

    return 0 if text in ("0", "0s") else math.floor(duration(text))


def _instant_or_format(text: str) -> str | int:
    return text if text.isalpha() else _instant(text)
