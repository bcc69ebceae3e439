"""A question with one line of answer, validated while it is typed."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Static

Check = Callable[[str], object]
"""Takes the answer; raises ValueError with what is expected instead."""


def note(text: str) -> str:
    """`text` as a note on the timeline; ValueError where it is none."""
    if not text.strip():
        raise ValueError("a few words, such as “10 backends”")
    return text.strip()


def anything(text: str) -> str:
    """`text`, whatever it is."""
    return text


class Prompt(ModalScreen[str | None]):
    """Asks; dismissed with the answer, or with None on Esc.

    `hint` says what the keys do, `value` stands there at first, and `heard` is told what is typed.
    A `low` prompt leaves the view of what is above it.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", "Cancel")]

    def __init__(
        self, question: str, check: Check, hint: str, value: str = "",
        heard: Callable[[str], object] = anything, is_low: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(classes="dialog -low" if is_low else "dialog")
        self._question = question
        self._check = check
        self._hint = hint
        self._value = value
        self._heard = heard

    def compose(self) -> ComposeResult:
        """The question, the field, and what is wrong with the answer so far."""
        with Vertical(classes="box"):
            yield Static(self._question, markup=False, classes="question")
            yield Input(self._value, select_on_focus=False)
            yield Static(self._hint, markup=False, classes="hint")

    @on(Input.Changed)
    def say(self, event: Input.Changed | Input.Submitted) -> str:
        """Say at once what would not be taken, and why: the returned text, empty if it would."""
        hint = self.query_exactly_one(".hint", Static)
        problem = ""
        try:
            self._check(event.value)
        except ValueError as error:
            problem = str(error)
        hint.update(problem or self._hint)
        hint.set_class(bool(problem), "-wrong")
        if not problem:
            self._heard(event.value)
        return problem

    @on(Input.Submitted)
    def answer(self, event: Input.Submitted) -> None:
        """Only an answer that is taken closes the question."""
        if not self.say(event):
            self.dismiss(event.value)
