"""Whether the server asks for fewer requests: 429, or a `Retry-After`."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from loadwatch.core.metric import Unit, format_value
from loadwatch.core.tick import Tick

CALM = 5
"""Seconds with answers, and none of these among them, after which it has ended."""


class Pushback:
    """Listens to a bus (`pushback.add`): `on_change` gets a line when it begins, and ends."""

    def __init__(self, scenarios: Iterable[str], on_change: Callable[[str], object]) -> None:
        self._calm = dict.fromkeys(scenarios, CALM)
        self._on_change = on_change

    def add(self, tick: Tick) -> None:
        """Take the next tick."""
        for name, calm in self._calm.items():
            limited = tick.values.get(f"scenario.{name}.status.429", 0.0)
            wait = tick.values.get(f"scenario.{name}.retry_after", 0.0)
            if limited or wait:
                if calm >= CALM:
                    self._on_change(f"{name}: {_told(limited, wait)}")
                self._calm[name] = 0
            elif calm < CALM and tick.values.get(f"scenario.{name}.completed"):
                self._calm[name] = calm + 1
                if self._calm[name] == CALM:
                    self._on_change(f"{name}: the server no longer asks for fewer requests")


def _told(limited: float, wait: float) -> str:
    what = "429 Too Many Requests: the server limits the rate" if limited else "503"
    return f"{what}, Retry-After {format_value(wait, Unit.SECONDS)}" if wait else what
