"""A sweep for people, as the curve of the limit over the values, and for programs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from loadwatch.analysis.ledger import Ledger, Row
from loadwatch.core.action import setting
from loadwatch.core.plan import Action, Value
from loadwatch.reports.comparison import aligned
from loadwatch.reports.ledger import pair_text, row_as_json

WIDTH = 40
"""Cells of the longest bar."""


def curve(found: Ledger, action: Action) -> str:
    """A bar per value for what is sustained, a table per scenario; bars begin at 0."""
    blocks = []
    for scenario in found.scenarios:
        cells = [(value, row.cells[scenario]) for value, row in _rows(found, action)
                 if scenario in row.cells]  # fmt: skip
        most = max((cell.limit.sustained or 0.0 for _, cell in cells), default=0.0)
        lines = [
            [
                str(value),
                pair_text(cell.limit.sustained, cell.limit.fails_at),
                "█" * round(WIDTH * (cell.limit.sustained or 0.0) / most) if most else "",
            ]
            for value, cell in cells
        ]
        blocks.append(aligned([[action.name, scenario, ""], *lines]))
    return "\n\n".join(blocks)


def sweep_as_json(
    found: Ledger, action: Action, problems: Sequence[str], restored: bool, session: str
) -> dict[str, Any]:
    """`action`, `values` (each with its `value`, `configuration` and `limits` as in a ledger),
    `restored`, `problems`, `session`."""
    return {
        "action": action.name,
        "values": [{"value": value} | row_as_json(row) for value, row in _rows(found, action)],
        "restored": restored,
        "problems": list(problems),
        "session": session,
    }


def _rows(found: Ledger, action: Action) -> Iterator[tuple[Value, Row]]:
    """The values that were measured, in the order of the plan."""
    known = {row.configuration: row for row in found.rows}
    for value in action.values:
        if setting(action, value) in known:
            yield value, known[setting(action, value)]
