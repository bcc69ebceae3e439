"""The worker processes, and the bounded queue before them."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import cast

from loadwatch.demo.exchange import Request, frame, refusal, take
from loadwatch.demo.worker import Settings

STARTUP = 20.0
"""Seconds that the workers may take until they are ready."""

RETRY = 1.0
"""Seconds until a worker is replaced that did not live to be ready."""

ENDING = 0.5
"""Seconds that workers have to end by themselves."""


class PoolError(Exception):
    """The workers did not start."""


@dataclass(slots=True, eq=False)
class Job:
    """A request on its way, from `since` on; `answer` takes the whole response."""

    request: Request
    answer: Callable[[bytes], None]
    since: float = field(default_factory=time.perf_counter)

    def refusal(self, status: HTTPStatus) -> bytes:
        """The response where no worker gives one."""
        request = self.request
        return refusal(status).encode(request.keep_alive, request.method == "HEAD")


class Worker(asyncio.Protocol):
    """One worker process of `pool`, seen from the front: does one job at a time.

    `gone` is done when the process is dead or dying.
    """

    def __init__(self, pool: Pool) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            # In a process group of its own, so that a Ctrl-C reaches only the front.
            command = [sys.executable, "-m", "loadwatch.demo.worker"]
            self.process = subprocess.Popen(command, stdin=theirs.fileno(), process_group=0)
        self.ready = False
        self.gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._pool = pool
        self._channel = ours
        self._buffer = bytearray()
        self._job: Job | None = None
        self._transport: asyncio.Transport | None = None

    async def connect(self) -> None:
        """Open the channel."""
        loop = asyncio.get_running_loop()
        await loop.create_connection(lambda: self, sock=self._channel)

    def send(self, job: Job) -> None:
        """Let the worker do `job`; it must be free."""
        self._job = job
        request = job.request._replace(queued=time.perf_counter() - job.since)
        self._write(request.encode())

    def _write(self, body: bytes) -> None:
        assert self._transport is not None
        self._transport.write(frame(body))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio: the channel is open."""
        self._transport = cast(asyncio.Transport, transport)
        self._write(json.dumps(self._pool.settings).encode())

    def data_received(self, data: bytes) -> None:
        """asyncio: part of an answer or, before any job, of the word that it is ready."""
        self._buffer += data
        if (body := take(self._buffer)) is None:
            return
        job, self._job = self._job, None
        self.ready = True
        self._pool.free(self)  # first: its next job need not wait while this answer is written
        if job is not None:
            job.answer(body)

    def connection_lost(self, error: Exception | None) -> None:
        """asyncio: the worker died, or `hang_up` was called."""
        job, self._job = self._job, None
        self._pool.lost(self)
        if not self.gone.done():  # or the pool ends, and nobody waits for it any more
            self.gone.set_result(None)
        if job is not None:
            job.answer(job.refusal(HTTPStatus.BAD_GATEWAY))

    def hang_up(self) -> None:
        """Close the channel, upon which the worker ends."""
        if self._transport is not None:
            self._transport.abort()
        else:
            self._channel.close()

    def end(self, patience: float) -> None:
        """Wait for the process, which is ending; kill it when `patience` (seconds) is over."""
        try:
            self.process.wait(patience)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Pool:
    """`size` workers. A job that finds none free waits in a queue of at most `depth`."""

    def __init__(self, settings: Settings, size: int, depth: int) -> None:
        self.settings = settings
        self._size = size
        self._depth = depth
        self._workers: set[Worker] = set()
        self._free: deque[Worker] = deque()
        self._queue: deque[Job] = deque()
        self._places: list[asyncio.Task[None]] = []
        self._up: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def pids(self) -> list[int]:
        """The workers' process ids."""
        return sorted(worker.process.pid for worker in self._workers)

    async def start(self) -> None:
        """Start all workers; PoolError if one dies, or is not ready in time."""
        self._places = [asyncio.create_task(self._keep_place()) for _ in range(self._size)]
        try:
            async with asyncio.timeout(STARTUP):
                await self._up
        except TimeoutError:
            raise PoolError(f"a worker was not ready within {STARTUP:.0f} s") from None

    def submit(self, job: Job) -> bool:
        """Take `job`; False, at once, if the queue is full."""
        if self._free:
            self._free.popleft().send(job)
        elif len(self._queue) < self._depth:
            self._queue.append(job)
        else:
            return False
        return True

    def withdraw(self, job: Job) -> None:
        """Nobody waits for `job` any more: it leaves the queue, if it is still there."""
        if job in self._queue:
            self._queue.remove(job)

    def free(self, worker: Worker) -> None:
        """`worker` has nothing to do: it gets what has waited longest."""
        if self._queue:
            worker.send(self._queue.popleft())
            return
        self._free.append(worker)
        if len(self._free) == self._size and not self._up.done():
            self._up.set_result(None)

    def lost(self, worker: Worker) -> None:
        """`worker` takes no more jobs."""
        self._workers.discard(worker)
        if worker in self._free:
            self._free.remove(worker)

    async def close(self) -> None:
        """End all workers, and wait until they are gone."""
        for place in self._places:
            place.cancel()
        await asyncio.gather(*self._places, return_exceptions=True)
        deadline = time.monotonic() + ENDING
        workers = tuple(self._workers)
        for worker in workers:
            worker.hang_up()
        await asyncio.sleep(0)  # the transports close on the loop's next turn
        for worker in workers:
            worker.end(max(0.0, deadline - time.monotonic()))

    async def _keep_place(self) -> None:
        """See to it that a worker runs: when one is gone, start another."""
        while True:
            if not await self._run_worker():
                if not self._up.done():
                    self._up.set_exception(PoolError("a worker did not start"))
                await asyncio.sleep(RETRY)

    async def _run_worker(self) -> bool:
        """A worker from its start to its end; whether it ever was ready."""
        try:
            worker = Worker(self)
        except OSError:
            return False
        self._workers.add(worker)
        await worker.connect()
        await worker.gone
        worker.end(ENDING)
        return worker.ready
