"""Disk: what is read and written, and how long the server waits for it."""

from __future__ import annotations

from loadwatch.core.metric import Unit
from loadwatch.ui import chart
from loadwatch.ui.canvas import Row
from loadwatch.ui.pane import HostPane, both_ways
from loadwatch.ui.view import View

PRESSURE = (
    ("memory.full", "bad"), ("memory.some", "warning"), ("io.full", "third"),
    ("io.some", "second"), ("cpu.some", "fourth"),
)  # fmt: skip
"""Pressure stall information of the kernel, the worst on top: share of time in which tasks wait."""

TALL = 9
"""Rows from which on pressure has a chart of its own."""


class DiskPane(HostPane):
    """Reads as columns up, writes as columns down; above them the kernel's pressure figures."""

    TITLE, JUMP, ORDER = "Disk & pressure", "D", 9
    NEEDS = "io."

    def host_headline(self, view: View) -> list[Row]:
        """The newest numbers of the host."""
        items = [
            view.host_item("read", "io.in", "first"),
            view.host_item("written", "io.out", "third"),
        ]
        if view.knows(view.on_host("disk.busy")):
            items.append(view.host_item("busy", "disk.busy", "quiet"))
        return items + [
            view.host_item(name, f"psi.{name}", role)
            for name, role in PRESSURE
            if view.knows(view.on_host(f"psi.{name}"))
        ]

    def draw_host(self, view: View, width: int, height: int) -> list[Row]:
        """The charts."""
        known = [(name, role) for name, role in PRESSURE if view.knows(view.on_host(f"psi.{name}"))]
        upper = height // 2 if known and height >= TALL else 0
        picture = both_ways(view, width, height - upper, "io.in", "io.out")
        if not upper:
            return picture
        series = [view.series(role, view.on_host(f"psi.{name}")) for name, role in reversed(known)]
        frame = view.frame(width, upper + 1)
        return chart.lines(frame, Unit.PERCENT, series)[:upper] + picture
