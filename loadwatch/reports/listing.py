"""The sessions of a library as a table of text, or as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from loadwatch.core.metric import format_clock
from loadwatch.reports.comparison import aligned
from loadwatch.reports.standing import failed, standing
from loadwatch.session.library import Entry

HEADER = ["#", "name", "when", "long", "target", "rates", "errors", "verdict", "marks, tags"]


def as_text(entries: Sequence[Entry], now: float) -> str:
    """A line per session, oldest first; `now` in Unix seconds."""
    return aligned([HEADER, *(_line(entry, now) for entry in entries)])


def _line(entry: Entry, now: float) -> list[str]:
    if entry.problem:
        return [str(entry.number), entry.name, *[""] * 5, entry.problem, ""]
    when = f"{datetime.fromtimestamp(entry.started):%Y-%m-%d %H:%M}" if entry.started else "–"
    return [
        str(entry.number),
        entry.name,
        when,
        format_clock(entry.seconds),
        urlsplit(entry.target).netloc or entry.target,
        rates(entry),
        "–" if entry.result is None else errors(entry.result),
        ending(entry, now),
        ", ".join((*entry.marks, *(f"#{tag}" for tag in entry.tags))),
    ]


def rates(entry: Entry) -> str:
    """Between which rates each scenario was fired: `home 10–40/s, wall 2/s`."""
    seen: dict[str, list[float]] = {}
    for step in entry.steps:
        for name, rate in step.rates.items():
            if rate:
                seen.setdefault(name, []).append(rate)
    if entry.steps and not seen:
        return "closed loop"
    return ", ".join(f"{name} {_range(found)}/s" for name, found in seen.items())


def _range(found: Sequence[float]) -> str:
    low, high = min(found), max(found)
    return f"{low:g}" if low == high else f"{low:g}–{high:g}"


def errors(result: Mapping[str, Any]) -> str:
    """Requests without a good answer, as a share of those offered."""
    count = failed(result)
    return f"{100 * count / result['offered']:.2g} %" if count else "0"


def ending(entry: Entry, now: float) -> str:
    """The verdict, before it how it ended where that is worth a word."""
    if entry.result is None:
        return entry.state(now)
    how, what = standing(entry.result), str(entry.result["verdict"]["name"])
    return what if how == "passed" else f"{how}: {what}"


def as_json(entries: Sequence[Entry], now: float) -> str:
    """An array of objects; numbers in core units."""
    return json.dumps([_object(entry, now) for entry in entries], ensure_ascii=False)


def _object(entry: Entry, now: float) -> dict[str, Any]:
    result = entry.result
    return {
        "number": entry.number,
        "name": entry.name,
        "path": str(entry.path),
        "started": entry.started or None,
        "seconds": entry.seconds,
        "target": entry.target,
        "state": entry.state(now),
        "tags": list(entry.tags),
        "marks": list(entry.marks),
        "rates": [dict(step.rates) for step in entry.steps],
        "offered": result and result["offered"],
        "errors": result and failed(result),
        "standing": result and standing(result),
        "verdict": result and result["verdict"]["name"],
    }
