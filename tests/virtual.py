"""Servers on a virtual clock: seconds of a run whose rate is asked for while it goes on.

A server is a model that is told what arrives when; it answers with what became of each request.
"""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from loadwatch.analysis.search import Search
from loadwatch.analysis.thresholds import parse
from loadwatch.core.histogram import index_of
from loadwatch.core.limit import QUICK, Goal, Slo
from loadwatch.core.plan import Plan, Scenario, Target
from loadwatch.core.tick import Tick
from loadwatch.load.health import Health, Limits
from loadwatch.searching import Searching
from tests.ui_fakes import CATALOGUE, STATUS, FakeControls

TIMEOUT = 10.0

Answer = tuple[float, int]
"""When it comes, and its status."""


def mm1(seed: int = 1, mu: float = 100.0) -> Callable[[float], Answer]:
    """One worker, exponential service of mean 1/`mu`: who comes is served after the one before."""
    chance, free = random.Random(seed + 1_000_000), 0.0

    def serve(at: float) -> Answer:
        nonlocal free
        free = max(free, at) + chance.expovariate(mu)
        return free, 200

    return serve


def full_queue(
    capacity: float = 17.0, workers: int = 150, backlog: int = 511
) -> Callable[[float], Answer]:
    """`workers` share a capacity; `backlog` more wait, who comes then gets a 500 at once."""
    free = 0.0
    room = workers + backlog

    def serve(at: float) -> Answer:
        nonlocal free
        if (free - at) * capacity >= room:
            return at + 0.002, 500
        free = max(free, at) + 1 / capacity
        return free + 0.05, 200

    return serve


def slow_later(after: float = 20.0, capacity: float = 50.0) -> Callable[[float], Answer]:
    """Fast below its capacity; above, the first `after` seconds of load are answered from a cache.

    Above, it then takes longer and longer.
    """
    free, since, last = 0.0, 0.0, 0.0

    def serve(at: float) -> Answer:
        nonlocal free, since, last
        if at - last > 1.5:
            since = at
        last = at
        service = 1 / 400 if at - since < after else 1 / capacity
        free = max(free, at) + service
        return free, 200

    return serve


def failing(share: float, seed: int = 1, mu: float = 200.0) -> Callable[[float], Answer]:
    """Answers within its queue, a random `share` of it by a 500."""
    chance, queue = random.Random(seed + 99), mm1(seed, mu)

    def serve(at: float) -> Answer:
        done, _ = queue(at)
        return done, 500 if chance.random() < share else 200

    return serve


@dataclass
class VirtualRun:
    """Fires at `server` at the rate that was asked for, Poisson, and closes second after second."""

    server: Callable[[float], Answer]
    seed: int = 1
    rate: float = 0.0
    lag: float = 0.0
    second: int = 0
    _open: list[tuple[float, float, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._chance = random.Random(self.seed)
        self._next = math.inf

    def turn(self, rate: float) -> None:
        """Another rate from the next second on."""
        if rate != self.rate:
            self.rate = rate
            gap = self._chance.expovariate(rate) if rate else math.inf
            self._next = self.second + gap

    def tick(self) -> Tick:
        """The next second."""
        end, offered = self.second + 1, 0
        while self._next < end:
            done, status = self.server(self._next)
            heapq.heappush(
                self._open,
                (
                    min(done, self._next + TIMEOUT),
                    self._next,
                    status if done <= self._next + TIMEOUT else 0,
                ),
            )
            offered += 1
            self._next += self._chance.expovariate(self.rate)
        return self._close(end, offered)

    def _close(self, end: int, offered: int) -> Tick:
        values: dict[str, float] = {"load.offered": offered, "load.dropped": 0}
        counts: dict[int, int] = {}
        completed = good = timeouts = 0
        while self._open and self._open[0][0] <= end:
            done, due, status = heapq.heappop(self._open)
            index = index_of(round((done - due) * 1e6))
            counts[index] = counts.get(index, 0) + 1
            completed += status > 0
            good += status == 200
            timeouts += not status
            if status:
                key = f"load.status.{status // 100}xx"
                values[key] = values.get(key, 0) + 1
        oldest = min((due for _, due, _ in self._open), default=end)
        values |= {
            "load.completed": completed,
            "load.goodput": good,
            "load.in_flight": len(self._open),
            "load.oldest": end - oldest,
            "load.errors.timeout": timeouts,
            "scenario.home.errors.timeout": timeouts,
        }
        lag = {index_of(round(self.lag * 1e6)): max(offered, 1)}
        second, self.second = self.second, end
        return Tick(
            second,
            float(second),
            1,
            "",
            {"home": self.rate},
            values,
            {("home", "response"): counts, ("home", "service"): counts, ("home", "lag"): lag},
        )


def seconds(search: Search, run: VirtualRun, most: int = 20_000) -> Iterator[Tick]:
    """The seconds of a run whose rate `search` asks for, until it is over."""
    while not search.ended and run.second < most:
        run.turn(search.rate)
        tick = run.tick()
        search.add(tick)
        yield tick


class VirtualControls(FakeControls):
    """The controls of a run on a virtual clock: commands change what its next seconds are."""

    def __init__(self, plan: Plan, run: VirtualRun, goal: Goal) -> None:
        super().__init__(replace(STATUS, rates={"home": 10.0}, goal=goal))
        self.run = run
        self.goal = goal
        self.told: list[str] = []
        self.ends = 0
        rules = parse(plan, CATALOGUE).rules
        health = Health(plan, 1, Limits())
        self.searching = Searching(
            plan, rules, health.reasons, turn=self._turn,
            tell=lambda kind, text: self.told.append(f"{kind}: {text}"), on_end=self._ended,
        )  # fmt: skip
        self.run.turn(10.0)

    def find_limit(self, goal: Goal | None = None) -> None:
        super().find_limit(goal)
        self.searching.begin(goal or self.goal, self.status.rates)
        self.change(search=self.searching.status)

    def pause(self) -> None:
        super().pause()
        self.searching.stop()
        self.run.turn(0.0)

    def step(self) -> Tick:
        """The next second, as the search hears it."""
        tick = self.run.tick()
        self.searching.add(tick)
        self.change(search=self.searching.status, elapsed=float(self.run.second))
        return tick

    def _turn(self, rates: Mapping[str, float]) -> None:
        self.change(rates=dict(rates))
        self.run.turn(sum(rates.values()) if self.status.firing else 0.0)

    def _ended(self) -> None:
        self.ends += 1


PLAN = Plan(Target("http://x.example"), scenarios=(Scenario("home"),))
QUICK_MM1 = Goal(Slo(p99=0.2), QUICK, start=10.0)


def controls(seed: int = 1) -> VirtualControls:
    """The controls of a run against an M/M/1 server with mu = 100."""
    return VirtualControls(PLAN, VirtualRun(mm1(seed), seed), QUICK_MM1)


def by_command(seed: int = 1) -> VirtualControls:
    """The same after a search from the first second to its end, as `loadwatch limit` does it."""
    run = controls(seed)
    run.find_limit()
    while not run.ends:
        run.step()
    return run
