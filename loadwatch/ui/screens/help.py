"""Every key that does something now, from the bindings themselves."""

from __future__ import annotations

from typing import Any, ClassVar

from rich.table import Table
from textual.app import ComposeResult
from textual.binding import ActiveBinding, Binding, BindingType
from textual.screen import Screen
from textual.widgets import Static

from loadwatch.ui.screens.dialog import Dialog

COLUMN = 72
"""Cells that a column of keys takes."""


def keys_of(screen: Screen[Any]) -> list[ActiveBinding]:
    """Every key that does something on `screen` now, the focused pane's first."""
    active = screen.active_bindings.values()
    return [key for key in active if key.tooltip and not key.binding.system]


class Help(Dialog[None]):
    """The keys of a screen; any of its own closes it."""

    LOOK, SCROLLS = "-broad", True
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,question_mark,enter,space,q", "dismiss(None)", "Close the help")
    ]

    def __init__(self, screen: Screen[Any]) -> None:
        super().__init__("Keys", "Esc to close; Ctrl+P finds every action by name")
        self._keys = keys_of(screen)

    def body(self) -> ComposeResult:
        """A table of keys, in two columns where there is room."""
        columns = 2 if self.app.size.width >= 2 * COLUMN else 1
        table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
        for _ in range(columns):
            table.add_column(justify="right", style="bold", no_wrap=True)
            table.add_column()
        told = [(self.app.get_key_display(key.binding), key.tooltip) for key in self._keys]
        rows = -(-len(told) // columns)
        for row in range(rows):
            table.add_row(*(text for pair in told[row::rows] for text in pair))
        yield Static(table)
