"""A pane: one question, with the newest numbers in its title and the last minutes as a chart.

A pane is one file in `panes/` with one subclass of `Pane`; nothing else has to know it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal

from rich.text import Text
from textual import events
from textual.binding import Binding

from loadwatch.core.metric import Unit
from loadwatch.ui import chart
from loadwatch.ui.canvas import Canvas, Row, length, plain, wrap
from loadwatch.ui.view import View

STATES = {
    "connecting": ("◌", "warning"), "live": ("●", "good"), "silent": ("▲", "warning"),
    "lost": ("✗", "bad"), "failed": ("✗", "bad"), "stopped": ("■", "quiet"),
}  # fmt: skip
"""How the state of a host is shown: a sign and its role; the word stands beside it."""

QUIET = 1024.0**2
"""An axis of bytes/s goes at least up to this."""

BORDER = 6
"""Cells of a border that its title cannot take."""


class Pane(Canvas, can_focus=True):
    """Draws itself from a view, only while it is displayed and only when the view changed.

    `place` is how far from the chosen host its host is: 0 is the chosen one.
    """

    TITLE: ClassVar[str]
    JUMP: ClassVar[str]
    """The key that goes there: a letter of the title."""
    ORDER: ClassVar[int]
    """Its rank: the first ones are shown where room is short."""
    SIDE: ClassVar[Literal["load", "server"]]
    WEIGHT: ClassVar[float] = 1.0
    """Its share of a column's height."""

    def __init__(self, place: int = 0) -> None:
        super().__init__(classes="pane")
        self.place = place
        self._view: View | None = None
        self._said = Text()

    @classmethod
    def word(cls) -> str:
        """What a plan calls it: the name of its file."""
        return cls.__module__.rpartition(".")[2]

    def headline(self, view: View) -> list[Row]:
        """The newest numbers, behind the title; the first ones stay where room is short."""
        raise NotImplementedError

    def draw(self, view: View, width: int, height: int) -> list[Row]:
        """The picture, in `height` rows of at most `width` cells."""
        raise NotImplementedError

    def look(self, view: View) -> None:
        """Show `view` from now on."""
        self._view = view.beside(self.place)
        self.redraw()

    def redraw(self) -> None:
        """Draw again what has changed."""
        view = self._view
        if view is None or not self.is_on_screen:
            return
        title = self._title(view)
        if title != self._said:
            self._said = self.border_title = title
        width, height = self.content_size
        if width > 0 and height > 0:
            self.show(self.draw(view, width, height))

    def on_resize(self, event: events.Resize) -> None:
        """Another size is another picture."""
        self.call_later(self.redraw)

    def on_show(self, event: events.Show) -> None:
        """What happened while it was hidden was not drawn."""
        self.call_later(self.redraw)

    def on_focus(self) -> None:
        """Its own keys stand in its lower edge."""
        self.border_subtitle = Text("  ".join(f"{key} {name}" for key, name in self._own_keys()))

    def on_blur(self) -> None:
        """They work no more."""
        self.border_subtitle = ""

    def _own_keys(self) -> Iterator[tuple[str, str]]:
        for binding in type(self).BINDINGS:
            if isinstance(binding, Binding) and binding.description:
                yield self.app.get_key_display(binding), binding.description

    def notify_style_update(self) -> None:
        """The colours of the title change too."""
        super().notify_style_update()
        self.call_later(self.redraw)

    def _title(self, view: View) -> Text:
        before, key, after = self.TITLE.upper().partition(self.JUMP)
        name = self.TITLE
        title = Text(name[: len(before)], style="bold")
        title.append(name[len(before) : len(before) + len(key)], style="bold underline")
        title.append(name[len(name) - len(after) :], style="bold")
        for item in self.headline(view):
            if title.cell_len + 2 + length(item) > self.outer_size.width - BORDER:
                break
            title.append("  ")
            for text, role in item:
                title.append(text, style=self.style_of(role) if role else "")
        return title


class HostPane(Pane):
    """A pane about the shown host: says how to watch one, or how its link stands."""

    SIDE = "server"
    NEEDS: ClassVar[str] = ""
    """The beginning of the host's keys without which there is nothing to draw."""

    def draw(self, view: View, width: int, height: int) -> list[Row]:
        """The state of the link where it is not well, and the host's picture where there is one."""
        status = view.host_status
        if status is None:
            return notice(
                "no host watched: start with --host user@server or --host local", "quiet", width
            )[:height]
        said: list[Row] = []
        if status.state != "live":
            sign, role = STATES[status.state]
            text = f"{sign} {status.host} {status.state}"
            said = notice(f"{text}: {status.detail}" if status.detail else text, role, width)
        if height <= len(said) or not view.keys_below(view.on_host("")):
            return said[:height]
        if not view.keys_below(view.on_host(self.NEEDS)):
            what = self.TITLE.casefold()
            return (said + notice(f"{view.host} tells nothing about its {what}", "quiet", width))[
                :height
            ]
        return said + self.draw_host(view, width, height - len(said))

    def draw_host(self, view: View, width: int, height: int) -> list[Row]:
        """The picture of a host with readings."""
        raise NotImplementedError

    def headline(self, view: View) -> list[Row]:
        """The host's name, where there is one, before its numbers."""
        if view.host_status is None:
            return []
        return [[(view.host, "quiet")], *self.host_headline(view)]

    def host_headline(self, view: View) -> list[Row]:
        """The newest numbers of the host."""
        raise NotImplementedError


def both_ways(
    view: View, width: int, height: int, up: str, down: str, floor: float = QUIET
) -> list[Row]:
    """Two rates of the host (bytes/s) at one scale: `up` as columns up, `down` as columns down."""
    rising, hanging = view.on_host(up), view.on_host(down)
    return chart.columns(
        view.frame(width, height), Unit.BYTES_PER_SECOND,
        [view.series("first", rising)], [view.series("third", hanging)],
        floor=floor, mirrored=True,
    )  # fmt: skip


def notice(text: str, role: str, width: int) -> list[Row]:
    """A message, wrapped to `width`."""
    return wrap([(plain(text), role)], width)


def named(name: str, value: str, role: str) -> Row:
    """A number of a title: its name in the colour of its line, then the value."""
    return [(name, role), (" " + value, "")]
