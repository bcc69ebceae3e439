"""All steps of the run with their statistics; two of them side by side."""

from __future__ import annotations

from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from loadwatch.ui import steps, table
from loadwatch.ui.canvas import Canvas, Row
from loadwatch.ui.screens.dialog import Dialog
from loadwatch.ui.view import View

SIDES = 2
"""How many steps are compared."""


class StepsScreen(Dialog[None]):
    """The steps as they were when this was opened."""

    LOOK = "-wide"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,s,q", "dismiss(None)", "Close", tooltip="Back to the dashboard")
    ]

    def __init__(self, view: View) -> None:
        super().__init__(
            f"Steps (CPU, RSS and swap of {view.host or 'no host'})",
            "↑ ↓ choose, ← → columns, Enter picks two to compare, Esc closes",
        )
        self._view = view

    def body(self) -> ComposeResult:
        """The table, and a comparison below it."""
        yield StepTable(steps.Steps().of(self._view))


class StepTable(Canvas, can_focus=True):
    """Steps to choose from; two that are picked are compared below."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down", "move(1)", "Next", tooltip="Next step"),
        Binding("up", "move(-1)", "Previous", tooltip="Previous step"),
        Binding("right", "shift(1)", "More", tooltip="Columns further right, the step stays"),
        Binding("left", "shift(-1)", "Back", tooltip="Columns further left"),
        Binding("enter,space", "pick", "Pick", tooltip="Pick a step to compare, or let it go"),
    ]

    def __init__(self, found: list[steps.Step]) -> None:
        super().__init__(classes="steps")
        self._found = found
        self._cursor = max(len(found) - 1, 0)
        self._picked: list[int] = []
        self._hidden = 0

    def on_resize(self, event: events.Resize) -> None:
        """Another size is another picture."""
        self._draw()

    def action_move(self, by: int) -> None:
        """Choose another step."""
        self._cursor = min(max(self._cursor + by, 0), max(len(self._found) - 1, 0))
        self._draw()

    def action_shift(self, by: int) -> None:
        """Show the columns beginning further right or left, as far as some do not fit."""
        most = len(steps.FIELDS) - 1
        while most and table.fit_into(self._fields(most - 1), self.size.width):
            most -= 1
        self._hidden = min(max(self._hidden + by, 0), most)
        self._draw()

    def action_pick(self) -> None:
        """Pick the chosen step; of three, the one that was picked first goes."""
        if self._cursor in self._picked:
            self._picked.remove(self._cursor)
        elif self._found:
            self._picked = [*self._picked[1 - SIDES :], self._cursor]
        self._draw()

    def on_click(self, event: events.Click) -> None:
        """A click picks."""
        offset = event.get_content_offset(self)
        row = self._top + offset.y - 1 if offset is not None else -1
        if self._top <= row < len(self._found) and offset is not None and offset.y:
            self._cursor = row
            self.action_pick()

    @property
    def _room(self) -> int:
        """Rows of steps that there is room for, above the comparison."""
        below = len(steps.COMPARED) + 2 if len(self._picked) == SIDES else 0
        return max(self.size.height - 1 - below, 1)

    @property
    def _top(self) -> int:
        """The first step that is shown; the chosen one is among them."""
        return min(max(0, self._cursor - self._room + 1), len(self._found))

    def _fields(self, hidden: int) -> tuple[table.Field[steps.Step], ...]:
        """The columns without those that are hidden on the left; the step's number is never."""
        return (steps.FIELDS[0], *steps.FIELDS[1 + hidden :])

    def _draw(self) -> None:
        width = self.size.width
        fields = self._fields(self._hidden)
        rows: list[Row] = [table.head(fields, -1, False, width)]
        for at, step in list(enumerate(self._found))[self._top : self._top + self._room]:
            sign = ("▸" if at == self._cursor else " ") + ("●" if at in self._picked else " ")
            rows.append(table.line(fields, step, width, (sign, "mark")))
        if len(self._picked) == SIDES:
            one, other = (self._found[at] for at in sorted(self._picked))
            rows += [[], *steps.compare(one, other, width)]
        self.show(rows)
