"""How many users a rate is, by what a user does: pure arithmetic over assumptions that are printed.

Concurrent users follow from the interactive response time law, N = X (R + Z): Little's law
(J. D. C. Little, "A proof for the queuing formula L = λW", Operations Research 9, 1961) on the
loop of a user's requests, each of which takes R + Z of response and think time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

DAY = 86_400.0
"""Seconds of a day."""


@dataclass(frozen=True, slots=True)
class Habits:
    """What one user does, and how a day goes.

    A visit is `requests_per_visit` requests within `visit_length` seconds, and a user comes
    `visits_per_day` times. `peak_to_average` is the busiest rate of a day over its mean;
    `utilisation` the share of the rate that is to be used at the peak.
    """

    requests_per_visit: float = 3.0
    visits_per_day: float = 3.0
    visit_length: float = 60.0
    peak_to_average: float = 3.0
    utilisation: float = 0.7

    @property
    def cycle(self) -> float:
        """Seconds from one request of an active user to the next."""
        return self.visit_length / self.requests_per_visit


@dataclass(frozen=True, slots=True)
class Audience:
    """How many users a rate (1/s) serves: at the same time at the peak, and in a day."""

    rate: float
    concurrent_users: float
    visits_per_day: float
    users_per_day: float


def audience(rate: float, habits: Habits) -> Audience:
    """The users whom `rate` (1/s) serves."""
    used = rate * habits.utilisation
    visits = DAY * used / habits.peak_to_average / habits.requests_per_visit
    return Audience(rate, used * habits.cycle, visits, visits / habits.visits_per_day)


@dataclass(frozen=True, slots=True)
class Day:
    """A day by its hours: for so many hours each, so many users are active at the same time."""

    parts: tuple[tuple[float, float], ...]

    @property
    def peak(self) -> float:
        """Active users of the busiest hours."""
        return max(users for _, users in self.parts)

    @property
    def peak_to_average(self) -> float:
        """The peak over the mean of all 24 hours; hours that are not given have nobody."""
        return self.peak * 24 / sum(hours * users for hours, users in self.parts)

    def audience(self, habits: Habits) -> Audience:
        """The users of a day whose activity is given; `rate` is what it takes at the peak."""
        requests = sum(hours * 3600 * users / habits.cycle for hours, users in self.parts)
        visits = requests / habits.requests_per_visit
        return Audience(self.peak / habits.cycle, self.peak, visits, visits / habits.visits_per_day)


def assumptions(habits: Habits) -> tuple[str, ...]:
    """What the numbers rest on, a line each."""
    return (
        f"a visit is {habits.requests_per_visit:g} requests within {habits.visit_length:g} s:"
        f" an active user asks every {habits.cycle:g} s",
        f"a user comes {habits.visits_per_day:g} times a day",
        f"the busiest time of a day is {habits.peak_to_average:g} times its mean",
        f"at that time {habits.utilisation:.0%} of the rate is used",
        "requests are like those that were measured: the same pages, as warm a cache, and nothing"
        " that a browser fetches besides",
    )


def as_json(low: Audience, high: Audience | None, habits: Habits) -> dict[str, Any]:
    """Users of a rate; with the interval where the limit is a pair, whose lower end counts."""

    def numbers(one: Audience) -> dict[str, float]:
        return {
            "concurrent_users": round(one.concurrent_users),
            "visits_per_day": round(one.visits_per_day),
            "users_per_day": round(one.users_per_day),
        }

    return {
        "rate": low.rate,
        **numbers(low),
        "below": None if high is None else {"rate": high.rate, **numbers(high)},
        "assumptions": list(assumptions(habits)),
    }


def audience_text(low: Audience, high: Audience | None = None) -> str:
    """Users of a rate in one line, as an interval where the limit is a pair."""

    def span(name: str) -> str:
        first = f"{getattr(low, name):,.0f}"
        return first if high is None else f"{first} to {getattr(high, name):,.0f}"

    return (
        f"{span('concurrent_users')} concurrent users, {span('visits_per_day')} visits and"
        f" {span('users_per_day')} users a day"
    )
