"""A load worker: a process of its own, because drawing in the same one would ruin the pacing.

`python -m loadwatch.load.worker`: commands in on stdin, reports out on stdout (`load.messages`).
EOF on stdin means that the parent is gone: firing stops and the process ends at once. The parent
may be slow or stopped; a worker never waits for it.
"""

from __future__ import annotations

import asyncio
import gc
import os
import resource
import signal
import time
import traceback
from typing import Any

from loadwatch.core.bucket import Bucket, ScenarioBucket
from loadwatch.core.errors import LoadwatchError
from loadwatch.load import messages
from loadwatch.load.arrivals import Arrivals, phases
from loadwatch.load.data import SESSION
from loadwatch.load.doorman import Doorman
from loadwatch.load.engine import engine
from loadwatch.load.generator import ClosedLoop, OpenLoop
from loadwatch.load.revalidation import Validators
from loadwatch.load.servertiming import Sample
from loadwatch.load.stream import Stream
from loadwatch.load.template import Rows
from loadwatch.load.timer import precise_timer
from loadwatch.load.visits import Visits

HEARTBEAT = 0.05
"""Seconds between looks at the event loop's lateness and at whether all is done."""

DESCRIPTORS = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
"""File descriptors that a worker may have: the hard limit."""


class Worker:
    """Fires one job from `start` (monotonic) on, and reports every second until all is done."""

    def __init__(self, task: Task, start: float, out: asyncio.WriteTransport) -> None:
        self._loop = asyncio.get_running_loop()
        self._job = task.job
        self._start = start
        self._out = out
        self._engine = task.engine
        self._streams = task.streams
        self._scenarios = task.scenarios
        self.generator = self._closed() if task.job.connections else self._open()
        self._second = 0
        self._cpu = 0.0
        self._loop_lag = 0.0
        self._done = False
        gc.collect()
        gc.freeze()  # what stands now lives as long as the process: never walk it again
        self._loop.call_at(start, self._begin)

    def _open(self) -> OpenLoop:
        job = self._job
        for index, (own, scenario) in enumerate(zip(self._scenarios, job.scenarios, strict=True)):
            first = own.streams[0] if isinstance(own, Visits) else own
            points = phases(job.arrival, job.seed, index, job.worker, job.workers)
            first.arrivals = Arrivals(points, self._start, scenario.rate)
        generator = OpenLoop(self._streams, self._engine, time.monotonic, job.requests)

        def wake() -> None:
            self._close_seconds()  # a second that is over is closed first, to count exactly
            generator.wake()

        generator.timer = precise_timer(self._loop, wake)
        return generator

    def _closed(self) -> ClosedLoop:
        job = self._job
        weights = [scenario.rate for scenario in job.scenarios]
        generator = ClosedLoop(
            self._streams, weights, self._engine, time.monotonic, job.connections or 1, job.requests
        )
        self._engine.freed = generator.freed
        return generator

    def _begin(self) -> None:
        self._cpu = time.process_time()
        self.generator.begin()
        self._loop.call_at(self._start + 1, self._second_passed)
        self._loop.call_later(HEARTBEAT, self._beat, time.monotonic() + HEARTBEAT)

    def _beat(self, due: float) -> None:
        now = time.monotonic()
        self._loop_lag = max(self._loop_lag, now - due)
        if self.generator.over and not self._engine.open and not self._visiting:
            if any(stream.busy for stream in self._streams):
                self._report(now)
            self._out.write(messages.encode(messages.Done(self.generator.until)))
            self._done = True
            return
        self._loop.call_at(now + HEARTBEAT, self._beat, now + HEARTBEAT)

    def _second_passed(self) -> None:
        self._close_seconds()
        if not self._done:
            # Not in the past, where a backlog would take every turn of the loop.
            soon = time.monotonic() + 0.001
            self._loop.call_at(max(self._start + self._second + 1, soon), self._second_passed)

    def _close_seconds(self) -> None:
        """Report every second that has passed; more than one if this process was held up."""
        now = time.monotonic()
        while self._start + self._second + 1 <= now and not self._done:
            boundary = self._start + self._second + 1
            if not self.generator.advance(boundary):
                break  # more is overdue than fits into one turn: this second is not over yet
            self._report(boundary)

    def set_rates(self, command: messages.Rates) -> None:
        """New rates (see `generator`)."""
        self._close_seconds()
        self.generator.set_rates(command.at, command.rates, command.over)

    def _report(self, now: float) -> None:
        cpu = time.process_time()
        bucket = Bucket(
            worker=self._job.worker,
            second=self._second,
            scenarios=[
                own.take({stream.name: self._take(stream, now) for stream in own.streams})
                if isinstance(own, Visits)
                else self._take(own, now)
                for own in self._scenarios
            ],
            cpu=cpu - self._cpu,
            loop_lag=self._loop_lag,
            descriptors=self._engine.connections / DESCRIPTORS,
        )
        self._second += 1
        self._cpu = cpu
        self._loop_lag = 0.0
        self._out.write(messages.encode(messages.Second(bucket)))

    @property
    def _visiting(self) -> bool:
        """Whether visits are under way."""
        return any(isinstance(own, Visits) and own.active for own in self._scenarios)

    def _take(self, stream: Stream, now: float) -> ScenarioBucket:
        bucket = stream.take()
        bucket.in_flight = len(stream.open)
        bucket.oldest = max(0.0, now - min(now, stream.oldest))
        return bucket


class Task:
    """A job with its requests ready, by scenario; PlanError for one that cannot be done.

    All that takes time is done here, before second 0.
    """

    def __init__(self, job: messages.Job) -> None:
        self.job = job
        self.rows = rows = Rows(job)
        self.doorman = doorman = _doorman(job)
        self.scenarios = [
            Visits(job, scenario, rows, time.monotonic, doorman)
            if scenario.steps
            else Stream(
                scenario.name,
                rows.requests(scenario),
                bodiless=scenario.method == "HEAD",
                timeout=scenario.timeout,
                statuses=scenario.statuses,
                checked=scenario.is_checked,
                sample=Sample(job.server_timing),
                validators=Validators() if job.revalidate else None,
                doorman=doorman,
            )
            for scenario in job.scenarios
        ]
        self.streams = [
            stream
            for own in self.scenarios
            for stream in (own.streams if isinstance(own, Visits) else [own])
        ]
        self.engine = engine(job)


def _doorman(job: messages.Job) -> Doorman | None:
    """Who notices that sessions expire, where the job has any."""
    table = next((table for table in job.data if SESSION in table.columns), None)
    if job.login is None or table is None:
        return None
    at = table.columns.index(SESSION)
    return Doorman(job.login, [row[at] for row in table.rows])


class Conversation:
    """Follows the parent's commands until it says goodbye by closing the pipe."""

    def __init__(self, out: asyncio.WriteTransport) -> None:
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._out = out
        self._splitter = messages.Splitter()
        self._task: Task | None = None
        self._worker: Worker | None = None

    def readable(self) -> None:
        """There is something on stdin, or its end."""
        data = os.read(0, 65536)
        if not data:
            if not self.over.done():
                self.over.set_result(None)
            return
        for body in self._splitter.feed(data):
            try:
                self._follow(messages.decode_command(body))
            except LoadwatchError as error:
                self._out.write(messages.encode(messages.Failed(str(error))))

    def _expired(self, row: int) -> None:
        self._out.write(messages.encode(messages.Expired(row)))

    def _follow(self, command: messages.Command) -> None:
        match command:
            case messages.Job():
                self._task = Task(command)
                if self._task.doorman is not None:
                    self._task.doorman.tell = self._expired
                self._out.write(messages.encode(messages.Ready()))
            case messages.Begin():
                assert self._task is not None
                self._worker = Worker(self._task, command.at, self._out)
            case messages.Rates():
                assert self._worker is not None
                self._worker.set_rates(command)
            case messages.Renewed():
                assert self._task is not None and self._task.doorman is not None
                self._task.rows.renew(command.row, command.session)
                self._task.doorman.renewed(command.row, command.session)
            case messages.Finish():
                assert self._worker is not None
                self._worker.generator.finish(command.at)


def _die(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """An error of ours in a callback: a worker that stumbles on would report too low numbers."""
    error = context.get("exception")
    if error is not None and not isinstance(error, OSError):
        traceback.print_exception(error)
        os._exit(1)


async def _main() -> None:
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(_die)
    # Whatever prints must not break into the reports.
    reports = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    out, _ = await loop.connect_write_pipe(asyncio.BaseProtocol, reports)
    os.set_blocking(0, False)
    conversation = Conversation(out)
    loop.add_reader(0, conversation.readable)
    await conversation.over
    # No tidy end: open sockets close with the process, and nobody listens any more.
    os._exit(0)


def main() -> None:
    """Run a worker on stdin and stdout until stdin ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when a Ctrl-C ends it
    resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS, DESCRIPTORS))
    gc.set_threshold(50_000, 20, 100)
    try:
        import uvloop
    except ImportError:
        asyncio.run(_main())
    else:
        uvloop.run(_main())


if __name__ == "__main__":
    main()
