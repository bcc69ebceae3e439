"""Swap: memory that the server fetches back and memory that it puts out."""

from __future__ import annotations

from loadwatch.ui.canvas import Row
from loadwatch.ui.pane import HostPane, both_ways
from loadwatch.ui.view import View


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
        return both_ways(view, width, height, "swap.in", "swap.out")
