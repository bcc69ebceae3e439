"""What a search for the limit is asked for, and what it knows so far."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

Standing = Literal["PASS", "FAIL", "UNDECIDED", "INVALID"]
"""What a trial says of its rate; INVALID: the load generator did not keep up, so nothing."""


@dataclass(frozen=True, slots=True)
class Slo:
    """What the server must hold at a rate: response times (seconds), and a share of requests
    without a good answer. The defaults are those of SPECweb2005 Banking, and 1 %.
    """

    p95: float = 2.0
    p99: float = 4.0
    errors: float = 0.01


@dataclass(frozen=True, slots=True)
class Pace:
    """How long a search looks at a rate (seconds).

    After `warm_up`, a trial takes `trial` or as long as `requests` take; where it stays undecided,
    up to `parts` times that. The rate that was found is confirmed by `votes` trials of
    `confirmation` (or `confirmed_requests`) that pass before as many fail, and by a last one of
    `soak`; where `proven`, these must bound the share of errors from above. Where that fails, a
    lower rate is confirmed, up to `confirmed_rates` of them; after these it still closes in for so
    long as the search has lasted less than `patience`.
    """

    name: str = ""
    warm_up: float = 5.0
    trial: float = 30.0
    requests: int = 100
    parts: int = 3
    votes: int = 2
    confirmation: float = 60.0
    confirmed_requests: int = 400
    confirmed_rates: int = 20
    patience: float = math.inf
    soak: float = 120.0
    proven: bool = True


CAREFUL = Pace()

QUICK = Pace(
    name="quick", warm_up=2.0, trial=10.0, requests=0, parts=1, votes=1, confirmation=10.0,
    confirmed_requests=0, confirmed_rates=1, patience=155.0, soak=0.0, proven=False,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Goal:
    """The search: from the rate `start` (1/s, all scenarios together), never above `ceiling`.

    `open_requests` is how many the generator keeps open at most.
    """

    slo: Slo = Slo()
    pace: Pace = CAREFUL
    start: float = 1.0
    ceiling: float = 1e6
    open_requests: int = 1000


GOAL = Goal()
"""Of a plan that asks for nothing."""


@dataclass(frozen=True, slots=True)
class RateTrial:
    """One rate (1/s) as it was held from second `first` on, for `seconds` after the warm-up.

    `reason` says why it is not PASS. Times are in seconds, None where there are too few requests;
    `errors` is the share of requests without a good answer, `completed` the answers per second.
    `confirms`: it was to confirm a limit.
    """

    rate: float
    verdict: Standing
    reason: str
    first: int
    seconds: int
    requests: int
    p95: float | None
    p99: float | None
    errors: float
    completed: float
    confirms: bool = False


@dataclass(frozen=True, slots=True)
class SearchStatus:
    """How a search stands: `rate` (1/s) is asked for now, for what `phase` says.

    `sustained` is the largest rate that passed below `fails_at`, the smallest that failed; None
    where there is none so far. `left` is about how long it goes on (seconds). `ended` says why it
    is over, empty while it goes on; `invalid` that the load generator was the limit. With
    `is_odd` a rate passed above one that failed. Once it is over, `explained` are the verdict and
    what the trials tell of how the server scales, a line each, and `knee` is a rate or None.
    """

    goal: Goal
    phase: str
    rate: float
    trials: tuple[RateTrial, ...]
    sustained: float | None
    fails_at: float | None
    left: float
    ended: str = ""
    invalid: bool = False
    is_odd: bool = False
    explained: tuple[str, ...] = ()
    knee: float | None = None
