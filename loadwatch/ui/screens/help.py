"""Every key that does something now, from the bindings themselves."""

from __future__ import annotations

from typing import Any, ClassVar

from rich.table import Table
from textual.app import ComposeResult
from textual.binding import ActiveBinding, Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen, Screen
from textual.widgets import Static


def keys_of(screen: Screen[Any]) -> list[ActiveBinding]:
    """Every key that does something on `screen` now, the focused pane's first."""
    active = screen.active_bindings.values()
    return [key for key in active if key.tooltip and not key.binding.system]


class Help(ModalScreen[None]):
    """The keys of a screen; any of its own closes it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,question_mark,enter,space,q", "dismiss(None)", "Close the help")
    ]

    def __init__(self, screen: Screen[Any]) -> None:
        super().__init__(classes="dialog")
        self._keys = keys_of(screen)

    def compose(self) -> ComposeResult:
        """A table of keys."""
        table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
        table.add_column(justify="right", style="bold", no_wrap=True)
        table.add_column()
        for key in self._keys:
            table.add_row(self.app.get_key_display(key.binding), key.tooltip)
        with VerticalScroll(classes="box"):
            yield Static("Keys", markup=False, classes="question")
            yield Static(table)
            yield Static("Esc to close; Ctrl+P finds every action by name", classes="hint")
