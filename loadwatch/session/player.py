"""The player: publishes a session's ticks as its run did; only who publishes differs.

Going back in time means to begin anew with the first tick: what listens (`History`) sees a second
that it had already, and forgets what came after it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import msgspec

from loadwatch.core.action import Done
from loadwatch.core.bus import TickBus
from loadwatch.core.controls import SPEEDS, Position, RunStatus
from loadwatch.core.errors import PlanError
from loadwatch.core.history import History
from loadwatch.core.limit import Goal
from loadwatch.core.plan import NAME, SIGNS, Group, Signs, Value
from loadwatch.core.reading import HostState, HostStatus
from loadwatch.core.summary import Summary
from loadwatch.core.tick import Event, Tick
from loadwatch.session.exporters.csv import export_beside
from loadwatch.session.store import Session, open_session

TURN = 0.02
"""Seconds of reading after which whatever else is due gets its turn."""

POLL = 0.5
"""Seconds between looks at a file that is being written."""

PATIENCE = 20
"""Looks in a row without a new second after which nobody writes it any more: a crash."""


class Player:
    """Plays the session file `path` on its `bus`; implements `core.controls.Playback`.

    With `follow` it shows what there is at once, and then every second that another process adds;
    once that run has ended, it is like any other.
    `reasons` says why the load generator was the limit of a stretch, `signs` what counts as a sign
    of the server's. SessionError where the file is
    none. All methods belong to the event loop.
    """

    def __init__(
        self,
        path: Path,
        reasons: Callable[[Summary], tuple[str, ...]] = lambda summary: (),
        follow: bool = False,
        signs: Signs = SIGNS,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self.path = path
        self.bus = TickBus()
        self.history = History()
        self.bus.subscribe(self.history.add)
        self._reasons = reasons
        self._signs = signs
        self._sleep = sleep
        self._session = open_session(path)
        self._about = self._session.about
        self._position = _at(0, self._session, follow)
        self._shown = _Shown(self._about.get("plan", {}))
        self._going = asyncio.Event()
        self._moving = asyncio.Lock()

    async def play(self) -> None:
        """Show one second after the other, for as long as nobody cancels it."""
        if self._position.following:
            await self._follow()
        else:
            self.resume()
        while True:
            await self._going.wait()
            await self._sleep(1 / self._position.speed)
            if self._position.playing:
                await self.seek(self._position.second + 1)
            if self._position.second >= self._position.end:
                self.pause()

    async def _follow(self) -> None:
        """Show every second that is added, until the run has ended or nobody writes any more."""
        await self.seek(self._position.end)
        looks = 0
        while self._about["state"] != "ended" and looks < PATIENCE:
            await self._sleep(POLL)
            self._session.close()
            self._session = open_session(self.path)
            self._about = self._session.about
            self._position = _at(self._position.second, self._session, True)
            looks = looks + 1 if self._position.second == self._position.end else 0
            await self.seek(self._position.end)
        self._position = replace(self._position, following=False)

    async def seek(self, second: int) -> None:
        """Show the run as it was before `second`; beyond an end it is that end."""
        async with self._moving:
            first, second = self._position.second, min(max(1, second), self._position.end)
            if second < first:
                first = 0
            if first == 0:
                self._shown = _Shown(self._about.get("plan", {}))
            turn = time.monotonic()
            for tick in self._session.ticks(first, second):
                self._shown.add(tick)
                self._position = replace(self._position, second=tick.second + 1)
                self.bus.publish(tick)
                if time.monotonic() > turn + TURN:
                    await asyncio.sleep(0)
                    turn = time.monotonic()
            self._position = replace(self._position, second=second)

    def set_speed(self, speed: int) -> None:
        """Show so many recorded seconds per second, one of `SPEEDS`."""
        if speed not in SPEEDS:
            raise PlanError(f"a speed is one of {', '.join(map(str, SPEEDS))}, got {speed}")
        self._position = replace(self._position, speed=speed)

    def close(self) -> None:
        """Close the file."""
        self._session.close()

    @property
    def position(self) -> Position:
        """Where it is right now."""
        return self._position

    @property
    def status(self) -> RunStatus:
        """How the run stood then."""
        shown, plan = self._shown, self._about.get("plan", {})
        load = plan.get("load", {})
        lost, ended = self._about.get("lost", 0), self._ended
        return RunStatus(
            target=self._about.get("target", ""),
            rates=dict(shown.rates),
            firing=shown.firing and ended is None,
            connections=load.get("connections"),
            max_rate=load.get("max_rate"),
            elapsed=float(self._position.second),
            hosts=tuple(shown.hosts.values()),
            recording=str(self.path),
            reasons=self._reasons_now(),
            problem=f"{lost} seconds could not be recorded" if lost else "",
            groups=dict(shown.groups),
            signs=self._signs,
            ended=ended,
        )

    @property
    def _ended(self) -> float | None:
        """When firing was over, where it is by now; a run that crashed ends with its recording."""
        here, told = self._position.second, (self._about.get("result") or {}).get("duration_s")
        duration = self._about.get("duration") if told is None else told
        if duration is not None and here >= duration:
            return float(duration)
        is_over = here >= self._position.end and not self._position.following
        return float(here) if is_over else None

    def _reasons_now(self) -> tuple[str, ...]:
        """Of the whole run, what it said itself at its end: it knew of workers that died."""
        result: Mapping[str, Any] | None = self._about.get("result")
        if result is not None and self._position.second >= self._position.end:
            return tuple(result["generator"]["reasons"])
        return self._reasons(self.history.total)

    def pause(self) -> None:
        """Let the time stand."""
        self._going.clear()
        self._position = replace(self._position, playing=False)

    def resume(self) -> None:
        """Let the time go on, from the start where it was at the end."""
        if not self._position.following:
            over = self._position.second >= self._position.end
            at = 0 if over else self._position.second
            self._position = replace(self._position, playing=True, second=at)
            self._going.set()

    def set_rate(self, scenario: str, rate: float) -> float:
        """Refused: what was fired was fired."""
        raise PlanError("a recorded run has no rate to turn")

    def mark(self, text: str) -> None:
        """Refused: the timeline is what it was."""
        raise PlanError("a recorded run takes no marks")

    def set_groups(self, host: str, groups: tuple[Group, ...]) -> None:
        """Refused: a recorded run has the groups that it had."""
        raise PlanError("a recorded run has the process groups that it had")

    def find_limit(self, goal: Goal | None = None) -> None:
        """Refused: nothing is fired."""
        raise PlanError("a recorded run cannot be searched; the event log has what was found")

    async def act(self, name: str, value: Value) -> Done:
        """Refused: nobody is connected to any host."""
        raise PlanError("a recorded run acts on no host")

    async def export(self) -> str:
        """Write the session as CSV files beside it; returns the directory."""
        return str(await asyncio.to_thread(export_beside, self.path))


def _at(second: int, session: Session, follow: bool) -> Position:
    """Position `second` of a session."""
    marks: list[tuple[int, str]] = []
    for step in session.steps:
        if step.mark and step.mark not in (mark for _, mark in marks[-1:]):
            marks.append((step.first, step.mark))
    return Position(second, session.end, following=follow, marks=tuple(marks))


class _Shown:
    """What a run's ticks say about how it stood."""

    def __init__(self, plan: Mapping[str, Any]) -> None:
        self.firing = True
        self.rates: Mapping[str, float] = {
            scenario["name"]: scenario["rate"] for scenario in plan.get("scenario", ())
        }
        self.hosts = {
            host["name"]: HostStatus(host["name"], "connecting") for host in plan.get("host", ())
        }
        self.groups = {
            host["name"]: msgspec.convert(host["group"], tuple[Group, ...])
            for host in plan.get("host", ())
        }

    def add(self, tick: Tick) -> None:
        """Take the next tick."""
        for event in tick.events:
            if event.kind in ("pause", "resume"):
                self.firing = event.kind == "resume"
            elif event.kind in ("host", "gap") and event.host in self.hosts:
                self.hosts[event.host] = _turned(self.hosts[event.host], event)
            elif event.kind == "groups":
                self.groups[event.host] = tuple(map(Group, NAME.findall(event.text)))
        if self.firing and tick.rates:
            self.rates = tick.rates


def _turned(status: HostStatus, event: Event) -> HostStatus:
    """The state of a host after an event, whose text is `state: detail`."""
    word, _, detail = event.text.partition(": ")
    known = next((state for state in get_args(HostState) if state == word), status.state)
    return replace(status, state=known, detail=detail, gaps=status.gaps + (event.kind == "gap"))
