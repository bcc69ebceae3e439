"""What every dialog has: a box over whatever is shown, with a title and a line about its keys."""

from __future__ import annotations

from typing import ClassVar, TypeVar

from textual.app import ComposeResult
from textual.containers import ScrollableContainer
from textual.screen import ModalScreen
from textual.widgets import Static

T = TypeVar("T")


class Dialog(ModalScreen[T]):
    """Asks or shows something (`body`); dismissed with an answer. All text in it is plain.

    One that is `is_low` leaves the view of what is above it.
    """

    LOOK: ClassVar[str] = ""
    """Of the box: `-wide` has all the room."""

    SCROLLS: ClassVar[bool] = False
    """Whether keys scroll what does not fit; they need the focus for that."""

    def __init__(self, title: str, hint: str, is_low: bool = False) -> None:
        super().__init__(classes="dialog -low" if is_low else "dialog")
        self._title = title
        self._hint = hint

    def compose(self) -> ComposeResult:
        """The title, the body, and what the keys do."""
        with ScrollableContainer(classes=f"box {self.LOOK}", can_focus=self.SCROLLS):
            yield Static(self._title, markup=False, classes="question")
            yield from self.body()
            yield Static(self._hint, markup=False, classes="hint")

    def body(self) -> ComposeResult:
        """What is between the two; nothing where the title says it all."""
        yield from ()
