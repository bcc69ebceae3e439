"""A server that asks for fewer requests, or to come again later: seen, recorded, and said."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from loadwatch.analysis.pushback import CALM, Pushback
from loadwatch.core.plan import Plan, Scenario, Target
from loadwatch.core.tick import Tick
from loadwatch.load.dry import try_out
from loadwatch.load.pushback import LONGEST, of_head, retry_after
from loadwatch.session import open_session
from tests.servers import answering, serving
from tests.test_cli import loadwatch

DATE = "Wed, 21 Oct 2015 07:28:00 GMT"
WAITS = (
    ("120", DATE, 120),  # RFC 9110's example
    (" 7 ", "", 7),
    ("0", "", 0),
    ("Wed, 21 Oct 2015 07:30:00 GMT", DATE, 120),
    ("Wed, 21 Oct 2015 07:27:00 GMT", DATE, 0),  # past
    ("Wed, 21 Oct 2015 07:30:00 GMT", "", 0),  # counted from what?
    ("Wed, 21 Oct 2015 07:30:00 -0000", DATE, 0),
    ("99999999999999999999", "", LONGEST),
    ("-5", "", 0),
    ("soon", DATE, 0),
    ("１２", "", 0),
    ("", "", 0),
)


@pytest.mark.parametrize(("value", "date", "seconds"), WAITS)
def test_the_wait_is_read_as_the_rfc_has_it(value: str, date: str, seconds: float) -> None:
    assert retry_after(value, date) == seconds


def test_it_is_found_in_a_head_and_only_there() -> None:
    head = b"HTTP/1.1 429 Too Many\r\nDate: %s\r\nRETRY-AFTER:\t30\r\n\r\nRetry-After: 5\r\n"
    assert of_head(head % DATE.encode()) == 30
    assert of_head(b"HTTP/1.1 429 Too Many\r\n\r\n\r\nRetry-After: 5\r\n") == 0


@pytest.mark.parametrize("engine", ["wire", "httpx"])
async def test_every_second_with_a_429_tells_the_wait(engine: str, tmp_path: Path) -> None:
    """Also where all answers are alike, and are not parsed any more."""
    limited = b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 30\r\nContent-Length: 2\r\n\r\nno"
    session = tmp_path / "a"
    async with serving(answering(limited)) as port:
        done = await asyncio.to_thread(
            loadwatch, "run", f"http://127.0.0.1:{port}", "--rate", "20", "--arrival", "uniform",
            "--duration", "3s", "--engine", engine, "--session", str(session),
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    with open_session(session) as recorded:
        ticks = list(recorded.ticks())
    seconds = [tick for tick in ticks if tick.values["load.status.429"]]
    assert len(seconds) >= 3
    assert {tick.values["load.retry_after"] for tick in seconds} == {30}
    assert {tick.values["scenario.home.retry_after"] for tick in seconds} == {30}
    said = "home: 429 Too Many Requests: the server limits the rate, Retry-After 30 s"
    events = [event.text for tick in ticks for event in tick.events if event.kind == "answer"]
    assert events == [said]


def second(at: int, completed: float = 10, limited: float = 0, wait: float = 0) -> Tick:
    values = {"scenario.wall.completed": completed, "scenario.wall.status.429": limited}
    if wait:
        values["scenario.wall.retry_after"] = wait
    return Tick(at, 0.0, 1, "", {}, values)


LIMITED = "wall: 429 Too Many Requests: the server limits the rate"
BUSY = "wall: 503, Retry-After 5 s"
AGAIN = "wall: the server no longer asks for fewer requests"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        ([{}] * 20, []),
        ([{"limited": 3}] * 20, [LIMITED]),  # once
        ([{"limited": 1}, *[{}] * (CALM - 1), {"limited": 1}], [LIMITED]),  # a short calm is none
        ([{"limited": 1}, *[{}] * CALM], [LIMITED, AGAIN]),
        ([{"limited": 1}, *[{"completed": 0}] * 30], [LIMITED]),  # a pause says nothing
        ([{"limited": 1}, *[{}] * CALM, {"wait": 5}], [LIMITED, AGAIN, BUSY]),
    ],
)  # fmt: skip
def test_it_is_said_once_until_it_ends(seconds: list[dict[str, float]], said: list[str]) -> None:
    found: list[str] = []
    pushback = Pushback(["wall", "home"], found.append)
    for at, one in enumerate(seconds):
        pushback.add(second(at, **one))
    assert found == said


@pytest.mark.parametrize(
    ("status", "text"),
    [("429 Too Many", "it limits the rate, Retry-After 120 s"),
     ("503 Busy", "a server error, Retry-After 120 s"),
     ("404 None", "there is no such page: check the path")],
)  # fmt: skip
async def test_the_trial_before_the_start_says_it(status: str, text: str) -> None:
    answer = f"HTTP/1.1 {status}\r\nRetry-After: 120\r\nContent-Length: 1\r\n\r\nx".encode()
    async with serving(answering(answer)) as port:
        plan = Plan(Target(f"http://127.0.0.1:{port}"), scenarios=(Scenario("a"),))
        (trial,) = await asyncio.to_thread(try_out, plan)
    assert trial.text.endswith(text)
