"""A question that is answered by yes or no."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType

from loadwatch.ui.screens.dialog import Dialog


class Confirm(Dialog[bool]):
    """Asks; only `y` is a yes."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "dismiss(True)", "Yes", tooltip="Yes, do it"),
        Binding("n,escape", "dismiss(False)", "No", tooltip="No, leave"),
    ]

    def __init__(self, question: str) -> None:
        super().__init__(question, "y yes   n no")
