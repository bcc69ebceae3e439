"""Charts with a common time axis. The only file that knows plotext.

plotext draws the lines; gutter and time axis are drawn here, so that the same second stands in the
same column of every chart of the same width.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from itertools import accumulate
from types import ModuleType
from typing import Any

from loadwatch.core.metric import Unit
from loadwatch.ui import scale
from loadwatch.ui.canvas import BLANK, Cell, Cells, Row, compress, fit, plain
from loadwatch.ui.columns import stack

GUTTER = 10
"""Columns left of a chart: its labels and the axis."""

DOTS_ACROSS, DOTS_UP = 2, 4
"""Dots of a braille cell."""

Dot = tuple[int, int]
"""Dots from the left and from the bottom."""

LABELS_APART = 11
"""Columns between the labels of the time axis, at least."""

ZERO_LINE: Cell = ("─", "axis")
"""Between what rises and what hangs, where there is a row to spare."""

BOUNDARY = "┊"
"""Where a step began."""

FULL = "█"
"""A cell in which a boundary shows through."""

ESCAPE = re.compile(r"\x1b\[([\d;]*)m")
"""A change of colour in what plotext builds."""

FOREGROUND = "38;5;"
"""How a change to one of the 256 colours begins."""


@dataclass(frozen=True, slots=True)
class Boundary:
    """The second at which a step began, and the user's mark where it began with one."""

    second: int
    mark: str = ""


@dataclass(frozen=True, slots=True)
class Frame:
    """Where a chart is drawn: cells with gutter and time axis, and the stretch of the run.

    `boundaries` are drawn through; their marks are written out where the chart `names` them.
    """

    width: int
    height: int
    end: int
    seconds: int
    boundaries: Sequence[Boundary] = ()
    names: bool = False

    @property
    def rows(self) -> int:
        """Rows of the drawing itself, without the time axis."""
        return max(self.height - 1, 1)

    def span(self, per_cell: int = 1) -> scale.Span:
        """The time axis, with `per_cell` points per column of cells."""
        return scale.Span(self.end, self.seconds, max(self.width - GUTTER, 1) * per_cell)


@dataclass(frozen=True, slots=True)
class Series:
    """Values of the last seconds (core unit, NaN where unknown) and the role they are drawn in."""

    role: str
    values: Sequence[float]
    is_step: bool = False


@dataclass(frozen=True, slots=True)
class Curve:
    """Points of a rate (1/s) and a value (core unit) at it, and the role they are joined in."""

    role: str
    points: Sequence[tuple[float, float]]


def prepare() -> None:
    """Load plotext, which takes a while, before the first chart needs it; from any thread."""
    _plotext()


def lines(frame: Frame, unit: Unit, series: Sequence[Series], log: bool = False) -> list[Row]:
    """A chart of lines, the later ones on top.

    On a logarithmic axis, which spans whole decades, zero stands on the lowest line.
    """
    span = frame.span(DOTS_ACROSS)
    drawn = [(one, scale.runs(one.values, span)) for one in series]
    peaks = [value for _, found in drawn for run in found for _, value in run]
    top = scale.ceiling(max(peaks, default=0.0), unit)
    axis = _log_axis(peaks) if log else _Axis(0.0, top)
    highest = frame.rows * DOTS_UP - 1
    paths = [
        (one.role, _bends([(x, round(axis.share(y) * highest)) for x, y in _corners(one, run)]))
        for one, found in drawn
        for run in found
    ]
    cells = _plot(paths, span.columns // DOTS_ACROSS, frame.rows)
    return _assemble(frame, cells, axis.labels(frame.rows, unit))


def over_rates(
    width: int,
    height: int,
    unit: Unit,
    curves: Sequence[Curve],
    marks: Sequence[tuple[float, str]] = (),
) -> list[Row]:
    """A chart of curves over a logarithmic axis of rates, the later ones on top.

    The other axis is logarithmic too: what grows with the rate is a straight line.
    `marks` are rates at which a line stands with its text beside it.
    """
    rows, across = max(height - 1, 1), max(width - GUTTER, 2)
    rates = [rate for curve in curves for rate, _ in curve.points]
    if not rates:
        return []
    values = [value for curve in curves for _, value in curve.points]
    axis = _tight_axis(values)
    low, high = math.log10(min(rates)), math.log10(max(rates))
    below = _Axis(low, high if high > low else low + 1, log=True)
    right, top = across * DOTS_ACROSS - 1, rows * DOTS_UP - 1
    paths = [
        (curve.role, [(round(below.share(rate) * right), round(axis.share(value) * top))
                      for rate, value in sorted(curve.points)])
        for curve in curves if curve.points
    ]  # fmt: skip
    cells = _plot(paths, across, rows)
    _draw_marks(cells, [(round(below.share(rate) * (across - 1)), text) for rate, text in marks])
    drawn = _with_gutter(cells, axis.labels(rows, unit))
    return [*drawn, [(_rate_axis(below, sorted(set(rates)), across), "quiet")]][:height]


def columns(
    frame: Frame,
    unit: Unit,
    up: Sequence[Series],
    down: Sequence[Series] = (),
    *,
    high: float | None = None,
    floor: float = 0.0,
    mirrored: bool = False,
) -> list[Row]:
    """A chart of columns, stacked up from zero and, where `down` has any, down from it.

    The axis ends at `high`, or above the highest column and `floor`. `mirrored` keeps zero in the
    middle; else the rows below it are as few as their columns need.
    """
    span = frame.span()
    rising, hanging = (
        list(
            zip([s.role for s in part], scale.stacked([s.values for s in part], span), strict=True)
        )
        for part in (up, down)
    )
    tops = [_total(layers) for layers in (rising, hanging)]
    below = frame.rows // 2 if mirrored else _rows_below(frame.rows, *tops)
    above = below if mirrored and below else frame.rows - below
    top = max(tops[0], tops[1] * above / below) if below else tops[0]
    top = scale.ceiling(max(top, floor), unit) if high is None else high
    cells = stack(rising, hanging, above, below, top)
    labels = _Axis(0.0, top).labels(above, unit)
    if above + below < frame.rows:
        cells.insert(above, [ZERO_LINE] * span.columns)
        labels = {row: text for row, text in labels.items() if text != "0"} | {above: "0"}
    if below:
        labels[frame.rows - 1] = scale.label(top * below / above, unit)
    return _assemble(frame, cells, labels)


def _bends(line: list[Dot]) -> list[Dot]:
    """`line` without the dots amid a level stretch, each of which would cost plotext time."""
    inner = zip(line, line[1:], line[2:], strict=False)
    bends = [dot for before, dot, after in inner if not before[1] == dot[1] == after[1]]
    return [*line[:1], *bends, *line[1:][-1:]]


def _corners(series: Series, run: list[scale.Point]) -> list[scale.Point]:
    return scale.stairs(run) if series.is_step else run


@dataclass(frozen=True, slots=True)
class _Axis:
    low: float
    high: float
    log: bool = False

    def share(self, value: float) -> float:
        """Where a value stands between bottom (0) and top (1)."""
        if self.log:
            value = math.log10(max(value, 10**self.low))
        return min(max((value - self.low) / (self.high - self.low), 0.0), 1.0)

    def labels(self, rows: int, unit: Unit) -> dict[int, str]:
        """Row (0 is the top) -> label."""
        if self.log:
            decades = range(math.ceil(self.low), math.floor(self.high) + 1)
            return {
                round((1 - self.share(10.0**power)) * (rows - 1)): scale.label(10.0**power, unit)
                for power in (*decades, self.low, self.high)
            }
        parts = 4 if rows >= 12 else 2 if rows >= 4 else 1
        return {
            round(part * (rows - 1) / parts): scale.label(self.high * (1 - part / parts), unit)
            for part in reversed(range(parts + 1))
        }


def _log_axis(peaks: Sequence[float]) -> _Axis:
    """Whole decades around all values above zero."""
    positive = [value for value in peaks if value > 0]
    high = math.ceil(math.log10(max(positive, default=1.0)) - 1e-9)
    low = math.floor(math.log10(min(positive, default=1.0)) + 1e-9)
    return _Axis(min(low, high - 1), high, log=True)


def _tight_axis(values: Sequence[float]) -> _Axis:
    """From 1, 2 or 5 times a power of ten to another, around all values above zero."""
    positive = [value for value in values if value > 0] or [1.0]
    ends = [k * 10.0**power for power in range(-7, 10) for k in (1, 2, 5)]
    low = max((end for end in ends if end <= min(positive)), default=ends[0])
    high = min((end for end in ends if end >= max(positive) and end > low), default=ends[-1])
    return _Axis(math.log10(low), math.log10(high), log=True)


def _total(layers: Sequence[tuple[str, Sequence[float]]]) -> float:
    """The height of the highest column."""
    totals = zip(*(values for _, values in layers), strict=True)
    return max((sum(part for part in parts if part == part) for parts in totals), default=0.0)


def _rows_below(rows: int, up: float, down: float) -> int:
    """Of `rows`, how many lie below zero."""
    return min(max(round(rows * down / (up + down)), 1), rows - 1) if down else 0


def _assemble(frame: Frame, cells: Cells, labels: Mapping[int, str]) -> list[Row]:
    """Gutter, drawing and time axis, and the boundaries of steps through the drawing."""
    span = frame.span()
    for boundary in frame.boundaries:
        if 0 <= (column := span.column(boundary.second)) < span.columns:
            _draw_boundary(cells, column, boundary.mark, frame.names)
    rows = _with_gutter(cells, labels)
    if frame.height > 1:
        rows.append([(_time_axis(span), "quiet")])
    return rows


def _with_gutter(cells: Cells, labels: Mapping[int, str]) -> list[Row]:
    """The drawing with its labels and the vertical axis left of it."""
    rows: list[Row] = []
    for number, row in enumerate(cells):
        sign = "┤" if number in labels else "│"
        text = fit(labels.get(number, ""), GUTTER - 1, right=True)
        rows.append([(text, "quiet"), (sign, "axis"), *compress(row)])
    return rows


def _rate_axis(axis: _Axis, rates: Sequence[float], columns: int) -> str:
    """The rates below their columns, as many as there is room for; the highest comes first."""
    line = [" "] * (GUTTER + columns)
    free = len(line)
    for rate in reversed(rates):
        text = scale.label(rate, Unit.PER_SECOND)
        middle = GUTTER + round(axis.share(rate) * (columns - 1))
        begin = min(max(middle - len(text) // 2, 0), len(line) - len(text))
        if begin + len(text) <= free:
            line[begin : begin + len(text)] = text
            free = begin - 1
    return "".join(line)


def _draw_boundary(cells: Cells, column: int, mark: str, names: bool) -> None:
    """A dotted line, in the colour of marks where it is one; its text beside it where it fits."""
    own = "mark" if mark else "axis"
    for row in cells:
        sign, role = row[column]
        if row[column] is BLANK:
            row[column] = (BOUNDARY, own)
        elif sign == FULL and " " not in role:
            row[column] = (BOUNDARY, f"ground on {role}")
    text = f" {plain(mark)} " if names and mark else ""
    room = cells[0][column + 1 : column + 1 + len(text)]
    if text and len(room) == len(text) and all(cell is BLANK for cell in room):
        cells[0][column + 1 : column + 1 + len(text)] = [(sign, "mark") for sign in text]


def _draw_marks(cells: Cells, marks: Sequence[tuple[int, str]]) -> None:
    """Lines at columns, each with its text on the side where the next line leaves room."""
    for at, (column, text) in enumerate(marks):
        _draw_boundary(cells, column, text, names=False)
        following = min((c for c, _ in marks[at + 1 :]), default=len(cells[0]))
        before = max((c for c, _ in marks[:at]), default=-1)
        begin = column + 2
        if begin + len(text) >= following and column - len(text) - 2 > before:
            begin = column - len(text) - 1
        if begin + len(text) <= len(cells[0]):
            cells[0][begin : begin + len(text)] = [(sign, "mark") for sign in text]


def _time_axis(span: scale.Span) -> str:
    """Elapsed time below its columns."""
    line = [" "] * (GUTTER + span.columns)
    for column, text in scale.time_ticks(span, LABELS_APART):
        begin = min(max(GUTTER + column - len(text) // 2, 0), len(line) - len(text))
        line[begin : begin + len(text)] = text
    return "".join(line)


def _plot(paths: Sequence[tuple[str, list[Dot]]], width: int, rows: int) -> Cells:
    """Braille lines through `paths`, in plotext."""
    roles = list(dict.fromkeys(role for role, _ in paths))
    if not roles:
        return [[BLANK] * width for _ in range(rows)]
    figure = _plotext().figure
    figure.clear.data()
    figure.plot_size(width, rows)
    figure.ruler("x").lim(-0.5, width * DOTS_ACROSS - 0.5)
    figure.ruler("y").lim(-0.5, rows * DOTS_UP - 0.5)
    for number, role in enumerate(roles, start=1):
        own = [dots for name, dots in paths if name == role]
        x, y = zip(*(dot for dots in own for dot in dots), strict=True)
        signal = figure.signal(x, y, marker=_marker(number)).lines(True)
        for begin in accumulate(len(dots) for dots in own[:-1]):
            signal.line(begin, False)
        figure.draw(signal)
    drawn = figure.build().string().split("\n")
    return [list(_cells(line, roles)) for line in drawn[:rows]]


def _cells(line: str, roles: Sequence[str]) -> Iterator[Cell]:
    """A line of plotext's output, whose colour n stands for role n."""
    role = ""
    for number, part in enumerate(ESCAPE.split(line)):
        if number % 2:
            role = roles[int(part[len(FOREGROUND) :]) - 1] if part.startswith(FOREGROUND) else ""
        else:
            yield from ((sign, role) if sign != " " else BLANK for sign in part)


@cache
def _plotext() -> ModuleType:
    """plotext, its one figure prepared: nothing but the drawing, from edge to edge."""
    plotext = import_module("plotext")
    plotext.terminal.limit(False, False)
    plotext.figure.canvas("default")
    plotext.figure.axes(False, axis="both", side="both")
    plotext.figure.legend(False)
    plotext.figure.ruler("both", "both").ticks([], []).alignment(lim="edge")
    return plotext


@cache
def _marker(number: int) -> Any:
    plotext = _plotext()
    return plotext.marker("braille", plotext.pixel(number))
