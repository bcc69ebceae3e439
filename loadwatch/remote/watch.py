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
from loadwatch.remote.clock import Clock
from loadwatch.remote.lane import Direct, Lane, Source
from loadwatch.remote.link import Link, LinkError, Stream
from loadwatch.remote.probe import Probe
from loadwatch.remote.pulse import SILENCE, Pulse
from loadwatch.remote.spool import BYE, Spool
from loadwatch.remote.strand import Strand

TURN = 0.1
"""Seconds at most between two looks at what is due."""

QUEUE = 64
"""Chunks that wait; a stream that is faster than we are has to wait itself."""

STALL = 1.0
"""Seconds between two looks after which we were held up ourselves, and judge nobody."""

PARTING = 2.0
"""Seconds that a server has to take our leave."""

FAREWELL = 5.0
"""Seconds that a reader has to notice the end."""

Now = Callable[[], float]
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

    def __init__(self, name: str, stream: Stream, inbox: queue.Queue[Arrival], now: Now) -> None:
        super().__init__(name=name, daemon=True)
        self.stream = stream
        self._inbox = inbox
        self._now = now

    def run(self) -> None:
        """Hand over everything that comes."""
        data: bytes | None = None
        while data != b"":
            try:
                data = self.stream.read(0.5)
            except Exception as failure:
                loss = failure if isinstance(failure, LinkError) else LinkError(repr(failure))
                self._inbox.put(Arrival(self, b"", self._now(), loss))
                return
            if data is not None:
                self._inbox.put(Arrival(self, data, self._now()))


class Watch:
    """The lanes of one host over one link, and its pulse.

    `deliver` takes readings, `report` how things stand, `notice` what belongs on the timeline. What
    is known of the host beyond one link is in `clock`, and in `spool` if there is one.
    """

    def __init__(
        self,
        host: Host,
        probes: Iterable[Probe],
        link: Link,
        now: Now,
        deliver: Callable[[Reading], None],
        report: Report,
        notice: Callable[[str], None],
        clock: Clock,
        spool: Spool | None = None,
    ) -> None:
        self._host = host
        self._link = link
        self._now = now
        self._deliver = deliver
        self._report = report
        self._notice = notice
        self._spool = spool
        probes = tuple(probes)
        if spool is not None:
            spool.connect(probes)
        self.lanes = [Lane(probe, host, self._source) for probe in probes]
        self._pulse = Pulse(host, clock, spool, lambda: link.traffic)
        self._inbox: queue.Queue[Arrival] = queue.Queue(QUEUE)
        self._readers: dict[Strand, Reader] = {}
        self._threads: list[Reader] = []
        self._turned = now()

    def run(self, stopping: threading.Event) -> None:
        """Watch until `stopping`; LinkError when the link is lost, HostError if no probe runs."""
        try:
            while not stopping.is_set():
                self._attend()
                pauses = [lane.pause(self._now()) for lane in self.lanes]
                try:
                    self._handle(self._inbox.get(timeout=min(TURN, *pauses)))
                except queue.Empty:
                    pass
                if self._inbox.empty():  # else what is late may be late by our own fault
                    self._judge()
            self._leave()
        finally:
            self._close()

    @property
    def _strands(self) -> list[Strand]:
        """In the order in which they are started: a server may allow only so many sessions."""
        if self._spool is None:
            return [*self.lanes, self._pulse]
        return [self._pulse, *self.lanes] if self._spool.settled else [self._pulse]

    def _source(self, probe: Probe) -> Source:
        if self._spool is not None and self._spool.ready:
            return self._spool.track(probe)
        return Direct(probe, self._host)

    def _attend(self) -> None:
        """Start what is due, keep the guards' leases, finish bursts."""
        for strand in self._strands:
            if strand.is_due(self._now()):
                self._open(strand)
            if beat := strand.beat(self._now()):
                self._write(strand, beat)
        for lane in self.lanes:
            self._publish(lane, lane.settle(self._now()))

    def _write(self, strand: Strand, data: bytes) -> None:
        try:
            self._readers[strand].stream.write(data)
        except (OSError, LinkError):
            pass  # its reader will tell how it ended

    def _open(self, strand: Strand) -> None:
        try:
            stream = self._link.open(strand.open(self._now()))
        except LinkError:
            raise
        except HostError as refusal:
            strand.refuse(str(refusal))
            return
        reader = Reader(f"{self._host.name} {strand.name}", stream, self._inbox, self._now)
        self._readers[strand] = reader
        self._threads = [*(thread for thread in self._threads if thread.is_alive()), reader]
        reader.start()

    def _handle(self, arrival: Arrival) -> None:
        if arrival.loss is not None:
            raise arrival.loss
        for strand, reader in self._readers.items():
            if reader is not arrival.reader or not strand.is_open:
                continue
            if arrival.data:
                self._publish(strand, strand.receive(arrival.data, arrival.at))
            else:
                self._publish(strand, strand.end(reader.stream.complaints, arrival.at))
                reader.stream.close()  # its guard need not wait for its lease to end
                self._check_spool(strand)

    def _publish(self, strand: Strand, readings: Iterable[Reading]) -> None:
        for reading in readings:
            self._deliver(reading)
        while strand.remarks:
            self._notice(strand.remarks.pop(0))

    def _judge(self) -> None:
        """Close what is overdue; tell how things stand."""
        at, before, self._turned = self._now(), self._turned, self._now()
        if at - before > STALL:
            return
        active = [lane for lane in self.lanes if not lane.given_up]
        if not active:
            raise HostError(self._problems())
        self._check_life(at, active)
        for strand in (self._pulse, *active):
            reason = strand.overdue(at)
            if reason is not None:
                self._readers[strand].stream.close()
                strand.abandon(reason, at)
                if reason:
                    self._check_spool(strand)
        delivering = tuple(lane.name for lane in active if lane.seen and lane.is_open)
        silent = [lane.name for lane in active if lane.is_silent(at)]
        problems = self._problems()
        is_held_up = self._spool is not None and not self._spool.settled and self._pulse.problem
        if silent or is_held_up:
            self._report("silent", problems or f"no reading from {', '.join(silent)}", delivering)
        elif delivering:
            self._report("live", problems, delivering)

    def _problems(self) -> str:
        problems = (strand.problem for strand in (*self.lanes, self._pulse) if strand.problem)
        return "; ".join(dict.fromkeys(problems))

    def _check_life(self, at: float, active: list[Lane]) -> None:
        """LinkError if the peer is dead: it neither answers nor sends anything else."""
        heard = max(strand.last_byte for strand in (self._pulse, *self.lanes))
        if self._pulse.is_dead(at) and at - heard > SILENCE:
            raise LinkError("the host fell silent")
        opened = [lane for lane in active if lane.is_open]
        if opened and all(lane.is_dead(at) for lane in opened) and not self._pulse.is_open:
            raise LinkError("the host fell silent")

    def _check_spool(self, strand: Strand) -> None:
        """LinkError if what the spool feeds has ended: over a new link it goes on, or begins anew.

        A tool that never worked is left alone.
        """
        spool = self._spool
        if spool is None or not spool.ready or not strand.seen:
            return
        if spool.is_spent(strand.name):
            self._write(self._pulse, BYE)
            spool.forget()
        raise LinkError(strand.problem)

    def _leave(self) -> None:
        """Let the server end what outlives connections."""
        if self._spool is not None and self._pulse in self._readers:
            self._write(self._pulse, BYE)
            self._join(self._readers[self._pulse], PARTING)

    def _close(self) -> None:
        for reader in self._readers.values():
            reader.stream.close()
        self._link.close()
        for reader in self._threads:
            self._join(reader, FAREWELL)

    def _join(self, reader: Reader, seconds: float) -> None:
        """Wait for a reader's end, making room for what it still hands over."""
        for _ in range(round(seconds / 0.02)):
            while not self._inbox.empty():
                self._inbox.get()
            reader.join(0.02)
            if not reader.is_alive():
                return
