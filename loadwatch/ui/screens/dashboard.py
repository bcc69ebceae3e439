"""The dashboard: bars above and below, panes in between, and the keys that turn rates and views."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import ClassVar

from textual import events, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Vertical
from textual.screen import Screen
from textual.widgets import Footer

from loadwatch.core.controls import Controls
from loadwatch.core.errors import LoadwatchError
from loadwatch.core.history import History
from loadwatch.core.metric import Catalogue, Unit, format_value
from loadwatch.ui import rates
from loadwatch.ui.bars import Header, Scenarios, VerdictBar
from loadwatch.ui.growth import Growth
from loadwatch.ui.messages import TickArrived
from loadwatch.ui.panes import all_panes
from loadwatch.ui.screens.prompt import Prompt
from loadwatch.ui.view import View

WINDOWS = (60, 120, 300, 900, 3600)
"""Seconds that the charts may show."""

GLANCE = 0.5
"""Seconds between looks at the state of the run, which changes between ticks too."""

TURNS = {"more": rates.more, "less": rates.less, "double": rates.double, "halve": rates.halve}

RATE = Binding.Group("Rate", compact=True)


def _shown(
    key: str, action: str, name: str, does: str, group: Binding.Group | None = None
) -> Binding:
    """A key of the footer; what it does is said in the help."""
    return Binding(key, action, name, tooltip=does, group=group)


def _quiet(key: str, action: str, does: str) -> Binding:
    """A key of the help only."""
    return Binding(key, action, does, tooltip=does, show=False)


class Dashboard(Screen[None]):
    """Shows a history and asks the run, through its controls, for other rates."""

    BINDINGS: ClassVar[list[BindingType]] = [
        _shown("+", "turn('more')", "Raise", "Raise the rate by a step", RATE),
        _shown("-", "turn('less')", "Lower", "Lower the rate by a step", RATE),
        _shown("]", "turn('double')", "Double", "Double the rate", RATE),
        _shown("[", "turn('halve')", "Halve", "Halve the rate", RATE),
        _shown("=", "type_rate", "Type", "Type a rate", RATE),
        *(Binding(key, "refuse_rate", show=False, system=True) for key in "+-][="),
        *(_quiet(f"{n}", f"choose({n})", f"Choose scenario {n}") for n in range(1, 10)),
        _shown("p", "freeze", "Freeze", "Freeze the view (collection goes on), or let it go on"),
        _shown("tab", "app.focus_next", "Pane", "Go to the next pane"),
        *(_quiet(pane.JUMP, f"jump('{pane.__name__}')", f"Go to {pane.TITLE}")
          for pane in all_panes()),
        _quiet("z", "zoom", "Zoom the focused pane, or show all"),
        _quiet("<", "window(-1)", "Show a shorter time"),
        _quiet(">", "window(1)", "Show a longer time"),
        _quiet("h", "next_host", "Show the next host"),
    ]  # fmt: skip

    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (132, "-wide")]  # noqa: RUF012
    VERTICAL_BREAKPOINTS = [(0, "-short"), (34, "-tall")]  # noqa: RUF012

    def __init__(self, history: History, controls: Controls, catalogue: Catalogue) -> None:
        super().__init__()
        self.growth = Growth()
        self._history = history
        self._controls = controls
        self._catalogue = catalogue
        status = controls.status
        self._chosen = next(iter(status.rates), "")
        self._numbers = range(1, len(status.rates) + 1)
        self._idle = {"refuse_rate"} if status.connections is None else {"turn", "type_rate"}
        self._idle |= {"next_host"} if len(status.hosts) < 2 else set()
        self._host = next((host.host for host in status.hosts), "")
        self._seconds = WINDOWS[1]
        self._frozen: View | None = None
        self._panes = [pane() for pane in all_panes()]
        self._header, self._verdict, self._scenarios = (
            Header("bar -head"),
            VerdictBar(),
            Scenarios(),
        )

    def compose(self) -> ComposeResult:
        """Bars and panes; the load on one side, the servers on the other."""
        yield self._header
        with Container(classes="panes"):
            for side in ("load", "server"):
                yield Vertical(*(pane for pane in self._panes if side == pane.SIDE), classes="side")
        yield self._verdict
        yield self._scenarios
        yield Footer(compact=True, show_command_palette=False)

    async def on_mount(self) -> None:
        """Show what there is, even before the first second is over."""
        self.set_interval(GLANCE, self.tell)
        await self.advance()

    async def on_tick_arrived(self, message: TickArrived) -> None:
        """Another second is known; those that come while this one is drawn are one frame."""
        await self.advance()

    def on_resize(self, event: events.Resize) -> None:
        """Bars wrap anew; panes see to themselves."""
        self.call_after_refresh(self.tell)

    # -- showing -----------------------------------------------------------------------------

    async def advance(self) -> None:
        """The history has moved on."""
        if self._frozen is None:
            await self._look(self._live())
        self.tell()

    async def _look(self, view: View) -> None:
        """Let one pane after the other draw; between them, whatever else is due gets its turn."""
        for pane in self._panes:
            pane.look(view)
            await asyncio.sleep(0)
        self._verdict.tell(view)

    def tell(self) -> None:
        """Say in the bars how the run stands; they are never frozen."""
        view = self._live()
        self._header.tell(view, self._frozen is not None)
        self._scenarios.tell(view, self._chosen)

    def _live(self) -> View:
        return View.of(self._history, self._catalogue, self.growth, self._controls.status,
                       seconds=self._seconds, host=self._host)  # fmt: skip

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """The focused pane is the open one where only one has room."""
        for pane in self._panes:
            pane.set_class(pane is event.widget, "-open")
        for side in self.query(".side"):
            side.set_class(event.widget in side.children, "-open")

    # -- keys --------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Only keys that do something now are taken and shown."""
        if action == "choose":
            return parameters[0] in self._numbers
        return action not in self._idle

    def action_turn(self, way: str) -> None:
        """Another rate for the chosen scenario, relative to the one asked for now."""
        self._ask(TURNS[way](self._controls.status.rates[self._chosen]))

    @work
    async def action_type_rate(self) -> None:
        """Ask for the rate of the chosen scenario."""
        now = format_value(self._controls.status.rates[self._chosen], Unit.PER_SECOND)
        question = f"Rate of {self._chosen} in requests per second (now {now})"
        answer = await self.app.push_screen_wait(Prompt(question, rates.parse))
        if answer is not None:
            self._ask(rates.parse(answer))

    def _ask(self, rate: float) -> None:
        """Ask the run for `rate`, and say so where it became less."""
        try:
            became = self._controls.set_rate(self._chosen, rate)
        except LoadwatchError as error:
            self.notify(str(error), severity="error", markup=False)
            return
        if became < rate:
            text = format_value(became, Unit.PER_SECOND)
            self.notify(f"the plan's ceiling leaves {self._chosen} {text}", markup=False)
        self.tell()

    def action_refuse_rate(self) -> None:
        """A closed loop fires as fast as its connections go."""
        self.notify("a closed loop has no rate to turn", severity="warning")

    def action_choose(self, number: int) -> None:
        """The scenario that the rate keys turn."""
        self._chosen = list(self._controls.status.rates)[number - 1]
        self.tell()

    def action_jump(self, name: str) -> None:
        """Focus the pane of that class."""
        next(pane for pane in self._panes if type(pane).__name__ == name).focus()

    def action_zoom(self) -> None:
        """The focused pane alone, or all of them."""
        self.toggle_class("-zoomed")

    async def action_freeze(self) -> None:
        """Let the view stand, or go on; what is collected meanwhile is kept."""
        self._frozen = self._live().frozen() if self._frozen is None else None
        await self.advance()

    async def action_window(self, by: int) -> None:
        """Show a longer or a shorter time."""
        at = WINDOWS.index(self._seconds) + by
        await self._change(WINDOWS[min(max(at, 0), len(WINDOWS) - 1)], self._host)

    async def action_next_host(self) -> None:
        """Show the next of the watched hosts."""
        hosts = [host.host for host in self._controls.status.hosts]
        await self._change(self._seconds, hosts[(hosts.index(self._host) + 1) % len(hosts)])

    async def _change(self, seconds: int, host: str) -> None:
        self._seconds, self._host = seconds, host
        if self._frozen is not None:
            self._frozen = replace(self._frozen.showing(host), seconds=seconds)
        await self._look(self._frozen or self._live())
        self.tell()
