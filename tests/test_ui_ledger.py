"""The ledger from the dashboard: tables as the command prints them, refused in one line."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from loadwatch.core.errors import PlanError
from loadwatch.ui.app import LoadwatchApp
from loadwatch.ui.others import Ledger, Others
from loadwatch.ui.screens.ledger import LedgerScreen
from loadwatch.verbs.ledger import telling
from tests.ledgers import Measured, session
from tests.ui_fakes import CATALOGUE, FakeControls, shown, story, told

TABLE = "configuration  wall     change\n" + "[b]5 backends[/b]  11–11.5/s  +38 % more  " + "·" * 90


def an_app(ledger: Ledger | None = None) -> LoadwatchApp:
    bus, history = told(story(5))
    return LoadwatchApp(bus, history, FakeControls(), CATALOGUE, others=Others(ledger=ledger))


async def test_l_shows_the_ledger() -> None:
    async def ledger() -> str:
        return TABLE

    app = an_app(ledger)
    async with app.run_test(size=(80, 24)) as pilot:
        for key in ("escape", "l", "q"):
            await pilot.press("l")
            while not isinstance(app.screen, LedgerScreen):
                await pilot.pause(0.01)
            await pilot.pause()
            line = next(line for line in shown(app).splitlines() if "backends" in line)
            assert "[b]5 backends[/b]  11–11.5/s  +38 % more  ··" in line  # not wrapped
            await pilot.press(key)
            await pilot.pause()
            assert not isinstance(app.screen, LedgerScreen)


async def test_a_wide_ledger_scrolls() -> None:
    app = an_app()
    async with app.run_test(size=(80, 24)) as pilot:
        app.push_screen(LedgerScreen(TABLE + "THE END"))
        await pilot.pause()
        assert "THE END" not in shown(app)
        await pilot.press(*["right"] * 80)
        while "THE END" not in shown(app):
            await pilot.pause(0.01)


async def test_why_there_is_none_is_said() -> None:
    async def ledger() -> str:
        raise PlanError("no limit was found")

    app = an_app(ledger)
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("l")
        while not app._notifications:
            await pilot.pause(0.01)
        assert [note.message for note in app._notifications] == ["no limit was found"]


async def test_where_nobody_tells_it_is_not_offered() -> None:
    app = an_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("l", "question_mark")
        await pilot.pause()
        assert "The ledger" not in shown(app)


def test_it_is_of_the_target_wherever_the_session_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    directory = tmp_path / "loadwatch" / "sessions"
    directory.mkdir(parents=True)
    session(directory / "2026-11-23.loadwatch", [Measured("2 backends", "wall", 8, 8.4)])
    mine = session(tmp_path / "mine.loadwatch", [Measured("5 backends", "wall", 11, 11.5)], 1)
    with pytest.raises(PlanError, match="no limit was found"):
        asyncio.run(telling(session(tmp_path / "b.loadwatch", [], 0, "http://b.example"))())
    text = asyncio.run(telling(mine)())
    assert "2 backends" in text and "11–11.5/s" in text
