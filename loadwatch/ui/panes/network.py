"""Network: what the server receives and sends."""

from __future__ import annotations

from loadwatch.core.metric import Unit
from loadwatch.ui import chart
from loadwatch.ui.canvas import Row
from loadwatch.ui.pane import HostPane
from loadwatch.ui.view import View

QUIET = 1024.0
"""The axis goes at least up to this (bytes/s)."""


class NetworkPane(HostPane):
    """Received as columns up, sent as columns down."""

    TITLE, JUMP, ORDER = "Network", "N", 10
    NEEDS = "network."

    def host_headline(self, view: View) -> list[Row]:
        """The newest numbers of the host."""
        return [
            view.host_item("in", "network.in", "first"),
            view.host_item("out", "network.out", "third"),
            view.host_item("refused", "listen.overflows", "bad"),
        ]

    def draw_host(self, view: View, width: int, height: int) -> list[Row]:
        """The chart."""
        return chart.columns(
            view.frame(width, height),
            Unit.BYTES_PER_SECOND,
            [view.series("first", view.on_host("network.in"))],
            [view.series("third", view.on_host("network.out"))],
            floor=QUIET,
            mirrored=True,
        )
