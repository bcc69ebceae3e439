"""Where the panes stand: side by side where there is room, else some open above others' titles.

All columns are of one width, and so are the charts in them: the same second stands at the same
place in each.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container
from textual.geometry import NULL_OFFSET, Region, Size, Spacing
from textual.layout import ArrangeResult, Layout, WidgetPlacement
from textual.widget import Widget

from loadwatch.ui.keys import quiet
from loadwatch.ui.pane import Pane
from loadwatch.ui.panes import all_panes

COLUMN = 66
"""Cells that a column of panes needs at least."""

OPEN = 11
"""Rows that a pane needs to be worth looking at."""

LOW = 9
"""Rows of an open pane at least where there is one column only."""

TITLES = 6
"""Panes whose numbers stay in sight where there is one column only."""

MANY = 3
"""Columns at most."""

Column = list[tuple[Pane, int]]
"""Panes from top to bottom, and the rows of each; one row is the title alone."""


def columns_of(width: int, height: int) -> int:
    """How many columns of panes stand side by side on a board of this size."""
    return min(width // COLUMN, MANY) if height >= 2 * OPEN else 1


def arrange(panes: Sequence[Pane], opened: Pane | None, width: int, height: int) -> list[Column]:
    """Who stands where, in columns of equal width; what has no room is left out, but not `opened`.

    `panes` in the order of importance. The load has the first column and the servers the rest: each
    host one of its own, or the first host all of them.
    """
    count = columns_of(width, height)
    if count < 2:
        return [_above_each_other(panes, opened, height)]
    room = height // OPEN
    load = [pane for pane in panes if pane.SIDE == "load"]
    first = [pane for pane in panes if pane.SIDE == "server" and not pane.place]
    others = [pane for pane in panes if pane.place]
    if others and count > 2:
        groups = [load, first, others]
    else:
        groups = [load, *_fill(first, count - 1 if load else count, room)]
    return [_stack(_most(group, room, opened), height) for group in groups if group]


def _above_each_other(panes: Sequence[Pane], opened: Pane | None, height: int) -> Column:
    """As many open as there is room for beside the titles of the most telling; then more titles."""
    few = min(len(panes), TITLES)
    count = min(max((height - few) // (LOW - 1), 1), len(panes))
    wide = _most(panes, count, opened)
    charts = OPEN if count == 1 else count * (LOW - 1)
    shown = _most(panes, max(height - charts, 1), opened)
    rows = dict(_stack(wide, height - len(shown) + len(wide)))
    return [(pane, rows.get(pane, 1)) for pane in shown]


def _most(panes: Sequence[Pane], room: int, opened: Pane | None) -> list[Pane]:
    """The first of `panes`; an `opened` one among the rest takes the last place."""
    shown = list(panes[:room])
    if opened is not None and opened in panes[room:]:
        shown[-1] = opened
    return shown


def _fill(panes: list[Pane], columns: int, room: int) -> list[list[Pane]]:
    """`panes` in as many columns, the first ones full of the most telling."""
    each = max(-(-len(panes) // columns), min(room, 3))
    ends = [*range(each, each * columns, each), len(panes)]
    return [panes[begin:end] for begin, end in zip([0, *ends], ends, strict=False)]


def _stack(panes: Sequence[Pane], height: int) -> Column:
    """`panes` above each other; what is left over by rounding goes to the first ones."""
    total = sum(pane.WEIGHT for pane in panes)
    ends, done = [], 0.0
    for pane in panes:
        done += pane.WEIGHT
        ends.append(round(height * done / total))
    return [(pane, end - begin) for pane, begin, end in zip(panes, [0, *ends], ends, strict=False)]


class _Columns(Layout):
    """Places the panes of a board."""

    name = "columns"

    def arrange(
        self, parent: Widget, children: list[Widget], size: Size, greedy: bool = True
    ) -> ArrangeResult:
        assert isinstance(parent, Board)
        columns = parent.arranged([pane for pane in children if isinstance(pane, Pane)], size)
        placed = []
        for number, column in enumerate(columns):
            width, y = size.width // len(columns), 0
            for pane, height in column:
                region = Region(number * width, y, width, height)
                placed.append(WidgetPlacement(region, NULL_OFFSET, Spacing(), pane))
                y += height
        return placed


class Board(Container):
    """Shows panes; `opened` always has room, and all of it where it is `zoomed`."""

    BINDINGS: ClassVar[list[BindingType]] = [
        quiet("tab", "next_pane(1)", "Go to the next pane"),
        quiet("shift+tab", "next_pane(-1)", "Go to the previous pane"),
        *(quiet(pane.JUMP, f"go('{pane.word()}')", f"Go to {pane.TITLE}") for pane in all_panes()),
        quiet("slash", "go('processes', 'filter')", "Filter the processes while typing"),
        quiet("z", "zoom", "Zoom the focused pane, or show all"),
        quiet("x", "hide", "Hide the focused pane"),
        quiet("X", "show_all", "Show hidden panes again"),
    ]

    def __init__(self, panes: Sequence[Pane]) -> None:
        super().__init__(classes="board")
        self._panes = panes
        self._columns = _Columns()
        self.opened: Pane | None = None
        self.zoomed = False

    def compose(self) -> ComposeResult:
        """Every pane, whether it has room or not."""
        yield from self._panes

    @property
    def layout(self) -> Layout:
        """Columns, which the stylesheet has no word for."""
        return self._columns

    def on_resize(self, event: events.Resize) -> None:
        """Side by side, panes have boxes; a second host is shown beside the first one only."""
        is_wide = columns_of(*event.size) > 2
        self.set_class(columns_of(*event.size) > 1, "-boxed")
        for pane in self._panes:
            pane.set_class(bool(pane.place) and not is_wide, "-off")

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """The focused pane is the one that has room."""
        if isinstance(event.widget, Pane):
            self.opened = event.widget
            self._rearrange()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Nobody can go to a pane that the plan leaves out."""
        return action != "go" or any(pane.word() == parameters[0] for pane in self._panes)

    async def action_go(self, word: str, action: str = "") -> None:
        """Focus the pane of that name, even where it was hidden, and let it do something.

        Of two, beside each other for two hosts, the focused one does it, else the other is next.
        """
        panes = [one for one in self._panes if one.word() == word and not one.has_class("-off")]
        at = panes.index(self.opened) if self.opened in panes else -1
        pane = panes[at if action and at >= 0 else (at + 1) % len(panes)]
        pane.remove_class("-hidden")
        pane.focus()
        if action:
            await pane.run_action(action)

    def action_next_pane(self, by: int) -> None:
        """Focus the pane so many further on, in the order of the plan; one without room gets it."""
        panes = [pane for pane in self._panes if pane.display]
        at = panes.index(self.opened) if self.opened in panes else -by
        panes[(at + by) % len(panes)].focus()

    def action_zoom(self) -> None:
        """The focused pane alone, or all of them."""
        self.zoomed = not self.zoomed
        self._rearrange()

    def action_hide(self) -> None:
        """Take the focused pane away, unless it is the last one."""
        pane = self.opened
        if pane is not None and sum(one.display for one in self._panes) > 1:
            self.action_next_pane(1)
            pane.add_class("-hidden")

    def action_show_all(self) -> None:
        """Bring back what was hidden, also by a pane that has all the room."""
        self.zoomed = False
        for pane in self._panes:
            pane.remove_class("-hidden")
        self._rearrange()

    def _rearrange(self) -> None:
        """Textual keeps an arrangement until one of those in it asks for another."""
        for pane in self._panes[:1]:
            pane.refresh(layout=True)

    def arranged(self, panes: Sequence[Pane], size: Size) -> list[Column]:
        """Who stands where on a board of that size."""
        if self.zoomed and self.opened is not None and self.opened in panes:
            return [[(self.opened, size.height)]]
        return arrange(panes, self.opened, size.width, size.height)
