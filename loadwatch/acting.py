"""The actions of a run's plan: done on request, awaited, and noted on the timeline."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from loadwatch.core.action import Done, awaited, named, setting, shell_line
from loadwatch.core.errors import HostError, PlanError
from loadwatch.core.plan import Action, Plan, Value
from loadwatch.core.tick import EventKind

PAUSE = 0.5
"""Seconds between two looks at whether the target is back."""

Perform = Callable[[str, str, float], Awaitable[Done]]
"""Runs a line on a host, for so many seconds at most."""


class Acting:
    """Nothing is run that `plan` does not name (its secrets are in place).

    `perform` runs a line on a host, `tell` puts an event on the timeline, `mark` opens a new
    configuration there; `clock` is monotonic (seconds).
    """

    def __init__(
        self,
        plan: Plan,
        perform: Perform,
        tell: Callable[[EventKind, str, str], None],
        mark: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._plan = plan
        self._perform = perform
        self._tell = tell
        self._mark = mark
        self._clock = clock

    async def act(self, name: str, value: Value) -> Done:
        """Do the action `name` with `value`; where it ends well and the target is back, mark it.

        PlanError for what the plan does not name; HostError where the host cannot be reached, the
        command does not come to its end, or the target does not come back.
        """
        host, action = named(self._plan, name)
        if value not in action.values:
            known = ", ".join(map(str, action.values))
            raise PlanError(f"{name} has no value {value!r}; it has: {known}")
        what = setting(action, value)
        self._tell("action", f"{what} …", host)
        try:
            done = await self._perform(host, shell_line(action, value), action.timeout)
            self._tell("action", f"{what}: {done}", host)
            if done.code == 0:
                await self._back(action)
                self._mark(what)
        except HostError as failure:
            self._tell("action", f"{what}: {failure}", host)
            raise
        return done

    async def _back(self, action: Action) -> None:
        """Wait until the target answers as the action says."""
        if action.wait is None:
            return
        status, path = awaited(action.wait)
        until = self._clock() + action.timeout
        while (seen := await asyncio.to_thread(_status, self._plan, path)) != status:
            if self._clock() > until:
                raise HostError(f"{path} is not back after {action.timeout:g} s: {seen}")
            await asyncio.sleep(PAUSE)


def _status(plan: Plan, path: str) -> int | str:
    """What the target answers; httpx takes its time to load."""
    from loadwatch.load.dry import status_of

    return status_of(plan, path)
