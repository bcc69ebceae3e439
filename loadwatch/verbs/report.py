"""`loadwatch report`: a session as one HTML file, or as Markdown."""

from __future__ import annotations

import argparse
from typing import Any

from loadwatch.verbs.ending import say
from loadwatch.verbs.named import add_session


def add(verbs: Any) -> None:
    """Declare the verb."""
    text = "a session as one HTML file, or as Markdown"
    command = verbs.add_parser("report", help=text, description=f"{text[0].upper()}{text[1:]}.")
    command.set_defaults(verb=_carry_out)
    add_session(command)
    command.add_argument(
        "-o", "--output", required=True, metavar="FILE",
        help="report.html or report.md; `-` for Markdown on stdout",
    )  # fmt: skip


def _carry_out(arguments: argparse.Namespace) -> int:
    from pathlib import Path

    from loadwatch.core.errors import PlanError, SessionError
    from loadwatch.reports.digest import digest
    from loadwatch.reports.html import as_html
    from loadwatch.reports.markdown import as_markdown
    from loadwatch.session import open_session, resolve
    from loadwatch.session.files import replacing

    path = Path(arguments.output)
    formats = {".html": as_html, ".htm": as_html, ".md": as_markdown}
    write = as_markdown if arguments.output == "-" else formats.get(path.suffix.lower())
    if write is None:
        raise PlanError(f"{path}: a report is .html or .md")
    with open_session(resolve(arguments.session)) as session:
        text = write(digest(session))
    if arguments.output == "-":
        say(text.rstrip("\n"))
        return 0
    try:
        with replacing(path) as file:
            file.write(text)
    except OSError as error:
        raise SessionError(f"{path}: cannot be written: {error.strerror}") from None
    say(str(path))
    return 0
