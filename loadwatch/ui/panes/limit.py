"""Limit: the search for it as it goes, every rate that was tried with its verdict."""

from __future__ import annotations

import math
from collections.abc import Sequence

from loadwatch.analysis.limit import rate_text
from loadwatch.analysis.users import Habits, assumptions, audience, audience_text
from loadwatch.core.limit import RateTrial, SearchStatus
from loadwatch.core.metric import Unit, format_value
from loadwatch.ui.canvas import Row, crop, fit, plain
from loadwatch.ui.pane import Pane, notice
from loadwatch.ui.panes.events import line
from loadwatch.ui.scale import clock
from loadwatch.ui.view import View

SIGNS = {
    "PASS": ("✓ PASS", "good"), "FAIL": ("✗ FAIL", "bad"),
    "UNDECIDED": ("? UNDECIDED", "warning"), "INVALID": ("▲ INVALID", "warning"),
}  # fmt: skip
"""How a verdict is shown; the word stands beside its sign."""

BAR = 16
"""Cells of the bar of a rate, which are logarithmic: a doubling is always as long."""


class LimitPane(Pane):
    """Shown from the first search on, which the key `f` begins; of a replay, what it found."""

    TITLE, JUMP, ORDER, SIDE = "Limit", "I", 13, "load"

    def __init__(self, place: int = 0) -> None:
        super().__init__(place)
        self.add_class("-hidden")

    def headline(self, view: View) -> list[Row]:
        """What is known so far, and how long it takes."""
        search = view.status.search
        if search is None:
            return []
        found: list[Row] = [
            [("sustains ", "good"), (rate_text(search.sustained), "")],
            [("fails at ", "bad"), (rate_text(search.fails_at), "")],
        ]
        if search.ended:
            return [*found, [(search.ended, "quiet")]]
        return [*found, [(search.phase, "quiet")], [(f"about {clock(search.left)} left", "quiet")]]

    def draw(self, view: View, width: int, height: int) -> list[Row]:
        """A line for each trial, the newest at the bottom; above them what is asked for now."""
        search = view.status.search
        if search is None:
            told = [e for e in view.history.events if e.kind == "limit" and e.at < view.end]
            rows = [line(event, width) for event in told[-height:]]
            return rows or notice("no search yet: f begins one", "quiet", width)[:height]
        shown = search.trials[-max(height - 1, 0) :]
        rates = [trial.rate for trial in search.trials] + [search.rate or search.goal.start]
        rows = [_trial(trial, rates, width) for trial in shown]
        return [*rows, _now(search, rates, width), *_users(search, width)][-height:]


def _trial(trial: RateTrial, rates: Sequence[float], width: int) -> Row:
    sign, role = SIGNS[trial.verdict]
    p95 = format_value(trial.p95, Unit.SECONDS)
    seen = f"p95 {p95}, errors {format_value(trial.errors, Unit.SHARE)}"
    why = f"{trial.reason}; {seen}" if trial.reason else seen
    row: Row = [
        *_rate(trial.rate, rates, role), (fit(sign, 12), role),
        ("confirms " if trial.confirms else "", "second"), (plain(why), ""),
    ]  # fmt: skip
    return crop(row, width)


def _now(search: SearchStatus, rates: Sequence[float], width: int) -> Row:
    """What goes on."""
    if search.ended:
        return crop([("■ ", "quiet"), (plain(search.ended), "strong")], width)
    if not search.rate:
        return crop([("◌ nothing is fired until all requests are done", "quiet")], width)
    left = f"{search.phase}; space stops it"
    return crop([*_rate(search.rate, rates, "first"), ("… ", "first"), (left, "quiet")], width)


def _users(search: SearchStatus, width: int) -> list[Row]:
    """How many users a limit is that was found, and what that rests on."""
    low, high = search.sustained, search.fails_at
    if not search.ended or low is None:
        return []
    habits = Habits()
    served = audience_text(audience(low, habits), None if high is None else audience(high, habits))
    lines = [f"that is {served}, if", *(f"  {line}" for line in assumptions(habits)),
             "  (loadwatch users takes other assumptions)"]  # fmt: skip
    return [crop([(line, "quiet")], width) for line in lines]


def _rate(rate: float, rates: Sequence[float], role: str) -> Row:
    """A rate in figures and as a bar between the lowest and the highest of all."""
    low, high = min(rates), max(rates)
    share = math.log(rate / low) / math.log(high / low) if high > low else 1.0
    cells = 1 + round(share * (BAR - 1))
    return [(fit(rate_text(rate), 9, True) + " ", "strong"), (fit("█" * cells, BAR) + " ", role)]
