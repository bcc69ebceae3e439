"""Network: what the server receives and sends."""

from __future__ import annotations

from loadwatch.ui.canvas import Row
from loadwatch.ui.pane import HostPane, both_ways
from loadwatch.ui.view import View

LITTLE = 1024.0
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
        return both_ways(view, width, height, "network.in", "network.out", LITTLE)
