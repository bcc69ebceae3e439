"""From seconds and values to columns and rows: what stands between a history and a drawing.

Data is reduced to the columns of a chart before anything is drawn: the maximum of each column (of
what is stacked, its highest second), so that a spike of one second survives at any width. A column
covers a fixed stretch of the run: the picture moves as time passes, but does not shimmer.
"""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise

from loadwatch.core.metric import Unit, format_value

Point = tuple[int, float]
"""A column and the value in it."""

FAMILIAR = (1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0)
"""Tops of an axis, times a power of ten."""

FAMILIAR_BYTES = (1.0, 1.25, 1.5, 1.75, 2.0)
"""Tops of an axis of bytes, times a power of two."""

TICK_SECONDS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400)
"""Distances between the labels of the time axis."""

IDLE_ZEROS = re.compile(r"(?<=\.\d)0+(?!\d)|\.0+(?!\d)|(?<=\.\d\d)0+(?!\d)")
"""Zeros at the end of a fraction."""

TRACE = 1e-9
"""A value that is drawn, as little as there can be, and adds nothing."""

USUAL_GAPS = 64
"""How many distances between readings tell the usual one."""


@dataclass(frozen=True, slots=True)
class Span:
    """`columns` of a chart that show the `seconds` before second `end` (not included)."""

    end: int
    seconds: int
    columns: int

    def column(self, second: int) -> int:
        """The column of a second; below 0 or from `columns` on where it is not shown."""
        newest = (self.end - 1) * self.columns // self.seconds
        return second * self.columns // self.seconds - newest + self.columns - 1

    def cut(self, values: Sequence[float]) -> Iterator[tuple[int, int, Sequence[float]]]:
        """(column, first second, its values) of every column that `values` reach.

        The last value is that of second `end - 1`.
        """
        start, offset = self.end - len(values), self.column(0)
        for column in range(max(self.column(start), 0), self.columns):
            first, after = (-(-at * self.seconds // self.columns) for at in
                            (column - offset, column - offset + 1))  # fmt: skip
            yield column, max(first, start), values[max(first - start, 0) : max(after - start, 0)]


def usual_gap(values: Sequence[float]) -> int:
    """How long a silence (seconds) is still no gap: 2 × the usual distance between readings + 1."""
    known = (at for at in reversed(range(len(values))) if values[at] == values[at])
    recent = list(islice(known, USUAL_GAPS))
    distances = [late - early for late, early in pairwise(recent)]
    return 2 * max(1, statistics.median_low(distances)) + 1 if distances else 3


def runs(values: Sequence[float], span: Span, max_gap: int | None = None) -> list[list[Point]]:
    """The lines to draw: a point per column, broken where more than `max_gap` seconds are unknown.

    A gap within one column cannot be seen. By default the usual distance between the readings
    tells what a gap is.
    """
    longest = usual_gap(values) if max_gap is None else max_gap
    found: list[list[Point]] = []
    before = -math.inf
    for column, start, stretch in span.cut(values):
        known = [value for value in stretch if value == value]
        if not known:
            continue
        first = start + next(at for at, value in enumerate(stretch) if value == value)
        if first - before > longest:
            found.append([])
        found[-1].append((column, max(known)))
        before = next(
            start + at for at in reversed(range(len(stretch))) if stretch[at] == stretch[at]
        )
    return found


def bars(values: Sequence[float], span: Span, max_gap: int | None = None) -> list[float]:
    """A value per column, NaN where nothing is known; a reading stands until the next one."""
    found = [math.nan] * span.columns
    for line in runs(values, span, max_gap):
        for (column, value), following in zip(line, [*line[1:], (line[-1][0] + 1, 0)], strict=True):
            for at in range(column, following[0]):
                found[at] = value
    return found


def stacked(layers: Sequence[Sequence[float]], span: Span) -> list[list[float]]:
    """The columns of values that are stacked, per layer: of each column the highest second.

    The maxima of each layer added up would be a height that never was. A layer that is above zero
    only in another second of the column keeps a `TRACE` of it. Layers are of one length.
    """
    found = [bars(values, span) for values in layers]
    if len(layers) < 2 or span.columns >= span.seconds:
        return found
    for parts in zip(*(span.cut(values) for values in layers), strict=True):
        column = parts[0][0]
        seconds = zip(*(stretch for _, _, stretch in parts), strict=True)
        highest = max(seconds, key=_height, default=())
        for layer, value in zip(found, highest, strict=False):
            if value == value:
                layer[column] = value or (TRACE if layer[column] > 0 else 0.0)
    return found


def _height(parts: Sequence[float]) -> float:
    return sum(part for part in parts if part == part)


def stairs(line: Sequence[Point]) -> list[Point]:
    """`line` with the corners of a step line: a value holds until the next one."""
    found = list(line[:1])
    for (_, before), (column, value) in pairwise(line):
        found += [(column, before), (column, value)] if value != before else [(column, value)]
    return found


def ceiling(value: float, unit: Unit) -> float:
    """A familiar number at or above `value` for the top of an axis (core unit)."""
    if value <= 0:
        return 1.0
    if unit in (Unit.BYTES, Unit.BYTES_PER_SECOND):
        base = 2.0 ** math.floor(math.log2(value))
        return next(base * step for step in FAMILIAR_BYTES if base * step >= value)
    base = 10.0 ** math.floor(math.log10(value))
    return next(base * step for step in (*FAMILIAR, 20.0) if base * step >= value * (1 - 1e-9))


def label(value: float, unit: Unit) -> str:
    """`value` (core unit) beside an axis: no blanks, no idle zeros, and zero is just `0`."""
    if not value:
        return "0"
    return IDLE_ZEROS.sub("", format_value(value, unit)).replace(" ", "")


def clock(seconds: float) -> str:
    """Elapsed time: `4:05`, from an hour on `1:04:05`."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def time_ticks(span: Span, apart: int) -> list[tuple[int, str]]:
    """(column, label) of the time axis, at least `apart` columns from each other."""
    wanted = apart * span.seconds / span.columns
    distance = next((step for step in TICK_SECONDS if step >= wanted), TICK_SECONDS[-1])
    first = max(0, -(-(span.end - span.seconds) // distance) * distance)
    ticks = [(span.column(at), clock(at)) for at in range(first, span.end, distance)]
    return [(column, text) for column, text in ticks if 0 <= column < span.columns]
