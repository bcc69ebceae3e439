"""`loadwatch import`: something that people have already, made into what loadwatch reads."""

from __future__ import annotations

from typing import Any

from loadwatch.verbs import import_plan, import_top


def add(verbs: Any) -> None:
    """Declare the verb."""
    text = "a plan from a curl line, a HAR file, an access log and more; a session from logs of top"
    imported = verbs.add_parser("import", help=text, description=f"{text[0].upper()}{text[1:]}.")
    formats = imported.add_subparsers(required=True, metavar="FORMAT")
    import_plan.add(formats)
    import_top.add(formats)
