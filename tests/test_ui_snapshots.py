"""The whole screen from a fixed history, as a picture: every character and its style, at each size.

LOADWATCH_SNAPSHOTS=write in the environment writes them anew: look at them before they go in.
"""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path

import pytest

from loadwatch.core.controls import RunStatus
from loadwatch.core.reading import HostStatus
from loadwatch.core.tick import Event
from loadwatch.ui.app import LoadwatchApp
from tests.ui_fakes import CATALOGUE, STATUS, FakeControls, story, told

SNAPSHOTS = Path(__file__).parent / "snapshots"

HOSTS = (HostStatus("web", "live"), HostStatus("db", "live"))
BESIDE = replace(STATUS, hosts=HOSTS, groups=dict.fromkeys(("web", "db"), STATUS.groups["web"]))


async def shown(size: tuple[int, int], status: RunStatus, keys: list[str]) -> str:
    """What the dashboard shows after five minutes and `keys`."""
    controls = FakeControls(status)
    ticks = list(story(300, tuple(host.host for host in status.hosts)))
    ticks[0] = replace(ticks[0], events=(Event(0.0, "start", "firing at the server"),))
    ticks[120] = replace(ticks[120], events=(Event(119.4, "mark", "10 backends"),))
    bus, history = told([], controls)
    app = LoadwatchApp(bus, history, controls, CATALOGUE)
    async with app.run_test(size=size) as pilot:
        for tick in ticks:
            bus.publish(tick)
            controls.change(elapsed=tick.second + 1.0, rates=dict(tick.rates))
        await pilot.pause()
        await pilot.press(*keys)
        await pilot.pause()
        app.screen_stack[0].tell()  # type: ignore[attr-defined]
        await pilot.pause()
        # Its id, in every line, is a sum over the whole: a change is to show where it is.
        return re.sub(r"terminal-\d+", "terminal", app.export_screenshot())


@pytest.mark.parametrize(
    ("name", "size", "status", "keys"),
    [
        ("80x24", (80, 24), STATUS, [">"]),
        ("160x45", (160, 45), STATUS, [">"]),
        ("250x70", (250, 70), BESIDE, [">"]),
        ("steps", (160, 45), STATUS, ["s", "enter", "up", "enter"]),
        ("pools", (80, 24), STATUS, ["P", "z", "g"]),
        ("help", (80, 24), STATUS, ["?"]),
    ],
)
async def test_snapshot(
    name: str, size: tuple[int, int], status: RunStatus, keys: list[str]
) -> None:
    now = await shown(size, status, keys)
    path = SNAPSHOTS / f"{name}.svg"
    if os.environ.get("LOADWATCH_SNAPSHOTS") == "write":
        path.write_text(now, encoding="utf-8")
    before = path.read_text(encoding="utf-8")
    if now != before:  # an assertion would print both, which nobody can read
        pytest.fail(f"{path}: LOADWATCH_SNAPSHOTS=write makes it anew; look at both")


async def test_a_snapshot_shows_a_change_of_colour_only(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = await shown((80, 24), STATUS, [])
    monkeypatch.setattr("loadwatch.ui.view.LEVELS", {"fine": ("", ""), "warning": ("good", " ▲"),
                                                     "bad": ("bad", " ✗")})  # fmt: skip
    assert await shown((80, 24), STATUS, []) != plain
