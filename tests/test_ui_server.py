"""The pane of what the server's answers tell of its own work."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from loadwatch.core.bucket import Bucket, ScenarioBucket
from loadwatch.core.tick import Tick
from loadwatch.core.ticker import Ticker
from loadwatch.load.servertiming import Sample
from loadwatch.ui.pane import Pane
from loadwatch.ui.panes.server import ServerPane
from tests.test_ui_app import screen
from tests.ui_fakes import RATES, seen, text_of, tick

ANSWER = (
    b"HTTP/1.1 200 OK\r\nX-Query-Count: 81\r\n"
    b"Server-Timing: queue;dur=1, app;dur=30, db;dur=20, render;dur=10, x;dur=0.5\r\n\r\n"
)


def told(seconds: int = 20, answer: bytes = ANSWER, times: int = 3) -> Iterator[Tick]:
    """Seconds in which the answers of the wall, and only those, told something."""
    ticker = Ticker(RATES, (), lambda values: {})
    for second in range(seconds):
        sample = Sample(("Server-Timing", "X-Query-Count"))
        wall = ScenarioBucket(offered=9, completed=9)
        sample.begin(wall)
        for _ in range(times):
            sample.read(answer)
        ticker.bucket(Bucket(0, second, [ScenarioBucket(), wall]))
        yield ticker.close()


def test_the_longest_times_are_named_first_and_drawn() -> None:
    view = replace(seen(told()), scenario="wall")
    pane = ServerPane()
    headline = [text for row in pane.headline(view) for text, _ in row]
    assert headline == [
        "wall", "app", " 30.0 ms", "db", " 20.0 ms", "render", " 10.0 ms", "queue", " 1 ms",
        "x", " 0.500 ms",
    ]  # fmt: skip
    legend, *picture = pane.draw(view, 120, 14)
    assert "".join(text for text, _ in legend) == (
        "x-query-count 81  p95  app 30.0 ms  db 20.0 ms  render 10.0 ms  queue 1 ms  x 0.500 ms"
        "  3/s of 9/s read"
    )
    assert len(picture) == 13
    roles = {role for row in picture for _, role in row}
    assert {"first", "second", "third", "fourth"} <= roles


def test_what_was_passed_over_is_said() -> None:
    broken = told(answer=ANSWER.replace(b"queue;dur=1", b"queue;dur=-1"))
    view = replace(seen(broken), scenario="wall")
    assert "unreadable 3/s" in text_of(ServerPane().draw(view, 120, 14))[0]


def test_it_fits_into_any_room() -> None:
    view = replace(seen(told()), scenario="wall")
    for width, height in ((78, 14), (30, 3), (12, 1), (200, 60)):
        rows = text_of(ServerPane().draw(view, width, height))
        assert len(rows) <= height
        assert all(len(row) <= width for row in rows)


def test_a_scenario_that_tells_nothing_says_so() -> None:
    view = replace(seen(told()), scenario="home")
    assert text_of(ServerPane().draw(view, 120, 14)) == [
        "no answer of home has told yet: Server-Timing (docs/load.md)"
    ]


def displayed(panes: object) -> list[str]:
    return [pane.word() for pane in panes if isinstance(pane, Pane) and pane.display]  # type: ignore[attr-defined]


async def test_it_comes_up_with_the_data_and_follows_the_chosen_scenario() -> None:
    async with screen((160, 60), seconds=0) as on:
        panes = on.app.screen.query(Pane)
        await on.publish(tick(0, {"load.offered": 1.0}))
        assert "server" not in displayed(panes)
        seconds = list(told(6))
        await on.publish(*seconds[1:4])
        assert "server" in displayed(panes)
        assert "no answer of home" in on.text
        await on.press("2")
        assert "x-query-count 81" in on.text
        await on.press("V", "x")
        await on.publish(*seconds[4:])
        assert "server" not in displayed(panes)  # hidden by hand it stays hidden
        await on.press("p", "V")
        assert "x-query-count 81" in on.text
        await on.press("1")
        assert "no answer of home" in on.text  # a view that stands follows too
