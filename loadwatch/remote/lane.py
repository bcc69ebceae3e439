"""One probe on one host: what came, what is missing. No I/O and no clock."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from loadwatch.core.plan import Host
from loadwatch.core.reading import Reading
from loadwatch.remote.guard import command
from loadwatch.remote.probe import Probe
from loadwatch.remote.strand import NEVER, Strand

PAUSE = 0.25
"""Seconds of silence that end a burst of output."""


class Source(Protocol):
    """Where a lane's output comes from: the tool itself, or what a spool kept of it.

    `restarts`: opened anew, the tool begins anew, which may help if it hangs. `ended` is why no
    more will come though the stream is open: empty if it goes on in another one, None if more may
    come.
    """

    restarts: bool
    ended: str | None

    def begin(self) -> str:
        """The shell line that carries the output from now on."""
        ...

    def feed(self, data: bytes, at: float) -> list[Reading]:
        """The readings that `data`, arrived at `at`, completes."""
        ...

    def flush(self) -> list[Reading]:
        """The reading that silence, or the stream's end, completes."""
        ...


class Direct:
    """The tool itself, on the stream: a new tool, and a new parser, every time."""

    restarts = True
    ended: str | None = None

    def __init__(self, probe: Probe, host: Host) -> None:
        self._probe = probe
        self._host = host
        self._parser = probe.parser(host.name)

    def begin(self) -> str:
        """The line that starts the tool."""
        self._parser = self._probe.parser(self._host.name)
        return self._probe.command(self._probe.interval(self._host))

    def feed(self, data: bytes, at: float) -> list[Reading]:
        """The readings that `data`, arrived at `at`, completes."""
        return self._parser.feed(data, at)

    def flush(self) -> list[Reading]:
        """The reading that silence, or the stream's end, completes."""
        return self._parser.flush()


class Lane(Strand):
    """A probe's stream. `source` says, whenever it is opened, where the output comes from."""

    def __init__(
        self, probe: Probe, host: Host, source: Callable[[Probe], Source] | None = None
    ) -> None:
        super().__init__(probe.name, probe.tool, probe.install)
        self.interval = probe.interval(host)
        self._probe = probe
        self._choose = source or (lambda probe: Direct(probe, host))
        self._source = self._choose(probe)
        self._since: float | None = None
        self._last_reading = NEVER
        self._newest = NEVER
        self._flushed = True
        self._late = 0

    @property
    def patience(self) -> float:
        """Seconds without a byte after which a stream counts as dead."""
        if not self._source.restarts:
            return float("inf")
        return max(3 * self.interval + 2, 10.0)

    def open(self, at: float) -> str:
        """The command to start now."""
        self._since = at if self._since is None else self._since
        return super().open(at)

    def _command(self, nonce: str) -> str:
        self._source = self._choose(self._probe)
        return command(self._probe.tool, self._source.begin(), nonce)

    def _read(self, output: bytes, at: float) -> list[Reading]:
        self._flushed = False
        return self._take(self._source.feed(output, at), at)

    def pause(self, at: float) -> float:
        """Seconds until a pause will have ended the burst that came last."""
        return float("inf") if self._flushed else max(0.0, self.last_byte + PAUSE - at)

    def settle(self, at: float) -> list[Reading]:
        """The readings that a pause completes; called now and then."""
        if self.pause(at) > 0:
            return []
        self._flushed = True
        return self._take(self._source.flush(), at)

    def _take(self, readings: Iterable[Reading], at: float) -> list[Reading]:
        """Of readings of one instant, after a stall or from a hostile server, the newest."""
        taken: list[Reading] = []
        for reading in readings:
            if reading.at - self._newest >= self.interval / 10:
                taken.append(reading)
                self._newest = reading.at
            elif taken:
                taken[-1] = reading
        if taken:
            self.seen = True
            self.problem = ""
            self._last_reading = at
            self._remark_late(taken, at)
        return taken

    def _remark_late(self, taken: list[Reading], at: float) -> None:
        late = sum(at - reading.at > self._quiet for reading in taken)
        self._late += late
        if self._late and late < len(taken):
            self.remarks.append(f"{self.name}: {self._late} late readings are filled in")
            self._late = 0

    def end(self, complaints: list[str], at: float) -> list[Reading]:
        """The stream ended by itself, having written `complaints` to standard error."""
        readings = self._take(self._source.flush(), at)
        super().end(complaints, at)
        return readings

    def overdue(self, at: float) -> str | None:
        """Why the stream should be closed now; None if it should not."""
        if self.is_open and self._source.ended is not None:
            return self._source.ended
        return super().overdue(at)

    def abandon(self, reason: str, at: float) -> None:
        """The stream was closed by us because of `reason`."""
        if reason and self._source.ended:
            self.given_up = not self.seen
        super().abandon(reason, at)

    def is_silent(self, at: float) -> bool:
        """Whether there has been no reading for over 2 intervals and 1 s."""
        if self.given_up or self._since is None:
            return False
        return at - max(self._last_reading, self._since) > self._quiet

    @property
    def _quiet(self) -> float:
        return 2 * self.interval + 1
