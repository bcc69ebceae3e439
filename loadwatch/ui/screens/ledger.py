"""The ledger of what is shown: what each configuration takes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import ScrollableContainer
from textual.screen import ModalScreen
from textual.widgets import Static

from loadwatch.core.errors import LoadwatchError
from loadwatch.ui.keys import quiet
from loadwatch.ui.screens.comparison import Comparing


class LedgerScreen(ModalScreen[None]):
    """Shows tables of text as they are; they scroll in both ways where there is no room."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,l,q", "dismiss(None)", "Close", tooltip="Back to the dashboard")
    ]

    def __init__(self, text: str) -> None:
        super().__init__(classes="dialog")
        self._text = text

    def compose(self) -> ComposeResult:
        """The text in one piece: a wrapped table would be none."""
        with ScrollableContainer(classes="box -wide"):
            yield Static(self._text, markup=False, classes="table")


class Ledgered(Comparing):
    """An application that shows the ledger, where `ledger` is given: what tells it as text."""

    ledger: Callable[[], Awaitable[str]] | None = None
    BINDINGS: ClassVar[list[BindingType]] = [
        quiet("l", "ledger", "The ledger: what each configuration takes, in all sessions")
    ]

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """There is no ledger where nobody tells it."""
        if action == "ledger":
            return self.ledger is not None
        return super().check_action(action, parameters)

    @work(exclusive=True, group="ledger")
    async def action_ledger(self) -> None:
        """Show the ledger, while the run goes on."""
        if self.ledger is None:
            return
        try:
            self.push_screen(LedgerScreen(await self.ledger()))
        except LoadwatchError as failure:
            self.notify(str(failure), severity="warning", markup=False)
