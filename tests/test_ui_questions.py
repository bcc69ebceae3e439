"""What a login asks for, in a dialog over the running dashboard."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from concurrent.futures import Future
from contextlib import asynccontextmanager

from textual.app import App
from textual.pilot import Pilot
from textual.widgets import Input

from loadwatch.core.asking import Asker, Field, Question
from loadwatch.core.bus import TickBus
from loadwatch.core.history import History
from loadwatch.remote import Answers
from loadwatch.ui.app import LoadwatchApp
from loadwatch.ui.screens.questions import LoginDialog, in_dialogs
from tests.sshd import PASSPHRASE, Sshd, Start, log_in, sshd, start_sshd
from tests.test_remote_login import key_of
from tests.ui_fakes import CATALOGUE, STATUS, FakeControls, shown

__all__ = ["sshd", "start_sshd"]  # the fixtures

PASSWORD = Question("deploy@web", (Field("Password", lasting=True),))


class Asked:
    """A dashboard, and a host's thread that asks in it."""

    def __init__(self, pilot: Pilot[None], app: App[None], asker: Asker, controls: FakeControls):
        self.pilot, self.app, self.asker, self.controls = pilot, app, asker, controls

    async def ask(self, question: Question) -> Future[tuple[str, ...] | None]:
        """Ask from another thread; returns when the dialog is there."""
        answer: Future[tuple[str, ...] | None] = Future()
        threading.Thread(
            target=lambda: answer.set_result(self.asker(question)), daemon=True
        ).start()
        await self.dialog()
        return answer

    async def dialog(self) -> None:
        while not (isinstance(self.app.screen, LoginDialog) and self.app.screen.query(Input)):
            await self.pilot.pause(0.01)
        await self.pilot.pause()

    @property
    def text(self) -> str:
        return shown(self.app)


@asynccontextmanager
async def dashboard(size: tuple[int, int] = (160, 45)) -> AsyncIterator[Asked]:
    controls = FakeControls(STATUS)
    app = LoadwatchApp(TickBus(), History(), controls, CATALOGUE)
    async with app.run_test(size=size) as pilot:
        yield Asked(pilot, app, in_dialogs(app), controls)


async def test_a_secret_is_masked_and_given_to_the_thread_that_waits() -> None:
    async with dashboard() as on:
        answer = await on.ask(PASSWORD)
        assert "deploy@web" in on.text and "Password" in on.text
        await on.pilot.press(*"se+c q")
        assert "se+c q" not in on.text and "••••••" in on.text
        assert on.controls.calls == []  # no key of the dashboard's
        await on.pilot.press("enter")
        assert await asyncio.wrap_future(answer) == ("se+c q",)
        await on.pilot.pause()
        assert not isinstance(on.app.screen, LoginDialog)


async def test_what_may_be_seen_is_seen_and_fields_follow_each_other() -> None:
    async with dashboard() as on:
        fields = (Field("Login name", echo=True), Field("Code"))
        answer = await on.ask(Question("deploy@web", fields, ("Use your token.",)))
        assert "Use your token." in on.text
        await on.pilot.press(*"me", "enter", *"123")
        assert "me" in on.text and "123" not in on.text
        assert not answer.done()
        await on.pilot.press("enter")
        assert await asyncio.wrap_future(answer) == ("me", "123")


async def test_esc_declines() -> None:
    async with dashboard() as on:
        answer = await on.ask(PASSWORD)
        await on.pilot.press(*"secret", "escape")
        assert await asyncio.wrap_future(answer) is None


async def test_the_load_can_be_stopped_while_a_question_is_open() -> None:
    async with dashboard() as on:
        answer = await on.ask(PASSWORD)
        await on.pilot.press("ctrl+x")
        assert on.controls.calls == [("pause",)]
        await on.pilot.press("escape")
        assert await asyncio.wrap_future(answer) is None


async def test_nobody_waits_for_an_answer_that_never_comes() -> None:
    async with dashboard() as on:
        answer = await on.ask(PASSWORD)
        await on.pilot.press("ctrl+c")
    assert await asyncio.wrap_future(answer) is None
    assert await asyncio.to_thread(on.asker, PASSWORD) is None  # the app is gone


async def test_words_of_the_server_are_no_markup_and_no_escape() -> None:
    async with dashboard() as on:
        words = "[red]x[/red] [@click=app.quit]y \033[31mz\u202e"
        answer = await on.ask(Question(words, (Field(words, echo=True),), (words,)))
        assert on.text.count("[red]x[/red] [@click=app.quit]y \ufffd[31mz\ufffd") == 3
        await on.pilot.press("escape")
        await asyncio.wrap_future(answer)


async def test_a_long_question_fits_a_small_screen() -> None:
    async with dashboard(size=(80, 24)) as on:
        lines = tuple(f"line {number}" for number in range(40))
        answer = await on.ask(Question("deploy@web", (Field("Code", echo=True),), lines))
        await on.pilot.press(*"seen")
        assert "seen" in on.text  # the field is scrolled to
        await on.pilot.press("enter")
        assert await asyncio.wrap_future(answer) == ("seen",)


async def test_first_contact_in_the_dialog(sshd: Sshd) -> None:
    sshd.known_hosts.unlink()
    async with dashboard() as on:
        logging_in = asyncio.create_task(asyncio.to_thread(log_in, "web", Answers(on.asker)))
        await on.dialog()
        flat = "".join(on.text.split())
        assert f"ssh-ed25519{key_of(sshd.host_key)}" in flat
        assert not sshd.known_hosts.exists()
        await on.pilot.press(*"yes", "enter")
        link = await logging_in
        await asyncio.to_thread(link.close)
    assert len(sshd.known_hosts.read_text().splitlines()) == 1


async def test_a_passphrase_in_the_dialog(start_sshd: Start) -> None:
    server = start_sshd()
    server.lock()
    async with dashboard() as on:
        logging_in = asyncio.create_task(asyncio.to_thread(log_in, "web", Answers(on.asker)))
        await on.dialog()
        await on.pilot.press(*"wrong", "enter")
        while "not it" not in on.text:
            await on.pilot.pause(0.01)
        await on.pilot.press(*PASSPHRASE, "enter")
        link = await logging_in
        await asyncio.to_thread(link.close)
