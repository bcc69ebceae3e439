"""N worker processes as one generator: spawn, share out, command, notice a death."""

from __future__ import annotations

import asyncio
import math
import os
import sys
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING

from loadwatch.core.bucket import Bucket
from loadwatch.core.errors import GeneratorError, PlanError
from loadwatch.core.plan import Plan
from loadwatch.load import messages
from loadwatch.load.data import ensure_supply, tables
from loadwatch.load.fields import scenario_job
from loadwatch.load.sessions import Progress, acting, login_job

if TYPE_CHECKING:
    from loadwatch.load.renewal import Renewal

STARTUP = 20.0
"""Seconds that a worker may take until it is ready."""

RATE_PER_WORKER = 20_000
"""Requests per second that one worker fires with ease."""

STDERR_TAIL = 2000
"""Bytes kept of what a dying worker says."""

STUCK = 10
"""Seconds in a row that a worker may leave unreported before it is given up."""


class Fleet:
    """The load workers of one run. All methods belong to the event loop that started it.

    `on_bucket` gets every worker's every second; `on_death` one line when a worker is gone without
    having been asked to go. `duration` is how long it will fire, where that is known (seconds).
    """

    def __init__(
        self,
        plan: Plan,
        on_bucket: Callable[[Bucket], None],
        on_death: Callable[[str], None],
        duration: float | None = None,
    ) -> None:
        self._plan = plan
        self._on_bucket = on_bucket
        self._on_death = on_death
        self._duration = duration
        self._workers: list[_Process] = []
        self.sessions: Sequence[str] | None = None
        self._renewal: Renewal | None = None
        self._closing = False
        self._missed: dict[int, int] = {}
        self._ends: list[float] = []

    @property
    def alive(self) -> frozenset[int]:
        """The workers that still report."""
        return frozenset(w.number for w in self._workers if not w.gone and not w.done)

    @property
    def done(self) -> bool:
        """Whether every worker that lives has fired all and has nothing open."""
        return not self.alive

    @property
    def fired_until(self) -> float:
        """When firing ended (monotonic clock), once all is done.

        Where a number of requests ended it: an open loop when the next one of all would have been
        due, a closed loop with its last answer.
        """
        closed = self._plan.load.connections is not None
        return (max if closed else min)(self._ends, default=0.0)

    async def log_in(self, progress: Progress, tell: Callable[[str], None]) -> None:
        """Log in the users of the plan's data, before `start`, and again when sessions expire.

        `tell` gets a line of what became of it. PlanError for the first one who is not let in.
        """
        # They load httpx, which a run without logins does not wait for.
        from loadwatch.load.login import log_in
        from loadwatch.load.renewal import Renewal

        (job, *_) = await asyncio.to_thread(share_out, self._plan)
        self.sessions = await log_in(self._plan, job, progress)
        self._renewal = Renewal(self._plan, job, self._renewed, tell)
        tell(f"{len(self.sessions)} users have logged in")

    def _renewed(self, row: int, session: str) -> None:
        self._send(messages.Renewed(row, session))

    async def start(self) -> None:
        """Spawn the workers and wait until each has rendered its requests.

        PlanError where a request cannot be built or data would not do, GeneratorError where a
        worker does not start.
        """
        try:
            for job in await asyncio.to_thread(self._jobs):
                self._workers.append(await _Process.spawn(job.worker, self._report, self._lost))
                self._workers[-1].send(job)
            async with asyncio.timeout(STARTUP):
                for worker in self._workers:
                    await worker.ready
        except TimeoutError:
            await self.close()
            raise GeneratorError(f"a load worker was not ready within {STARTUP:.0f} s") from None
        except BaseException:
            await self.close()
            raise

    def _jobs(self) -> list[messages.Job]:
        jobs = share_out(self._plan, self.sessions)
        for table in jobs[0].data:
            ensure_supply(acting(self._plan), table, self._duration)
        return jobs

    def begin(self, at: float) -> None:
        """Second 0 begins at `at` (monotonic clock)."""
        self._send(messages.Begin(at))

    def set_rates(self, at: float, rates: Sequence[float], over: float = 0.0) -> None:
        """The scenarios' whole rates (1/s) from `at`, linearly within `over` seconds; 0 holds."""
        self._send(messages.Rates(at, list(rates), float(over)))

    def finish(self, at: float) -> None:
        """Fire nothing that is due at `at` or later; open requests run out."""
        self._send(messages.Finish(at))

    def look_after(self, late: Collection[int]) -> str:
        """Give up workers that have been late for too long, second by second; who is, in words."""
        self._missed = {number: self._missed.get(number, 0) + 1 for number in late}
        for worker in self._workers:
            if self._missed.get(worker.number, 0) >= STUCK:
                worker.process.kill()
        names = ", ".join(str(number + 1) for number in sorted(late))
        return f"load worker {names} did not report in time" if late else ""

    async def close(self) -> None:
        """End every worker, whatever it does; nothing of it is left when this returns."""
        self._closing = True
        if self._renewal is not None:
            await self._renewal.close()
        await asyncio.gather(*(worker.close() for worker in self._workers))

    def _send(self, message: messages.Command) -> None:
        for worker in self._workers:
            worker.send(message)

    def _report(self, worker: _Process, report: messages.Report) -> None:
        match report:
            case messages.Ready():
                if not worker.ready.done():  # whoever waited may have given up
                    worker.ready.set_result(None)
            case messages.Failed():
                if not worker.ready.done():
                    worker.ready.set_exception(PlanError(report.reason))
            case messages.Expired():
                if self._renewal is not None:
                    self._renewal.expired(report.row)
            case messages.Second():
                self._on_bucket(report.bucket)
            case messages.Done():
                worker.done = True
                self._ends.append(report.until)

    def _lost(self, worker: _Process, reason: str) -> None:
        if not worker.ready.done():
            worker.ready.set_exception(GeneratorError(f"a load worker did not start: {reason}"))
        elif not self._closing and not worker.done:
            self._on_death(f"load worker {worker.number + 1} died: {reason}")


def share_out(plan: Plan, sessions: Sequence[str] | None = None) -> list[messages.Job]:
    """The plan as one job per worker: open requests, connections and request counts divided.

    `sessions` are what came of the logins (`load.login`).

    The rates are not divided: workers interleave on one schedule, and on the rows of the data.
    PlanError for data that is not there.
    """
    plan = acting(plan)
    load, workers = plan.load, workers_of(plan)
    scenarios = [scenario_job(scenario, plan.target) for scenario in plan.scenarios]
    data = tables(plan, sessions)

    def part(total: int, worker: int) -> int:
        return total // workers + (worker < total % workers)

    return [
        messages.Job(
            worker=worker,
            workers=workers,
            url=plan.target.url,
            timeout=float(plan.target.timeout),
            verify=plan.target.verify,
            arrival=load.arrival,
            seed=load.seed,
            max_in_flight=part(load.max_in_flight, worker),
            keep_alive=load.keep_alive,
            scenarios=scenarios,
            connections=None if load.connections is None else part(load.connections, worker),
            requests=None if load.requests is None else part(load.requests, worker),
            ca=plan.target.ca,
            engine=load.engine,
            http2=load.http2,
            proxy=load.proxy,
            data=data,
            login=login_job(plan),
            server_timing=list(plan.target.server_timing),
            compression=load.compression,
            revalidate=load.revalidate,
        )
        for worker in range(workers)
    ]


def workers_of(plan: Plan) -> int:
    """How many workers the plan takes: as it says, or what its rates need; none without a share."""
    load = plan.load
    workers = _needed(plan) if load.workers == "auto" else load.workers
    shared = (load.connections, load.requests, load.max_in_flight)
    return min(workers, *(number for number in shared if number is not None))


def _needed(plan: Plan) -> int:
    """Workers for the plan's rates, leaving a core to whatever else runs; one for a closed loop."""
    if plan.load.connections is not None:
        return 1
    scale = max([1.0, *(stage.scale for stage in plan.stages)])
    rate = sum(scenario.rate * max(1, len(scenario.steps)) for scenario in plan.scenarios) * scale
    return max(1, min((os.cpu_count() or 1) - 1, math.ceil(rate / RATE_PER_WORKER)))


class _Process:
    """One worker process and the two tasks that listen to it."""

    def __init__(self, number: int, process: asyncio.subprocess.Process) -> None:
        self.number = number
        self.process = process
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.done = False
        self.gone = False
        self._listening: asyncio.Task[None] | None = None

    @classmethod
    async def spawn(
        cls,
        number: int,
        on_report: Callable[[_Process, messages.Report], None],
        on_lost: Callable[[_Process, str], None],
    ) -> _Process:
        """Start a worker in a process group of its own, so that a Ctrl-C reaches only us."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "loadwatch.load.worker",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            process_group=0,
        )
        worker = cls(number, process)
        worker._listening = asyncio.create_task(worker._listen(on_report, on_lost))
        return worker

    def send(self, message: messages.Command) -> None:
        """Put a command into the pipe; a dead worker's is dropped."""
        assert self.process.stdin is not None
        if not self.gone:
            self.process.stdin.write(messages.encode(message))

    async def close(self) -> None:
        """Close its stdin, which ends it within a second; kill it if it is stuck."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        try:
            async with asyncio.timeout(2):
                await self.process.wait()
        except TimeoutError:
            self.process.kill()
        if self._listening is not None:
            await self._listening
        if self.ready.done() and not self.ready.cancelled():
            self.ready.exception()  # seen, even if nobody asked

    async def _listen(
        self,
        on_report: Callable[[_Process, messages.Report], None],
        on_lost: Callable[[_Process, str], None],
    ) -> None:
        assert self.process.stdout is not None and self.process.stderr is not None
        said = asyncio.create_task(_tail(self.process.stderr))
        splitter = messages.Splitter()
        try:
            while data := await self.process.stdout.read(65536):
                for body in splitter.feed(data):
                    on_report(self, messages.decode_report(body))
        except Exception as error:
            self.process.kill()  # what it says is not to be understood
            said.cancel()
            self.gone = True
            on_lost(self, f"internal error: {error!r}")
            return
        code = await self.process.wait()
        self.gone = True
        lines = (await said).decode(errors="replace").strip().splitlines()
        cause = f"signal {-code}" if code < 0 else f"exit code {code}"
        on_lost(self, f"{cause}, {lines[-1]}" if lines else cause)


async def _tail(stream: asyncio.StreamReader) -> bytes:
    """Read `stream` to its end, so that it never blocks the writer; keep the last bytes."""
    tail = b""
    while data := await stream.read(4096):
        tail = (tail + data)[-STDERR_TAIL:]
    return tail
