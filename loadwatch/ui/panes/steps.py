"""Steps: each stretch at constant rates with statistics of its own."""

from __future__ import annotations

from loadwatch.ui import table
from loadwatch.ui.canvas import Row
from loadwatch.ui.pane import Pane
from loadwatch.ui.steps import FIELDS, Steps
from loadwatch.ui.view import View


class StepsPane(Pane):
    """The newest steps that have room."""

    TITLE, JUMP, ORDER, SIDE, WEIGHT = "Steps", "E", 11, "load", 0.8

    def __init__(self, place: int = 0) -> None:
        super().__init__(place)
        self._steps = Steps()

    def headline(self, view: View) -> list[Row]:
        """Where to see all of them."""
        return [[("s for all, and to compare two", "quiet")]]

    def draw(self, view: View, width: int, height: int) -> list[Row]:
        """A line for each."""
        found = self._steps.of(view)[-max(height - 1, 1) :]
        head = table.head(FIELDS, -1, False, width)
        return [head, *(table.line(FIELDS, step, width) for step in found)][:height]
