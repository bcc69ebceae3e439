"""CPU: what the server's processors do, and how many processes want one."""

from __future__ import annotations

from loadwatch.core.metric import Unit, format_value
from loadwatch.ui import chart
from loadwatch.ui.canvas import Row
from loadwatch.ui.chart import Series
from loadwatch.ui.pane import HostPane
from loadwatch.ui.view import SILENCE, View

STATES = (("us", "first"), ("sy", "second"), ("wa", "warning"), ("st", "bad"))

TALL = 8
"""Rows from which on the run queue has a chart."""


class CpuPane(HostPane):
    """Shares of all CPUs stacked; below, the run queue up to the CPU count and beyond it."""

    TITLE, JUMP, ORDER = "CPU", "C", 5

    def host_headline(self, view: View) -> list[Row]:
        """The newest numbers of the host."""
        parts = [view.last(view.on_host(f"cpu.{name}"), SILENCE) for name in ("us", "sy", "st")]
        # The tools round each part: their sum may be a little above the whole.
        busy = min(100.0, sum(part or 0 for part in parts)) if parts[0] is not None else None
        running, count = (view.last(view.on_host(key), SILENCE) for key in ("procs.r", "cpu.count"))
        queue = running / count if running is not None and count else None
        role, sign = view.meaning(view.on_host("cpu.busy"), busy)
        waits, mark = view.meaning(view.on_host("procs.queue"), queue)
        shown = [
            view.host_item(name, f"cpu.{name}", role)
            for name, role in STATES
            if name != "st" or view.last(view.on_host("cpu.st"), SILENCE)
        ]
        text = f"{view.host_text('procs.r')} on {view.host_text('cpu.count')} CPUs"
        return [
            [
                ("busy", "strong"),
                (f" {format_value(busy, Unit.PERCENT)}{sign}", role if sign else ""),
            ],
            *shown,
            [("r", "fourth"), (f" {text}{mark}", waits if mark else "")],
        ]

    def draw_host(self, view: View, width: int, height: int) -> list[Row]:
        """The chart."""
        queue = height // 3 if height >= TALL else 0
        shares = [view.series(role, view.on_host(f"cpu.{name}")) for name, role in STATES]
        picture = chart.columns(view.frame(width, height - queue), Unit.PERCENT, shares, high=100.0)
        return self._queue(view, width, queue) + picture if queue else picture

    def _queue(self, view: View, width: int, height: int) -> list[Row]:
        """The run queue: what has a CPU, and in another colour what waits for one."""
        count = view.last(view.on_host("cpu.count"), SILENCE)
        queue = view.values(view.on_host("procs.r"))
        limit = float("inf") if count is None else count
        up = [
            Series("fourth", [min(value, limit) if value == value else value for value in queue]),
            Series(
                "bad", [max(value - limit, 0.0) if value == value else value for value in queue]
            ),
        ]
        frame = view.frame(width, height + 1)
        return chart.columns(frame, Unit.COUNT, up, floor=2 * (count or 1))[:height]
