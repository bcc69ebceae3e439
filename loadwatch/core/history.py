"""The ticks so far, by column: what charts, the verdict and a summary look back on.

One array of floats per key (NaN where a second knows nothing), so that eight hours of 200 keys stay
below 50 MB. Rows of processes are not kept.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterator, KeysView, Mapping

from loadwatch.core.summary import Summary, Tally
from loadwatch.core.tick import Event, Late, Tick

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
        for late in tick.late:
            self._complete(late)
        self._put(tick.second, tick.values)
        if self.latest is not None and tick.step != self.latest.step:
            self.step = Summary()
        if not self.step.seconds:
            self.steps.append(self.step)
        self.step.add(tick)
        self.total.add(tick)
        self.events.extend(tick.events)
        self.length = tick.second + 1
        self.latest = tick

    def _complete(self, late: Late) -> None:
        """Put what came late where it belongs."""
        self._put(late.second, late.values)
        self.step_at(late.second).complete(late.values)
        self.total.complete(late.values)

    def _put(self, second: int, values: Mapping[str, float]) -> None:
        for key, value in values.items():
            column = self._columns.setdefault(key, array("d"))
            if len(column) <= second:
                column.extend([NAN] * (second + 1 - len(column)))
            column[second] = value

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

    def part(self, begin: int, end: int) -> Summary:
        """What second `end - 1` and those of its step before it come to, back to `begin`."""
        step = self.step_at(end - 1)
        begin, end = max(begin, step.first), min(end, self.length)
        keys = ("load.offered", "load.in_flight")
        requests = zip(*(self.stretch(key, begin, end) for key in keys), strict=True)
        return Summary.part(step, begin, _Tallies(self, begin, end), requests)

    def step_until(self, end: int) -> Summary:
        """The step of second `end - 1` as it was then."""
        step = self.step_at(end - 1)
        return step if step.last < end else self.part(step.first, end)

    def last(self, key: str, within: int = 1) -> float | None:
        """The newest known value of `key` among the last `within` seconds, else None."""
        for value in reversed(self.series(key, within)):
            if value == value:
                return value
        return None


class _Tallies(Mapping[str, Tally]):
    """The tallies of seconds `begin` to `end` (not included), each worked out when asked for."""

    def __init__(self, history: History, begin: int, end: int) -> None:
        self._history, self._begin, self._end = history, begin, end
        self._found: dict[str, Tally] = {}

    def __getitem__(self, key: str) -> Tally:
        if key not in self._found:
            tally = Tally()
            for value in self._known(key):
                tally.add(value)
            if not tally.count:
                raise KeyError(key)
            self._found[key] = tally
        return self._found[key]

    def __iter__(self) -> Iterator[str]:
        return (key for key in self._history.keys if any(True for _ in self._known(key)))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def _known(self, key: str) -> Iterator[float]:
        values = self._history.stretch(key, self._begin, self._end)
        return (value for value in values if value == value)
