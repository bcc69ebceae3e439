"""Event log: what happened, and when."""

from __future__ import annotations

from loadwatch.core.tick import Event
from loadwatch.ui.canvas import Row, crop, plain
from loadwatch.ui.pane import Pane, notice
from loadwatch.ui.scale import clock
from loadwatch.ui.view import View

SIGNS = {
    "mark": ("✎", "mark"), "rate": ("±", "first"), "pause": ("■", "warning"),
    "resume": ("●", "good"), "start": ("●", "good"), "end": ("■", "quiet"),
    "gap": ("▲", "warning"), "host": ("◆", "fourth"), "worker": ("✗", "bad"),
    "generator": ("▲", "warning"), "error": ("✗", "bad"), "answer": ("◇", "second"),
    "limit": ("◎", "third"), "action": ("▸", "mark"),
}  # fmt: skip
"""What an event of each kind looks like; its kind stands beside in words."""


class EventsPane(Pane):
    """The events up to the end of what is shown, the newest first."""

    TITLE, JUMP, ORDER, SIDE, WEIGHT = "Event log", "L", 12, "load", 0.8

    def headline(self, view: View) -> list[Row]:
        """How many there were."""
        return [[(f"{len(_until(view))} so far", "quiet")]]

    def draw(self, view: View, width: int, height: int) -> list[Row]:
        """A line for each."""
        found = _until(view)
        if not found:
            return notice("nothing has happened yet", "quiet", width)[:height]
        return [line(event, width) for event in reversed(found[-height:])]


def _until(view: View) -> list[Event]:
    return [event for event in view.history.events if event.at < view.end]


def line(event: Event, width: int) -> Row:
    """An event in one line."""
    sign, role = SIGNS.get(event.kind, ("·", "quiet"))
    where = f"{event.host}: " if event.host else ""
    row: Row = [
        (f"{clock(event.at):>8}  ", "quiet"), (f"{sign} {event.kind:<9} ", role),
        (plain(where + event.text), ""),
    ]  # fmt: skip
    return crop(row, width)
