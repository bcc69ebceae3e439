"""What people were asked for to log in, in memory only, for as long as one run lasts.

One object serves all hosts of a run: a passphrase is asked for once, and hosts take turns to ask.
"""

from __future__ import annotations

import threading
from dataclasses import replace

from loadwatch.core.asking import Asker, Field, Question


class Answers:
    """Asks through `asker`; None where nobody can be asked. `asked` counts the questions."""

    def __init__(self, asker: Asker | None = None) -> None:
        self.asked = 0
        self._asker = asker
        self._turn = threading.Lock()
        self._kept: dict[tuple[str, Field], str] = {}

    @property
    def can_ask(self) -> bool:
        """Whether there is anybody to ask."""
        return self._asker is not None

    @property
    def is_asking(self) -> bool:
        """Whether somebody is being asked right now."""
        return self._turn.locked()

    def answer(self, question: Question) -> tuple[str, ...] | None:
        """An answer for each field: what was given before where it lasts, else asked for now.

        None if the person declined or nobody can be asked.
        """
        with self._turn:
            kept = [self._kept.get((question.title, field)) for field in question.fields]
            missing = [field for field, answer in zip(question.fields, kept, strict=True)
                       if answer is None]  # fmt: skip
            given = self._ask(replace(question, fields=tuple(missing))) if missing else ()
            if given is None:
                return None
            for field, answer in zip(missing, given, strict=True):
                if field.lasting:
                    self._kept[question.title, field] = answer
            new = iter(given)
            return tuple(next(new) if answer is None else answer for answer in kept)

    def _ask(self, question: Question) -> tuple[str, ...] | None:
        if self._asker is None:
            return None
        self.asked += 1
        return self._asker(question)

    def forget(self, question: Question, answers: tuple[str, ...]) -> None:
        """These answers were wrong: ask again the next time."""
        with self._turn:
            for field, answer in zip(question.fields, answers, strict=True):
                if self._kept.get((question.title, field)) == answer:
                    del self._kept[question.title, field]
