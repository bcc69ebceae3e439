"""The dashboard as a Textual application: it listens to a bus and commands through controls."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from typing import ClassVar

from rich.traceback import Traceback
from textual import work
from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.screen import Screen

from loadwatch.analysis.thresholds import Thresholds
from loadwatch.core.bus import TickBus
from loadwatch.core.controls import Controls
from loadwatch.core.errors import LoadwatchError
from loadwatch.core.history import History
from loadwatch.core.metric import Catalogue
from loadwatch.core.tick import Tick
from loadwatch.ui import chart
from loadwatch.ui.messages import TickArrived
from loadwatch.ui.pane import Pane
from loadwatch.ui.screens.dashboard import Dashboard
from loadwatch.ui.screens.help import Help, keys_of
from loadwatch.ui.screens.prompt import Prompt, note
from loadwatch.ui.view import NO_THRESHOLDS


class LoadwatchApp(App[None]):
    """Shows what the bus brings; `startup` runs once the first frame is there.

    Where `startup` fails, the app ends and `failure` says why.
    """

    CSS_PATH = "loadwatch.tcss"
    TITLE = "loadwatch"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "fire", "Stop/go", tooltip="Stop firing, or fire again"),
        Binding("m", "mark", "Mark", tooltip="Note what follows, in a step of its own"),
        Binding("e", "export", "CSV", tooltip="Write CSV files of the session so far"),
        Binding("ctrl+x", "stop", tooltip="Stop firing, from anywhere", show=False, priority=True),
        Binding("question_mark", "help", "Help", key_display="?", tooltip="All keys"),
        Binding("q", "quit", "Quit", tooltip="End the run"),
        Binding("ctrl+c,ctrl+q", "quit", show=False, priority=True, system=True),
    ]

    def __init__(
        self, bus: TickBus, history: History, controls: Controls, catalogue: Catalogue,
        startup: Callable[[], Awaitable[None]] | None = None,
        thresholds: Thresholds = NO_THRESHOLDS, panes: Sequence[type[Pane]] = (),
    ) -> None:  # fmt: skip
        super().__init__()
        self.failure: LoadwatchError | None = None
        self._bus = bus
        self._controls = controls
        self._startup = startup
        self._dashboard = Dashboard(history, controls, catalogue, thresholds, panes)

    def get_default_screen(self) -> Screen[None]:
        """The dashboard is the first thing to be seen."""
        return self._dashboard

    def on_mount(self) -> None:
        """Listen from now on; start the run after the first frame."""
        self._bus.subscribe(self._dashboard.lives.add)
        self._bus.subscribe(self._hear)
        self.call_after_refresh(self._begin)

    def _hear(self, tick: Tick) -> None:
        self._dashboard.post_message(TickArrived(tick.second))

    def _begin(self) -> None:
        self.run_worker(chart.prepare, thread=True)
        if self._startup is not None:
            self._start(self._startup)

    @work
    async def _start(self, startup: Callable[[], Awaitable[None]]) -> None:
        try:
            await startup()
        except LoadwatchError as failure:
            self.failure = failure
            self.exit(return_code=failure.exit_code)

    def _fatal_error(self) -> None:
        """A crash is shown without local variables, which may hold secrets."""
        self.panic(Traceback(show_locals=False))

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """Every key of the screen is in the command palette too, by what it does."""
        yield from super().get_system_commands(screen)
        for key in keys_of(screen):
            run = partial(self.run_action, key.binding.action, key.node)
            yield SystemCommand(key.tooltip, f"key {self.get_key_display(key.binding)}", run)

    def action_fire(self) -> None:
        """Stop firing, or fire again."""
        (self._controls.pause if self._controls.status.firing else self._controls.resume)()
        self._dashboard.tell()

    def action_stop(self) -> None:
        """Stop firing."""
        self._controls.pause()
        self._dashboard.tell()

    @work
    async def action_mark(self) -> None:
        """Ask for a note on what follows."""
        text = await self.push_screen_wait(Prompt("What follows? (a note on the timeline)", note))
        if text is not None:
            self._controls.mark(note(text))

    @work(exclusive=True, group="export")
    async def action_export(self) -> None:
        """Write CSV files, while the run goes on."""
        try:
            self.notify(f"exported to {await self._controls.export()}", markup=False)
        except LoadwatchError as failure:
            self.notify(str(failure), severity="error", markup=False)

    def action_help(self) -> None:
        """Every key that does something now."""
        keys = keys_of(self.screen)
        self.push_screen(Help([(self.get_key_display(key.binding), key.tooltip) for key in keys]))
