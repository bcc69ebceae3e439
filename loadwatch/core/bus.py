"""The one road from what measures to what listens."""

from __future__ import annotations

from collections.abc import Callable

from loadwatch.core.tick import Tick

Listener = Callable[[Tick], None]


class TickBus:
    """Hands every tick to every listener, in the order they subscribed.

    A listener that raises is dropped and reported to `on_failure`; the others, and what measures,
    do not notice.
    """

    def __init__(self, on_failure: Callable[[Exception], None] | None = None) -> None:
        self._listeners: list[Listener] = []
        self._on_failure = on_failure

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Deliver every tick from now on to `listener`; the returned call ends that."""
        self._listeners.append(listener)

        def unsubscribe() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)

        return unsubscribe

    def publish(self, tick: Tick) -> None:
        """Deliver `tick`; called once a second by a run or a replay."""
        for listener in tuple(self._listeners):
            try:
                listener(tick)
            except Exception as failure:
                if listener in self._listeners:
                    self._listeners.remove(listener)
                if self._on_failure is None:
                    raise
                self._on_failure(failure)
