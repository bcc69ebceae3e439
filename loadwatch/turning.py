"""The asked-for rates of one run: what they are, who turns them, and whether anything is fired."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Mapping
from dataclasses import replace

from loadwatch.core.errors import PlanError
from loadwatch.core.plan import HIGHEST_RATE, Plan
from loadwatch.core.ramp import Turn, first_turn, steady
from loadwatch.core.tick import EventKind

Send = Callable[[float, Mapping[str, float], Mapping[str, float], float], None]
"""Takes effect: from an instant, these rates (scenario -> 1/s) for the workers, these as what is
asked for (empty for a closed loop), reached linearly within so many seconds."""


class Turning:
    """All instants are those of `clock`. `send` lets rates take effect, `tell` puts an event on the
    timeline; nothing is sent before `begin`.
    """

    def __init__(
        self,
        plan: Plan,
        clock: Callable[[], float],
        send: Send,
        tell: Callable[[EventKind, str], None],
    ) -> None:
        self.firing = True
        self._plan = plan
        self._clock = clock
        self._send = send
        self._tell = tell
        self._closed = plan.load.connections is not None
        self._turn = first_turn(plan)
        self._begun = False

    @property
    def rates(self) -> dict[str, float]:
        """Scenario -> asked-for rate (1/s) right now, also while nothing is fired."""
        return self._turn.rates(self._clock())

    def begin(self, origin: float) -> None:
        """Second 0 begins at `origin`: a ramp goes up from what it finds."""
        self._begun = True
        turn = self._turn = replace(self._turn, at=origin)
        if turn.over:
            self._turn = steady(turn.before, origin)
            self._put()
            self._turn = turn
        self._put()

    async def follow_stages(self, origin: float) -> None:
        """The plan's stages, one after the other."""
        at = origin
        for stage, following in itertools.pairwise(self._plan.stages):
            at += stage.duration
            await asyncio.sleep(max(0.0, at - self._clock()))
            rates = {s.name: s.rate * following.scale for s in self._plan.scenarios}
            self.set(rates, at, following.duration if following.ramp else 0.0)

    def set_one(self, scenario: str, rate: float) -> float:
        """Ask for `rate` (1/s) of `scenario`; returns what it became under the plan's ceiling.

        PlanError for a negative rate, an unknown scenario, or a closed loop.
        """
        if self._closed:
            raise PlanError("a closed loop has no rate to turn")
        rates = self.rates
        if scenario not in rates:
            raise PlanError(f"no scenario {scenario!r}")
        if not 0 <= rate <= HIGHEST_RATE:
            raise PlanError(f"a rate is from 0 to {HIGHEST_RATE:,.0f}/s, got {rate:g}")
        ceiling = self._plan.load.max_rate
        if ceiling is not None:
            others = sum(own for name, own in rates.items() if name != scenario)
            rate = min(rate, max(0.0, ceiling - others))
        self.set({**rates, scenario: rate})
        return rate

    def set(self, rates: Mapping[str, float], at: float | None = None, over: float = 0.0) -> None:
        """Ask for `rates` from `at` on (now by default), reached linearly within `over` seconds."""
        at = self._clock() if at is None else at
        before = self._turn.rates(at)
        changed = {name: rate for name, rate in rates.items() if rate != before[name]}
        if not changed and not self._turn.over:
            return
        self._turn = Turn(at, before, rates, over)
        self._put()
        if changed:
            told = ", ".join(f"{name} {rate:g}/s" for name, rate in changed.items())
            self._tell("rate", f"{told} within {over:g} s" if over else told)

    def pause(self) -> None:
        """Stop all firing at once, and any ramp where it is."""
        if self.firing:
            self.firing = False
            now = self._clock()
            self._turn = steady(self._turn.rates(now), now)
            self._put()
            self._tell("pause", "firing stopped")

    def resume(self) -> None:
        """Fire again at the rates that were set, without making up for the pause."""
        if not self.firing:
            self.firing = True
            self._turn = replace(self._turn, at=self._clock())
            self._put()
            self._tell("resume", "firing resumed")

    def _put(self) -> None:
        if not self._begun:
            return
        turn = self._turn
        # A closed loop has no rates: anything but 0 lets it go on.
        asked = dict.fromkeys(turn.after, 1.0) if self._closed else turn.after
        rates = asked if self.firing else dict.fromkeys(turn.after, 0.0)
        told = {} if self._closed and self.firing else rates
        self._send(turn.at, rates, told, turn.over if self.firing else 0.0)
