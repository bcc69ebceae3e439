"""`loadwatch metrics`: every number there is, by its key."""

from __future__ import annotations

import argparse
from typing import Any

from loadwatch.verbs.ending import say

HEAD = """\
# Metrics

Every number has a name, the same in thresholds, charts, the session file and comparisons. A CSV
column is the key and its display unit. `*` is a scenario, a host, a group, a status code,
a name that the server gave. Printed by `loadwatch metrics`.

| key | CSV column | what | over a stretch |
|---|---|---|---|
"""

OVER = {
    "rate": "mean",
    "gauge": "mean",
    "maximum": "largest",
    "percentile": "of all requests",
}


def add(verbs: Any) -> None:
    """Declare the verb."""
    text = "every number there is, by its key: for thresholds, and in exports"
    verbs.add_parser("metrics", help=text).set_defaults(verb=_carry_out)


def _carry_out(arguments: argparse.Namespace) -> int:
    from loadwatch.watching import catalogue

    rows = (
        f"| `{metric.key}` | `{metric.column}` | {metric.label} | {OVER[metric.kind]} |"
        for metric in catalogue()
    )
    say(HEAD + "\n".join(rows))
    return 0
