"""The dashboard: bars above and below, panes in between, and the keys that turn rates and views."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import ClassVar

from textual import events, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.widgets import Footer

from loadwatch.analysis.thresholds import Thresholds
from loadwatch.core.controls import OVER, Controls, RunStatus
from loadwatch.core.errors import LoadwatchError
from loadwatch.core.history import History
from loadwatch.core.metric import Catalogue, Unit, format_value
from loadwatch.core.tick import Tick
from loadwatch.ui import groups, rates
from loadwatch.ui.bars import Header, Scenarios, VerdictBar
from loadwatch.ui.board import Board
from loadwatch.ui.keys import quiet, shown
from loadwatch.ui.lives import Lives
from loadwatch.ui.messages import ScenarioChosen, TickArrived
from loadwatch.ui.moments import Moments
from loadwatch.ui.others import NOBODY, Others
from loadwatch.ui.pane import HostPane, Pane
from loadwatch.ui.panes import all_panes
from loadwatch.ui.panes.limit import LimitPane
from loadwatch.ui.screens.actions import act
from loadwatch.ui.screens.comparison import compare
from loadwatch.ui.screens.hosts import HostsScreen
from loadwatch.ui.screens.ledger import show_ledger
from loadwatch.ui.screens.prompt import Prompt, note
from loadwatch.ui.screens.steps import StepsScreen
from loadwatch.ui.view import NO_THRESHOLDS, NOW, View
from loadwatch.ui.window import Window

GLANCE = 0.5
"""Seconds between looks at the state of the run, which changes between ticks too."""

TURNS = {"more": rates.more, "less": rates.less, "double": rates.double, "halve": rates.halve}

RATE = Binding.Group("Rate", compact=True)


def _refused(status: RunStatus, others: Others) -> frozenset[str]:
    """What can not be done with a run that stands so, and what there is nothing to do with."""
    refused = {"refuse"}
    if status.ended is not None:
        refused = {"turn", "type_rate", "fire", "find_limit"}
    elif status.connections is not None:
        refused = {"turn", "type_rate"}
    if not status.actions:
        refused.add("act")
    if not status.hosts:
        refused |= {"type_groups", "hosts"}
    if len(status.hosts) < 2:
        refused.add("next_host")
    refused |= {name for name in ("compare", "ledger") if getattr(others, name) is None}
    return frozenset(refused)


class Dashboard(Screen[None]):
    """Shows a history and asks the run, through its controls, for other rates."""

    BINDINGS: ClassVar[list[BindingType]] = [
        shown("+", "turn('more')", "Raise", "Raise the rate by a step", RATE),
        shown("-", "turn('less')", "Lower", "Lower the rate by a step", RATE),
        shown("]", "turn('double')", "Double", "Double the rate", RATE),
        shown("[", "turn('halve')", "Halve", "Halve the rate", RATE),
        shown("=", "type_rate", "Type", "Type a rate", RATE),
        *(quiet(f"{n}", f"choose({n})", f"Choose scenario {n}") for n in range(1, 10)),
        shown("p", "freeze", "Freeze", "Freeze the view (collection goes on), or let it go on"),
        shown("space", "fire", "Stop/go", "Stop firing, or fire again"),
        shown("f", "find_limit", "Limit", "Find the limit: the rate that holds, and that fails"),
        *(Binding(key, "refuse", show=False, system=True) for key in (*"+-][=f", "space")),
        shown("m", "mark", "Mark", "Note what follows, in a step of its own"),
        shown("a", "act", "Set", "Do one of the plan's server actions, and mark what follows"),
        shown("e", "export", "CSV", "Write CSV files of the session so far"),
        shown("s", "steps", "Steps", "All steps with their statistics, and two side by side"),
        quiet("<", "resize_window(-1)", "Show a shorter time"),
        quiet(">", "resize_window(1)", "Show a longer time, up to the whole run"),
        quiet("left", "move_window(-1)", "Go back in time by half a window"),
        quiet("right", "move_window(1)", "Go forward in time by half a window"),
        quiet("end", "return", "Return to now"),
        quiet("h", "next_host", "Show the next host"),
        quiet("H", "hosts", "All hosts: how each link stands, and what watching costs there"),
        quiet("c", "compare", "Compare with another session"),
        quiet("l", "ledger", "The ledger: what each configuration takes, in all sessions"),
        quiet("G", "type_groups", "Choose the process groups that are followed on the host"),
    ]  # fmt: skip

    def __init__(
        self, history: History, controls: Controls, catalogue: Catalogue,
        thresholds: Thresholds = NO_THRESHOLDS, panes: Sequence[type[Pane]] = (),
        others: Others = NOBODY,
    ) -> None:  # fmt: skip
        super().__init__()
        self._lives = Lives()
        self._history = history
        self._controls = controls
        self._catalogue = catalogue
        self._thresholds = thresholds
        self._others = others
        status = controls.status
        self._chosen = next(iter(status.rates), "")
        self._numbers = range(1, len(status.rates) + 1)
        self._refused = _refused(status, others)
        self._host = next((host.host for host in status.hosts), "")
        self._window = NOW
        self._moments = Moments()
        self._panes = [pane() for pane in panes or all_panes()]
        if len(status.hosts) > 1:
            own = [type(pane) for pane in self._panes if isinstance(pane, HostPane)]
            self._panes += [pane(place=1) for pane in own]
        self._board = Board(self._panes)
        self._header, self._verdict, self._scenarios = (
            Header("bar -head"),
            VerdictBar(),
            Scenarios(),
        )

    def compose(self) -> ComposeResult:
        """Bars and panes."""
        yield self._header
        yield self._board
        yield self._verdict
        yield self._scenarios
        yield Footer(compact=True, show_command_palette=False)

    async def on_mount(self) -> None:
        """Show what there is, even before the first second is over."""
        self.set_interval(GLANCE, self.tell)
        await self.advance()

    def hear(self, tick: Tick) -> None:
        """The bus: another second is known."""
        self._lives.add(tick)
        self._moments.add(tick.second, self._controls.status)
        self.post_message(TickArrived(tick.second))

    async def on_tick_arrived(self, message: TickArrived) -> None:
        """Those that come while this one is drawn are one frame."""
        await self.advance()

    def on_resize(self, event: events.Resize) -> None:
        """Bars wrap anew; panes see to themselves."""
        self.call_after_refresh(self.tell)

    # -- showing -----------------------------------------------------------------------------

    async def advance(self) -> None:
        """The history has moved on."""
        if self._window.end is None:
            await self._look()
        self.tell()

    async def _look(self) -> None:
        """Let one pane after the other draw; between them, whatever else is due gets its turn."""
        view = self._view()
        for pane in self._panes:
            pane.look(view)
            await asyncio.sleep(0)
        self._verdict.tell(view)

    def tell(self) -> None:
        """Say in the bars how the run stands, or stood at the end of the window."""
        now, view = self._controls.status, self._view()
        if self._refused != (refused := _refused(now, self._others)):
            self._refused = refused
            self.refresh_bindings()
        self._header.tell(view, self._window, now)
        if not view.end:
            self._verdict.tell(view)  # what was tried before the first second
        self._scenarios.tell(view, self._chosen)

    def _view(self) -> View:
        end, now = self._window.end, self._controls.status
        return View.of(
            self._history, self._catalogue, self._lives,
            now if end is None else self._moments.at(end - 1) or now,
            thresholds=self._thresholds, window=self._window, host=self._host,
            scenario=self._chosen,
        )  # fmt: skip

    # -- keys --------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Only keys that do something now are taken and shown."""
        if action == "choose":
            return parameters[0] in self._numbers
        return action not in self._refused

    def action_turn(self, way: str) -> None:
        """Another rate for the chosen scenario, relative to the one asked for now."""
        self._ask(TURNS[way](self._controls.status.rates[self._chosen]))

    @work
    async def action_type_rate(self) -> None:
        """Ask for the rate of the chosen scenario."""
        now = format_value(self._controls.status.rates[self._chosen], Unit.PER_SECOND)
        question = f"Rate of {self._chosen} in requests per second (now {now})"
        answer = await self.app.push_screen_wait(
            Prompt(question, rates.parse, "Enter asks for it, Esc leaves it as it is")
        )
        if answer is not None:
            self._ask(rates.parse(answer))

    def _ask(self, rate: float) -> None:
        """Ask the run for `rate`, and say so where it became less."""
        try:
            became = self._controls.set_rate(self._chosen, rate)
        except LoadwatchError as error:
            self.notify(str(error), severity="error")
            return
        text = f"{self._chosen} {format_value(became, Unit.PER_SECOND)}"
        if became < rate:
            self.notify(f"the plan's ceiling leaves {text}")
        elif self._window.end is not None:
            self.notify(f"asked now: {text}; the view stands, end returns to now")
        self.tell()

    def action_refuse(self) -> None:
        """Say why the key does nothing."""
        over = self._controls.status.ended is not None
        self.notify(OVER if over else "a closed loop has no rate to turn", severity="warning")

    async def on_scenario_chosen(self, message: ScenarioChosen) -> None:
        """By the mouse, which may also hit where no scenario is."""
        if message.number <= len(self._controls.status.rates):
            await self.action_choose(message.number)

    async def action_choose(self, number: int) -> None:
        """The scenario that the rate keys turn, and whose server timing is shown."""
        self._chosen = list(self._controls.status.rates)[number - 1]
        await self._look()
        self.tell()

    def action_fire(self) -> None:
        """Stop firing, or fire again."""
        (self._controls.pause if self._controls.status.firing else self._controls.resume)()
        self.tell()

    @work
    async def action_find_limit(self) -> None:
        """Ask how, let the run search for the limit, and show how that goes."""
        goal, asked = self._controls.status.goal, sum(self._controls.status.rates.values())

        def heard(text: str) -> str:
            return rates.told(rates.goal_of(text, goal))

        answer = await self.app.push_screen_wait(
            Prompt(
                "Find the limit: quick or careful, and the first rate of all scenarios together",
                lambda text: rates.goal_of(text, goal),
                "Enter searches, Esc leaves it; space stops a search",
                f"quick {min(asked or 10.0, goal.ceiling):g}",
                heard=heard,
                selects=True,
            )
        )
        if answer is None:
            return
        try:
            self._controls.find_limit(rates.goal_of(answer, goal))
        except LoadwatchError as error:
            self.notify(str(error), severity="warning")
            return
        await self._board.action_go(LimitPane.word())
        self.tell()

    @work
    async def action_mark(self) -> None:
        """Ask for a note on what follows."""
        text = await self.app.push_screen_wait(
            Prompt(
                "What follows? (a note on the timeline)", note, "Enter notes it, Esc notes nothing"
            )
        )
        if text is not None:
            self._controls.mark(note(text))

    @work(exclusive=True, group="act")
    async def action_act(self) -> None:
        """Do one of the plan's server actions, while the run goes on."""
        await act(self.app, self._controls)

    @work(exclusive=True, group="export")
    async def action_export(self) -> None:
        """Write CSV files, while the run goes on."""
        try:
            self.notify(f"exported to {await self._controls.export()}")
        except LoadwatchError as failure:
            self.notify(str(failure), severity="error")

    @work(exclusive=True, group="compare")
    async def action_compare(self) -> None:
        """Ask for a session, and show what differs from it."""
        if self._others.compare is not None:
            await compare(self.app, self._others.compare)

    @work(exclusive=True, group="ledger")
    async def action_ledger(self) -> None:
        """Show the ledger, while the run goes on."""
        if self._others.ledger is not None:
            await show_ledger(self.app, self._others.ledger)

    def action_hosts(self) -> None:
        """The links to all hosts in detail."""
        self.app.push_screen(HostsScreen(self._view()))

    def action_steps(self) -> None:
        """The table of steps."""
        self.app.push_screen(StepsScreen(self._view().standing()))

    async def action_freeze(self) -> None:
        """Let the view stand, or go on; what is collected meanwhile is kept."""
        window, run = self._window, self._history.length
        await self._through(window.frozen(run) if window.end is None else window.now())

    async def action_return(self) -> None:
        """Show what happens now."""
        await self._through(self._window.now())

    async def action_resize_window(self, by: int) -> None:
        """Show a longer or a shorter time."""
        await self._through(self._window.resized(by))

    async def action_move_window(self, by: int) -> None:
        """Show an earlier or a later time."""
        await self._through(self._window.moved(by, self._history.length))

    async def action_next_host(self) -> None:
        """Show the next of the watched hosts."""
        hosts = [host.host for host in self._controls.status.hosts]
        self._host = hosts[(hosts.index(self._host) + 1) % len(hosts)]
        await self._look()
        self.tell()

    @work
    async def action_type_groups(self) -> None:
        """Ask for the process groups of the host, and say meanwhile what they would have."""
        host = self._host
        lives = self._lives.before(self._history.length, host)
        listed = [one.process for one in lives]
        prompt = Prompt(
            f"Process groups of {host}: {groups.EXPECTED}",
            groups.parse, "Enter follows them from the next frame on, Esc leaves them as they are",
            groups.spelled(self._controls.status.groups.get(host, ())),
            heard=lambda typed: groups.matching(groups.parse(typed), listed),
        )  # fmt: skip
        answer = await self.app.push_screen_wait(prompt)
        if answer is not None:
            self._controls.set_groups(host, groups.parse(answer))
            self.tell()

    async def _through(self, window: Window) -> None:
        self._window = window
        await self._look()
        self.tell()
