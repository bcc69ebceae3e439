"""What is posted to the screen."""

from __future__ import annotations

from dataclasses import dataclass

from textual.message import Message


@dataclass
class TickArrived(Message):
    """The history has the seconds up to `second`.

    A newer one replaces an older one that still waits: a slow terminal skips frames.
    """

    second: int

    def can_replace(self, message: Message) -> bool:
        """Whether `message` is of no interest any more."""
        return isinstance(message, TickArrived)


@dataclass
class ScenarioChosen(Message):
    """The user clicked on scenario `number` (from 1 on)."""

    number: int
