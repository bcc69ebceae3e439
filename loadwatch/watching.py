"""The watched hosts of one run: their monitors' threads, and how each host stands.

Monitors report from threads of their own and are let into the event loop by `call_soon_threadsafe`
only; everything else here belongs to the loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping

from loadwatch.core.errors import HostError
from loadwatch.core.metric import GROUP_METRICS, LOAD_METRICS, Catalogue, under_host
from loadwatch.core.plan import Host
from loadwatch.core.reading import HostStatus, Reading
from loadwatch.remote import HostMonitor, host_metrics

STARTUP = 20.0
"""Seconds that a headless run waits for its hosts."""

FAREWELL = 5.0
"""Seconds that a monitor may take to leave its host clean."""


def catalogue() -> Catalogue:
    """Every metric that this program can measure."""
    return Catalogue([*LOAD_METRICS, *under_host(GROUP_METRICS), *under_host(host_metrics())])


class Watching:
    """`on_reading` gets every observation, `on_turn` every change of a host's state.

    `secrets` maps host names to the passwords or passphrases that were asked for.
    """

    def __init__(
        self,
        hosts: Iterable[Host],
        secrets: Mapping[str, str],
        on_reading: Callable[[Reading], None],
        on_turn: Callable[[HostStatus], None],
    ) -> None:
        self._on_reading = on_reading
        self._on_turn = on_turn
        self._states: dict[str, HostStatus] = {}
        self._monitors = []
        for host in hosts:
            self._states[host.name] = HostStatus(host.name, "connecting")
            self._monitors.append(
                HostMonitor(host, self._from_thread, secret=secrets.get(host.name))
            )
        self._changed = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopped = False

    @property
    def statuses(self) -> tuple[HostStatus, ...]:
        """How every host stands, in the plan's order."""
        return tuple(self._states.values())

    def start(self) -> None:
        """Begin to watch, on the running loop."""
        self._loop = asyncio.get_running_loop()
        for monitor in self._monitors:
            monitor.start()

    async def live(self) -> None:
        """Return when every host is watched; HostError for the first one that cannot be."""
        try:
            async with asyncio.timeout(STARTUP):
                while waiting := [s for s in self.statuses if s.state != "live"]:
                    for status in waiting:
                        if status.state == "failed":
                            raise HostError(f"host {status.host}: {status.detail}")
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            status = next(s for s in self.statuses if s.state != "live")
            raise HostError(
                f"host {status.host}: not watched within {STARTUP:.0f} s"
                f" ({status.state}{': ' + status.detail if status.detail else ''})"
            ) from None

    def stop(self) -> None:
        """Leave every host; each keeps the state in which the run ended."""
        self._stopped = True
        for monitor in self._monitors:
            monitor.stop()

    async def join(self) -> None:
        """Return when every monitor's threads have ended, or have had their time."""
        await asyncio.gather(*(asyncio.to_thread(m.join, FAREWELL) for m in self._monitors))

    def _from_thread(self, item: Reading | HostStatus) -> None:
        """A monitor's sink, called in its threads."""
        assert self._loop is not None
        try:
            self._loop.call_soon_threadsafe(self._observe, item)
        except RuntimeError:
            pass  # the loop is closed: nobody is interested any more

    def _observe(self, item: Reading | HostStatus) -> None:
        if self._stopped:
            return
        if isinstance(item, Reading):
            self._on_reading(item)
            return
        before = self._states[item.host]
        self._states[item.host] = item
        self._changed.set()
        if before.state != item.state:
            self._on_turn(item)
