"""Run: the one composer. Fleet and monitors -> ticker -> bus; no screen. Implements `Controls`.

All methods belong to the event loop that started the run.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from loadwatch import config
from loadwatch.acting import Acting
from loadwatch.analysis.answers import Answers
from loadwatch.analysis.result import result
from loadwatch.analysis.thresholds import Outcome, parse
from loadwatch.analysis.windows import Watcher
from loadwatch.core.action import Done
from loadwatch.core.asking import Asker
from loadwatch.core.bus import TickBus
from loadwatch.core.controls import OVER, RunStatus, Trial
from loadwatch.core.errors import PlanError
from loadwatch.core.history import History
from loadwatch.core.limit import Goal
from loadwatch.core.plan import Group, Plan, Value
from loadwatch.core.reading import Reading
from loadwatch.core.tick import Event, EventKind
from loadwatch.core.ticker import Ticker
from loadwatch.load.fleet import Fleet, workers_of
from loadwatch.load.health import Health, Limits
from loadwatch.load.sessions import Progress, ignored
from loadwatch.recorded import meta_of
from loadwatch.searching import Searching
from loadwatch.session import Recorder, export_beside
from loadwatch.turning import Turning
from loadwatch.watching import Watching, catalogue

LEAD = 0.05
"""Seconds between the command to begin and second 0, so that every worker hears it before."""

GRACE = 0.3
"""Seconds that a second stays open for readings that arrived in it but are still being parsed."""

PATIENCE = 1.0
"""Seconds after its end that a second waits for a late worker."""


class Run:
    """One run of a plan, from the first spawned worker to the closed session file.

    `plan` is as written (it is recorded). Firing ends after `duration` seconds, or when told; an
    `endless` run goes on watching then. The session file is created here: SessionError if it exists
    already. `searching` has its searches for the limit.
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
        self.plan, self.duration = plan, duration
        self._endless = endless
        self.catalogue = catalogue()
        self.bus = TickBus(self._listener_failed)
        self.history = History()
        self.bus.subscribe(self.history.add)
        self._filled = config.fill_in(plan)
        self._clock, self._wall = clock, wall
        self._origin: float | None = None
        self._turning = Turning(plan, clock, self._fire, self._event)
        self._closed = plan.load.connections is not None
        self._problem = self._unrecorded = ""
        self._deaths: list[str] = []
        self._trials: tuple[Trial, ...] = ()
        self._health = Health(plan, workers_of(plan), Limits.here())
        self._ticker = Ticker(self._turning.rates, plan.hosts, self._health.live)
        self._fleet = Fleet(self._filled, self._ticker.bucket, self._worker_died, duration)
        self._hosts = Watching(plan.hosts, self._observed, self._event)
        self._acting = Acting(self._filled, self._hosts.perform, self._event, self.mark, clock)
        self._session = session
        self._ticking: asyncio.Task[None] | None = None
        self._staging: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self.thresholds = parse(plan, self.catalogue)
        self._watcher = Watcher(self.thresholds, self.history.total, self._abort)
        self.bus.subscribe(self._watcher.add)
        self._recorder = Recorder(
            session, meta_of(plan, duration), self.catalogue, on_turn=self._recording_turned
        )
        self.bus.subscribe(self._recorder.add)
        self.searching = Searching(
            plan, self.thresholds.rules, self._health.reasons,
            turn=self._turning.set, tell=self._event, on_end=self._searched,
        )  # fmt: skip
        self._goal = self.searching.goal()
        self.bus.subscribe(self.searching.add)
        self._answers = Answers(self._turning.rates, partial(self._event, "answer"))
        self.bus.subscribe(self._answers.add)

    async def start(
        self, asker: Asker | None = None, hosts_first: bool = False, dry: bool = False,
        on_login: Progress = ignored,
    ) -> None:  # fmt: skip
        """Spawn the workers, start the monitors, log in, begin firing.

        With `hosts_first` firing waits until every host is watched: HostError for the first one
        that cannot be. Otherwise neither waits for the other. With `dry` a request of each scenario
        is tried before. `asker` is asked for secrets, `on_login` told how many of how many users
        have logged in.
        """
        self._loop = asyncio.get_running_loop()
        self._hosts.start(asker)
        if self._filled.login is not None:
            await self._fleet.log_in(on_login, partial(self._event, "answer"))
        await asyncio.gather(self._fleet.start(), *([self._try_out()] if dry else []))
        if hosts_first:
            await self._hosts.live()
        self._origin = self._clock() + LEAD
        self._ticker.start = self._wall() + LEAD
        self._fleet.begin(self._origin)
        self._turning.begin(self._origin)
        self._event("start", f"firing at {self.plan.target.url}")
        for warning in self._health.foreseen():
            self._event("generator", warning)
        if self.duration is not None:
            self._fleet.finish(self._origin + self.duration)
        if self.plan.stages:
            self._staging = asyncio.create_task(self._turning.follow_stages(self._origin))
        self._ticking = asyncio.create_task(self._tick())
        self._ticking.add_done_callback(self._ticked_out)

    async def _try_out(self) -> None:
        """One request per scenario, in a thread: httpx takes its time to load."""
        from loadwatch.load.dry import try_out

        self._trials = await asyncio.to_thread(try_out, self._filled, self._fleet.sessions)
        for trial in self._trials:
            self._event("answer", f"{trial.scenario}, tried before the start: {trial.text}")

    def finish(self) -> None:
        """Stop firing now; open requests run out, then `wait` returns."""
        self._endless = False
        self.searching.stop()
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
            if words := self._fleet.look_after(self._late()):
                self._event("worker", words)
            self._note_end()
            self.bus.publish(self._ticker.close())
        self._note_end()
        while self._ticker.pending:
            self.bus.publish(self._ticker.close())
        self.history.total.duration = self.duration

    def _note_end(self) -> None:
        """Where a number of requests ends the firing, nobody knew before when that would be."""
        if self._origin is not None and self.duration is None and self._fleet.done:
            until = self._fleet.fired_until or self._clock()  # where all died, nobody told
            self.duration = max(0.0, until - self._origin)

    def _ticked_out(self, ticking: asyncio.Task[None]) -> None:
        """The ticking is over; a bug of ours in it must not pass for the end of a run."""
        if not ticking.cancelled() and (bug := ticking.exception()) is not None:
            self._trouble(f"internal error: {bug!r}")

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
    def ended(self) -> float | None:
        """Seconds after the start at which firing was over for good; None while it may go on."""
        is_over = self.began and self.duration is not None and self.elapsed >= self.duration
        return self.duration if is_over else None

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why the result is invalid because of the generator; empty where it kept up."""
        searching = self.searching
        return (*self._deaths, *self._health.reasons(searching.apart), *searching.reasons)

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
            rates=self._turning.rates,
            firing=self._turning.firing and self.ended is None,
            connections=self.plan.load.connections,
            max_rate=self.plan.load.max_rate,
            elapsed=self.elapsed,
            hosts=self._hosts.statuses,
            recording=str(self._session),
            reasons=self.reasons,
            warnings=(*self.warnings, *self._answers.warnings),
            problem=self._problem or self._unrecorded,
            groups={host.name: host.groups for host in self.plan.hosts},
            trials=self._trials,
            signs=self.plan.verdict,
            search=self.searching.status,
            goal=self._goal,
            ended=self.ended,
            actions={host.name: host.actions for host in self.plan.hosts if host.actions},
        )

    def set_rate(self, scenario: str, rate: float) -> float:
        """Ask for `rate` (1/s) of `scenario`; returns what it became under the plan's ceiling."""
        self._ensure_firing()
        self.searching.stop()
        return self._turning.set_one(scenario, rate)

    def find_limit(self, goal: Goal | None = None) -> None:
        """Search for the limit from now on; without an end, the run is over with the search."""
        self._ensure_firing()
        self.searching.begin(goal or self._goal, self._turning.rates)

    async def searched(self) -> None:
        """Return when the search is over, or the run."""
        over = asyncio.create_task(self.searching.over.wait())
        await asyncio.wait({over, self._ticking or over}, return_when=asyncio.FIRST_COMPLETED)
        over.cancel()

    def _ensure_firing(self) -> None:
        if self.ended is not None:
            raise PlanError(OVER)

    def _searched(self) -> None:
        self._recorder.keep(limits=list(self.searching.found))
        if not self._endless:
            self.finish()

    def pause(self) -> None:
        """Stop all firing at once, a search for the limit too; open requests run out."""
        if self.ended is None:
            self._turning.pause()
        self.searching.stop()

    def resume(self) -> None:
        """Fire again at the rates that were set, without making up for the pause."""
        if self.ended is None:
            self._turning.resume()

    def mark(self, text: str) -> None:
        """Put a note on the timeline; it labels what follows and opens a new step."""
        self._ticker.mark(self.elapsed, text)
        self._event("mark", text)

    async def act(self, name: str, value: Value) -> Done:
        """Do one of the plan's actions, and mark what follows."""
        self.searching.ensure_over()
        return await self._acting.act(name, value)

    def set_groups(self, host: str, groups: tuple[Group, ...]) -> None:
        """Follow these process groups of `host` from the next frame on."""
        self.plan = config.regrouped(self.plan, host, groups)
        self._ticker.set_groups(host, groups)
        self._event("groups", ", ".join(group.name for group in groups) or "none", host)

    async def export(self) -> str:
        """Write the session so far as CSV files beside it; returns the directory."""
        return str(await asyncio.to_thread(export_beside, self._session))

    def _fire(
        self, at: float, rates: Mapping[str, float], told: Mapping[str, float], over: float
    ) -> None:
        """Rates take effect."""
        assert self._origin is not None
        self._fleet.set_rates(at, list(rates.values()), over)
        self._ticker.rates(at - self._origin, told, over)

    def result(self) -> dict[str, Any]:
        """The run so far as the object that `run --json` prints."""
        duration = self.elapsed if self.duration is None else self.duration
        return result(
            self.history.total,
            steps=self.history.steps,
            signs=self.plan.verdict,
            duration=min(duration, self.elapsed),
            hosts=self._hosts.statuses,
            reasons=self.reasons,
            warnings=self.warnings,
            closed=self._closed,
            session=str(self._session),
            outcomes=self.outcomes,
            limits=self.searching.found,
        )
