"""The ledger of what is shown: what each configuration takes."""

from __future__ import annotations

from typing import Any, ClassVar

from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Static

from loadwatch.core.errors import LoadwatchError
from loadwatch.ui.others import Ledger
from loadwatch.ui.screens.dialog import Dialog


class LedgerScreen(Dialog[None]):
    """Shows tables of text as they are; they scroll in both ways where there is no room."""

    LOOK, SCROLLS = "-wide", True
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,l,q", "dismiss(None)", "Close", tooltip="Back to the dashboard")
    ]

    def __init__(self, text: str) -> None:
        super().__init__("Ledger", "arrows scroll, Esc closes")
        self._text = text

    def body(self) -> ComposeResult:
        """The text in one piece: a wrapped table would be none."""
        yield Static(self._text, markup=False, classes="table")


async def show_ledger(app: App[Any], told: Ledger) -> None:
    """Show the ledger, while the run goes on; within a worker of `app`."""
    try:
        app.push_screen(LedgerScreen(await told()))
    except LoadwatchError as failure:
        app.notify(str(failure), severity="warning")
