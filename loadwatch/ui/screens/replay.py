"""A recorded run under the dashboard: the same screen, with keys that turn its time."""

from __future__ import annotations

import re
from typing import Any, ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Footer

from loadwatch.core.controls import SPEEDS, Playback, Position
from loadwatch.core.history import History
from loadwatch.core.metric import Catalogue
from loadwatch.ui.app import LoadwatchApp
from loadwatch.ui.bars import Bar
from loadwatch.ui.canvas import Row, crop, length, plain
from loadwatch.ui.scale import clock
from loadwatch.ui.screens.dashboard import Dashboard
from loadwatch.ui.screens.prompt import Prompt

SEEKING = frozenset({"turn_speed", "seek_by", "to_mark", "type_time", "play"})
"""What a replay can and a run that is followed cannot."""

REFUSED = frozenset(
    {"turn", "type_rate", "refuse", "mark", "stop", "fire", "find_limit", "act", "type_groups"}
)
"""What only a run of one's own can."""


class Timeline(Bar):
    """Where the replay is, between the start and the end, with the marks on the way."""

    def tell(self, position: Position) -> None:
        """It is there now."""
        if position.following:
            self.say([[("◉ following", "good"), (": this run is recorded elsewhere", "quiet")]])
            return
        sign = "▶" if position.playing else "■"
        head: Row = [(f"{sign} ×{position.speed}  ", "good" if position.playing else "warning")]
        tail: Row = [(f"  {clock(position.second)} of {clock(position.end)}", "strong")]
        passed = [text for second, text in position.marks if second < position.second]
        if passed:
            tail.append((f"  “{plain(passed[-1])}”", "second"))
        tail = crop(tail, self.room // 2)
        self.say([head + _line(position, self.room - length(head) - length(tail)) + tail])


def _line(position: Position, width: int) -> Row:
    """The time of the run as a line of `width` cells."""

    def column(second: int) -> int:
        return min(second * width // max(position.end, 1), width - 1)

    marks = {column(second) for second, _ in position.marks}
    here = column(position.second)
    return [
        ("◆", "second") if at in marks else ("━", "strong") if at <= here else ("─", "quiet")
        for at in range(width)
    ]


def seconds_of(text: str) -> int:
    """A time of the run as typed: `90`, `1:30`, `1:02:03`; ValueError with what is expected."""
    if not re.fullmatch(r"\d+(:[0-5]?\d){0,2}", text.strip()):
        raise ValueError("a time since the start, such as 90 or 1:30")
    found = 0
    for part in text.strip().split(":"):
        found = found * 60 + int(part)
    return found


class Replay(Dashboard):
    """The dashboard of a run that was, or that somebody else makes."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("full_stop", "seek_by(1)", "+1 s", key_display=".", tooltip="A second forth"),
        Binding("comma", "seek_by(-1)", "−1 s", key_display=",", tooltip="A second back"),
        Binding("n", "to_mark(1)", "Mark", tooltip="To the next mark"),
        Binding("b", "to_mark(-1)", tooltip="To the mark before", show=False),
        Binding("space", "play", "Play/pause", tooltip="Let the time go on, or stand"),
        Binding("=", "type_time", "Go to", tooltip="To a time"),
        Binding("+", "turn_speed(1)", "Faster", tooltip="Faster, up to ×60"),
        Binding("-", "turn_speed(-1)", "Slower", tooltip="Slower, down to ×1"),
    ]

    def __init__(
        self, history: History, controls: Playback, catalogue: Catalogue, *more: Any
    ) -> None:
        super().__init__(history, controls, catalogue, *more)
        self._playback = controls
        self._timeline = Timeline("bar -head")
        self._header.is_own = False

    def compose(self) -> ComposeResult:
        """The dashboard's, with the timeline above the keys."""
        for widget in super().compose():
            if isinstance(widget, Footer):
                yield self._timeline
            yield widget

    def tell(self) -> None:
        """Say in the bars how the run stood, and where that is."""
        super().tell()
        self._timeline.tell(self._playback.position)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """No rates are turned here; of a run that goes on elsewhere, no time either."""
        if action in REFUSED or (action in SEEKING and self._playback.position.following):
            return False
        return super().check_action(action, parameters)

    async def action_seek_by(self, by: int) -> None:
        """So many seconds forth; the time stands then."""
        self._playback.pause()
        await self._playback.seek(self._playback.position.second + by)
        self.tell()

    async def action_to_mark(self, way: int) -> None:
        """To the first second after a mark."""
        here = self._playback.position.second
        marks = [second + 1 for second, _ in self._playback.position.marks]
        found = [at for at in marks if (at > here if way > 0 else at < here)]
        if found:
            await self._playback.seek(found[0] if way > 0 else found[-1])
        self.tell()

    @work
    async def action_type_time(self) -> None:
        """Ask where to go."""
        question = f"Which time? (of {clock(self._playback.position.end)})"
        answer = await self.app.push_screen_wait(
            Prompt(question, seconds_of, "Enter goes there, Esc stays")
        )
        if answer is not None:
            await self._playback.seek(seconds_of(answer))
            self.tell()

    def action_play(self) -> None:
        """Play or pause."""
        playing = self._playback.position.playing
        (self._playback.pause if playing else self._playback.resume)()
        self.tell()

    def action_turn_speed(self, by: int) -> None:
        """The next speed up or down."""
        at = SPEEDS.index(self._playback.position.speed) + by
        self._playback.set_speed(SPEEDS[min(max(at, 0), len(SPEEDS) - 1)])
        self.tell()


class ReplayApp(LoadwatchApp):
    """The application around it."""

    SCREEN = Replay
    CSS_PATH = "../loadwatch.tcss"

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """What a run of one's own can is not offered."""
        offered = self._dashboard.check_action(action, parameters)
        return offered and super().check_action(action, parameters)
