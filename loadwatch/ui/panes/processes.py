"""Processes: how much memory the workers take, together and one by one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from textual import events, work
from textual.binding import BindingType

from loadwatch.core.metric import Unit, format_value
from loadwatch.core.ticker import LARGEST_OTHERS
from loadwatch.ui import chart, table
from loadwatch.ui.canvas import Row, crop, plain
from loadwatch.ui.columns import sparkline
from loadwatch.ui.keys import quiet
from loadwatch.ui.lives import Life
from loadwatch.ui.pane import HostPane, named
from loadwatch.ui.screens.prompt import Prompt, anything
from loadwatch.ui.table import Field
from loadwatch.ui.view import View

GROUP_ROLES = ("first", "second", "third", "fourth", "good", "warning")

RSS = 2
"""The field that sorts at first."""

REPLACED = "↻ "
"""Before the command of a process that came when another of its group went."""


def _growth(life: Life) -> Row:
    text = format_value(abs(life.growth), Unit.BYTES)
    if not life.growth:
        return []
    return [(f"+{text}", "warning")] if life.growth > 0 else [(f"−{text}", "quiet")]


def _command(life: Life) -> Row:
    restart = [(REPLACED, "warning")] if life.replaced else []
    return [*restart, (plain(life.process.command), "")]


FIELDS: tuple[Field[Life], ...] = (
    Field("PID", 7, lambda one: [(str(one.process.pid), "quiet")], lambda one: one.process.pid),
    Field("USER", 9, lambda one: [(plain(one.process.user), "")], lambda one: one.process.user,
          right=False),
    Field("RSS", 9, lambda one: [(format_value(one.process.rss, Unit.BYTES), "")],
          lambda one: one.process.rss),
    Field("TREND", 6, lambda one: [(sparkline(one.track, 6), "first")], lambda one: one.growth),
    Field("GROWTH", 10, _growth, lambda one: one.growth),
    Field("CPU", 6, lambda one: [(format_value(one.process.cpu, Unit.PERCENT), "")],
          lambda one: one.process.cpu),
    Field("COMMAND", table.REST, _command, lambda one: one.process.command, right=False),
)  # fmt: skip
"""All text from the server is plain."""


@dataclass(frozen=True, slots=True)
class _Pool:
    """The head of a group of processes in the table."""

    name: str
    members: tuple[Life, ...]

    @property
    def key(self) -> tuple[int, str]:
        """No process has this one."""
        return 0, self.name

    def line(self, width: int, role: str) -> Row:
        """Name, size, RSS and CPU of them all."""
        rss = format_value(sum(one.process.rss for one in self.members), Unit.BYTES)
        cpu = format_value(sum(one.process.cpu for one in self.members), Unit.PERCENT)
        own: Row = [
            (f"  {self.name}", role),
            (f" × {len(self.members)}  {rss}  CPU {cpu}", "strong"),
        ]
        return crop(own, width)


class ProcessesPane(HostPane):
    """RSS of each group over time, and below it the processes, sorted, filtered, by pool or not."""

    TITLE, JUMP, ORDER, WEIGHT = "Processes", "P", 6, 1.4
    BINDINGS: ClassVar[list[BindingType]] = [
        quiet("down", "move(1)", "Next process"),
        quiet("up", "move(-1)", "Previous process"),
        quiet("pagedown", "move(10)", "Ten processes down"),
        quiet("pageup", "move(-10)", "Ten processes up"),
        quiet("home", "move(-1_000_000)", "Back to the first process"),
        quiet("o", "sort_next", "Sort by the next column", "sort"),
        quiet("O", "reverse", "Sort the other way round", "reverse"),
        quiet("g", "group", "Group the processes by pool, or all in one", "pools"),
        quiet("enter", "follow", "Follow the chosen process, or let it go", "follow"),
    ]

    def __init__(self, place: int = 0) -> None:
        super().__init__(place)
        self.pattern = ""
        self._by, self._reverse, self._is_grouped = RSS, False, False
        self._row = self._top = self._height = 0
        self._shown: list[Life | _Pool] = []
        self._chosen: tuple[int, str] | None = None
        self._followed: tuple[int, str] | None = None

    # -- keys and mouse ----------------------------------------------------------------------

    def action_move(self, rows: int) -> None:
        """Choose a process further down, or up."""
        if self._shown:
            self._row = min(max(self._row + rows, 0), len(self._shown) - 1)
            self._chosen = self._shown[self._row].key
        self._followed = None
        self.redraw()

    def action_sort_next(self) -> None:
        """Sort by the next column."""
        self.sort_by((self._by + 1) % len(FIELDS))

    def action_reverse(self) -> None:
        """The other way round."""
        self._reverse = not self._reverse
        self.redraw()

    def action_group(self) -> None:
        """Below the heads of their pools, or all in one."""
        self._is_grouped = not self._is_grouped
        self.redraw()

    def action_follow(self) -> None:
        """Keep the chosen process in sight, wherever it is sorted to."""
        chosen = self._shown[self._row] if self._shown and self._followed is None else None
        self._followed = chosen.key if isinstance(chosen, Life) else None
        self.redraw()

    @work
    async def action_filter(self) -> None:
        """Show those only whose command, user or PID holds what is typed, while it is typed."""
        before = self.pattern
        hint = "Enter keeps the filter (an empty one shows all), Esc leaves it as it was"
        prompt = Prompt("Processes with", anything, hint, before, heard=self.filter, is_low=True)
        if await self.app.push_screen_wait(prompt) is None:
            self.filter(before)

    def sort_by(self, field: int) -> None:
        """Sort by a column; by the same one the other way round."""
        self._by, self._reverse = field, field == self._by and not self._reverse
        self.redraw()

    def filter(self, pattern: str) -> str:
        """Show only what holds `pattern`; the table tells what came of it."""
        self.pattern, self._chosen, self._row = pattern, None, 0
        self.redraw()
        return ""

    def on_click(self, event: events.Click) -> None:
        """A click into the head sorts, one on a process chooses it."""
        offset = event.get_content_offset(self)
        row = offset.y - (len(self._rows) - self._height) if offset is not None else -1
        if offset is None or row < 0:
            return
        if row == 0:
            self.sort_by(table.field_at(FIELDS, offset.x))
        else:
            self.action_move(self._top + row - 1 - self._row)

    def on_mouse_scroll_down(self) -> None:
        """The wheel moves the choice."""
        self.action_move(1)

    def on_mouse_scroll_up(self) -> None:
        """The wheel moves the choice."""
        self.action_move(-1)

    # -- drawing -----------------------------------------------------------------------------

    def host_headline(self, view: View) -> list[Row]:
        """What is followed or filtered; RSS and size of every group."""
        items = [
            [
                *named(name, view.host_text(f"group.{name}.rss"), role),
                (f" × {view.host_text(f'group.{name}.count')}", "quiet"),
            ]
            for name, role in _groups(view)
        ]
        followed = next((one for one in view.processes if one.key == self._followed), None)
        if followed is not None:
            size = format_value(followed.process.rss, Unit.BYTES)
            items.insert(0, named(f"◆ {followed.process.pid}", size, "mark"))
        elif self._followed is not None:
            items.insert(0, [(f"◆ {self._followed[0]} is gone", "bad")])
        if self.pattern:
            count = sum(isinstance(one, Life) for one in self._lines(view))
            text = f"“{plain(self.pattern)}”: {count} of {len(view.processes)}"
            items.insert(0, [(text, "mark")])
        return items

    def draw_host(self, view: View, width: int, height: int) -> list[Row]:
        """The chart and the table."""
        groups = _groups(view)
        self._shown = list(self._lines(view))
        spare = height - 1 - len(self._shown)
        charted = max(4, height * 2 // 5, spare) if groups and height >= 9 else 0
        series = [view.series(role, view.on_host(f"group.{name}.rss")) for name, role in groups]
        rows = chart.lines(view.frame(width, charted), Unit.BYTES, series) if charted else []
        found = self._table(view, width, height - charted)
        self._height = len(found)  # it stands at the bottom, whatever is above it
        return rows + found

    def _table(self, view: View, width: int, height: int) -> list[Row]:
        keys = [one.key for one in self._shown]
        chosen = self._followed or self._chosen
        self._row = keys.index(chosen) if chosen in keys else min(self._row, max(len(keys) - 1, 0))
        if self._chosen is not None and keys:
            self._chosen = keys[self._row]  # where it has gone, the one in its place
        room = max(height - 1, 1)
        self._top = min(max(self._top, self._row - room + 1), self._row)
        self._top = max(0, min(self._top, len(self._shown) - room))
        roles = dict(_groups(view))
        rows = [table.head(FIELDS, self._by, self._reverse, width)]
        for at, one in enumerate(self._shown[self._top : self._top + room], start=self._top):
            if isinstance(one, _Pool):
                rows.append(one.line(width, roles.get(one.name, "quiet")))
            else:
                sign = "◆" if one.key == self._followed else "▸" if at == self._row else ""
                tint = next((roles[name] for name in one.groups if name in roles), "")
                rows.append(table.line(FIELDS, one, width, (sign, "mark"), tint))
        return rows[:height]

    def _lines(self, view: View) -> Iterator[Life | _Pool]:
        """The lines of the table: what the filter lets through, sorted, below its pools."""
        wanted = self.pattern.casefold()
        found = [one for one in view.processes if not wanted or wanted in _text(one)]
        ordered = table.sort(FIELDS, found, self._by, self._reverse)
        if not self._is_grouped:
            yield from ordered
            return
        count = sum(not one.groups for one in view.processes)
        others = "others" if count < LARGEST_OTHERS else "largest others"
        for name in (*(name for name, _ in _groups(view)), ""):
            members = tuple(one for one in ordered if "".join(one.groups[:1]) == name)
            if members:
                yield _Pool(name or others, members)
                yield from members


def _text(life: Life) -> str:
    process = life.process
    return f"{process.pid} {process.user} {process.command}".casefold()


def _groups(view: View) -> list[tuple[str, str]]:
    """The host's groups and their roles."""
    return [
        (group.name, GROUP_ROLES[at % len(GROUP_ROLES)]) for at, group in enumerate(view.groups)
    ]
