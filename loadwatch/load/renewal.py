"""Logging in again whose session has expired, during the run: never in a measured request."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from loadwatch.core.errors import PlanError
from loadwatch.core.plan import Plan
from loadwatch.load.login import Door, users_of
from loadwatch.load.messages import Job


class Renewal:
    """Lets users in again, `parallel` at once as the plan's login says, each once until it has.

    `renewed` gets the row (from 0) and its session, `tell` a line when nobody waits any more.
    """

    def __init__(
        self,
        plan: Plan,
        job: Job,
        renewed: Callable[[int, str], None],
        tell: Callable[[str], None],
    ) -> None:
        assert plan.login is not None
        self._plan = plan
        self._job = job
        self._users = users_of(plan)
        self._parallel = plan.login.parallel
        self._renewed = renewed
        self._tell = tell
        self._waiting: dict[int, None] = {}
        self._busy: set[int] = set()
        self._task: asyncio.Task[None] | None = None

    def expired(self, row: int) -> None:
        """The session of this row's user is over: several workers may say so."""
        if row in self._busy:
            return
        self._waiting[row] = None
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._let_in())

    async def close(self) -> None:
        """Let nobody in any more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _let_in(self) -> None:
        """Everybody who waits; the connections do not outlive it."""
        let_in, refused = 0, []
        async with Door(self._plan, self._job) as door:
            while self._waiting:
                batch = list(self._waiting)[: self._parallel]
                self._busy.update(batch)
                for row in batch:
                    del self._waiting[row]
                answers = await asyncio.gather(
                    *(door.enter(self._users[row]) for row in batch), return_exceptions=True
                )
                self._busy.difference_update(batch)
                for row, answer in zip(batch, answers, strict=True):
                    if isinstance(answer, str):
                        let_in += 1
                        self._renewed(row, answer)
                    elif isinstance(answer, PlanError):
                        refused.append(f"row {row + 1}: {answer}")
                    else:
                        raise answer
        if let_in:
            self._tell(f"{let_in} users have logged in again")
        if refused:
            self._tell(f"{len(refused)} users could not log in again; {refused[0]}")
