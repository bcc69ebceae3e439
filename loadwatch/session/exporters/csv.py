"""A session as four CSV files that pandas, a spreadsheet or awk read without options.

An empty cell is something that nobody knows. Described in docs/export.md.
"""

from __future__ import annotations

import csv
from contextlib import ExitStack
from pathlib import Path
from typing import TextIO

from loadwatch.session.excerpt import Excerpt
from loadwatch.session.files import exporting_to, replacing
from loadwatch.session.store import open_session
from loadwatch.session.tables import Cell, rows, tables

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
"""What makes a spreadsheet take a cell for a formula (OWASP, CSV injection)."""


def export(excerpt: Excerpt, directory: Path) -> list[Path]:
    """Write timeline.csv, processes.csv, steps.csv and events.csv; returns their paths.

    Files of these names are replaced, each at once, when all four are written. SessionError where
    that fails.
    """
    paths = {name: directory / f"{name}.csv" for name in tables(excerpt)}
    with exporting_to(directory), ExitStack() as stack:
        _write(excerpt, {n: stack.enter_context(replacing(path)) for n, path in paths.items()})
    return list(paths.values())


def export_beside(path: Path) -> Path:
    """Export the session file `path` into a folder beside it, also while it is being written."""
    directory = path.with_name(path.stem + "-csv")
    with open_session(path) as session:
        export(Excerpt(session), directory)
    return directory


def write(excerpt: Excerpt, table: str, out: TextIO) -> None:
    """Write the one table of that name."""
    _write(excerpt, {table: out})


def _write(excerpt: Excerpt, files: dict[str, TextIO]) -> None:
    wanted = [table for table in tables(excerpt).values() if table.name in files]
    writers = {name: csv.writer(file, lineterminator="\n") for name, file in files.items()}
    for table in wanted:
        writers[table.name].writerow(table.header)
    for table, added in rows(excerpt, wanted):
        writers[table.name].writerows([disarmed(cell) for cell in row] for row in added)


def disarmed(cell: Cell) -> Cell:
    """Text on one line, which no spreadsheet can take for a formula."""
    if not isinstance(cell, str):
        return cell
    mark = "'" if cell.startswith(FORMULA) else ""
    return mark + " ".join(cell.splitlines())
