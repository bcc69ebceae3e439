"""A session, read once, as its reports tell it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from loadwatch.analysis.ledger import Ledger, ledger
from loadwatch.analysis.verdict import Verdict, judge
from loadwatch.core.history import History
from loadwatch.core.metric import Catalogue, format_clock
from loadwatch.recorded import plan_of, result_of
from loadwatch.reports.ledger import pair_text
from loadwatch.reports.limits import limits_of
from loadwatch.session import Session


@dataclass(frozen=True, slots=True)
class Digest:
    """All that a report says.

    `about` is what the session says of itself, `result` what it came to, `verdicts` the verdict on
    each step of `history`, `ledger` the limits that were found in it.
    """

    name: str
    started: datetime
    about: dict[str, Any]
    result: dict[str, Any]
    catalogue: Catalogue
    hosts: Sequence[str]
    history: History
    verdicts: Sequence[Verdict]
    ledger: Ledger

    @property
    def head(self) -> str:
        """Target, time and length in one line."""
        long = format_clock(self.history.length)
        return f"{self.about.get('target', '')} · {self.started:%Y-%m-%d %H:%M:%S} UTC · {long}"

    @property
    def limit(self) -> str:
        """The limits that the last searches found; without one, what the steps tell: the largest
        rate that held, the smallest that did not.

        A rate above one that failed tells nothing. A closed loop has no rates to tell it by.
        """
        if self.result.get("limits") and self.ledger.rows:
            cells = self.ledger.rows[-1].cells.items()
            return ", ".join(
                f"{name} {pair_text(cell.limit.sustained, cell.limit.fails_at)}"
                for name, cell in cells
            )
        steps = [
            (sum(step.rates.values()), verdict)
            for step, verdict in zip(self.history.steps, self.verdicts, strict=True)
            if step.rates and verdict.name != "unknown"
        ]
        failed = min(
            ((rate, verdict) for rate, verdict in steps if verdict.name != "not saturated"),
            key=lambda one: one[0],
            default=None,
        )
        held = max(
            (
                rate
                for rate, verdict in steps
                if verdict.name == "not saturated" and (failed is None or rate < failed[0])
            ),
            default=None,
        )
        told = [] if held is None else [f"{held:g}/s held"]
        told += [] if failed is None else [f"{failed[0]:g}/s did not: {failed[1].name}"]
        return ", ".join(told) or "the steps do not tell"


def digest(session: Session) -> Digest:
    """Read a session; SessionError where it is broken."""
    history = History()
    for tick in session.ticks():
        history.add(tick)
    result = result_of(session)
    reasons = result["generator"]["reasons"]  # of an invalid run, nothing is claimed of any step
    signs = plan_of(session).verdict
    return Digest(
        name=session.name,
        started=datetime.fromtimestamp(session.start, UTC),
        about=session.about,
        result=result,
        catalogue=Catalogue(session.metrics.values()),
        hosts=session.hosts,
        history=history,
        verdicts=[
            judge(step, reasons, session.hosts, history.steps, signs) for step in history.steps
        ],
        ledger=ledger(session.name, limits_of(session)),
    )
