"""Comparisons for people, as tables of text, and as the one JSON object of `compare --json`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from loadwatch.analysis.change import Row
from loadwatch.analysis.compare import Comparison, compare
from loadwatch.core.metric import Metric, Unit, format_rates, format_value
from loadwatch.recorded import side_of
from loadwatch.session import open_session


def as_json(comparisons: Sequence[Comparison]) -> dict[str, Any]:
    """`comparable` (all of them), `reasons`, `rows`; numbers in core units (s, bytes, 1/s).

    With several candidates each row says in `session` whose it is.
    """
    several = len(comparisons) > 1
    return {
        "comparable": all(one.comparable for one in comparisons),
        "reasons": [reason for one in comparisons for reason in one.reasons],
        "rows": [
            _row_as_json(row) | ({"session": one.candidate} if several else {})
            for one in comparisons
            for row in one.rows
        ],
    }


def _row_as_json(row: Row) -> dict[str, Any]:
    return {
        "scenario": row.scenario,
        "rate": row.rate,
        "metric": row.metric.key,
        "base": _rounded(row.base),
        "candidate": _rounded(row.candidate),
        "ratio": _rounded(row.ratio),
        "low": _rounded(row.low),
        "high": _rounded(row.high),
        "verdict": row.verdict,
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.6g}")


def as_text(comparisons: Sequence[Comparison]) -> str:
    """Who is who, then a table per scenario and rate: a line per number, base first."""
    blocks = [
        f"{one.candidate} cannot be compared to {one.base}:\n"
        + "\n".join(f"  {reason}" for reason in one.reasons)
        for one in comparisons
        if not one.comparable
    ]
    found = [one for one in comparisons if one.comparable]
    if found:
        names = _names(len(found))
        legend = [["base", found[0].base]]
        legend += [[name, one.candidate] for name, one in zip(names, found, strict=True)]
        blocks.append(aligned(legend))
    tables: dict[str, dict[str, dict[int, Row]]] = {}
    for place, one in enumerate(found):
        for row in one.rows:
            tables.setdefault(format_rates(row.rates), {}).setdefault(row.metric.key, {})[place] = (
                row
            )
    for title, lines in tables.items():
        header = [title, "base", *(cell for name in names for cell in (name, "change", ""))]
        blocks.append(aligned([header, *(_line(line, len(found)) for line in lines.values())]))
    if tables:
        blocks.append("Changes with their 95 % intervals, from a block bootstrap over seconds.")
    return "\n\n".join(blocks)


def compared(base: Path, candidate: Path) -> str:
    """Two session files compared, for people; SessionError where one cannot be read."""
    with open_session(base) as one, open_session(candidate) as other:
        found = compare(side_of(one), side_of(other))
    return "\n\n".join([as_text([found]), *found.notes])


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Rows of cells in columns, two blanks apart."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def _names(candidates: int) -> list[str]:
    return ["candidate"] if candidates == 1 else [f"candidate {n + 1}" for n in range(candidates)]


def _line(rows: Mapping[int, Row], candidates: int) -> list[str]:
    first = next(iter(rows.values()))
    cells = [label(first.metric), format_value(first.base, first.metric.unit)]
    for place in range(candidates):
        row = rows.get(place)
        cells += ["–", "", ""] if row is None else [
            format_value(row.candidate, row.metric.unit),
            change(row.ratio, row.low, row.high),
            verdict(row),
        ]  # fmt: skip
    return cells


def label(metric: Metric) -> str:
    """What a metric is about, and whose it is: `home: Response time p95`, `web backends: RSS`."""
    _, owner, *rest = metric.key.split(".")
    group = f" {rest[1]}" if rest[0] == "group" else ""
    return f"{owner}{group}: {metric.label}"


def change(ratio: float | None, low: float | None, high: float | None) -> str:
    """A ratio as a change in percent with its interval: `+21 % (+9 … +35)`, as far as they are
    known."""
    told = "" if ratio is None else f"{percent(ratio)} %"
    if low is None and high is None:
        return told
    return f"{told} ({_bound(low)} … {_bound(high)})".strip()


def _bound(ratio: float | None) -> str:
    return "" if ratio is None else percent(ratio)


def percent(ratio: float) -> str:
    """A ratio as a change in percent, with its sign."""
    return f"{round((ratio - 1) * 100):+d}".replace("-", "−")


def verdict(row: Row) -> str:
    """The verdict in the words that fit: memory is not faster, there is less of it."""
    if row.metric.unit is Unit.SECONDS or row.verdict not in ("faster", "slower"):
        return row.verdict
    better = row.verdict == "faster"
    return "more" if better == (row.metric.better == "higher") else "less"
