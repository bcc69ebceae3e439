"""A sweep: each value of a server action in turn, and the limit at each."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

from loadwatch.core.action import Done, setting
from loadwatch.core.controls import Controls
from loadwatch.core.errors import LoadwatchError
from loadwatch.core.limit import Goal
from loadwatch.core.plan import Action, Value

Rates = Mapping[str, float]


class Sweep:
    """Turns `action` of a run, whose `controls` these are, and searches for `goal` at every value.

    At each value there is a search for every one of `mixes` (scenario -> 1/s). `searched` returns
    when a search is over. Nothing is fired besides. `problems` say why it came to an end before the
    last value, or could not set the first one again; `restored` whether that stands at the end.
    """

    def __init__(
        self,
        controls: Controls,
        action: Action,
        goal: Goal,
        mixes: Sequence[Rates],
        searched: Callable[[], Awaitable[None]],
    ) -> None:
        self.problems: list[str] = []
        self.restored = True
        self._controls = controls
        self._action = action
        self._goal = goal
        self._mixes = mixes
        self._searched = searched
        self._stopped = False
        self._doing: asyncio.Task[Done] | None = None
        controls.pause()

    def stop(self) -> None:
        """End the search that goes on; no other value is set but the first, again."""
        self._stopped = True
        self._controls.pause()

    async def carry_out(self) -> None:
        """The whole sweep. Cancelled, it still sets the first value; cancelled in that, it ends."""
        try:
            for value in self._action.values:
                if self._stopped or not await self._set(value):
                    break
                await self._search()
        finally:
            self._controls.pause()
            await self._restore()

    async def _search(self) -> None:
        for mix in self._mixes:
            if self._stopped:
                return
            for name, rate in sorted(mix.items(), key=lambda one: one[1]):  # below the ceiling
                self._controls.set_rate(name, rate)
            self._controls.resume()
            self._controls.find_limit(self._goal)
            await self._searched()
            self._controls.pause()
            search = self._controls.status.search
            if search is not None and search.invalid:
                self.problems.append(search.ended)
                self._stopped = True

    async def _set(self, value: Value) -> bool:
        """Whether `value` is set. What was begun is let come to its end, even when cancelled."""
        self.restored = False
        self._doing = asyncio.create_task(self._controls.act(self._action.name, value))
        try:
            done = await asyncio.shield(self._doing)
        except LoadwatchError as failure:
            self.problems.append(f"{setting(self._action, value)}: {failure}")
            return False
        if done.code:
            self.problems.append(f"{setting(self._action, value)}: {done}")
        self.restored = value == self._action.values[0] and not done.code
        return not done.code

    async def _restore(self) -> None:
        """Set the first value again, where another one is set or nobody knows."""
        if self._doing is not None and not self._doing.done():
            await asyncio.wait({self._doing})
            self.restored = False
        if not self.restored and not await self._set(self._action.values[0]):
            self.problems.append(f"{setting(self._action, self._action.values[0])} is not restored")
