"""Watching a host over one link: runs its lanes until the link is lost or we are stopped.

One thread reads each stream and does nothing else; it hands over what came, with the time, through
a queue that holds so much and no more. Everything else happens in the thread that calls `run`.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable
from typing import NamedTuple

from loadwatch.core.errors import HostError
from loadwatch.core.plan import Host
from loadwatch.core.reading import HostState, Reading
from loadwatch.remote.guard import BEAT
from loadwatch.remote.lane import Lane
from loadwatch.remote.link import Link, LinkError, Stream
from loadwatch.remote.probe import Probe

TURN = 0.1
"""Seconds at most between two looks at what is due."""

QUEUE = 64
"""Chunks that wait; a stream that is faster than we are has to wait itself."""

FAREWELL = 250
"""Times 20 ms that a reader has to notice the end."""

Clock = Callable[[], float]
Report = Callable[[HostState, str, tuple[str, ...]], None]
"""Takes the state, its detail, and the names of the probes that deliver."""


class Arrival(NamedTuple):
    """What a reader hands over: output at an instant, b"" for the end, or how the link was lost."""

    reader: Reader
    data: bytes
    at: float
    loss: LinkError | None = None


class Reader(threading.Thread):
    """Reads one stream to its end."""

    def __init__(
        self, name: str, stream: Stream, inbox: queue.Queue[Arrival], clock: Clock
    ) -> None:
        super().__init__(name=name, daemon=True)
        self.stream = stream
        self._inbox = inbox
        self._clock = clock

    def run(self) -> None:
        """Hand over everything that comes."""
        data: bytes | None = None
        while data != b"":
            try:
                data = self.stream.read(0.5)
            except Exception as failure:
                loss = failure if isinstance(failure, LinkError) else LinkError(repr(failure))
                self._inbox.put(Arrival(self, b"", self._clock(), loss))
                return
            if data is not None:
                self._inbox.put(Arrival(self, data, self._clock()))


class Watch:
    """The lanes of one host over one link. `deliver` takes readings, `report` how things stand."""

    def __init__(
        self,
        host: Host,
        probes: Iterable[Probe],
        link: Link,
        clock: Clock,
        deliver: Callable[[Reading], None],
        report: Report,
    ) -> None:
        self.lanes = [Lane(probe, host) for probe in probes]
        self._name = host.name
        self._link = link
        self._clock = clock
        self._deliver = deliver
        self._report = report
        self._inbox: queue.Queue[Arrival] = queue.Queue(QUEUE)
        self._readers: dict[Lane, Reader] = {}
        self._threads: list[Reader] = []

    def run(self, stopping: threading.Event) -> None:
        """Watch until `stopping`; LinkError when the link is lost, HostError if no probe runs."""
        try:
            while not stopping.is_set():
                self._attend()
                pauses = [lane.pause(self._clock()) for lane in self.lanes]
                try:
                    self._handle(self._inbox.get(timeout=min(TURN, *pauses)))
                except queue.Empty:
                    pass
                if self._inbox.empty():  # else what is late may be late by our own fault
                    self._judge()
        finally:
            self._close()

    def _attend(self) -> None:
        """Start what is due, keep the guards' leases, finish bursts."""
        for lane in self.lanes:
            if lane.is_due(self._clock()):
                self._open(lane)
            if lane.beats(self._clock()):
                try:
                    self._readers[lane].stream.write(BEAT)
                except (OSError, LinkError):
                    pass  # its reader will tell how it ended
            self._publish(lane.settle(self._clock()))

    def _open(self, lane: Lane) -> None:
        try:
            stream = self._link.open(lane.open(self._clock()))
        except LinkError:
            raise
        except HostError as refusal:
            lane.refuse(str(refusal))
            return
        reader = Reader(f"{self._name} {lane.name}", stream, self._inbox, self._clock)
        self._readers[lane] = reader
        self._threads = [*(thread for thread in self._threads if thread.is_alive()), reader]
        reader.start()

    def _handle(self, arrival: Arrival) -> None:
        if arrival.loss is not None:
            raise arrival.loss
        for lane, reader in self._readers.items():
            if reader is arrival.reader and lane.is_open:
                if arrival.data:
                    self._publish(lane.receive(arrival.data, arrival.at))
                else:
                    self._publish(lane.end(reader.stream.complaints, arrival.at))

    def _publish(self, readings: Iterable[Reading]) -> None:
        for reading in readings:
            self._deliver(reading)

    def _judge(self) -> None:
        """Close what is overdue; tell how things stand."""
        at = self._clock()
        active = [lane for lane in self.lanes if not lane.given_up]
        problems = "; ".join(dict.fromkeys(lane.problem for lane in self.lanes if lane.problem))
        if not active:
            raise HostError(problems)
        if all(lane.is_dead(at) for lane in active):
            raise LinkError("the host fell silent")
        for lane in active:
            reason = lane.overdue(at)
            if reason:
                self._readers[lane].stream.close()
                lane.abandon(reason, at)
        delivering = tuple(lane.name for lane in active if lane.seen and lane.is_open)
        silent = [lane.name for lane in active if lane.is_silent(at)]
        if silent:
            self._report("silent", problems or f"no reading from {', '.join(silent)}", delivering)
        elif delivering:
            self._report("live", problems, delivering)

    def _close(self) -> None:
        for reader in self._readers.values():
            reader.stream.close()
        self._link.close()
        for reader in self._threads:
            for _ in range(FAREWELL):
                while not self._inbox.empty():  # a reader may wait for room in it
                    self._inbox.get()
                reader.join(0.02)
                if not reader.is_alive():
                    break
