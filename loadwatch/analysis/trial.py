"""What one rate came to: holds a stretch at a constant rate against the service level.

What a trial found counts as known where chance would hardly explain it: a share by its Wilson
interval (`core.interval`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from loadwatch.analysis.queueing import chance, piles_up
from loadwatch.analysis.thresholds import Rule
from loadwatch.core.interval import wilson
from loadwatch.core.limit import Goal, Slo, Standing
from loadwatch.core.metric import Unit, format_value
from loadwatch.core.summary import Summary
from loadwatch.core.tick import Tick

ANSWERED = 0.98
"""Share of the requests that a server which keeps up answers within the trial."""

BURST = 5.0
"""So many times the share that may be slow is certain. Slow answers come in bursts, since they wait
for each other: below, an interval for independent ones would be far too narrow."""

HOPELESS = 5
"""Seconds in a row after which a rate is given up."""

MOSTLY = 0.5
"""Share of errors in such a second; share of the generator's open requests that is too many."""

SETTLED = 3
"""Seconds after which many open requests are not just those of the first moment."""


def errors_of(summary: Summary) -> tuple[int, int]:
    """Requests without a good answer (a status from 400 on or not expected, a wrong body, none at
    all, dropped), and all."""
    bad = summary.count("load.completed") - summary.count("load.goodput")
    bad += summary.unanswered + summary.count("load.dropped")
    return bad, max(summary.count("load.offered"), bad)


def judge_trial(
    summary: Summary, slo: Slo, rules: Sequence[Rule] = (), proven: bool = False
) -> tuple[Standing, str]:
    """PASS, FAIL or UNDECIDED, and why. `rules` must hold besides.

    With `proven` a share of errors below the limit must be certain; else it is enough that nothing
    says otherwise.
    """
    failed, doubted = [], []
    bad, *slow = _shares(summary, slo)
    low, high = wilson(bad.seen, bad.total)
    if low > bad.allowed:
        failed.append(bad.text)
    elif bad.is_over or (proven and high >= bad.allowed):
        doubted.append(f"{bad.text}: up to {high:.1%}")
    for one in slow:
        certain = one.seen > BURST * one.allowed * one.total
        if one.is_over:
            (failed if certain else doubted).append(one.text)
    failed += _behind(summary)
    for outcome in (outcome for rule in rules for outcome in rule.judge(summary)):
        if not outcome.passed and outcome.value is not None:
            failed.append(f"{outcome.key} {outcome.reason} (not {outcome.rule})")
    if failed:
        return "FAIL", "; ".join(failed)
    return ("UNDECIDED", "; ".join(doubted)) if doubted else ("PASS", "")


def holds(summary: Summary, slo: Slo) -> bool:
    """Whether the shares as they were seen are within the service level, certain or not."""
    return not any(share.is_over for share in _shares(summary, slo))


class _Share(NamedTuple):
    """`seen` of `total` requests were so, `allowed` is the share that may be; in words."""

    seen: int
    total: int
    allowed: float
    text: str

    @property
    def is_over(self) -> bool:
        return self.seen > self.allowed * self.total


def _shares(summary: Summary, slo: Slo) -> list[_Share]:
    """Those with errors, then those that were too slow for each percentile."""
    bad, total = errors_of(summary)
    times = summary.histogram("response")
    found = [_Share(bad, total, slo.errors, f"{bad} of {total} requests without a good answer")]
    for name, share, limit in (("p95", 0.95, slo.p95), ("p99", 0.99, slo.p99)):
        sign = "≥ " if times.is_censored(share) else ""
        value = format_value(times.percentile(share), Unit.SECONDS)
        text = f"response {name} {sign}{value}, above {format_value(limit, Unit.SECONDS)}"
        found.append(_Share(times.above(limit), times.total, 1 - share, text))
    return found


def _behind(summary: Summary) -> list[str]:
    """What says that requests come faster than they are answered."""
    opened = list(summary.open_requests)
    offered = summary.count("load.offered")
    completed = summary.count("load.completed")
    found = []
    if piles_up(opened, offered):
        found.append(f"open requests rising from {opened[0]:.0f} to {opened[-1]:.0f}")
    if offered - completed > (1 - ANSWERED) * offered + chance(opened):
        found.append(f"only {completed} of {offered} requests answered")
    return found


class Hopeless:
    """Looks at a rate second by second, to give it up early."""

    def __init__(self, goal: Goal) -> None:
        self._goal = goal
        self._seconds = self._failing = self._slow = 0

    def add(self, tick: Tick) -> str:
        """Take the next second; why the rate fails for certain, empty while it may hold."""
        values = tick.values
        offered = values.get("load.offered", 0.0)
        completed = values.get("load.completed", 0.0)
        opened = values.get("load.in_flight", 0.0)
        errors = sum(n for key, n in values.items() if key.startswith("load.errors."))
        errors -= values.get("load.errors.content", 0.0)  # answered, and no goodput
        bad = completed - values.get("load.goodput", 0.0) + errors
        limit = 2 * self._goal.slo.p95
        waiting = max(values.get("load.response.p95", 0.0), values.get("load.oldest", 0.0))
        self._seconds += 1
        self._failing = self._failing + 1 if bad and bad >= MOSTLY * offered else 0
        self._slow = self._slow + 1 if waiting > limit else 0
        if self._failing >= HOPELESS:
            return f"{bad:.0f} of {offered:.0f} requests in a second without a good answer"
        if self._slow >= HOPELESS:
            told = format_value(limit, Unit.SECONDS)
            return f"for {self._slow} s requests took longer than {told}"
        if self._seconds < SETTLED or opened < MOSTLY * self._goal.open_requests:
            return ""
        return f"{opened:.0f} requests open" if completed < ANSWERED * offered else ""
