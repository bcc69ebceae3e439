"""Every key that does something now, from the bindings themselves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from rich.table import Table
from textual.app import ComposeResult
from textual.binding import ActiveBinding, Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen, Screen
from textual.widgets import Static

Key = tuple[str, str]
"""A key as it is shown, and what it does."""


def keys_of(screen: Screen[Any]) -> list[ActiveBinding]:
    """Every key that does something on `screen` now, the focused pane's first."""
    active = screen.active_bindings.values()
    return [key for key in active if key.tooltip and not key.binding.system]


class Help(ModalScreen[None]):
    """The keys; any of its own closes it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,question_mark,enter,space,q", "dismiss(None)", "Close")
    ]

    def __init__(self, keys: Sequence[Key]) -> None:
        super().__init__(classes="dialog")
        self._keys = keys

    def compose(self) -> ComposeResult:
        """A table of keys."""
        table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
        table.add_column(justify="right", style="bold", no_wrap=True)
        table.add_column()
        for key, text in self._keys:
            table.add_row(key, text)
        with VerticalScroll(classes="box"):
            yield Static("Keys", markup=False, classes="question")
            yield Static(table)
            yield Static("Esc to close; Ctrl+P finds every action by name", classes="hint")
