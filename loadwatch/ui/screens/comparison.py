"""The run so far beside another session: what differs, and how sure that is."""

from __future__ import annotations

from typing import Any, ClassVar

from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Static

from loadwatch.core.errors import LoadwatchError
from loadwatch.ui.others import Compare
from loadwatch.ui.screens.dialog import Dialog
from loadwatch.ui.screens.prompt import Prompt

QUESTION = "Compare with which session? (name, the beginning of one, number, or path)"


def name(text: str) -> str:
    """`text` as the name of a session; ValueError where it is none."""
    if not text.strip():
        raise ValueError("as `loadwatch sessions` lists them")
    return text.strip()


class Comparison(Dialog[None]):
    """Shows a comparison; any of its keys closes it."""

    LOOK, SCROLLS = "-wide", True
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,enter,q,c", "dismiss(None)", "Close")]

    def __init__(self, base: str, text: str) -> None:
        super().__init__(f"Compared with {base}", "Esc to close")
        self._text = text

    def body(self) -> ComposeResult:
        """The text; it scrolls where there is no room."""
        yield Static(self._text, markup=False)


async def compare(app: App[Any], told: Compare) -> None:
    """From the question to what differs; within a worker of `app`."""
    answer = await app.push_screen_wait(Prompt(QUESTION, name, "Enter compares, Esc leaves it"))
    if answer is None:
        return
    try:
        app.push_screen(Comparison(name(answer), await told(name(answer))))
    except LoadwatchError as failure:
        app.notify(str(failure), severity="error")
