"""Run: the one composer. Fleet and monitors -> ticker -> bus; no screen. Implements `Controls`.

All methods belong to the event loop that started the run.
"""

from __future__ import annotations

import asyncio
import itertools
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from loadwatch import config
from loadwatch.analysis.answers import Answers
from loadwatch.analysis.evidence import JUDGED_SECONDS
from loadwatch.analysis.result import result
from loadwatch.analysis.thresholds import Outcome, parse
from loadwatch.analysis.windows import Watcher
from loadwatch.core.asking import Asker
from loadwatch.core.bus import TickBus
from loadwatch.core.controls import RunStatus, Trial
from loadwatch.core.errors import PlanError
from loadwatch.core.history import History
from loadwatch.core.plan import HIGHEST_RATE, Group, Plan
from loadwatch.core.ramp import Turn, first_turn, steady
from loadwatch.core.reading import Reading
from loadwatch.core.summary import Summary
from loadwatch.core.tick import Event, EventKind
from loadwatch.core.ticker import Ticker
from loadwatch.load.fleet import Fleet, workers_of
from loadwatch.load.health import Health, Limits
from loadwatch.recorded import meta_of
from loadwatch.session import Recorder, export_beside
from loadwatch.watching import Watching, catalogue

LEAD = 0.05
"""Seconds between the command to begin and second 0, so that every worker hears it before."""

STUCK = 10
"""Seconds in a row that a worker may leave unreported before it is given up."""

GRACE = 0.3
"""Seconds that a second stays open for readings that arrived in it but are still being parsed."""

PATIENCE = 1.0
"""Seconds after its end that a second waits for a late worker."""


class Run:
    """One run of a plan, from the first spawned worker to the closed session file.

    `plan` is as written (it is recorded). Firing ends after `duration` seconds, or when told; an
    `endless` run goes on watching then. The session file is created here: SessionError if it exists
    already.
    """

    def __init__(
        self,
        plan: Plan,
        session: Path,
        duration: float | None = None,
        endless: bool = False,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.plan = plan
        self.duration = duration
        self._endless = endless
        self.catalogue = catalogue()
        self.bus = TickBus(self._listener_failed)
        self.history = History()
        self.bus.subscribe(self.history.add)
        self._filled = config.fill_in(plan)
        self._clock = clock
        self._wall = wall
        self._origin: float | None = None
        self._firing = True
        self._turn = first_turn(plan)
        self._closed = plan.load.connections is not None
        self._problem = ""
        self._unrecorded = ""
        self._deaths: list[str] = []
        self._trials: tuple[Trial, ...] = ()
        self._health = Health(plan, workers_of(plan), Limits.here())
        self._ticker = Ticker(self._turn.after, plan.hosts, self._health.live)
        self._fleet = Fleet(self._filled, self._ticker.bucket, self._worker_died)
        self._hosts = Watching(plan.hosts, self._observed, self._event)
        self._session = session
        self._ticking: asyncio.Task[None] | None = None
        self._staging: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._missed: dict[int, int] = {}
        self.thresholds = parse(plan, self.catalogue)
        self._watcher = Watcher(self.thresholds, self.history.total, self._abort)
        self.bus.subscribe(self._watcher.add)
        self._recorder = Recorder(
            session, meta_of(plan, duration), self.catalogue, on_turn=self._recording_turned
        )
        self.bus.subscribe(self._recorder.add)
        self.bus.subscribe(Answers(self._turn.after, partial(self._event, "answer")).add)

    async def start(
        self, asker: Asker | None = None, hosts_first: bool = False, dry: bool = False
    ) -> None:
        """Spawn the workers, start the monitors, begin firing.

        With `hosts_first` firing waits until every host is watched: HostError for the first one
        that cannot be. Otherwise neither waits for the other. With `dry` a request of each scenario
        is tried before. `asker` is asked for secrets.
        """
        self._loop = asyncio.get_running_loop()
        self._hosts.start(asker)
        await asyncio.gather(self._fleet.start(), *([self._try_out()] if dry else []))
        if hosts_first:
            await self._hosts.live()
        self._origin = self._clock() + LEAD
        self._ticker.start = self._wall() + LEAD
        self._fleet.begin(self._origin)
        self._turn = replace(self._turn, at=self._origin)
        self._begin_rates()
        self._event("start", f"firing at {self.plan.target.url}")
        for warning in self._health.foreseen():
            self._event("generator", warning)
        if self.duration is not None:
            self._fleet.finish(self._origin + self.duration)
        if self.plan.stages:
            self._staging = asyncio.create_task(self._follow_stages())
        self._ticking = asyncio.create_task(self._tick())
        self._ticking.add_done_callback(self._ticked_out)

    async def _try_out(self) -> None:
        """One request per scenario, in a thread: httpx takes its time to load."""
        from loadwatch.load.dry import try_out

        self._trials = await asyncio.to_thread(try_out, self._filled)
        for trial in self._trials:
            self._event("answer", f"{trial.scenario}, tried before the start: {trial.text}")

    def finish(self) -> None:
        """Stop firing now; open requests run out, then `wait` returns."""
        self._endless = False
        if self._origin is None:
            return
        now = self._clock()
        if self.duration is None or self._origin + self.duration > now:
            self.duration = max(0.0, now - self._origin)
            self._fleet.finish(now)

    def _abort(self, outcome: Outcome) -> None:
        """A threshold that ends the run has failed; under a dashboard firing stops."""
        self._event("end", str(outcome))
        (self.pause if self._endless else self.finish)()

    async def wait(self, patience: float | None = None) -> None:
        """Return when all was fired and every open request has ended, or after `patience` s."""
        if self._ticking is not None:
            await asyncio.wait({self._ticking}, timeout=patience)

    async def close(self) -> None:
        """End everything this run started: workers, connections, threads; close the session.

        Safe to call at any point, also twice.
        """
        for task in (self._staging, self._ticking):
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        self._staging = self._ticking = None
        self._hosts.stop()
        await self._fleet.close()
        await self._hosts.join()
        if not self._recorder.closed:
            close = partial(self._recorder.close, self.result(), clocks=self._hosts.clocks)
            await asyncio.to_thread(close)
            if self._origin is None:
                self._session.unlink()  # nothing was fired: there is nothing to keep

    async def _tick(self) -> None:
        """Close one second after the other until all is over."""
        assert self._origin is not None
        grace = GRACE if self.plan.hosts else 0.0
        while await self._second_passed(self._origin + self._ticker.next_second + 1, grace):
            self._look_after(self._late())
            self.bus.publish(self._ticker.close())
        if self.duration is None:
            self.duration = max(0.0, self._fleet.fired_until - self._origin)
        while self._ticker.pending:
            self.bus.publish(self._ticker.close())
        self.history.total.duration = self.duration

    def _ticked_out(self, ticking: asyncio.Task[None]) -> None:
        """The ticking is over; a bug of ours in it must not pass for the end of a run."""
        if not ticking.cancelled() and (bug := ticking.exception()) is not None:
            self._trouble(f"internal error: {bug!r}")

    def _look_after(self, late: frozenset[int]) -> None:
        """Name the workers that are late; give up those that have been for too long."""
        self._missed = {number: self._missed.get(number, 0) + 1 for number in late}
        if late:
            names = ", ".join(str(number + 1) for number in sorted(late))
            self._event("worker", f"load worker {names} did not report in time")
        self._fleet.kill([number for number, missed in self._missed.items() if missed >= STUCK])

    async def _second_passed(self, end: float, grace: float) -> bool:
        """Wait until the second that ends at `end` is complete; False if all is over before."""
        while (now := self._clock()) < end:
            if self._fleet.done and not self._endless:
                return False
            await asyncio.sleep(min(end - now, 0.05))
        await asyncio.sleep(end + grace - self._clock())
        while self._late() and self._clock() < end + PATIENCE:
            await asyncio.sleep(0.01)
        return True

    def _late(self) -> frozenset[int]:
        return self._fleet.alive - self._ticker.delivered()

    async def _follow_stages(self) -> None:
        assert self._origin is not None
        at = self._origin
        for stage, following in itertools.pairwise(self.plan.stages):
            at += stage.duration
            await asyncio.sleep(max(0.0, at - self._clock()))
            rates = {s.name: s.rate * following.scale for s in self.plan.scenarios}
            self._set_rates(rates, at, following.duration if following.ramp else 0.0)

    def _observed(self, reading: Reading) -> None:
        if self._origin is not None:
            self._ticker.reading(math.floor(reading.at - self._origin), reading)

    def _worker_died(self, reason: str) -> None:
        self._deaths.append(reason)
        self._event("worker", reason)

    def _listener_failed(self, failure: Exception) -> None:
        self._trouble(f"internal error: {failure!r}")

    def _recording_turned(self, problem: str) -> None:
        """The recorder's report, from its thread."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._recording, problem)

    def _recording(self, problem: str) -> None:
        """The recording fails, or goes on: the banner stands as long as anything is missing."""
        self._unrecorded = problem
        self._event("recording", problem or "caught up: nothing is missing")

    def _trouble(self, problem: str) -> None:
        """Something of ours fails while the run goes on: said at once, and in the exit code."""
        self._problem = self._problem or problem
        self._event("error", problem)

    def _event(self, kind: EventKind, text: str, host: str = "") -> None:
        self._ticker.event(Event(round(self.elapsed, 3), kind, text, host))

    @property
    def began(self) -> bool:
        """Whether firing ever began."""
        return self._origin is not None

    @property
    def elapsed(self) -> float:
        """Seconds since firing began."""
        return 0.0 if self._origin is None else max(0.0, self._clock() - self._origin)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why the result is invalid because of the generator; empty where it kept up."""
        return (*self._deaths, *self._health.reasons(self.history.total))

    @property
    def warnings(self) -> tuple[str, ...]:
        """What looks suspicious about the generator, though the result is valid."""
        return self._health.warnings(self.history.total)

    @property
    def outcomes(self) -> list[Outcome]:
        """What became of the plan's thresholds, so far."""
        return self._watcher.outcomes

    @property
    def status(self) -> RunStatus:
        """How the run stands right now."""
        return RunStatus(
            target=self.plan.target.url,
            rates=self._turn.rates(self._clock()),
            firing=self._firing,
            connections=self.plan.load.connections,
            max_rate=self.plan.load.max_rate,
            elapsed=self.elapsed,
            hosts=self._hosts.statuses,
            recording=str(self._session),
            reasons=self.reasons,
            warnings=self.warnings,
            problem=self._problem or self._unrecorded,
            groups={h.name: tuple(g.name for g in h.groups) for h in self.plan.hosts},
            trials=self._trials,
            signs=self.plan.verdict,
        )

    def set_rate(self, scenario: str, rate: float) -> float:
        """Ask for `rate` (1/s) of `scenario`; returns what it became under the plan's ceiling."""
        if self._closed:
            raise PlanError("a closed loop has no rate to turn")
        rates = self._turn.rates(self._clock())
        if scenario not in rates:
            raise PlanError(f"no scenario {scenario!r}")
        if not 0 <= rate <= HIGHEST_RATE:
            raise PlanError(f"a rate is from 0 to {HIGHEST_RATE:,.0f}/s, got {rate:g}")
        if self.plan.load.max_rate is not None:
            others = sum(own for name, own in rates.items() if name != scenario)
            rate = min(rate, max(0.0, self.plan.load.max_rate - others))
        self._set_rates({**rates, scenario: rate}, self._clock())
        return rate

    def pause(self) -> None:
        """Stop all firing at once, and any ramp where it is; open requests run out."""
        if self._firing:
            self._firing = False
            now = self._clock()
            self._turn = steady(self._turn.rates(now), now)
            self._send_rates()
            self._event("pause", "firing stopped")

    def resume(self) -> None:
        """Fire again at the rates that were set, without making up for the pause."""
        if not self._firing:
            self._firing = True
            self._turn = replace(self._turn, at=self._clock())
            self._send_rates()
            self._event("resume", "firing resumed")

    def mark(self, text: str) -> None:
        """Put a note on the timeline; it labels what follows and opens a new step."""
        self._ticker.mark(self.elapsed, text)
        self._event("mark", text)

    def set_groups(self, host: str, groups: tuple[Group, ...]) -> None:
        """Follow these process groups of `host` from the next frame on."""
        self.plan = config.regrouped(self.plan, host, groups)
        self._ticker.set_groups(host, groups)
        self._event("groups", ", ".join(group.name for group in groups) or "none", host)

    async def export(self) -> str:
        """Write the session so far as CSV files beside it; returns the directory."""
        return str(await asyncio.to_thread(export_beside, self._session))

    def _set_rates(self, rates: Mapping[str, float], at: float, over: float = 0.0) -> None:
        before = self._turn.rates(at)
        changed = {name: rate for name, rate in rates.items() if rate != before[name]}
        if not changed and not self._turn.over:
            return
        self._turn = Turn(at, before, rates, over)
        self._send_rates()
        if changed:
            told = ", ".join(f"{name} {rate:g}/s" for name, rate in changed.items())
            self._event("rate", f"{told} within {over:g} s" if over else told)

    def _begin_rates(self) -> None:
        """The first rates: a ramp goes up from what it finds."""
        turn = self._turn
        if turn.over:
            self._turn = steady(turn.before, turn.at)
            self._send_rates()
            self._turn = turn
        self._send_rates()

    def _send_rates(self) -> None:
        if self._origin is None:
            return  # sent as soon as firing begins
        turn = self._turn
        # A closed loop has no rates: anything but 0 lets it go on.
        asked = dict.fromkeys(turn.after, 1.0) if self._closed else turn.after
        rates = asked if self._firing else dict.fromkeys(turn.after, 0.0)
        over = turn.over if self._firing else 0.0
        self._fleet.set_rates(turn.at, list(rates.values()), over)
        told = {} if self._closed and self._firing else rates
        self._ticker.rates(turn.at - self._origin, told, over)

    @property
    def judged(self) -> Summary:
        """What the verdict is on: the last step that is long enough to tell, else all."""
        steps = [s for s in self.history.steps if len(s.open_requests) >= JUDGED_SECONDS]
        return steps[-1] if steps else self.history.total

    def result(self) -> dict[str, Any]:
        """The run so far as the object that `run --json` prints."""
        duration = self.elapsed if self.duration is None else self.duration
        return result(
            self.history.total,
            judged=self.judged,
            steps=self.history.steps,
            signs=self.plan.verdict,
            duration=min(duration, self.elapsed),
            hosts=self._hosts.statuses,
            reasons=self.reasons,
            warnings=self.warnings,
            closed=self._closed,
            session=str(self._session),
            outcomes=self.outcomes,
        )
