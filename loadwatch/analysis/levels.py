"""What a value means: fine, warning or bad, by the plan's thresholds, else by rules of thumb.

A second's value is held against the limit that the plan sets for the whole run: it colours a number
on the screen and decides nothing.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from functools import cache
from typing import Literal

from loadwatch.analysis.thresholds import COMPARE, Rule, Thresholds
from loadwatch.core.plan import SIGNS, Signs

Level = Literal["fine", "warning", "bad"]

NEAR = 0.8
"""Share of a limit from which on a value is near it."""


@cache
def usual(signs: Signs) -> tuple[tuple[str, float, float], ...]:
    """Where the plan has no threshold: a key, and above which values it is a warning and bad.

    `cpu.busy` is us + sy + st, `procs.queue` the run queue per CPU: they are no keys of a tick.
    """
    busy, wait = 100 * signs.cpu_busy, 100 * signs.io_wait
    return (
        ("load.dropped", 0, 0),
        ("load.status.5xx", 0, 0),
        ("load.errors.*", 0, 0),
        ("host.*.cpu.wa", wait / 2, wait),
        ("host.*.cpu.st", 50 * signs.stolen, 100 * signs.stolen),
        ("host.*.cpu.busy", NEAR * busy, busy),
        ("host.*.procs.queue", 1, 2),
        ("host.*.swap.in", 0, signs.swap),
        ("host.*.swap.out", 0, signs.swap),
        ("host.*.disk.busy", 70, 90),
        ("host.*.psi.cpu.some", 20, 50),
        ("host.*.psi.memory.some", 5, 20),
        ("host.*.psi.memory.full", 0, 100 * signs.memory_pressure),
        ("host.*.psi.io.some", 50 * signs.io_pressure, 100 * signs.io_pressure),
        ("host.*.psi.io.full", 2, 5),
        ("host.*.listen.overflows", 0, 0),
    )


def level(thresholds: Thresholds, key: str, value: float, signs: Signs = SIGNS) -> Level | None:
    """What `value` (core unit) of `key` means; None where nothing is said about it."""
    rules = [rule for rule in thresholds.rules if _means(rule.metric.key, key)]
    if rules:
        return max((_held(rule, value) for rule in rules), key=_SEVERITY.index)
    for pattern, warning, bad in usual(signs):
        if _means(pattern, key):
            return "bad" if value > bad else "warning" if value > warning else "fine"
    return None


_SEVERITY: tuple[Level, ...] = ("fine", "warning", "bad")


def _held(rule: Rule, value: float) -> Level:
    compare = COMPARE[rule.compare]
    if not compare(value, rule.limit):
        return "bad"
    strict = rule.limit * (NEAR if "<" in rule.compare else 1 / NEAR)
    return "fine" if rule.compare == "==" or compare(value, strict) else "warning"


def _means(pattern: str, key: str) -> bool:
    return pattern.count(".") == key.count(".") and fnmatchcase(key, pattern)
