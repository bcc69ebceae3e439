"""How the run stood in each second so far: what a view of an earlier time shows in its bars."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import replace

from loadwatch.core.controls import RunStatus


class Moments:
    """Takes a status a second (`add`) and keeps those that differ from the one before."""

    def __init__(self) -> None:
        self._seconds: list[int] = []
        self._statuses: list[RunStatus] = []

    def add(self, second: int, status: RunStatus) -> None:
        """The run stands so at the end of `second`. An earlier one than the last begins anew."""
        if self._seconds and second <= self._seconds[-1]:
            self._seconds.clear()
            self._statuses.clear()
        status = replace(status, elapsed=0.0)
        if not self._statuses or status != self._statuses[-1]:
            self._seconds.append(second)
            self._statuses.append(status)

    def at(self, second: int) -> RunStatus | None:
        """How the run stood at the end of `second`; None before the first one."""
        place = bisect_right(self._seconds, second)
        return replace(self._statuses[place - 1], elapsed=second + 1.0) if place else None
