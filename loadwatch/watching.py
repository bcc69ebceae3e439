"""The watched hosts of one run: their monitors' threads, and how each host stands.

Monitors report from threads of their own and are let into the event loop by `call_soon_threadsafe`
only; everything else here belongs to the loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from loadwatch.core.action import Done
from loadwatch.core.asking import Asker
from loadwatch.core.errors import HostError
from loadwatch.core.metric import GROUP_METRICS, LOAD_METRICS, Catalogue, under_host
from loadwatch.core.plan import Host
from loadwatch.core.reading import HostNote, HostStatus, Reading
from loadwatch.core.tick import EventKind
from loadwatch.remote import Answers, HostMonitor, host_metrics

STARTUP = 20.0
"""Seconds that a headless run waits for its hosts, those in which a person is asked apart."""

LOOK = 0.1
"""Seconds between two looks at whether the hosts are there."""

FAREWELL = 5.0
"""Seconds that a monitor may take to leave its host clean."""


def catalogue() -> Catalogue:
    """Every metric that this program can measure."""
    return Catalogue([*LOAD_METRICS, *under_host(GROUP_METRICS), *under_host(host_metrics())])


class Watching:
    """`on_reading` gets every observation; `on_event` what belongs on the timeline: every change of
    a host's state and every note on one, as its kind, a line of text, and the host.
    """

    def __init__(
        self,
        hosts: Iterable[Host],
        on_reading: Callable[[Reading], None],
        on_event: Callable[[EventKind, str, str], None],
    ) -> None:
        self._hosts = tuple(hosts)
        self._on_reading = on_reading
        self._on_event = on_event
        self._states = {host.name: HostStatus(host.name, "connecting") for host in self._hosts}
        self._monitors: list[HostMonitor] = []
        self._answers = Answers()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopped = False

    @property
    def statuses(self) -> tuple[HostStatus, ...]:
        """How every host stands, in the plan's order."""
        return tuple(self._states.values())

    @property
    def clocks(self) -> dict[str, dict[str, float | None]]:
        """By host: how far its wall clock is ahead of ours, and how wrong that may be."""
        return {
            status.host: {"offset_s": status.offset, "error_s": status.error}
            for status in self.statuses
            if status.offset is not None
        }

    def start(self, asker: Asker | None) -> None:
        """Begin to watch, on the running loop; what it takes to log in is asked of `asker`."""
        self._loop = asyncio.get_running_loop()
        self._answers = Answers(asker)
        for host in self._hosts:
            self._monitors.append(HostMonitor(host, self._from_thread, self._answers))
            self._monitors[-1].start()

    async def live(self) -> None:
        """Return when every host is watched; HostError for the first one that cannot be."""
        left = STARTUP
        while waiting := [status for status in self.statuses if status.state != "live"]:
            for host in waiting:
                if host.state == "failed":
                    raise HostError(f"host {host.host}: {host.detail}")
            if left <= 0:
                late = waiting[0]
                state = f"{late.state}: {late.detail}" if late.detail else late.state
                raise HostError(f"host {late.host}: not watched within {STARTUP:.0f} s ({state})")
            await asyncio.sleep(LOOK)
            left -= 0.0 if self._answers.is_asking else LOOK

    async def perform(self, host: str, line: str, timeout: float) -> Done:
        """Run `line` on a host, over the connection that watches it; HostError as the monitor's.

        One that is lost gets a while to come back.
        """
        place, left = [one.name for one in self._hosts].index(host), STARTUP
        if not self._monitors:
            raise HostError(f"host {host}: not connected")
        while self._states[host].state == "lost" and left > 0:
            await asyncio.sleep(LOOK)
            left -= LOOK
        return await asyncio.to_thread(self._monitors[place].perform, line, timeout)

    def stop(self) -> None:
        """Leave every host; each keeps the state in which the run ended."""
        self._stopped = True
        for monitor in self._monitors:
            monitor.stop()

    async def join(self) -> None:
        """Return when every monitor's threads have ended, or have had their time."""
        await asyncio.gather(*(asyncio.to_thread(m.join, FAREWELL) for m in self._monitors))

    def _from_thread(self, item: Reading | HostStatus | HostNote) -> None:
        """A monitor's sink, called in its threads."""
        assert self._loop is not None
        try:
            self._loop.call_soon_threadsafe(self._observe, item)
        except RuntimeError:
            pass  # the loop is closed: nobody is interested any more

    def _observe(self, item: Reading | HostStatus | HostNote) -> None:
        if self._stopped:
            return
        if isinstance(item, Reading):
            self._on_reading(item)
            return
        if isinstance(item, HostNote):
            self._on_event("host", item.text, item.host)
            return
        before = self._states[item.host]
        self._states[item.host] = item
        if before.state != item.state:
            kind: EventKind = "gap" if item.state in ("silent", "lost") else "host"
            detail = f": {item.detail}" if item.detail else ""
            self._on_event(kind, f"{item.state}{detail}", item.host)
