"""The ticks so far, by column: what charts, the verdict and a summary look back on.

One array of floats per key (NaN where a second knows nothing), so that eight hours of 200 keys stay
below 50 MB. Of process rows only the newest frame per host is kept.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable

from loadwatch.core.summary import Summary
from loadwatch.core.tick import Event, HostProcess, Tick

NAN = float("nan")


class History:
    """Listens to a bus (`history.add`). All seconds count from the run's start."""

    def __init__(self) -> None:
        self.length = 0
        self.latest: Tick | None = None
        self.total = Summary()
        self.step = Summary()
        self.steps: list[Summary] = []
        self.events: list[Event] = []
        self.frames: dict[str, tuple[HostProcess, ...]] = {}
        self.frame_seconds: dict[str, int] = {}
        self._columns: dict[str, array[float]] = {}

    def add(self, tick: Tick) -> None:
        """Take the next tick; one of an earlier second begins it all anew (a replay went back)."""
        if tick.second < self.length:
            self.__init__()  # type: ignore[misc]
        for key, value in tick.values.items():
            column = self._columns.get(key)
            if column is None:
                column = self._columns[key] = array("d")
            if len(column) < tick.second:
                column.extend([NAN] * (tick.second - len(column)))
            column.append(value)
        if self.latest is not None and tick.step != self.latest.step:
            self.step = Summary()
        if not self.step.seconds:
            self.steps.append(self.step)
        self.step.add(tick)
        self.total.add(tick)
        self.events.extend(tick.events)
        for host in {row.host for row in tick.processes}:
            self.frames[host] = tuple(row for row in tick.processes if row.host == host)
            self.frame_seconds[host] = tick.second
        self.length = tick.second + 1
        self.latest = tick

    def keys(self) -> Iterable[str]:
        """Every key seen so far."""
        return self._columns.keys()

    def series(self, key: str, seconds: int) -> list[float]:
        """The last `seconds` values of `key`, oldest first, NaN where unknown.

        Shorter while the run is; the last element belongs to second `length - 1`.
        """
        begin = max(0, self.length - seconds)
        column = self._columns.get(key)
        if column is None:
            return [NAN] * (self.length - begin)
        part = list(column[begin : self.length])
        return part + [NAN] * (self.length - begin - len(part))

    def last(self, key: str, within: int = 1) -> float | None:
        """The newest known value of `key` among the last `within` seconds, else None."""
        for value in reversed(self.series(key, within)):
            if value == value:
                return value
        return None
