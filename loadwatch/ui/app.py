"""The dashboard as a Textual application: it listens to a bus and commands through controls."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from typing import Any, ClassVar

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
from loadwatch.ui import chart
from loadwatch.ui.driver import TerminalDriver
from loadwatch.ui.keys import quiet, shown
from loadwatch.ui.others import NOBODY, Others
from loadwatch.ui.pane import Pane
from loadwatch.ui.screens.dashboard import Dashboard
from loadwatch.ui.screens.help import Help, keys_of
from loadwatch.ui.themes import THEMES
from loadwatch.ui.view import NO_THRESHOLDS


class LoadwatchApp(App[None]):
    """Shows what the bus brings; `startup` runs once the first frame is there.

    Where `startup` fails, the app ends and `failure` says why.
    """

    SCREEN: ClassVar[type[Dashboard]] = Dashboard
    CSS_PATH = "loadwatch.tcss"
    TITLE = "loadwatch"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+x", "stop", tooltip="Stop firing, from anywhere", show=False, priority=True),
        quiet("t", "change_theme", "Choose a theme: dark, light, without colours"),
        quiet("ctrl+z", "suspend", "Suspend loadwatch (fg resumes it); firing stops before"),
        Binding("question_mark", "help", "Help", key_display="?", tooltip="All keys"),
        shown("q", "quit", "Quit", "End the run"),
        Binding("ctrl+c,ctrl+q", "quit", tooltip="End the run, from anywhere",
                show=False, priority=True, system=True),
    ]  # fmt: skip

    def __init__(
        self, bus: TickBus, history: History, controls: Controls, catalogue: Catalogue,
        startup: Callable[[], Awaitable[None]] | None = None,
        thresholds: Thresholds = NO_THRESHOLDS, panes: Sequence[type[Pane]] = (),
        others: Others = NOBODY,
    ) -> None:  # fmt: skip
        super().__init__(driver_class=TerminalDriver)
        self.failure: LoadwatchError | None = None
        self._bus = bus
        self._controls = controls
        self._startup = startup
        strange = list(self.available_themes)
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = THEMES[-1 if self.no_color else 0].name
        for name in strange:
            self.unregister_theme(name)
        self._dashboard = self.SCREEN(history, controls, catalogue, thresholds, panes, others)

    def notify(self, message: str, **more: Any) -> None:
        """Say something, as it is; it takes the place of what was said before."""
        self.clear_notifications()
        super().notify(message, **{**more, "markup": False})

    def get_default_screen(self) -> Screen[None]:
        """The dashboard is the first thing to be seen."""
        return self._dashboard

    def on_mount(self) -> None:
        """Listen from now on; start the run after the first frame."""
        self._bus.subscribe(self._dashboard.hear)
        self.call_after_refresh(self._begin)

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
        for key in keys_of(screen):
            run = partial(self.run_action, key.binding.action, key.node)
            yield SystemCommand(key.tooltip, f"key {self.get_key_display(key.binding)}", run)

    def action_stop(self) -> None:
        """Stop firing."""
        self._controls.pause()
        self._dashboard.tell()

    def action_suspend(self) -> None:
        """Back to the shell. Nobody watches then: nothing is fired."""
        self.action_stop()
        self.action_suspend_process()

    def action_help(self) -> None:
        """Every key that does something now."""
        self.push_screen(Help(self.screen))
