"""Swap: memory that the server fetches back and memory that it puts out."""

from __future__ import annotations

from loadwatch.ui import chart
from loadwatch.ui.canvas import Row
from loadwatch.ui.pane import HostPane, named
from loadwatch.ui.view import View

QUIET = 1024.0**2
"""The axis goes at least up to this (bytes/s)."""


class SwapPane(HostPane):
    """Swap-in as columns up, swap-out as columns down."""

    TITLE, JUMP, ORDER = "Swap", "W", 6

    def host_headline(self, view: View) -> list[Row]:
        """The newest numbers of the host."""
        return [
            named("in", view.host_text("swap.in"), "first"),
            named("out", view.host_text("swap.out"), "third"),
            named("used", view.host_text("swap.used"), "quiet"),
            named("mem free", view.host_text("memory.free"), "quiet"),
        ]

    def draw_host(self, view: View, width: int, height: int) -> list[Row]:
        """The chart."""
        into, out = view.on_host("swap.in"), view.on_host("swap.out")
        return chart.columns(
            view.frame(width, height),
            view.unit(into),
            [view.series("first", into)],
            [view.series("third", out)],
            floor=QUIET,
            mirrored=True,
        )
