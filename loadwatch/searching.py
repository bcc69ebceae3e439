"""The searches for the limit within one run: drives `analysis.search` by what the bus brings."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from loadwatch.analysis.limit import as_json, limit_text, rate_text, slo_of, trial_text
from loadwatch.analysis.search import Search
from loadwatch.analysis.thresholds import Rule
from loadwatch.core.errors import PlanError
from loadwatch.core.limit import CAREFUL, Goal, Pace, SearchStatus
from loadwatch.core.plan import HIGHEST_RATE, Plan
from loadwatch.core.summary import Summary
from loadwatch.core.tick import EventKind, Tick

STOPPED = "stopped"
"""Why a search is over that somebody ended."""


class Searching:
    """A listener of a bus (`searching.add`), which turns the rates while it searches.

    `turn` asks for rates (scenario -> 1/s), `tell` puts an event on the timeline, `invalid` says
    why the generator was the limit of a stretch, `on_end` hears that a search is over. `found` are
    the searches that are over, as `limit --json` prints them. `apart` is the run without the
    seconds of searches, which overload the server, and perhaps the generator, on purpose. `over` is
    set when a search ends, and not while one goes on.
    """

    def __init__(
        self,
        plan: Plan,
        rules: Sequence[Rule],
        invalid: Callable[[Summary], Sequence[str]],
        turn: Callable[[Mapping[str, float]], None],
        tell: Callable[[EventKind, str], None],
        on_end: Callable[[], None],
    ) -> None:
        self.found: list[dict[str, Any]] = []
        self.apart = Summary()
        self.over = asyncio.Event()
        self._plan = plan
        self._slo, self._rules = slo_of(rules)
        self._invalid = invalid
        self._turn = turn
        self._tell = tell
        self._on_end = on_end
        self._search: Search | None = None
        self._over: SearchStatus | None = None
        self._before: Mapping[str, float] = {}
        self._mark = ""

    @property
    def status(self) -> SearchStatus | None:
        """How the last search stands; None where there was none."""
        if self._over is not None:
            return self._over
        return None if self._search is None else self._search.status

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why the last search is worth nothing because of the generator."""
        if self._search is None or not self._search.is_invalid:
            return ()
        return (self._search.trials[-1].reason,)

    def goal(self, pace: Pace = CAREFUL, start: float = 1.0) -> Goal:
        """What the plan asks a search for: its thresholds, its ceiling."""
        load = self._plan.load
        return Goal(self._slo, pace, start, load.max_rate or HIGHEST_RATE, load.max_in_flight)

    def begin(self, goal: Goal, rates: Mapping[str, float]) -> None:
        """Search from now on; `rates` are what is asked for now, whose mix is kept.

        PlanError for a closed loop, or while a search goes on.
        """
        if self._plan.load.connections is not None:
            raise PlanError("a closed loop has no rate whose limit could be found")
        self.ensure_over()
        self._before, self._over = dict(rates), None
        self.over.clear()
        self._search = Search(goal, self._invalid, self._rules)
        self._tell("limit", f"searching from {rate_text(self._search.rate)}")
        self._ask()

    def add(self, tick: Tick) -> None:
        """Take the next second."""
        search = self._search
        if search is None or not self._is_on:
            self.apart.add(tick)
            return
        self._mark = tick.mark
        known, asked = len(search.trials), search.rate
        search.add(tick)
        for trial in search.trials[known:]:
            self._tell("limit", trial_text(trial))
        if search.ended:
            self._end(search)
        elif search.rate != asked:
            self._ask()

    def stop(self) -> None:
        """End the search that goes on, if one does."""
        if self._search is not None and self._is_on:
            self._search.stop(STOPPED)
            self._end(self._search)

    def ensure_over(self) -> None:
        """PlanError while a search goes on."""
        if self._is_on:
            raise PlanError("the search for the limit goes on; space stops it")

    @property
    def _is_on(self) -> bool:
        return self._search is not None and not self._search.ended

    def _end(self, search: Search) -> None:
        """Keep what was found and go back to the rates before."""
        load = self._plan.load
        found = as_json(
            search, arrival=load.arrival, mark=self._mark, rules=self._rules,
            hosts=[host.name for host in self._plan.hosts], signs=self._plan.verdict,
        )  # fmt: skip
        self.found.append(found)
        verdict = found["verdict"]
        told = f"{verdict['name']}: {'; '.join(verdict['evidence'])} → {verdict['advice']}"
        self._over = replace(
            search.status,
            explained=(told, *found["explained"]),
            knee=found["scalability"]["knee"],
        )
        self._tell("limit", limit_text(search.status, load.arrival))
        self._turn(self._before)
        self.over.set()
        self._on_end()

    def _ask(self) -> None:
        assert self._search is not None
        total = sum(self._before.values())
        even = 1 / len(self._before)
        self._turn({
            name: self._search.rate * (rate / total if total else even)
            for name, rate in self._before.items()
        })  # fmt: skip
