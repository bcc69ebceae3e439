"""Memory: what the server has left, and what it keeps of files."""

from __future__ import annotations

from loadwatch.core.metric import Unit
from loadwatch.ui import chart
from loadwatch.ui.canvas import Row
from loadwatch.ui.pane import HostPane
from loadwatch.ui.view import View

LINES = (("available", "good"), ("free", "first"), ("cache", "second"), ("buffers", "fourth"))


class MemoryPane(HostPane):
    """Free memory, page cache and what is available to a new process, as lines."""

    TITLE, JUMP, ORDER = "Memory", "M", 8
    NEEDS = "memory."

    def host_headline(self, view: View) -> list[Row]:
        """The newest numbers of the host."""
        return [view.host_item(name, f"memory.{name}", role) for name, role in LINES]

    def draw_host(self, view: View, width: int, height: int) -> list[Row]:
        """The chart."""
        series = [
            view.series(role, view.on_host(f"memory.{name}")) for name, role in reversed(LINES)
        ]
        return chart.lines(view.frame(width, height), Unit.BYTES, series)
