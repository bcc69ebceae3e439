"""The searches of a session: every rate that was tried, and what it came to as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from loadwatch.core.metric import Unit, format_clock, format_value
from loadwatch.reports.ledger import pair_text

TRIALS = ["rate", "verdict", "answered", "errors", "p95", "p99", "at", "long", "why"]

Found = Mapping[str, Any]
"""A search as `limit --json` prints it; what an older version left out is not there."""


def caption(found: Found) -> str:
    """A search in one line: the pair, why it ended, what holds the server back, the knee."""
    mark = f"{found['mark']}: " if found["mark"] else ""
    pair = pair_text(found["sustained"], found["fails_at"])
    why = "" if found["ended"] == "found" else f" ({found['ended']})"
    return f"{mark}{pair}{why}: {found['verdict']['name']}"


def trial_rows(found: Found) -> list[list[str]]:
    """A row per trial, in the order in which they were made."""
    return [
        [
            format_value(one["rate"], Unit.PER_SECOND),
            one["verdict"] + (" to confirm" if one["confirms"] else ""),
            format_value(one.get("completed"), Unit.PER_SECOND),
            format_value(one["errors"], Unit.SHARE),
            *(_time(one[name]) for name in ("p95_ms", "p99_ms")),
            format_clock(one["first"]),
            f"{one['seconds']} s",
            one["reason"],
        ]
        for one in found["trials"]
    ]


def as_data(searches: Sequence[Found]) -> list[dict[str, Any]]:
    """For the page's script: of each search its rates (1/s), ascending, what was answered at each
    (1/s) and how slowly (ms, None where unknown), and the rates that it found with their names.

    Of several trials at one rate the last one counts; those that the generator spoilt do not.
    """
    found = []
    for search in searches:
        at = {one["rate"]: one for one in search["trials"] if one["verdict"] != "INVALID"}
        rates = sorted(at)
        named = (("knee", search["scalability"]["knee"]), ("sustains", search["sustained"]),
                 ("fails", search["fails_at"]))  # fmt: skip
        found.append({
            "rates": rates,
            "answered": [at[rate].get("completed") for rate in rates],
            "p95": [at[rate]["p95_ms"] for rate in rates],
            "marks": [{"at": rate, "text": name} for name, rate in named if rate is not None],
        })  # fmt: skip
    return found


def _time(milliseconds: float | None) -> str:
    return format_value(None if milliseconds is None else milliseconds / 1000, Unit.SECONDS)
