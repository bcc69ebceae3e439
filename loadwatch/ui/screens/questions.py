"""What a login asks for, in a dialog over whatever is shown; the thread that asks waits."""

from __future__ import annotations

from concurrent.futures import Future
from typing import ClassVar

from textual import on
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Input, Static

from loadwatch.core.asking import Asker, Question
from loadwatch.ui.canvas import plain
from loadwatch.ui.screens.dialog import Dialog

Answers = tuple[str, ...]

GLANCE = 0.2
"""Seconds between looks at whether the app is still there."""

HINT = "Enter to answer, Esc to leave it; the load goes on meanwhile"


def in_dialogs(app: App[None]) -> Asker:
    """Asks in dialogs of `app`, from any thread but its own; None once the app has gone."""

    def ask(question: Question) -> Answers | None:
        answer: Future[Answers | None] = Future()
        app.call_later(app.push_screen, LoginDialog(question), answer.set_result)
        while app.is_running:
            try:
                return answer.result(GLANCE)
            except TimeoutError:
                pass
        return None

    return ask


class LoginDialog(Dialog[Answers | None]):
    """Asks a question; dismissed with an answer for each field, or with None on Esc."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "Leave it unanswered")
    ]

    def __init__(self, question: Question) -> None:
        super().__init__(plain(question.title), HINT)
        self._question = question

    def body(self) -> ComposeResult:
        """What is to be read first, and a field for each answer."""
        for line in self._question.text:
            yield Static(plain(line), markup=False)
        for field in self._question.fields:
            yield Static(plain(field.label), markup=False, classes="question")
            yield Input(password=not field.echo)

    @on(Input.Submitted)
    def go_on(self, event: Input.Submitted) -> None:
        """To the next field, or away with the answers."""
        fields = list(self.query(Input))
        if event.input is not fields[-1]:
            self.focus_next(Input)
            return
        self.dismiss(tuple(field.value for field in fields))
