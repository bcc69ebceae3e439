"""A session as one JSON file: what is known about it, and the tables with an object per row.

null is something that nobody knows. Described in docs/export.md.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TextIO

from loadwatch.session.excerpt import Excerpt
from loadwatch.session.files import exporting_to, replacing
from loadwatch.session.tables import VERSION, rows, tables


def export(excerpt: Excerpt, directory: Path) -> list[Path]:
    """Write session.json; returns its path. SessionError where that fails."""
    path = directory / "session.json"
    with exporting_to(directory), replacing(path) as file:
        head = json.dumps({"version": VERSION, "session": excerpt.about}, ensure_ascii=False)
        file.write(head.removesuffix("}"))
        for name in tables(excerpt):
            file.write(f',\n"{name}": ')
            write(excerpt, name, file)
        file.write("}\n")
    return [path]


def write(excerpt: Excerpt, table: str, out: TextIO) -> None:
    """Write the one table of that name, as an array of objects, one a line."""
    wanted = tables(excerpt)[table]
    separator = "[\n"
    for _, added in rows(excerpt, [wanted]):
        for row in added:
            item = dict(zip(wanted.header, row, strict=True))
            out.write(separator + json.dumps(item, ensure_ascii=False, allow_nan=False))
            separator = ",\n"
    out.write("[]\n" if separator == "[\n" else "\n]\n")
