"""Pass/fail rules over metric keys: `"load.response.p99" = "< 500ms"`."""

from __future__ import annotations

import difflib
import math
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from loadwatch.core.errors import PlanError
from loadwatch.core.metric import Catalogue, Metric, Unit, format_value
from loadwatch.core.plan import Plan
from loadwatch.core.summary import SHARES, Summary

_RULE = re.compile(r"(<=|>=|==|<|>)\s*(\d+(?:\.\d+)?)\s*(\S*)")

COMPARE: Mapping[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
}
"""What each comparison of a rule asks of value and limit."""

_TIMES = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0}
_SIZES = {"B": 1.0, "KiB": 1024.0, "MiB": 1024.0**2, "GiB": 1024.0**3}

_UNITS: Mapping[Unit, tuple[Mapping[str, float], str]] = {
    Unit.SECONDS: (_TIMES, "a time such as `500ms`"),
    Unit.BYTES: (_SIZES, "a size such as `1MiB`"),
    Unit.BYTES_PER_SECOND: (
        {f"{name}/s": factor for name, factor in _SIZES.items()},
        "bytes per second, such as `1MiB/s`",
    ),
    Unit.PERCENT: ({"%": 1.0}, "a share such as `90%`"),
    Unit.SHARE: ({"%": 0.01}, "a share such as `90%`"),
    Unit.PER_SECOND: ({"/s": 1.0, "": 1.0}, "a rate such as `100/s`"),
    Unit.COUNT: ({"": 1.0}, "a plain number"),
    Unit.NUMBER: ({"": 1.0}, "a plain number"),
}
"""How a limit may be spelled: suffix -> core units per one of it, and how to say so."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One threshold: `limit` in the core unit of `metric`, whose key may hold `*` segments."""

    metric: Metric
    text: str
    compare: str
    limit: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a rule for one concrete key.

    `value` is in the metric's core unit, None where it is unknown: the rule then fails. `reason`
    says what was found.
    """

    key: str
    rule: str
    value: float | None
    passed: bool
    reason: str

    def __str__(self) -> str:
        verb = "passed" if self.passed else "FAILED"
        return f"threshold {verb}: {self.key} {self.rule}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Thresholds:
    """All rules of a plan."""

    rules: tuple[Rule, ...]

    def evaluate(self, summary: Summary) -> list[Outcome]:
        """Hold every rule against a stretch: an outcome per rule and key that it means.

        Rates and gauges count by their mean, maxima by the largest, percentiles by the merged
        distribution. What is unknown fails: no data, or too few requests for the percentile.
        """
        return [
            _judge(rule, replace(rule.metric, key=key), summary)
            for rule in self.rules
            for key in _concrete(rule.metric, summary)
        ]


def parse(plan: Plan, catalogue: Catalogue) -> Thresholds:
    """The thresholds of a plan; PlanError for an unknown key, or a limit of the wrong unit."""
    rules = []
    for key, text in plan.thresholds.items():
        _check_names(key, plan)
        rules.append(_rule(key, text, _declared(key, catalogue)))
    return Thresholds(tuple(rules))


def _declared(key: str, catalogue: Catalogue) -> Metric:
    try:
        return catalogue.of(key)
    except KeyError:
        near = difflib.get_close_matches(key, [metric.key for metric in catalogue], 1, cutoff=0)
        hint = f"; did you mean `{near[0]}`?" if near else ""
        raise PlanError(f"thresholds: {key}: unknown metric{hint}") from None


def _check_names(key: str, plan: Plan) -> None:
    """PlanError for a scenario, host or group that the plan does not have."""
    named = {
        "scenario": [scenario.name for scenario in plan.scenarios],
        "host": [host.name for host in plan.hosts],
        "group": [group.name for host in plan.hosts for group in host.groups],
    }
    segments = key.split(".")
    for place in (0, 2):
        what, name = (*segments[place : place + 2], "", "")[:2]
        if what not in named or (what == "group") != (place == 2) or name in ("*", *named[what]):
            continue
        near = difflib.get_close_matches(name, named[what], 1, cutoff=0)
        hint = f"did you mean `{near[0]}`?" if near else "the plan has none"
        raise PlanError(f"thresholds: {key}: no {what} `{name}`; {hint}")


def _rule(key: str, text: str, metric: Metric) -> Rule:
    suffixes, example = _UNITS[metric.unit]
    match = _RULE.fullmatch(text.strip())
    if match is None:
        raise PlanError(
            f"thresholds: {key}: expected <, <=, >, >= or == and {example}, got {text!r}"
        )
    number, suffix = float(match[2]), match[3]
    if suffix not in suffixes and not (number == 0 and suffix == ""):
        raise PlanError(f"thresholds: {key}: expected {example}, got {text!r}")
    return Rule(metric, text, match[1], number * suffixes.get(suffix, 1.0))


def _concrete(metric: Metric, summary: Summary) -> list[str]:
    """The keys that a rule means in this stretch; its own key where it matches none.

    A status code or kind of error that never occurred has no value, but its rate is known: it
    stands for each scenario that was fired.
    """
    section, _, rest = metric.key.partition(".")
    if section == "scenario":
        name, _, rest = rest.partition(".")
        fired = (key.split(".") for key in _matching(f"scenario.{name}.offered", summary))
        patterns = [f"scenario.{segments[1]}.{rest}" for segments in fired] or [metric.key]
    else:
        patterns = [metric.key]
    return [key for pattern in patterns for key in (_matching(pattern, summary) or [pattern])]


def _matching(pattern: str, summary: Summary) -> list[str]:
    depth = pattern.count(".")
    return [k for k in summary.tallies if fnmatchcase(k, pattern) and k.count(".") == depth]


def _judge(rule: Rule, metric: Metric, summary: Summary) -> Outcome:
    value = summary.value(metric)
    if value is None:
        return Outcome(metric.key, rule.text, None, False, _unknown(metric, summary))
    shown = format_value(value, metric.unit)
    passed = COMPARE[rule.compare](value, rule.limit)
    if summary.is_at_least(metric):
        # A timeout bounds the truth from below only: it cannot prove that something is small.
        return Outcome(
            metric.key, rule.text, value, passed and ">" in rule.compare, f"at least {shown}"
        )
    return Outcome(metric.key, rule.text, value, passed, shown)


def _unknown(metric: Metric, summary: Summary) -> str:
    """Why a metric has no value."""
    name = metric.key.rpartition(".")[2]
    share = SHARES.get(name)
    if share is None or metric.key not in summary.tallies:
        return "no data"
    return f"too few requests to know {name}: it takes {math.ceil(math.log(0.025, share))}"
