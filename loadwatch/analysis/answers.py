"""What the answers say while a run goes on: see `analysis.sizes` and `analysis.pushback`."""

from __future__ import annotations

from collections.abc import Callable, Collection

from loadwatch.analysis.pushback import Pushback
from loadwatch.analysis.sizes import Sizes
from loadwatch.core.tick import Tick


class Answers:
    """Listens to a bus (`answers.add`); `on_change` gets a line for each change of a scenario."""

    def __init__(self, scenarios: Collection[str], on_change: Callable[[str], object]) -> None:
        self._sizes = Sizes(scenarios, on_change)
        self._pushback = Pushback(scenarios, on_change)

    def add(self, tick: Tick) -> None:
        """Take the next tick."""
        self._sizes.add(tick)
        self._pushback.add(tick)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is not as it was when the run began."""
        return self._sizes.changed
