"""Processes: how much memory the workers take, together and one by one."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType

from loadwatch.core.metric import Unit, format_value
from loadwatch.core.tick import HostProcess
from loadwatch.ui import chart
from loadwatch.ui.canvas import Row, crop, fit, plain
from loadwatch.ui.pane import HostPane, named
from loadwatch.ui.view import View

GROUP_ROLES = ("first", "second", "third", "fourth", "good", "warning")
COLUMNS = (("PID", 8), ("USER", 11), ("RSS", 10), ("GROWTH", 11), ("CPU", 7))
"""Name and width; the command takes the rest. Numbers stand right."""


class ProcessesPane(HostPane):
    """RSS of each group over time, and below it the processes by RSS."""

    TITLE, JUMP, ORDER, LOOK = "Processes", "P", 5, "pane -table"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(key, f"scroll_table({rows})", tooltip=does, show=False)
        for key, rows, does in (
            ("down", 1, "Scroll the table down"),
            ("up", -1, "Scroll the table up"),
            ("pagedown", 10, "Ten rows down"),
            ("pageup", -10, "Ten rows up"),
            ("home", -1_000_000, "Back to the largest process"),
        )
    ]

    def __init__(self) -> None:
        super().__init__()
        self._first_row = 0

    def action_scroll_table(self, rows: int) -> None:
        """Show the rows further down, or up."""
        self._first_row = max(0, self._first_row + rows)
        self.redraw()

    def on_mouse_scroll_down(self) -> None:
        """The wheel scrolls the table."""
        self.action_scroll_table(1)

    def on_mouse_scroll_up(self) -> None:
        """The wheel scrolls the table."""
        self.action_scroll_table(-1)

    def host_headline(self, view: View) -> list[Row]:
        """RSS and size of every group."""
        return [
            [
                *named(name, view.host_text(f"group.{name}.rss"), role),
                (f" × {view.host_text(f'group.{name}.count')}", "quiet"),
            ]
            for name, role in _groups(view)
        ]

    def draw_host(self, view: View, width: int, height: int) -> list[Row]:
        """The chart."""
        groups = _groups(view)
        spare = height - 1 - len(view.processes)
        charted = max(4, height * 2 // 5, spare) if groups and height >= 9 else 0
        series = [view.series(role, view.on_host(f"group.{name}.rss")) for name, role in groups]
        rows = chart.lines(view.frame(width, charted), Unit.BYTES, series) if charted else []
        return rows + self._table(view, width, height - charted)

    def _table(self, view: View, width: int, height: int) -> list[Row]:
        processes = sorted(view.processes, key=lambda row: -row.process.rss)
        self._first_row = min(self._first_row, max(0, len(processes) - height + 1))
        shown = processes[self._first_row : self._first_row + height - 1]
        roles = dict(_groups(view))
        return [_head(width), *(_line(view, row, roles, width) for row in shown)]


def _groups(view: View) -> list[tuple[str, str]]:
    """The host's groups and their roles."""
    names = view.status.groups.get(view.host, ())
    return [(name, GROUP_ROLES[at % len(GROUP_ROLES)]) for at, name in enumerate(names)]


def _head(width: int) -> Row:
    names = [fit(name, size, right=name != "USER") for name, size in COLUMNS]
    names[1] = " " + names[1]
    return [(fit("".join(names) + "  COMMAND", width), "quiet")]


def _line(view: View, row: HostProcess, roles: dict[str, str], width: int) -> Row:
    """A process; all text from the server is plain."""
    process = row.process
    growth = view.growth.of(row.host, process)
    sizes = [size for _, size in COLUMNS]
    changed = format_value(abs(growth), Unit.BYTES)
    texts = [
        fit(str(process.pid), sizes[0], right=True),
        " " + fit(plain(process.user), sizes[1]),
        fit(format_value(process.rss, Unit.BYTES), sizes[2], right=True),
        fit(("+" if growth > 0 else "−") + changed if growth else "", sizes[3], right=True),
        fit(format_value(process.cpu, Unit.PERCENT), sizes[4], right=True),
    ]
    role = next((roles[name] for name in row.groups if name in roles), "")
    rest = width - sum(sizes) - 3
    growing = "warning" if growth > 0 else "quiet"
    line = [
        (texts[0], "quiet"),
        (texts[1] + texts[2], ""),
        (texts[3], growing),
        (texts[4] + "  ", ""),
        (fit(plain(process.command), max(rest, 0)), role),
    ]
    return crop(line, width)
