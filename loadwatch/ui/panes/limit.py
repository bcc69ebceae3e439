"""Limit: the search for it as it goes, every rate that was tried with its verdict."""

from __future__ import annotations

import math
from collections.abc import Sequence

from loadwatch.analysis.limit import rate_text
from loadwatch.analysis.users import Habits, assumptions, audience, audience_text
from loadwatch.core.limit import RateTrial, SearchStatus
from loadwatch.core.metric import Unit, format_value
from loadwatch.ui import chart
from loadwatch.ui.canvas import Row, crop, fit, length, plain
from loadwatch.ui.pane import Pane, notice
from loadwatch.ui.panes.events import line
from loadwatch.ui.scale import clock
from loadwatch.ui.view import View

SIGNS = {
    "PASS": ("✓ PASS", "good"), "FAIL": ("✗ FAIL", "bad"),
    "UNDECIDED": ("? UNDECIDED", "warning"), "INVALID": ("▲ INVALID", "warning"),
}  # fmt: skip
"""How a verdict is shown; the word stands beside its sign."""

WIDE = 120
"""Cells from which on the two curves stand side by side."""

PICTURE = 12
"""Rows from which on the curves are drawn above the trials."""

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
            events = [line(event, width) for event in told[-height:]]
            return events or notice("no search yet: f begins one", "quiet", width)[:height]
        rates = [trial.rate for trial in search.trials] + [search.rate or search.goal.start]
        trials = [_trial(trial, rates, width) for trial in search.trials]
        verdict, *explained = _explained(search, width) or [[]]
        served, *assumed = _users(search, width) or [[]]
        least = [row for row in (_now(search, rates, width), verdict, served) if row]
        room = height - len(least) - len(trials)
        explained = explained if len(explained) <= room else []
        room -= len(explained)
        assumed = assumed if len(assumed) <= room else []
        room -= len(assumed)
        picture = _picture(search, width, room) if room >= PICTURE else []
        below = [*least[:2], *explained, *least[2:], *assumed]
        return [*picture, *trials[-max(height - len(least), 0) :], *below][-height:]


def _picture(search: SearchStatus, width: int, height: int) -> list[Row]:
    """Answers per second and response time over the rate, with the pair and the knee."""
    marks = [(rate, text) for rate, text in (
        (search.knee, "knee"), (search.sustained, "sustains"), (search.fails_at, "fails"),
    ) if rate is not None]  # fmt: skip
    at = {trial.rate: trial for trial in search.trials if trial.verdict != "INVALID"}
    slow = [(rate, trial.p95) for rate, trial in at.items() if trial.p95 is not None]
    if len(at) < 2 or not slow:
        return []
    per_second = [
        chart.Curve("quiet", [(rate, rate) for rate in at]),
        chart.Curve("first", [(rate, trial.completed) for rate, trial in at.items()]),
    ]
    told = " over the rate; grey: if all were answered"
    pictures = [
        ([("answers per second", "first"), (told, "quiet")], Unit.PER_SECOND, per_second),
        ([("response time p95", "second"), (" over the rate", "quiet")], Unit.SECONDS,
         [chart.Curve("second", slow)]),
    ]  # fmt: skip
    is_wide = width >= WIDE
    own = (width - 2) // 2 if is_wide else width
    tall = height - 1 if is_wide else height // 2 - 1
    drawn = [
        [crop(title, own), *chart.over_rates(own, tall, unit, curves, marks)]
        for title, unit, curves in pictures
    ]
    if not is_wide:
        return [*drawn[0], *drawn[1]]
    return [[*left, (" " * (own + 2 - length(left)), ""), *right]
            for left, right in zip(*drawn, strict=True)]  # fmt: skip


def _explained(search: SearchStatus, width: int) -> list[Row]:
    """The verdict, and what the trials tell of how the server scales."""
    return [crop([(plain(line), "strong" if not at else "quiet")], width)
            for at, line in enumerate(search.explained)]  # fmt: skip


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
