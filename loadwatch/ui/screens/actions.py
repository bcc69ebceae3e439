"""The plan's server actions: one is chosen, confirmed and done, and what came of it is shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import OptionList

from loadwatch.core.action import setting, shell_line
from loadwatch.core.controls import Controls
from loadwatch.core.errors import LoadwatchError
from loadwatch.core.plan import Action, Value
from loadwatch.ui.canvas import plain
from loadwatch.ui.screens.confirm import Confirm
from loadwatch.ui.screens.dialog import Dialog

Choice = tuple[str, Action, Value]
"""Host, action, value."""

LINES = 5
"""Lines of an action's output that are shown."""


class Actions(Dialog[Choice | None]):
    """Asks which of the actions (by host) to do, and with which value."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "Cancel", tooltip="Do nothing")
    ]

    def __init__(self, actions: Mapping[str, tuple[Action, ...]]) -> None:
        super().__init__("Which setting?", "↑ ↓ choose, Enter takes it, Esc leaves")
        self._choices: list[Choice] = [
            (host, action, value)
            for host, some in actions.items()
            for action in some
            for value in action.values
        ]

    def body(self) -> ComposeResult:
        """What may be set, in the plan's order."""
        names = [f"{host}: {setting(action, value)}" for host, action, value in self._choices]
        yield OptionList(*map(plain, names), markup=False)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """It is this one."""
        self.dismiss(self._choices[event.option_index])


async def act(app: App[Any], controls: Controls) -> None:
    """From the choice to the result; within a worker of `app`."""
    choice = await app.push_screen_wait(Actions(controls.status.actions))
    if choice is None:
        return
    host, action, value = choice
    question = f"Run on {host}: {plain(shell_line(action, value))}"
    if not await app.push_screen_wait(Confirm(question)):
        return
    try:
        done = await controls.act(action.name, value)
    except LoadwatchError as failure:
        app.notify(str(failure), severity="error")
        return
    text = "\n".join([f"{setting(action, value)}: exit code {done.code}", *done.output[-LINES:]])
    app.notify(text, severity="error" if done.code else "information")
