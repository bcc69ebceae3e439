"""What panes and bars have in common: a widget that shows rows of text in named roles.

A role is a meaning (`good`, `bad`, `quiet`), never a colour; `loadwatch.tcss` says what it looks
like in a dark and in a light theme. All text is plain: nothing in it is ever read as markup.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import groupby

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip
from textual.widget import Widget

Run = tuple[str, str]
"""Text and its role."""

Row = list[Run]
"""A line of runs."""

Cell = tuple[str, str]
"""One character and its role, which may be `a on b` or `a reverse`."""

Cells = list[list[Cell]]
"""A picture: rows of cells, top row first."""

BLANK: Cell = (" ", "")

ROLES = (
    "quiet", "axis", "strong", "good", "warning", "bad", "chosen", "mark", "ground",
    "first", "second", "third", "fourth",
)  # fmt: skip
"""Every role has a component class of its name; no role is the widget's own colour."""


def plain(text: str) -> str:
    """`text` for one line of a screen: what cannot be printed is shown as such."""
    return "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in text)


def fit(text: str, width: int, right: bool = False) -> str:
    """`text` in exactly `width` cells, with `…` where it is cut."""
    missing = width - cell_len(text)
    if missing < 0:
        return set_cell_size(text, max(width - 1, 0)) + "…" * min(width, 1)
    return " " * missing + text if right else text + " " * missing


def length(row: Sequence[Run]) -> int:
    """The cells that a row takes."""
    return sum(cell_len(text) for text, _ in row)


def crop(row: Row, width: int) -> Row:
    """`row` in at most `width` cells, with `…` where more than blanks is cut."""
    is_cut = cell_len("".join(text for text, _ in row).rstrip()) > width
    kept: Row = []
    room = max(width - is_cut, 0)
    for text, role in row:
        shown = text if cell_len(text) <= room else set_cell_size(text, room)
        room -= cell_len(shown)
        if is_cut and shown != text:
            return [*kept, (shown + "…" * min(width, 1), role)]
        kept.append((shown, role))
    return kept


def wrap(row: Row, width: int) -> list[Row]:
    """`row` in lines of at most `width` cells, broken at blanks."""
    lines: list[Row] = [[]]
    for text, role in row:
        for word in re.findall(r" *[^ ]+", text):
            if lines[-1] and length(lines[-1]) + cell_len(word) > width:
                lines.append([])
            lines[-1].append((word if lines[-1] else word.lstrip(), role))
    return [crop(compress(line), width) for line in lines]


def compress(cells: Sequence[Run]) -> Row:
    """Neighbours of the same role as one run."""
    return [
        ("".join(sign for sign, _ in run), role)
        for role, run in groupby(cells, key=lambda cell: cell[1])
    ]


class Canvas(Widget):
    """Shows rows of runs and redraws only when they change."""

    COMPONENT_CLASSES = {f"canvas--{role}" for role in ROLES}  # noqa: RUF012

    def __init__(self, *, classes: str | None = None) -> None:
        super().__init__(classes=classes)
        self._rows: list[Row] = []
        self._strips: dict[int, Strip] = {}
        self._styles: dict[str, Style] = {}

    def show(self, rows: list[Row]) -> None:
        """Show `rows` from now on."""
        if rows != self._rows:
            self._rows = rows
            self._strips.clear()
            self.refresh()

    def style_of(self, role: str) -> Style:
        """What a role looks like in the theme of the moment."""
        style = self._styles.get(role)
        if style is None:
            style = self._styles[role] = self._style(role)
        return style

    def render_line(self, y: int) -> Strip:
        """One line of the picture."""
        if y >= len(self._rows):
            return Strip.blank(self.size.width, self.rich_style)
        strip = self._strips.get(y)
        if strip is None:
            strip = self._strips[y] = self._strip(self._rows[y])
        return strip

    def notify_style_update(self) -> None:
        """Roles may look different now."""
        super().notify_style_update()
        self._styles.clear()
        self._strips.clear()

    def _strip(self, row: Iterable[Run]) -> Strip:
        return Strip([Segment(text, self.style_of(role)) for text, role in row if text])

    def _style(self, role: str) -> Style:
        name, _, other = role.partition(" ")
        if not name:
            return self.rich_style
        style = self.get_component_rich_style(f"canvas--{name}")
        if other == "reverse":
            return style + Style(reverse=True)
        if other:
            return style + Style(bgcolor=self.style_of(other.removeprefix("on ")).color)
        return style
