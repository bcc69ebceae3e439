"""The ticks so far, by column: what charts, the verdict and a summary look back on.

One array of floats per key (NaN where a second knows nothing), so that eight hours of 200 keys stay
below 50 MB. Rows of processes are not kept.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import KeysView

from loadwatch.core.summary import Summary
from loadwatch.core.tick import Event, Tick

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
        self.length = tick.second + 1
        self.latest = tick

    @property
    def keys(self) -> KeysView[str]:
        """Every key seen so far."""
        return self._columns.keys()

    def series(self, key: str, seconds: int) -> list[float]:
        """The last `seconds` values of `key`, oldest first, NaN where unknown.

        Shorter while the run is; the last element belongs to second `length - 1`.
        """
        return self.stretch(key, self.length - seconds, self.length)

    def stretch(self, key: str, begin: int, end: int) -> list[float]:
        """The values of `key` from second `begin` (0 at least) to `end` (not included)."""
        begin, end = max(begin, 0), min(end, self.length)
        column = self._columns.get(key)
        part = list(column[begin:end]) if column is not None and end > begin else []
        return part + [NAN] * (end - begin - len(part))

    def step_at(self, second: int) -> Summary:
        """The step that `second` belongs to: the first one before it, the last one after."""
        at = bisect_right(self.steps, second, key=lambda step: step.first)
        return self.steps[max(at - 1, 0)] if self.steps else self.step

    def last(self, key: str, within: int = 1) -> float | None:
        """The newest known value of `key` among the last `within` seconds, else None."""
        for value in reversed(self.series(key, within)):
            if value == value:
                return value
        return None
