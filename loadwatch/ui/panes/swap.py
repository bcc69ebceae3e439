"""Swap: memory that the server fetches back and memory that it puts out."""

from __future__ import annotations

from loadwatch.ui import chart
from loadwatch.ui.canvas import Row
from loadwatch.ui.pane import HostPane
from loadwatch.ui.view import View

QUIET = 1024.0**2
"""The axis goes at least up to this (bytes/s)."""


class SwapPane(HostPane):
    """Swap-in as columns up, swap-out as columns down."""

    TITLE, JUMP, ORDER = "Swap", "W", 7

    def host_headline(self, view: View) -> list[Row]:
        """The newest numbers of the host."""
        return [
            view.host_item("in", "swap.in", "first"),
            view.host_item("out", "swap.out", "third"),
            view.host_item("used", "swap.used", "quiet"),
            view.host_item("mem free", "memory.free", "quiet"),
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
