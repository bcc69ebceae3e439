"""Whether good answers are still what they were: 200, but 500 bytes instead of 40 KB."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable

from loadwatch.core.metric import Unit, format_value
from loadwatch.core.tick import Tick

PART = 2
"""Seconds with answers whose mean is one size: the bytes of one may come in the second before."""

STRETCH = 5
"""Sizes in a row, of good answers only, whose median is the typical one."""

CHANGE = 2.0
"""How many times smaller or larger the typical answer must become."""


class Sizes:
    """Listens to a bus (`sizes.add`): compares each stretch of a scenario with its first one.

    A single download among small answers changes nothing. `on_change` gets a line for each scenario
    whose answers have changed, or are as before again.
    """

    def __init__(self, scenarios: Iterable[str], on_change: Callable[[str], object]) -> None:
        self._scenarios = [_Scenario(name) for name in scenarios]
        self._on_change = on_change

    def add(self, tick: Tick) -> None:
        """Take the next tick."""
        for one in self._scenarios:
            if change := one.add(tick):
                self._on_change(change)

    @property
    def changed(self) -> tuple[str, ...]:
        """A line for each scenario whose answers are not what they were."""
        return tuple(one.change for one in self._scenarios if one.change)


class _Scenario:
    def __init__(self, name: str) -> None:
        self._name = name
        self._usual: float | None = None
        self._sizes: list[float] = []
        self._seconds = self._received = self._completed = 0.0
        self.change = ""

    def add(self, tick: Tick) -> str:
        """What is to be said after the next second; empty where that is nothing."""
        completed, good, received = (
            tick.values.get(f"scenario.{self._name}.{key}", 0.0)
            for key in ("completed", "status.2xx", "received")
        )
        self._received += received  # an answer may take several seconds
        self._completed += completed
        self._seconds += completed > 0
        if good < completed:
            self._sizes = []
        elif self._seconds < PART:
            return ""
        else:
            self._sizes.append(self._received / self._completed)
        self._seconds = self._received = self._completed = 0.0
        if len(self._sizes) < STRETCH:
            return ""
        typical, self._sizes = statistics.median(self._sizes), []
        return self._compare(typical)

    def _compare(self, typical: float) -> str:
        if self._usual is None:
            self._usual = typical
        is_other = not self._usual / CHANGE <= typical <= self._usual * CHANGE
        if is_other == bool(self.change):
            return ""
        now, usual = (format_value(size, Unit.BYTES) for size in (typical, self._usual))
        told = f"{self._name}: answers are typically {now}"
        self.change = f"{told}, where they were {usual}" if is_other else ""
        return self.change or f"{told} again"
