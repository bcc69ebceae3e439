"""What a single value means."""

from __future__ import annotations

import pytest

from loadwatch.analysis.levels import level
from loadwatch.analysis.thresholds import Thresholds, parse
from loadwatch.core.plan import Host, Plan, Target
from loadwatch.watching import catalogue

MIB = 1024.0**2
NONE = Thresholds(())


def rules(**thresholds: str) -> Thresholds:
    named = {key.replace("_", "."): rule for key, rule in thresholds.items()}
    hosts = (Host("web", "local"),)
    return parse(Plan(Target("http://x"), hosts=hosts, thresholds=named), catalogue())


@pytest.mark.parametrize(
    ("key", "value", "meaning"),
    [
        ("load.dropped", 0, "fine"),
        ("load.dropped", 1, "bad"),  # counted, never hidden
        ("load.status.5xx", 1, "bad"),
        ("load.status.2xx", 1, None),  # nothing is said about it
        ("load.errors.timeout", 1, "bad"),
        ("host.web.cpu.wa", 10, "fine"),
        ("host.web.cpu.wa", 11, "warning"),
        ("host.web.cpu.wa", 21, "bad"),
        ("host.web.cpu.busy", 71, "fine"),
        ("host.web.cpu.busy", 80, "warning"),
        ("host.web.cpu.busy", 95, "bad"),
        ("host.web.procs.queue", 1.0, "fine"),  # as many as there are CPUs: nobody waits
        ("host.web.procs.queue", 1.5, "warning"),
        ("host.web.procs.queue", 3.0, "bad"),
        ("host.web.swap.in", 0, "fine"),
        ("host.web.swap.in", 1, "warning"),
        ("host.web.swap.in", 2 * MIB, "bad"),
        ("host.web.psi.memory.full", 6, "bad"),
        ("host.web.memory.free", 1, None),
    ],
)
def test_rules_of_thumb(key: str, value: float, meaning: str | None) -> None:
    assert level(NONE, key, value) == meaning


@pytest.mark.parametrize(
    ("rule", "value", "meaning"),
    [
        ("< 100/s", 79, "fine"),
        ("< 100/s", 80, "warning"),  # within a fifth of the limit
        ("< 100/s", 100, "bad"),
        ("<= 100/s", 100, "warning"),
        ("> 100/s", 126, "fine"),
        ("> 100/s", 110, "warning"),
        ("> 100/s", 100, "bad"),
        ("== 0", 0, "fine"),
        ("== 0", 1, "bad"),
    ],
)
def test_the_plan_decides(rule: str, value: float, meaning: str) -> None:
    assert level(rules(load_offered=rule), "load.offered", value) == meaning


def test_the_plan_comes_before_rules_of_thumb() -> None:
    lenient = rules(load_dropped="< 50/s")
    assert level(lenient, "load.dropped", 10) == "fine"
    assert level(lenient, "load.status.5xx", 10) == "bad"


def test_the_worst_of_several_rules_counts() -> None:
    both = parse(
        Plan(
            Target("http://x"),
            hosts=(Host("web", "local"), Host("db", "local")),
            thresholds={"host.*.swap.in": "< 10MiB/s", "host.db.swap.in": "< 1MiB/s"},
        ),
        catalogue(),
    )
    assert level(both, "host.web.swap.in", 2 * MIB) == "fine"
    assert level(both, "host.db.swap.in", 2 * MIB) == "bad"
