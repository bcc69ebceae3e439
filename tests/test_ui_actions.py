"""Server actions from the dashboard: chosen, confirmed, done, and shown as what they are."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from textual.pilot import Pilot

from loadwatch.core.errors import HostError, LoadwatchError
from loadwatch.core.plan import Action
from loadwatch.ui.app import LoadwatchApp
from loadwatch.ui.screens.actions import Actions
from loadwatch.ui.screens.confirm import Confirm
from tests.ui_fakes import CATALOGUE, STATUS, FakeControls, shown, story, told

ACTION = Action("backends", "sudo set-[b]backends {value}", (2, 5, "a b"))


@asynccontextmanager
async def dashboard(
    failure: LoadwatchError | None = None, actions: tuple[Action, ...] = (ACTION,)
) -> AsyncIterator[tuple[Pilot[None], LoadwatchApp, FakeControls]]:
    bus, history = told(story(5))
    named = {"web": actions} if actions else {}
    controls = FakeControls(replace(STATUS, actions=named), failure)
    app = LoadwatchApp(bus, history, controls, CATALOGUE)
    async with app.run_test(size=(120, 40)) as pilot:
        yield pilot, app, controls


async def until(pilot: Pilot[None], app: LoadwatchApp, screen: type) -> None:
    while not isinstance(app.screen, screen):
        await pilot.pause(0.01)
    await pilot.pause()


async def test_an_action_is_chosen_confirmed_and_shown() -> None:
    async with dashboard() as (pilot, app, controls):
        await pilot.press("a")
        await until(pilot, app, Actions)
        for line in ("web: backends = 2", "web: backends = 5", "web: backends = a b"):
            assert line in shown(app)
        await pilot.press("down", "enter")
        await until(pilot, app, Confirm)
        assert "Run on web: sudo set-[b]backends 5" in shown(app)
        assert controls.calls == []
        await pilot.press("y")
        while not app._notifications:
            await pilot.pause(0.01)
        assert controls.calls == [("act", "backends", 5)]
        (note,) = app._notifications
        assert note.message == "backends = 5: exit code 0\n[b]restarted[/b]"
        assert (note.severity, note.markup) == ("information", False)


async def test_an_action_that_is_not_confirmed_is_not_done() -> None:
    async with dashboard() as (pilot, app, controls):
        await pilot.press("a")
        await until(pilot, app, Actions)
        await pilot.press("escape", "a")
        await until(pilot, app, Actions)
        await pilot.press("end", "enter")
        await until(pilot, app, Confirm)
        assert "sudo set-[b]backends 'a b'" in shown(app)
        await pilot.press("n")
        await pilot.pause()
        assert controls.calls == []


async def test_what_went_wrong_is_said() -> None:
    for failure, text in (
        (None, "exit code 1"),
        (HostError("web: not connected"), "not connected"),
    ):
        async with dashboard(failure) as (pilot, app, _):
            await pilot.press("a")
            await until(pilot, app, Actions)
            await pilot.press("enter")
            await until(pilot, app, Confirm)
            await pilot.press("y")
            while not app._notifications:
                await pilot.pause(0.01)
            (note,) = app._notifications
            assert text in note.message and note.severity == "error"


async def test_without_actions_the_key_is_not_offered() -> None:
    async with dashboard(actions=()) as (pilot, app, _):
        await pilot.press("a", "question_mark")
        await pilot.pause()
        assert "server actions" not in shown(app)
