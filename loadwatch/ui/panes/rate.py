"""Rate: what was asked of the server, and what it answered."""

from __future__ import annotations

from loadwatch.ui import chart
from loadwatch.ui.canvas import Row
from loadwatch.ui.pane import Pane
from loadwatch.ui.view import View


class RatePane(Pane):
    """Offered as a step line, completed and goodput on top of it."""

    TITLE, JUMP, ORDER, SIDE = "Rate", "R", 1, "load"

    def headline(self, view: View) -> list[Row]:
        """The newest numbers."""
        items = [
            view.item("offered", "load.offered", "quiet"),
            view.item("completed", "load.completed", "first"),
            view.item("goodput", "load.goodput", "good"),
        ]
        if view.last("load.dropped"):
            items.append(view.item("dropped", "load.dropped", "bad"))
        return items

    def draw(self, view: View, width: int, height: int) -> list[Row]:
        """The chart."""
        series = [
            view.series("quiet", "load.offered", is_step=True),
            view.series("first", "load.completed"),
            view.series("good", "load.goodput"),
        ]
        return chart.lines(view.frame(width, height, names=True), view.unit("load.offered"), series)
