"""Status: what the answers were, class by class, and what came to no answer."""

from __future__ import annotations

from loadwatch.core.metric import format_value
from loadwatch.ui import chart
from loadwatch.ui.canvas import Row, crop
from loadwatch.ui.pane import Pane, named
from loadwatch.ui.view import View

CLASSES = (("2xx", "good"), ("3xx", "first"), ("4xx", "warning"), ("5xx", "bad"))

ERRORS = "load.errors."


class StatusPane(Pane):
    """Columns stacked by class; errors hang below zero."""

    TITLE, JUMP, ORDER, SIDE = "Status", "S", 2, "load"

    def headline(self, view: View) -> list[Row]:
        """The newest numbers."""
        items = [
            view.item(name, f"load.status.{name}", role)
            for name, role in CLASSES
            if name == "2xx" or view.last(f"load.status.{name}")
        ]
        errors = sum(view.last(key) or 0 for key in view.keys_below(ERRORS))
        if errors:
            text = format_value(errors, view.unit("load.offered"))
            items.append([("errors", "third"), (f" {text} ✗", "bad")])
        return items

    def draw(self, view: View, width: int, height: int) -> list[Row]:
        """The chart."""
        up = [view.series(role, f"load.status.{name}") for name, role in CLASSES]
        errors = view.keys_below(ERRORS)
        down = [view.total("third", errors)] if errors else []
        picture = chart.columns(view.frame(width, height - 1), view.unit("load.offered"), up, down)
        return [crop(self._legend(view), width), *picture]

    def _legend(self, view: View) -> Row:
        """Every code and every kind of error of the step, with its count."""
        roles = dict(CLASSES)
        row: Row = [(f"step {view.step.step or 1}", "quiet")]
        for code, count in view.step.counts("load.status").items():
            if code.isdigit():
                row += [("  ", ""), *named(code, f"{count:,}", roles.get(f"{code[0]}xx", ""))]
        for kind, count in view.step.counts("load.errors").items():
            row += [("  ", ""), *named(kind, f"{count:,}", "third")]
        return row
