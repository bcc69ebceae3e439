"""Due -> fire. An open loop follows its arrivals whatever the server does; a closed loop waits.

Both fire through a `Wire` and are driven by the worker's event loop; the clock is injected.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence
from typing import Protocol

from loadwatch.load.arrivals import Arrivals
from loadwatch.load.stream import Stream, count
from loadwatch.load.timer import Timer
from loadwatch.load.visits import Agenda


class Fires(Protocol):
    """Where requests go: `load.wire.Wire`, or a scripted one."""

    def fire(self, stream: Stream, due: float, now: float) -> bool:
        """Send one request of `stream` that was due at `due`; False if it had to be dropped."""
        ...


class OpenLoop:
    """Fires every arrival at its due instant; late ones at once, with their lag on record.

    `requests` bounds how many are fired in all. `timer` is set by whoever drives the loop.
    """

    BATCH = 2000
    """Arrivals that are fired before the event loop has its turn."""

    def __init__(
        self,
        streams: Sequence[Stream],
        wire: Fires,
        clock: Callable[[], float],
        requests: int | None = None,
    ) -> None:
        self._streams = [stream for stream in streams if stream.arrivals is not None]
        self._arrivals = [s.arrivals for s in self._streams if isinstance(s.arrivals, Arrivals)]
        self._later = [s for s in self._streams if isinstance(s.arrivals, Agenda)]
        for stream in self._later:
            assert isinstance(stream.arrivals, Agenda)
            stream.arrivals.changed = self._rearm
        self._wire = wire
        self._clock = clock
        self._left = math.inf if requests is None else requests
        self._until = math.inf
        self.timer: Timer | None = None

    @property
    def over(self) -> bool:
        """Whether nothing more will be fired."""
        return self._left <= 0 or self._clock() >= self._until

    @property
    def until(self) -> float:
        """When firing ended: as told, or where the next arrival would have been due."""
        if self._left > 0:
            return self._until
        return min(self._until, *(arrivals.due for arrivals in self._arrivals))

    def begin(self) -> None:
        """Second 0 has come: the timer takes over."""
        self._rearm()

    def wake(self) -> None:
        """Fire what is due by now and arm the timer for the next arrival."""
        self.advance(self._clock())

    def advance(self, to: float) -> bool:
        """Fire what is due before `to`, in the order of the due instants.

        Not more than `BATCH` at once, so that the event loop stays within reach of commands however
        high the rate is; True if that was all.
        """
        end = min(to, self._until)
        for _ in range(self.BATCH):
            stream = self._next()
            if stream is None or _due(stream) >= end:
                break
            due, now = self._take(stream), self._clock()
            if self._wire.fire(stream, due, now):
                count(stream.lag, now - due)
            else:
                _drop(stream)
        self._rearm()
        return _due(self._next()) >= end

    def _take(self, stream: Stream) -> float:
        """Take what is due next; of those that the load asks for there may be a last one."""
        assert stream.arrivals is not None
        if stream.arrivals.begins:
            self._left -= 1
            if self._left <= 0:
                self._streams = self._later
        return stream.arrivals.advance()

    def set_rates(self, at: float, rates: Sequence[float], over: float = 0.0) -> None:
        """New rates (1/s, in the streams' order) from `at`, reached linearly within `over` seconds.

        What was due before is fired first. A backlog beyond a batch is dropped, and counted: it
        came of a rate that nobody can fire.
        """
        if not self.advance(at):
            self._drop(at)
        for arrivals, rate in zip(self._arrivals, rates, strict=True):
            arrivals.set_rate(at, rate, over)
        self._rearm()

    def _drop(self, to: float) -> None:
        """Pass over what was due before `to`."""
        while (stream := self._next()) is not None and _due(stream) < min(to, self._until):
            self._take(stream)
            stream.offered += 1
            stream.dropped += 1
            _drop(stream)

    def finish(self, at: float) -> None:
        """Fire nothing that is due at `at` or later; visits that would go on then are over."""
        self._until = at
        for stream in self._later:
            assert isinstance(stream.arrivals, Agenda)
            stream.arrivals.finish(at)
        self._rearm()

    def _next(self) -> Stream | None:
        streams = self._streams
        return streams[0] if len(streams) == 1 else min(streams, key=_due, default=None)

    def _rearm(self) -> None:
        if self.timer is not None:
            due = _due(self._next())
            self.timer.arm(math.inf if due >= self._until else due)


def _due(stream: Stream | None) -> float:
    if stream is None:
        return math.inf
    assert stream.arrivals is not None
    return stream.arrivals.due


def _drop(stream: Stream) -> None:
    assert stream.arrivals is not None
    stream.arrivals.dropped()


class ClosedLoop:
    """Keeps `connections` requests open: each end fires the next, as fast as the server goes.

    Scenarios take turns in proportion to `weights` (smooth weighted round robin). There is no
    schedule: a request is due when it is sent.
    """

    PAUSE_AFTER_FAILURE = 0.01
    """Seconds that a connection rests after a failure: a dead target must not cost a whole core."""

    def __init__(
        self,
        streams: Sequence[Stream],
        weights: Sequence[float],
        wire: Fires,
        clock: Callable[[], float],
        connections: int,
        requests: int | None = None,
    ) -> None:
        total = sum(weights)
        self._streams = list(streams)
        self._only = streams[0] if len(streams) == 1 else None
        self._weights = [weight / total if total else 1 / len(weights) for weight in weights]
        self._credit = [0.0] * len(self._streams)
        self._wire = wire
        self._clock = clock
        self._left = math.inf if requests is None else requests
        self._until = math.inf
        self._waiting = connections
        self._last = math.inf
        self._on = True
        self._begun = False

    @property
    def over(self) -> bool:
        """Whether nothing more will be fired."""
        return self._left <= 0 or self._clock() >= self._until

    @property
    def until(self) -> float:
        """When firing ended: as told, or when the last request did."""
        return min(self._until, self._last) if self._left <= 0 else self._until

    def begin(self) -> None:
        """Second 0 has come: every connection that waits fires."""
        self._begun = True
        self._go_on()

    def _go_on(self) -> None:
        waiting, self._waiting = self._waiting, 0
        for _ in range(waiting):
            self._fire(self._clock())

    def set_rates(self, at: float, rates: Sequence[float], over: float = 0.0) -> None:
        """All rates 0 hold each connection as it comes free; anything else lets all go on."""
        self._on = any(rates)
        if self._begun:
            self._go_on()

    def advance(self, to: float) -> bool:
        """Nothing is due before it is sent."""
        return True

    def freed(self, answered: bool, now: float) -> None:
        """A request ended: fire the next, after a rest if it failed."""
        self._last = now
        if answered:
            self._fire(now)
        else:
            asyncio.get_running_loop().call_later(self.PAUSE_AFTER_FAILURE, self._go_on_with_one)

    def _go_on_with_one(self) -> None:
        self._fire(self._clock())

    def finish(self, at: float) -> None:
        """Fire nothing from `at` on."""
        self._until = at

    def _fire(self, now: float) -> None:
        if not self._on:
            self._waiting += 1
        elif self._left > 0 and now < self._until:
            self._left -= 1
            self._wire.fire(self._only or self._turn(), now, now)

    def _turn(self) -> Stream:
        credit = self._credit
        for index, weight in enumerate(self._weights):
            credit[index] += weight
        best = max(range(len(credit)), key=credit.__getitem__)
        credit[best] -= 1
        return self._streams[best]
