"""A question with one line of answer, validated while it is typed."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Input, Static

from loadwatch.ui.screens.dialog import Dialog

Check = Callable[[str], object]
"""Takes the answer; raises ValueError with what is expected instead."""


def note(text: str) -> str:
    """`text` as a note on the timeline; ValueError where it is none."""
    if not text.strip():
        raise ValueError("a few words, such as “10 backends”")
    return text.strip()


def anything(text: str) -> str:
    """Nothing is wrong with `text`, and nothing to be said of it."""
    return ""


class Prompt(Dialog[str | None]):
    """Asks; dismissed with the answer, or with None on Esc.

    `hint` says what the keys do, `value` stands there at first. `heard` is told what is typed, and
    says in a line what would come of it, if anything. With `selects` what is typed first takes the
    place of `value`. A `low` prompt leaves the view of what is above it.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", "Cancel")]

    def __init__(
        self, question: str, check: Check, hint: str, value: str = "",
        heard: Callable[[str], str] = anything, is_low: bool = False, selects: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(question, heard(value) or hint, is_low)
        self._check = check
        self._keys = hint
        self._value = value
        self._heard = heard
        self._selects = selects

    def body(self) -> ComposeResult:
        """The field for the answer."""
        yield Input(self._value, select_on_focus=self._selects)

    @on(Input.Changed)
    def say(self, event: Input.Changed | Input.Submitted) -> str:
        """Say at once what would not be taken, and why: the returned text, empty if it would."""
        hint = self.query_exactly_one(".hint", Static)
        problem = ""
        try:
            self._check(event.value)
        except ValueError as error:
            problem = str(error)
        hint.update(problem or self._heard(event.value) or self._keys)
        hint.set_class(bool(problem), "-wrong")
        return problem

    @on(Input.Submitted)
    def answer(self, event: Input.Submitted) -> None:
        """Only an answer that is taken closes the question."""
        if not self.say(event):
            self.dismiss(event.value)
