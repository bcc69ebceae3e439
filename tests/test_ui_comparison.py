"""Comparing from the dashboard: asked for by name, shown as text, refused in one line."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from textual.pilot import Pilot

from loadwatch.core.errors import SessionError
from loadwatch.ui.app import LoadwatchApp
from loadwatch.ui.others import Compare, Others
from loadwatch.ui.screens.comparison import Comparison
from loadwatch.verbs.named import comparing
from tests.test_analysis_compare import sessions
from tests.ui_fakes import CATALOGUE, FakeControls, shown, story, told


def an_app(compare: Compare | None = None) -> LoadwatchApp:
    bus, history = told(story(5))
    return LoadwatchApp(bus, history, FakeControls(), CATALOGUE, others=Others(compare))


async def ask(pilot: Pilot[None], name: str) -> None:
    await pilot.press("c")
    await pilot.pause()
    await pilot.press(*name, "enter")
    await pilot.pause()


async def test_a_comparison_is_asked_for_by_name() -> None:
    asked = []

    async def compare(base: str) -> str:
        asked.append(base)
        return "home: Response time p95  [bold]slower[/bold]"

    app = an_app(compare)
    async with app.run_test(size=(120, 40)) as pilot:
        await ask(pilot, " mon ")
        while "home: Response time p95  [bold]slower[/bold]" not in shown(app):
            await pilot.pause(0.01)
        assert asked == ["mon"]
        await pilot.press("escape")
        await pilot.pause()
        assert "Response time p95" not in shown(app)


async def test_any_of_its_keys_closes_a_comparison() -> None:
    app = an_app()
    async with app.run_test(size=(120, 40)) as pilot:
        for key in ("escape", "enter", "q", "c"):
            app.push_screen(Comparison("base", "slower"))
            await pilot.pause()
            await pilot.press(key)
            await pilot.pause()
            assert not isinstance(app.screen, Comparison)


async def test_a_session_that_is_none_is_said() -> None:
    async def compare(base: str) -> str:
        raise SessionError(f"{base}: no such session")

    app = an_app(compare)
    async with app.run_test(size=(120, 40)) as pilot:
        await ask(pilot, "mon")
        while not app._notifications:
            await pilot.pause(0.01)
        assert [note.message for note in app._notifications] == ["mon: no such session"]


async def test_where_nobody_compares_it_is_not_offered() -> None:
    app = an_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("c", "question_mark")
        await pilot.pause()
        assert "Compare with" not in shown(app)


def test_the_text_is_that_of_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    before, after, other = sessions(tmp_path)
    text = asyncio.run(comparing(Path(after))(before))
    assert "home: Response time p95" in text
    refused = asyncio.run(comparing(Path(other))(before))
    assert refused.startswith("other cannot be compared to before:")
    with pytest.raises(SessionError, match="no such session"):
        asyncio.run(comparing(Path(after))("none"))
