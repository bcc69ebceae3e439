"""What holds the server back, with the evidence: a table of rules over one stretch of a run.

The rules follow the USE method (utilisation, saturation, errors: https://www.brendangregg.com/
usemethod.html) on what the probes read. The first that holds gives the verdict, later ones are seen
besides it. None that holds is said as "unknown": nothing is guessed.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from loadwatch.analysis.evidence import JUDGED_SECONDS, Server, Stretch
from loadwatch.analysis.queueing import piles_up
from loadwatch.analysis.rules import AT_EASE, RULES, described
from loadwatch.core.history import History
from loadwatch.core.plan import SIGNS, Signs
from loadwatch.core.summary import Summary

UNKNOWN = "unknown"

EASIER = 0.7
"""Share of a step's rate that an easier one has at most."""

PRESENT = 10
"""Seconds that tell how things stand: long enough to judge, short enough to follow what happens."""

CREEPING = 60
"""Seconds in which open requests are seen to pile up that do so slowly."""

ANSWERS = 20
"""Answers that a baseline takes at least."""

CLIENT_ADVICE = (
    "nothing is claimed about the server: fire less, or from more workers or another machine"
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What holds the server back (`name`), what else was seen, the numbers that say so, and what
    to do about it."""

    name: str
    also: tuple[str, ...]
    evidence: tuple[str, ...]
    advice: str

    def as_json(self) -> dict[str, Any]:
        """As JSON-ready data."""
        return {
            "name": self.name,
            "also": list(self.also),
            "evidence": list(self.evidence),
            "advice": self.advice,
        }


def judge(
    summary: Summary,
    reasons: Sequence[str],
    hosts: Sequence[str],
    steps: Sequence[Summary] = (),
    signs: Signs = SIGNS,
    fails: bool = False,
) -> Verdict:
    """The verdict on a stretch.

    `reasons` say why the generator itself was the limit (empty: it was not): nothing is then
    claimed about the server. `hosts` are the watched servers by name. `steps` are those of the run;
    the easiest of them is what response times are held against. `signs` are the plan's. With
    `fails` the stretch is known to break the service level, so that it is saturated by something.
    """
    if reasons:
        return Verdict("client-limited", (), tuple(reasons), CLIENT_ADVICE)
    servers = [Server(summary, name, signs) for name in hosts]
    stretch = Stretch(summary, servers, _baseline(steps, summary), signs)
    if stretch.seconds < JUDGED_SECONDS:
        return _unknown(stretch)
    found = [(rule, seen) for rule in RULES if (seen := rule.seen(stretch))]
    if fails:
        found = [(rule, seen) for rule, seen in found if rule.name != AT_EASE]
    if not found:
        return _slower(stretch) if stretch.keeps_up and not fails else _unknown(stretch)
    evidence = tuple(dict.fromkeys(line for _, seen in found for line in seen))
    (first, _), *others = found
    advice = first.advice(stretch)
    if first.name == AT_EASE and others:
        advice = f"the limit is near: {others[0][0].advice(stretch)}"
    return Verdict(first.name, tuple(rule.name for rule, _ in others), evidence, advice)


def judged(steps: Sequence[Summary], total: Summary) -> Summary:
    """What the verdict on a run is on: the last step that is long enough to tell, else all."""
    long = [step for step in steps if len(step.open_requests) >= JUDGED_SECONDS]
    return long[-1] if long else total


def present(history: History, end: int) -> Summary:
    """What the verdict on second `end - 1` is on: the last seconds of its step, or as many more as
    it takes to see that open requests pile up."""
    longer = history.part(end - CREEPING, end)
    opened = longer.open_requests
    is_rising = piles_up(opened, longer.count("load.offered"))
    if is_rising and opened[-1] >= statistics.fmean(opened):
        return longer
    return history.part(end - PRESENT, end)


def _baseline(steps: Sequence[Summary], summary: Summary) -> Summary | None:
    """Of `steps`, the one at the lowest rate, if it is easy beside `summary` and was answered."""
    easier = [
        one
        for one in steps
        if sum(one.rates.values()) > 0  # into a pause only the last answers trail
        and sum(one.rates.values()) <= EASIER * sum(summary.rates.values())
        and one.count("load.completed") >= ANSWERS
        and not one.count("load.status.5xx")
    ]
    return min(easier, key=lambda one: sum(one.rates.values()), default=None)


def _slower(stretch: Stretch) -> Verdict:
    """Everything is answered, but takes longer than at an easy rate."""
    told = f"response p95 {stretch.slowdown or 0:.1f} × that of the easiest step"
    evidence = (stretch.describe(), told, *described(stretch.servers))
    return Verdict(AT_EASE, (), evidence, "the limit is near: raise the rate in small steps")


def _unknown(stretch: Stretch) -> Verdict:
    """No rule holds: what was seen, and what it would take to tell."""
    needs = []
    if stretch.seconds < JUDGED_SECONDS:
        needs.append(f"{JUDGED_SECONDS} s of firing (there were {stretch.seconds})")
    if not stretch.servers:
        needs.append("a watched host")
    for server in stretch.servers:
        if server.mean("cpu.us") is None:
            needs.append(f"readings of {server.name}")
        elif server.mean("cpu.count") is None:
            needs.append(f"the number of CPUs of {server.name}")
    evidence = (stretch.describe(), *described(stretch.servers))
    advice = (
        f"to tell, it takes {', '.join(needs)}"
        if needs
        else "no rule explains this: compare CPU, run queue, swap and disks with a lower rate"
    )
    return Verdict(UNKNOWN, (), evidence, advice)
