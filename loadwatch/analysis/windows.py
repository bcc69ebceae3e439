"""Thresholds while a run goes on: rules with a window, and rules that end the run."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

from loadwatch.analysis.thresholds import Outcome, Rule, Thresholds
from loadwatch.core.metric import format_clock
from loadwatch.core.summary import Summary
from loadwatch.core.tick import Tick, distribution_of


class Watcher:
    """Listens to a bus (`watcher.add`) and holds thresholds against what it hears.

    `total` is the run so far, up to the tick that comes. `on_abort` is called once, with the first
    outcome that is to end the run. What is unknown so far ends nothing.
    """

    def __init__(
        self, thresholds: Thresholds, total: Summary, on_abort: Callable[[Outcome], None]
    ) -> None:
        self._rules = thresholds.rules
        self._windows = {rule: _Window(rule) for rule in self._rules if rule.window is not None}
        self._total = total
        self._on_abort: Callable[[Outcome], None] | None = on_abort
        self._unfired: list[Tick] = []

    def add(self, tick: Tick) -> None:
        """Take the next tick.

        Seconds without a request count only once others follow: the time in which the last requests
        run out belongs to no window.
        """
        self._unfired.append(tick)
        if not tick.values.get("load.offered"):
            return
        for rule, window in self._windows.items():
            for fired in self._unfired:
                self._abort(rule, window.add(fired))
        self._unfired.clear()
        for rule in self._rules:
            if rule.abort and rule.window is None:
                self._abort(rule, rule.judge(self._total))

    @property
    def outcomes(self) -> list[Outcome]:
        """What became of every rule, so far."""
        return [
            outcome
            for rule in self._rules
            for outcome in (
                self._windows[rule].outcomes(self._total)
                if rule in self._windows
                else rule.judge(self._total)
            )
        ]

    def _abort(self, rule: Rule, outcomes: Sequence[Outcome]) -> None:
        failed = (o for o in outcomes if not o.passed and o.value is not None)
        first = next(failed, None)
        if rule.abort and first is not None and self._on_abort is not None:
            on_abort, self._on_abort = self._on_abort, None
            on_abort(first)


class _Window:
    """The last seconds of one rule, and the worst that they ever came to, by key."""

    def __init__(self, rule: Rule) -> None:
        assert rule.window is not None
        self._rule = rule
        self._ticks: deque[Tick] = deque(maxlen=rule.window)
        self._worst: dict[str, Outcome] = {}

    def add(self, tick: Tick) -> list[Outcome]:
        """What the window that ends with `tick` comes to; nothing while it is not full."""
        self._ticks.append(self._reduced(tick))
        if len(self._ticks) < (self._ticks.maxlen or 0):
            return []
        summary = Summary()
        for one in self._ticks:
            summary.add(one)
        summary.duration = len(self._ticks)
        found = self._rule.judge(summary)
        for outcome in found:
            self._keep(outcome, tick.second + 1)
        return found

    def outcomes(self, summary: Summary) -> list[Outcome]:
        """The worst of every key; where no window could be judged, that it is unknown."""
        if self._worst:
            return list(self._worst.values())
        unknown = f"no {self._rule.window} s that tell"
        return [replace(o, value=None, passed=False, reason=unknown)
                for o in self._rule.judge(summary)]  # fmt: skip

    def _keep(self, outcome: Outcome, end: int) -> None:
        worst = self._worst.get(outcome.key)
        if outcome.value is None:
            return
        if worst is None or worst.value is None or self._is_worse(outcome, worst):
            begin = end - len(self._ticks)
            reason = f"{outcome.reason} from {format_clock(begin)} to {format_clock(end)}"
            self._worst[outcome.key] = replace(outcome, reason=reason)

    def _is_worse(self, outcome: Outcome, worst: Outcome) -> bool:
        if outcome.passed != worst.passed:
            return worst.passed
        assert outcome.value is not None and worst.value is not None
        return self._rule.is_worse(outcome.value, worst.value)

    def _reduced(self, tick: Tick) -> Tick:
        """What of a second the rule looks at: a window of many seconds is added up every second."""
        key = self._rule.metric.key
        _, kind = distribution_of(key) or (None, "")
        values: Mapping[str, float] = {
            name: value
            for name, value in tick.values.items()
            if name.endswith((".offered", ".errors.timeout")) or fnmatchcase(name, key)
        }
        histograms = {
            own: counts for own, counts in tick.histograms.items() if fnmatchcase(own[1], kind)
        }
        return replace(tick, values=values, histograms=histograms, processes=(), events=())
