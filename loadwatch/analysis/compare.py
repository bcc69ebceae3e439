"""Two sessions, honestly compared: the same load before and after a change.

Here is decided whether they can be compared at all, and what they have in common: stretches at the
same rates. How the numbers of two stretches differ is said by `analysis.change`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from loadwatch.analysis.bootstrap import RESAMPLES
from loadwatch.analysis.change import Row, changes
from loadwatch.analysis.stretch import LEAST, Stretch
from loadwatch.core.metric import Metric, format_rates

SAME_RATE = 0.02
"""Relative difference up to which two rates are one."""


@dataclass(frozen=True, slots=True)
class Side:
    """A session as it is compared.

    `plan` and `environment` are as recorded; `reasons` say why its load generator was the limit
    (empty: it was not); `stretches` are the longest at each of its rates; `metrics` declare its
    keys.
    """

    name: str
    plan: Mapping[str, Any]
    environment: Mapping[str, Any]
    reasons: Sequence[str]
    stretches: Sequence[Stretch]
    metrics: Mapping[str, Metric]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Whether `candidate` can be compared to `base` at all; if not, `reasons`; else `rows`.

    `notes` are what else differs, or limits what can be told.
    """

    base: str
    candidate: str
    reasons: Sequence[str]
    notes: Sequence[str]
    rows: Sequence[Row]

    @property
    def comparable(self) -> bool:
        """Whether there is anything to compare."""
        return not self.reasons


def compare(base: Side, candidate: Side, resamples: int = RESAMPLES) -> Comparison:
    """`candidate` beside `base`, at every rate that both were fired at."""
    reasons = [
        f"{side.name}: the load generator was the limit: {reason}"
        for side in (base, candidate)
        for reason in side.reasons
    ]
    reasons += _differences(base.plan, candidate.plan)
    pairs = [
        (one, other)
        for one, other in product(base.stretches, candidate.stretches)
        if _is_same(one.rates, other.rates)
    ]
    if not pairs:
        reasons.append(f"no rates in common: {_fired(base)}, {_fired(candidate)}")
    if reasons:
        return Comparison(base.name, candidate.name, reasons, (), ())
    paired = _arrivals(base) == _arrivals(candidate)
    rows = [
        row for one, other in pairs for row in changes(one, other, base.metrics, paired, resamples)
    ]
    return Comparison(base.name, candidate.name, (), _notes(base, candidate, pairs), rows)


# -- comparable at all? --------------------------------------------------------------------------

HARMLESS = frozenset({"seed", "workers", "max_rate", "requests", "gates"})
"""Settings of the load that do not change what the server sees."""


def _differences(base: Mapping[str, Any], candidate: Mapping[str, Any]) -> list[str]:
    """What makes two plans another load altogether."""
    found = []
    if _requests(base) != _requests(candidate):
        found.append("the scenarios differ in what they request")
    for table, names in (
        ("load", base["load"].keys() | candidate["load"].keys()),
        ("target", {"timeout"}),
    ):
        for name in sorted(names - HARMLESS):
            ours, theirs = base[table].get(name), candidate[table].get(name)
            if ours != theirs:
                found.append(f"{table}.{name} differs: {ours} and {theirs}")
    return found


def _requests(plan: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The scenarios but for their rates and what their headers say."""
    return [
        {**scenario, "rate": None, "headers": sorted(map(str.lower, scenario.get("headers", ())))}
        for scenario in plan["scenario"]
    ]


def _arrivals(side: Side) -> tuple[Any, ...]:
    """What the due instants follow from, besides the rates."""
    load = side.plan["load"]
    return load["arrival"], load["seed"], load["connections"], load["workers"]


def _is_same(base: Mapping[str, float], candidate: Mapping[str, float]) -> bool:
    return base.keys() == candidate.keys() and all(
        math.isclose(rate, candidate[name], rel_tol=SAME_RATE) for name, rate in base.items()
    )


def _fired(side: Side) -> str:
    told = "; ".join(format_rates(stretch.rates) for stretch in side.stretches)
    return f"{side.name} fired {told or 'nothing'}"


def _notes(
    base: Side, candidate: Side, pairs: Sequence[tuple[Stretch, Stretch]]
) -> tuple[str, ...]:
    """What does not forbid a comparison, but should be known."""
    notes = [
        f"the {what}s differ: {ours} and {theirs}"
        for what, ours, theirs in (
            ("target", base.plan["target"]["url"], candidate.plan["target"]["url"]),
            ("seed", base.plan["load"]["seed"], candidate.plan["load"]["seed"]),
            ("generator", base.environment.get("host"), candidate.environment.get("host")),
        )
        if ours != theirs
    ]
    shortest = min(stretch.firing for pair in pairs for stretch in pair)
    if shortest < LEAST:
        notes.append(f"{shortest} s of firing tell no difference: it takes {LEAST}")
    return tuple(notes)
