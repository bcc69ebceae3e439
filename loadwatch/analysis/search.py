"""The search for the limit: doubles the rate until it fails, closes in, confirms what it found.

It hears seconds (`add`) and says which rate to fire at (`rate`); whoever drives it, a run or a test
on a clock of its own, asks for that rate. The doubling and closing in are those of Nighthawk's
adaptive load and of RFC 9971 (MLRsearch); a full queue shows in the growth of open requests long
before it turns anybody away, so that trials can be short.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Sequence
from typing import TypeVar

from loadwatch.analysis.thresholds import Rule
from loadwatch.analysis.trial import Hopeless, errors_of, holds, judge_trial
from loadwatch.core.limit import Goal, RateTrial, SearchStatus, Standing
from loadwatch.core.summary import SHARES, Summary
from loadwatch.core.tick import Tick

WIDTH = 1.05
"""Ratio of a rate that fails to one that passes at which the search is at its end."""

FACTOR = 2.0
"""By how much the rate rises while nothing fails."""

LONGEST_WARM_UP = 60.0
LONGEST_DRAIN = 60
"""Seconds."""

DRAINED = 2
"""Seconds without a request, at least, after a rate that failed."""

TURN = 2.0
"""Seconds that a change of the rate takes until a whole second has it."""

FOUND = "found"
CEILING = "the ceiling passes"
FIRST_FAILS = "the first rate fails"
"""Why a search is over that came to its end."""

UNDECIDED: Standing = "UNDECIDED"

_T = TypeVar("_T")
_Road = Generator[float, Tick, _T]
"""A part of the search: yields the rate to ask for, and is sent the next second."""


class Search:
    """One search. `trials` are those that are over, `seen` the judged seconds of each.

    `invalid` says why the load generator was the limit of a stretch (empty: it was not); a trial
    of which it was is repeated once, the second in a row ends the search. `rules` are thresholds
    that every trial must hold.
    """

    def __init__(
        self,
        goal: Goal,
        invalid: Callable[[Summary], Sequence[str]] = lambda summary: (),
        rules: Sequence[Rule] = (),
    ) -> None:
        self.goal = goal
        self.trials: list[RateTrial] = []
        self.seen: list[Summary] = []
        self.ended = ""
        self.is_invalid = False
        self._invalid = invalid
        self._rules = rules
        self._phase = ""
        self._passed: dict[float, bool] = {}
        self._held: float | None = None
        self._median = 0.0
        self._trial_ends = 0.0
        self._second = 0
        self._begun = math.inf
        self._road = self._climb()
        self.rate = next(self._road)

    def add(self, tick: Tick) -> None:
        """Take the next second; `rate` and `ended` say what follows from it."""
        if self.ended:
            return
        self._second = tick.second
        self._begun = min(self._begun, tick.second)
        try:
            self.rate = self._road.send(tick)
        except StopIteration as end:
            self.stop(end.value)

    def stop(self, reason: str) -> None:
        """End it; `reason` says why. Nothing happens where it is over."""
        if not self.ended:
            self.ended, self.rate = reason, 0.0
            self._road.close()

    # -- what it knows -----------------------------------------------------------------------

    @property
    def fails_at(self) -> float | None:
        """The smallest rate that failed."""
        return min((rate for rate, passed in self._passed.items() if not passed), default=None)

    @property
    def sustained(self) -> float | None:
        """The largest rate that passed below `fails_at` (the relevant lower bound of RFC 9971)."""
        above = self.fails_at or math.inf
        held = (rate for rate, passed in self._passed.items() if passed and rate < above)
        return max(held, default=None)

    @property
    def is_odd(self) -> bool:
        """Whether a rate passed above one that failed."""
        above = self.fails_at or math.inf
        return any(passed and rate > above for rate, passed in self._passed.items())

    @property
    def status(self) -> SearchStatus:
        """How it stands."""
        return SearchStatus(
            self.goal, self._phase, self.rate, tuple(self.trials), self.sustained, self.fails_at,
            self._left(), self.ended, self.is_invalid, self.is_odd,
        )  # fmt: skip

    def summary_at(self, rate: float | None) -> Summary | None:
        """What the last trial at `rate` saw."""
        at = [n for n, trial in enumerate(self.trials) if trial.rate == rate]
        return self.seen[at[-1]] if at else None

    # -- the way -----------------------------------------------------------------------------

    def _climb(self) -> _Road[str]:
        """The whole search; says at its end why it is over."""
        rate, confirms, tried = min(self.goal.start, self.goal.ceiling), False, 0
        while True:
            self._phase = self._what(confirms)
            passed = yield from (self._confirm(rate) if confirms else self._one(rate))
            if passed is None:
                self.is_invalid = True
                return "the load generator was the limit"
            self._passed[rate] = passed
            low = self.sustained
            if low is None:
                return FIRST_FAILS
            if confirms and passed:
                return FOUND if self.fails_at else CEILING
            tried += confirms
            confirms = self._is_found(low)
            if tried >= self.goal.pace.confirmed_rates and (confirms or self._is_late):
                return "not confirmed"
            rate = low if confirms else self._next(low)

    @property
    def _is_late(self) -> bool:
        """Whether another trial would take longer than there is time."""
        return self._second - self._begun > self.goal.pace.patience

    def _what(self, confirms: bool) -> str:
        if confirms:
            return "confirming"
        return "closing in" if self.fails_at else "finding the range"

    def _is_found(self, low: float) -> bool:
        high = self.fails_at
        return low >= self.goal.ceiling if high is None else high / low <= WIDTH

    def _next(self, low: float) -> float:
        """The rate to try after what is known: twice the highest, or the middle of the bracket."""
        if self.fails_at is None:
            return min(low * FACTOR, self.goal.ceiling)
        return float(f"{math.sqrt(low * self.fails_at):.3g}")

    def _one(self, rate: float) -> _Road[bool | None]:
        pace = self.goal.pace
        return (yield from self._trial(rate, pace.trial, pace.requests))

    def _confirm(self, rate: float) -> _Road[bool | None]:
        """Whether `rate` passes most of its trials, and the last and longest one."""
        pace, votes = self.goal.pace, {True: 0, False: 0}
        while max(votes.values()) < pace.votes:
            passed = yield from self._trial(
                rate, pace.confirmation, pace.confirmed_requests, confirms=True
            )
            if passed is None:
                return None
            votes[passed] += 1
        if votes[False] >= pace.votes or not pace.soak:
            return votes[True] >= pace.votes
        return (yield from self._trial(rate, pace.soak, pace.confirmed_requests, confirms=True))

    def _trial(
        self, rate: float, seconds: float, requests: int, confirms: bool = False
    ) -> _Road[bool | None]:
        """Whether `rate` passes; None where the generator spoilt it twice in a row."""
        for _ in range(2):
            trial = yield from self._hold(rate, max(seconds, requests / rate), confirms)
            self.trials.append(trial)
            if trial.verdict == "FAIL":
                yield from self._drain()
            if trial.verdict != "INVALID":
                return trial.verdict == "PASS"
        return None

    def _hold(self, rate: float, seconds: float, confirms: bool) -> _Road[RateTrial]:
        """One trial: the warm-up, then up to `Pace.parts` times so many seconds."""
        hopeless, whole, given_up = Hopeless(self.goal), Summary(), ""
        if self._held != rate:
            warm_up = math.ceil(self._warm_up())
            self._trial_ends = self._second + TURN + warm_up + seconds
            yield from self._arrive(rate)
            while not given_up and whole.seconds < warm_up - 1:
                given_up = _take((yield rate), hopeless, whole)
        total, parts, verdict = Summary(), list[Summary](), UNDECIDED
        while verdict == UNDECIDED:
            self._trial_ends = self._second + seconds
            parts.append(Summary())
            while not given_up and parts[-1].seconds < seconds:
                given_up = _take((yield rate), hopeless, total, parts[-1], whole)
            total = whole if given_up else total  # of a rate that is hopeless all tells
            verdict, reason = self._judge(total, given_up, confirms)
            if verdict == UNDECIDED:
                verdict = self._vote(parts, patient=confirms)
        self.seen.append(total)
        return _told(total, rate, verdict, reason, confirms)

    def _vote(self, parts: Sequence[Summary], patient: bool) -> Standing:
        """What most parts of a trial say; UNDECIDED while others may follow and matter.

        With `patient` those that pass wait for all, as more of them may prove what is in doubt.
        """
        most, passed = self.goal.pace.parts, sum(holds(part, self.goal.slo) for part in parts)
        if (len(parts) - passed) * 2 > most:
            return "FAIL"
        is_over = len(parts) >= most or (passed * 2 > most and not patient)
        return "PASS" if is_over else UNDECIDED

    def _arrive(self, rate: float) -> _Road[None]:
        """Wait for the first second at `rate`."""
        self._held = rate
        tick = yield rate
        while not math.isclose(sum(tick.rates.values()), rate):
            tick = yield rate

    def _judge(self, total: Summary, hopeless: str, confirms: bool) -> tuple[Standing, str]:
        """The trial as far as it went; a generator that did not keep up spoils it.

        Requests that it had to drop behind a server that does not answer are no such fault.
        """
        reasons = self._invalid(total)
        if reasons and not (hopeless and total.count("load.dropped")):
            return "INVALID", "; ".join(reasons)
        if hopeless:
            return "FAIL", hopeless
        proven = confirms and self.goal.pace.proven
        found = judge_trial(total, self.goal.slo, self._rules, proven)
        if found[0] == "PASS":
            self._median = total.histogram("response").percentile(0.5) or 0.0
        return found

    def _warm_up(self) -> float:
        """Seconds: as long as ten answers took at the rate that passed last, if that is more."""
        return min(max(self.goal.pace.warm_up, 10 * self._median), LONGEST_WARM_UP)

    def _drain(self) -> _Road[None]:
        """Fire nothing until no request is open."""
        self._held, quiet = None, 0
        for _ in range(LONGEST_DRAIN):
            tick = yield 0.0
            idle = not any(tick.rates.values())
            quiet += idle
            if quiet >= DRAINED and not tick.values.get("load.in_flight"):
                return

    def _left(self) -> float:
        """Seconds to go, if every trial is decided at once and the next doubling fails."""
        if self.ended:
            return 0.0
        pace, low = self.goal.pace, self.sustained or self.goal.start
        ratio = (self.fails_at or low * FACTOR) / low
        trials = math.ceil(math.log2(max(math.log(ratio) / math.log(WIDTH), 1.0)))
        trials += 0 if self.fails_at else 1
        each = TURN + self._warm_up() + max(pace.trial, pace.requests / low)
        confirming = pace.votes * max(pace.confirmation, pace.confirmed_requests / low) + pace.soak
        rest = max(0.0, self._trial_ends - self._second)
        if self._phase == "confirming":
            done = sum(trial.confirms and trial.rate == low for trial in self.trials) + 1
            return rest + (confirming - done * pace.confirmation if done <= pace.votes else 0.0)
        return rest + trials * each + confirming


def _take(tick: Tick, hopeless: Hopeless, *stretches: Summary) -> str:
    """Count a second in `stretches`; why the rate is to be given up, if it is."""
    for stretch in stretches:
        stretch.add(tick)
    return hopeless.add(tick)


def _told(total: Summary, rate: float, verdict: Standing, reason: str, confirms: bool) -> RateTrial:
    """A trial that is over, in numbers."""
    times = total.histogram("response")
    bad, requests = errors_of(total)
    p95, p99 = (
        times.percentile(SHARES[name]) if times.is_known(SHARES[name]) else None
        for name in ("p95", "p99")
    )
    errors = bad / requests if requests else 0.0
    return RateTrial(
        rate, verdict, reason, total.first, total.seconds, requests, p95, p99, errors,
        total.rate("load.completed"), confirms,
    )  # fmt: skip
