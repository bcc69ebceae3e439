"""Watches one host for as long as a run lasts, whatever happens to the connection.

Readings and status changes go to a sink, in this monitor's own thread. Nothing here ever raises
into anything else.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

from loadwatch.core.action import Done
from loadwatch.core.address import parse_address
from loadwatch.core.errors import HostError, LoadwatchError
from loadwatch.core.metric import Metric
from loadwatch.core.plan import LOCAL, Host
from loadwatch.core.reading import HostNote, HostState, HostStatus, Reading
from loadwatch.remote import pulse
from loadwatch.remote.action import perform
from loadwatch.remote.answers import Answers
from loadwatch.remote.backoff import LONGEST, backoff
from loadwatch.remote.clock import Clock
from loadwatch.remote.detection import Server, choose, detect
from loadwatch.remote.link import Link, LinkError, LoginDropError
from loadwatch.remote.local import LocalLink
from loadwatch.remote.probe import Probe
from loadwatch.remote.probes import all_probes
from loadwatch.remote.probes import host_metrics as probe_metrics
from loadwatch.remote.spool import Spool
from loadwatch.remote.text import clean
from loadwatch.remote.watch import Now, Watch

Sink = Callable[[Reading | HostStatus | HostNote], None]
Note = Callable[[str], None]
Connect = Callable[[Host, Answers, Note], Link]
Detect = Callable[[Link, tuple[Probe, ...], threading.Event], Server]


def connect(host: Host, answers: Answers, note: Note) -> Link:
    """The link that `host` asks for; `answers` asks people, `note` takes a line for them."""
    access = host.access
    if access.to == LOCAL:
        return LocalLink()
    # paramiko takes longer to load than the first screen may.
    from loadwatch.remote import connection, openssh, sshconfig

    if access.backend == "openssh":
        return openssh.connect(parse_address(access.to))
    return connection.connect(sshconfig.resolve(access.to), answers, note)


def host_metrics() -> tuple[Metric, ...]:
    """What a monitor measures, keyed relative to a host."""
    return (*probe_metrics(), *pulse.METRICS)


class HostMonitor:
    """Streams every probe of `host` into `sink`: readings, notes, a status whenever it changes.

    `answers` are what people are asked for to log in. `clock` stamps the readings (monotonic,
    seconds), `wall` is what the server's clock is compared with (Unix, seconds); `link_to`,
    `delays` and `detecting` are for tests. `server` is what the login showed of the host.
    """

    def __init__(
        self,
        host: Host,
        sink: Sink,
        answers: Answers | None = None,
        clock: Now = time.monotonic,
        wall: Now = time.time,
        link_to: Connect = connect,
        delays: Callable[[], Iterator[float]] = backoff,
        detecting: Detect = detect,
    ) -> None:
        self.status = HostStatus(host.name, "connecting")
        self.server = Server()
        self._host = host
        self._sink = sink
        self._answers = answers or Answers()
        self._noted: set[str] = set()
        self._clock = clock
        self._server_clock = Clock(wall() - clock())
        spooled = host.spool and host.access.to != LOCAL  # this machine cannot be lost
        self._spool = Spool(host, self._server_clock) if spooled else None
        self._link_to = link_to
        self._delays = delays
        self._detecting = detecting
        self._was_live = False
        self._skipped = 0
        self._connecting = False
        self._link: Link | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"host {host.name}", daemon=True)

    def start(self) -> None:
        """Begin, in a thread; returns at once."""
        self._thread.start()

    def stop(self) -> None:
        """Ask for the end; returns at once."""
        self._stopping.set()

    def join(self, timeout: float | None = None) -> bool:
        """Wait for the end, at most `timeout` seconds; whether it came.

        A connection that is just being made is not waited for: nothing of ours runs on the host,
        and its thread ends with the process.
        """
        until = float("inf") if timeout is None else time.monotonic() + timeout
        while self._thread.is_alive() and time.monotonic() < until:
            if self._connecting and self._stopping.is_set():
                break
            self._thread.join(0.02)
        return not self._thread.is_alive()

    def perform(self, command: str, timeout: float) -> Done:
        """Run `command` on the host, over the connection that there is; blocks.

        HostError where there is none, or where nobody knows how it ended.
        """
        link = self._link
        if link is None:
            raise HostError(f"host {self._host.name}: not connected")
        return perform(link, command, timeout, self._stopping)

    def _run(self) -> None:
        try:
            self._report("connecting", f"connecting to {self._host.access.to}")
            self._keep_watching()
            self._report("stopped")
        except LoadwatchError as failure:
            self._report("failed", str(failure))
        except Exception as bug:
            self._report("failed", f"internal error: {bug!r}")

    def _keep_watching(self) -> None:
        """Connect and watch, again and again; raises what trying again would not mend."""
        delays = self._delays()
        while not self._stopping.is_set():
            began = self._clock()
            try:
                self._watch()
            except LinkError as loss:
                if isinstance(loss, LoginDropError) and not self._was_live:
                    raise
                if self._clock() - began > LONGEST:
                    delays = self._delays()
                delay = next(delays)
                self._report("lost", f"{loss}; trying again in {delay:.0f} s")
                self._stopping.wait(delay)

    def _watch(self) -> None:
        self._connecting = True
        try:
            link = self._link_to(self._host, self._answers, self._note_once)
        finally:
            self._connecting = False
        try:
            self.server = self._detecting(link, all_probes(), self._stopping)
            watch = Watch(
                self._host, choose(self._host, all_probes(), self.server.tools), link, self._clock,
                self._deliver, self._report, self._note, self._server_clock, self._spool,
            )  # fmt: skip
            self._link = link
            watch.run(self._stopping)
        except LinkError:
            raise
        except HostError as failure:
            if not self._was_live:
                raise
            # A server under load may for a while not start what it started before.
            raise LinkError(str(failure)) from None
        finally:
            self._link = None
            link.close()

    def _report(self, state: HostState, detail: str = "", probes: tuple[str, ...] = ()) -> None:
        gaps = self.status.gaps
        if self.status.state == "live" and state in ("silent", "lost"):
            gaps += 1
        self._was_live = self._was_live or state == "live"
        status = HostStatus(
            self._host.name, state, clean(detail, 500), probes, gaps, skipped=self._skipped
        )
        if (offset := self._server_clock.offset) is not None:
            status = replace(
                status, offset=round(offset.difference, 3), error=round(offset.error, 3)
            )
        if status != self.status:
            self.status = status
            self._send(status)

    def _note_once(self, text: str) -> None:
        """Note something once, however often the connection is made."""
        if text not in self._noted:
            self._noted.add(text)
            self._note(text)

    def _note(self, text: str) -> None:
        self._send(HostNote(self._host.name, clean(text, 500)))

    def _deliver(self, reading: Reading) -> None:
        self._skipped += reading.skipped
        self._send(reading)

    def _send(self, item: Reading | HostStatus | HostNote) -> None:
        try:
            self._sink(item)
        except Exception:
            # Whoever listened is gone, its event loop closed: nobody is left to be told.
            self._stopping.set()
