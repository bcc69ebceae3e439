"""The ledger: how much each configuration takes, and whether that differs from the one above it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from loadwatch.core.metric import Catalogue, Metric, Unit

EVIDENCE = Catalogue([
    Metric("host.*.cpu.per_request", Unit.SECONDS, "CPU per request", "gauge", "lower"),
    Metric("host.*.group.*.rss_max", Unit.BYTES, "RSS per worker", "maximum", "lower"),
    Metric("host.*.swap.in", Unit.BYTES_PER_SECOND, "Swap in", "rate", "lower"),
    Metric("host.*.swap.out", Unit.BYTES_PER_SECOND, "Swap out", "rate", "lower"),
])  # fmt: skip
"""What a limit is told with: of the server, at the rate that it sustains. RSS per worker is that of
the largest process of a group."""

CHANCE = 1.1
"""Ratio of two limits below which two searches may differ by chance: one search strays by 3 to 5 %
(docs/limit.md)."""

Word = Literal[
    "more", "perhaps more", "not told apart", "perhaps less", "less", "not comparable"
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Limit:
    """The limit of `scenario` (or of a mix) that was found under a `configuration`.

    `at` is when (Unix seconds), `session` where it is recorded. `sustained` and `fails_at` are the
    pair (1/s), None where there is none; `p95` (seconds) and `evidence` (keys of `EVIDENCE`) belong
    to the former, the `verdict` to the latter. `terms` are the conditions by name, which two limits
    must share to be compared. `doubts` say what it lacks to be sure; where it is not `valid`, the
    load generator was the limit. `from_steps`: no search was made.
    """

    configuration: str
    scenario: str
    at: float
    session: str
    sustained: float | None
    fails_at: float | None
    p95: float | None = None
    verdict: str = ""
    evidence: Mapping[str, float] = field(default_factory=dict)
    terms: Mapping[str, str] = field(default_factory=dict)
    doubts: tuple[str, ...] = ()
    valid: bool = True
    from_steps: bool = False


@dataclass(frozen=True, slots=True)
class Change:
    """How a limit differs from that of the configuration `against`.

    `ratio` is that of the sustained rates; the true one lies between `low` and `high`, if both
    pairs are right. None: not bounded on that side. `reasons` say why they are not comparable.
    """

    against: str
    verdict: Word
    ratio: float | None = None
    low: float | None = None
    high: float | None = None
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Cell:
    """The limit that counts, how it differs from the one above, and those that were found before
    under the same configuration."""

    limit: Limit
    change: Change | None
    earlier: tuple[Limit, ...]

    @property
    def notes(self) -> tuple[str, ...]:
        """What should be known before the number is believed."""
        limit, found = self.limit, list(self.limit.doubts)
        if limit.from_steps:
            found.append("from steps, no search")
        if self.change is not None and self.change.reasons:
            reasons = ", ".join(self.change.reasons)
            found.append(f"not comparable to {self.change.against}: {reasons}")
        others = [one for one in self.earlier if _compared(one, limit).verdict not in SAME]
        if others:
            found.append(f"of {len(self.earlier)} before, {len(others)} came to something else")
        return tuple(found)


SAME = ("not told apart", "not comparable")


@dataclass(frozen=True, slots=True)
class Row:
    """A configuration: its cell for each scenario of the ledger that has one."""

    configuration: str
    cells: Mapping[str, Cell]


@dataclass(frozen=True, slots=True)
class Ledger:
    """The limits of one target: a column per scenario or mix, a row per configuration, in the order
    in which they were first measured. `problems` say which sessions could not be read."""

    target: str
    scenarios: Sequence[str]
    rows: Sequence[Row]
    problems: Sequence[str] = ()


def ledger(target: str, limits: Iterable[Limit], problems: Sequence[str] = ()) -> Ledger:
    """Of limits in any order. Of several of one configuration the newest counts; those from steps
    count only where there is no search."""
    found: dict[str, dict[str, list[Limit]]] = {}
    for limit in sorted(limits, key=lambda one: one.at):
        found.setdefault(limit.configuration, {}).setdefault(limit.scenario, []).append(limit)
    above: dict[str, Limit] = {}
    rows = []
    for configuration, columns in found.items():
        cells = {}
        for scenario, ones in columns.items():
            ones = [one for one in ones if not one.from_steps] or ones
            before, limit = above.get(scenario), ones[-1]
            change = None if before is None else _compared(before, limit)
            cells[scenario] = Cell(limit, change, tuple(ones[:-1]))
            above[scenario] = limit
        rows.append(Row(configuration, cells))
    scenarios = tuple(dict.fromkeys(name for row in rows for name in row.cells))
    return Ledger(target, scenarios, rows, problems)


def _compared(before: Limit, after: Limit) -> Change:
    """How `after` differs: for sure only if the pairs lie apart, and by more than chance."""
    reasons = [name for name, term in after.terms.items() if before.terms.get(name) != term]
    reasons = [f"other {name}" for name in reasons]
    if not (before.valid and after.valid):
        reasons.append("the load generator was the limit")
    if reasons:
        return Change(before.configuration, "not comparable", reasons=tuple(reasons))
    ratio = _ratio(after.sustained, before.sustained)
    low = _ratio(after.sustained, before.fails_at)
    high = _ratio(after.fails_at, before.sustained)
    is_sure = not (before.doubts or after.doubts)
    verdict: Word = "not told apart"
    if low is not None and low >= 1:
        verdict = "more" if is_sure and (ratio or low) >= CHANCE else "perhaps more"
    elif high is not None and high <= 1:
        verdict = "less" if is_sure and (ratio or high) <= 1 / CHANCE else "perhaps less"
    return Change(before.configuration, verdict, ratio, low, high)


def _ratio(rate: float | None, other: float | None) -> float | None:
    return rate / other if rate is not None and other else None
