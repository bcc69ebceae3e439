"""The run so far beside another session: what differs, and how sure that is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import ClassVar

from textual import work
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import ScrollableContainer
from textual.screen import ModalScreen
from textual.widgets import Static

from loadwatch.core.errors import LoadwatchError
from loadwatch.ui.screens.prompt import Prompt

QUESTION = "Compare with which session? (name, the beginning of one, number, or path)"


def name(text: str) -> str:
    """`text` as the name of a session; ValueError where it is none."""
    if not text.strip():
        raise ValueError("as `loadwatch sessions` lists them")
    return text.strip()


class Comparison(ModalScreen[None]):
    """Shows a comparison; any of its keys closes it."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,enter,q,c", "dismiss(None)", "Close")]

    def __init__(self, text: str) -> None:
        super().__init__(classes="dialog")
        self._text = text

    def compose(self) -> ComposeResult:
        """The text; it scrolls where there is no room."""
        with ScrollableContainer(classes="box -wide"):
            yield Static(self._text, markup=False)
            yield Static("Esc to close", markup=False, classes="hint")


class Comparing(App[None]):
    """An application that compares what it shows, where `compare` is given: a session's name in,
    what differs as text out."""

    compare: Callable[[str], Awaitable[str]] | None = None
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("c", "compare", "Compare", tooltip="Compare with another session", show=False)
    ]

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """There are no comparisons where nobody makes them."""
        return action != "compare" or self.compare is not None

    @work(exclusive=True, group="compare")
    async def action_compare(self) -> None:
        """Ask for a session, and show what differs from it."""
        base = await self.push_screen_wait(Prompt(QUESTION, name, "Enter compares, Esc leaves it"))
        if base is None or self.compare is None:
            return
        try:
            self.push_screen(Comparison(await self.compare(name(base))))
        except LoadwatchError as failure:
            self.notify(str(failure), severity="error", markup=False)
