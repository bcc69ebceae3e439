"""Columns stacked in eighths of a cell: the shares of each second, up from zero and down from it.

Drawn here and not by plotext, whose cells hold one colour: a layer thinner than a row vanishes
there, and three filled layers cost several times as much (`benchmarks/chart.py`).
"""

from __future__ import annotations

from collections.abc import Sequence

from loadwatch.ui.canvas import BLANK, Cell, Cells

BLOCKS = " ▁▂▃▄▅▆▇█"
"""Lower blocks by eighths."""

ZERO: Cell = ("▁", "axis")
"""A column that is known to be zero; an unknown one is blank."""

Layer = tuple[str, Sequence[float]]
"""A role and its value per column, NaN where unknown; the first layer stands next to zero."""


def stack(up: Sequence[Layer], down: Sequence[Layer], above: int, below: int, top: float) -> Cells:
    """Rows of cells, top row first: `above` rows up to `top`, `below` rows down at the same scale.

    `up` and `down` have as many columns as each other, unless one of them is empty.
    """
    unit = top / above / 8
    columns = range(len((*up, *down)[0][1]))
    rising = [_eighths(up, column, unit, above) for column in columns]
    hanging = [_eighths(down, column, unit, below) for column in columns]
    known = [any(values[column] == values[column] for _, values in up) for column in columns]
    rows = [[_cell(bounds, up, row) for bounds in rising] for row in reversed(range(above))]
    for column in columns:
        if known[column] and rows[-1][column] is BLANK:
            rows[-1][column] = ZERO
    return rows + [[_hung(bounds, down, row) for bounds in hanging] for row in range(below)]


def _eighths(layers: Sequence[Layer], column: int, unit: float, rows: int) -> list[int]:
    """Where each layer ends, in eighths; whatever is above zero gets at least one."""
    values = [values[column] if values[column] > 0 else 0.0 for _, values in layers]
    ends: list[int] = []
    total, end = 0.0, 0
    for value in values:
        total += value
        end = max(round(total / unit), end + 1) if value else end
        ends.append(end)
    room = rows * 8
    for index in reversed(range(len(ends))):
        ends[index] = min(ends[index], room)
        room = ends[index] - (1 if values[index] else 0)
    return ends


def _cell(ends: Sequence[int], layers: Sequence[Layer], row: int) -> Cell:
    """The cell of the eighths from 8 × `row`, in two colours where layers meet.

    Two colours fill a whole cell: at the top of a column one of them is drawn only, where that is
    nearer to the truth.
    """
    begin = row * 8
    if not ends or ends[-1] <= begin:
        return BLANK
    lowest = next(index for index, end in enumerate(ends) if end > begin)
    topmost = next(index for index, end in enumerate(ends) if end >= min(begin + 8, ends[-1]))
    filled = min(ends[topmost] - begin, 8)
    under = ends[topmost - 1] - begin if lowest != topmost else 0
    if under and under >= 8 - filled:
        return BLOCKS[under], f"{layers[lowest][0]} on {layers[topmost][0]}"
    return BLOCKS[filled], layers[topmost][0]


def _hung(ends: Sequence[int], layers: Sequence[Layer], row: int) -> Cell:
    """The same hanging from zero. There are no upper blocks: the rest is drawn, in reverse."""
    block, role = _cell(ends, layers, row)
    if block in " █":
        return block, role
    near, _, far = role.partition(" on ")
    rest = BLOCKS[8 - BLOCKS.index(block)]
    return (rest, f"{far} on {near}") if far else (rest, f"{near} reverse")


def sparkline(values: Sequence[float], width: int) -> str:
    """`values` in at most `width` columns, from the least to the largest, the last one the newest.

    What changes by less than a twentieth is level.
    """
    if not values:
        return ""
    points = (
        [values[at * len(values) // width] for at in range(width)]
        if len(values) > width
        else values
    )
    low, high = min(values), max(values)
    span = max(high - low, abs(high) / 20) or 1.0
    return "".join(
        BLOCKS[1 + round((value - low) / span * 6)] for value in [*points[:-1], values[-1]]
    )
