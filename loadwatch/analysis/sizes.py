"""Whether good answers are still what they were: 200, but 500 bytes instead of 40 KB."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from loadwatch.core.metric import Unit, format_value
from loadwatch.core.tick import Tick

STRETCH = 5
"""Seconds with good answers only that are looked at together; one answer may take several."""

CHANGE = 2.0
"""How many times smaller or larger the mean answer must become."""


class Sizes:
    """Listens to a bus (`sizes.add`): compares each stretch of a scenario with its first one.

    `on_change` gets a line for each scenario whose answers have changed, or are as before again.
    """

    def __init__(self, scenarios: Iterable[str], on_change: Callable[[str], object]) -> None:
        self._scenarios = [_Scenario(name) for name in scenarios]
        self._on_change = on_change

    def add(self, tick: Tick) -> None:
        """Take the next tick."""
        for one in self._scenarios:
            if change := one.add(tick):
                self._on_change(change)


class _Scenario:
    def __init__(self, name: str) -> None:
        self._name = name
        self._usual: float | None = None
        self._is_other = False
        self._seconds = self._received = self._completed = 0.0

    def add(self, tick: Tick) -> str:
        completed, good, received = (
            tick.values.get(f"scenario.{self._name}.{key}", 0.0)
            for key in ("completed", "status.2xx", "received")
        )
        if not completed:
            return ""
        if good < completed:
            self._seconds = self._received = self._completed = 0.0
            return ""
        self._seconds += 1
        self._received += received
        self._completed += completed
        if self._seconds < STRETCH:
            return ""
        mean = self._received / self._completed
        self._seconds = self._received = self._completed = 0.0
        return self._compare(mean)

    def _compare(self, mean: float) -> str:
        if self._usual is None:
            self._usual = mean
        is_other = not self._usual / CHANGE <= mean <= self._usual * CHANGE
        if is_other == self._is_other:
            return ""
        self._is_other = is_other
        now, usual = (format_value(size, Unit.BYTES) for size in (mean, self._usual))
        if is_other:
            return f"{self._name}: answers of {now} on average, where {usual} were"
        return f"{self._name}: answers of {now} on average again"
