"""What a login may ask of the person at the keyboard, and how it is put to them.

The connecting thread of a host calls an `Asker` and waits; the dashboard answers by a dialog, a
headless run by the terminal. Whoever asks has disarmed the texts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Field:
    """One thing to type. `echo`: it may be seen; `lasting`: it will be the same the next time."""

    label: str
    echo: bool = False
    lasting: bool = False


@dataclass(frozen=True, slots=True)
class Question:
    """Who asks or about what (`title`), lines to be read first, and at least one field."""

    title: str
    fields: tuple[Field, ...]
    text: tuple[str, ...] = ()


Asker = Callable[[Question], tuple[str, ...] | None]
"""Returns an answer for each field, or None if the person declined; called in any thread."""
