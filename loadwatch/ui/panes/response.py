"""Response time: how long an answer took, counted from when its request was due."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import BindingType

from loadwatch.ui import chart
from loadwatch.ui.canvas import Row
from loadwatch.ui.keys import quiet
from loadwatch.ui.pane import Pane
from loadwatch.ui.scale import clock
from loadwatch.ui.view import SHARES, View, percentiles

SHOWN = (("p50", "first"), ("p95", "second"), ("p99", "third"))


class ResponsePane(Pane):
    """Percentiles of each second as lines, those of the step in the title."""

    TITLE, JUMP, ORDER, SIDE = "Response time", "T", 3, "load"
    BINDINGS: ClassVar[list[BindingType]] = [
        quiet("y", "toggle_log", "Logarithmic or linear axis", "log")
    ]

    def __init__(self) -> None:
        super().__init__()
        self._log = True

    def action_toggle_log(self) -> None:
        """Between a linear and a logarithmic axis."""
        self._log = not self._log
        self.redraw()

    def headline(self, view: View) -> list[Row]:
        """The percentiles of the step; of one that went on after the view, of its last second."""
        is_cut = view.step.count("load.completed") and not view.step.kinds
        told = self._second(view) if is_cut else self._step(view)
        return [*told, [("log axis" if self._log else "", "quiet")]]

    def _second(self, view: View) -> list[Row]:
        items = (view.item(name, f"load.response.{name}", role) for name, role in SHOWN)
        return [[(f"at {clock(view.end)}", "quiet")], *items]

    def _step(self, view: View) -> list[Row]:
        times = view.step.histogram("response")
        rows: list[Row] = [[(f"step {view.step.step or 1}", "quiet")]]
        found = zip(
            SHOWN, SHARES, percentiles(times, SHARES), times.percentiles(SHARES), strict=True
        )
        for (name, role), share, text, value in found:
            known = value if times.is_known(share) else None
            meaning, sign = view.meaning(f"load.response.{name}", known)
            rows.append([(name, role), (f" {text}{sign}", meaning if sign else "")])
        return rows

    def draw(self, view: View, width: int, height: int) -> list[Row]:
        """The chart."""
        series = [view.series(role, f"load.response.{name}") for name, role in reversed(SHOWN)]
        unit = view.unit("load.response.p50")
        return chart.lines(view.frame(width, height), unit, series, log=self._log)
