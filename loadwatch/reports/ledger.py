"""The ledger for people, as tables of text, and for programs, as CSV and JSON."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from textwrap import fill
from typing import Any

from loadwatch.analysis.ledger import EVIDENCE, Cell, Change, Ledger, Row
from loadwatch.core.metric import Metric, Unit, format_value
from loadwatch.remote.text import clean
from loadwatch.reports.comparison import aligned, change
from loadwatch.session.exporters.csv import disarmed
from loadwatch.session.tables import rounded

Table = tuple[Sequence[str], Sequence[Sequence[str]]]
"""A header and rows of cells, plain text."""

LEGEND = (
    "8–8.4/s: sustains 8, fails at 8.4. Response time, CPU, RSS (of the largest process of a group)"
    " and swap are those at the rate that is sustained, the verdict is on the one that fails.",
    "Changes are against the nearest limit above; in brackets what the two pairs allow. Pairs that"
    " overlap are not told apart; below 10 % two searches may differ by chance: perhaps.",
)

NOTED = "*"
"""Behind a limit of which the notes say more."""

WIDTH = 100
"""Cells of a line of explanation."""

LONGEST = 60
"""Characters of a configuration that are shown."""

HEAD = ("limit", "p95", "CPU per request", "RSS per worker", "swap", "verdict", "notes")

CSV_HEAD = (
    "configuration", "scenario", "sustained_per_s", "fails_at_per_s", "p95_ms", "verdict",
    "change", "against", "ratio", "ratio_low", "ratio_high", "time", "session", "notes",
)  # fmt: skip


def as_text(found: Ledger) -> str:
    """The limits, then a table for each scenario with what they come with, and how to read it."""
    blocks = [clean(found.target, LONGEST), *(_lines(one) for one in tables(found))]
    return "\n\n".join([*blocks, *(fill(line, WIDTH) for line in LEGEND)])


def tables(found: Ledger) -> list[Table]:
    """The limits of all scenarios side by side, and one table for each scenario."""
    return [_overview(found), *(_details(found, name) for name in found.scenarios)]


def _lines(table: Table) -> str:
    head, rows = table
    return aligned([head, *rows])


def _overview(found: Ledger) -> Table:
    head = ["configuration"]
    for name in found.scenarios:
        head += [name, "change"]
    rows = []
    for row in found.rows:
        line = [_name(row.configuration)]
        for name in found.scenarios:
            cell = row.cells.get(name)
            line += ["", ""] if cell is None else [_limit(cell), change_text(cell.change)]
        rows.append(line)
    return head, rows


def _details(found: Ledger, scenario: str) -> Table:
    rows = [(row.configuration, row.cells[scenario]) for row in found.rows if scenario in row.cells]
    return [scenario, *HEAD], [
        [
            _name(configuration),
            pair_text(cell.limit.sustained, cell.limit.fails_at),
            format_value(cell.limit.p95, Unit.SECONDS),
            _seen(cell, "per_request", Unit.SECONDS),
            _seen(cell, "rss_max", Unit.BYTES),
            _swap(cell),
            cell.limit.verdict,
            "; ".join(cell.notes),
        ]
        for configuration, cell in rows
    ]


def _name(configuration: str) -> str:
    return clean(configuration, LONGEST)


def _limit(cell: Cell) -> str:
    return pair_text(cell.limit.sustained, cell.limit.fails_at) + (NOTED if cell.notes else "")


def pair_text(sustained: float | None, fails_at: float | None) -> str:
    """A pair of rates: `8–8.4/s`, `≥ 8/s` where nothing failed, `< 8/s` where nothing passed."""
    if sustained is None:
        return "–" if fails_at is None else f"< {fails_at:g}/s"
    return f"≥ {sustained:g}/s" if fails_at is None else f"{sustained:g}–{fails_at:g}/s"


def change_text(found: Change | None) -> str:
    """A change with its bounds and what it is worth; empty for the first limit of a column."""
    if found is None:
        return ""
    return f"{change(found.ratio, found.low, found.high)} {found.verdict}".strip()


def _seen(cell: Cell, statistic: str, unit: Unit) -> str:
    """One kind of evidence; whose it is, where there are several."""
    found = {
        _owner(key): format_value(value, unit)
        for key, value in cell.limit.evidence.items()
        if key.endswith(f".{statistic}")
    }
    if len(found) < 2:
        return next(iter(found.values()), "–")
    return ", ".join(f"{owner} {text}" for owner, text in found.items())


def _owner(key: str) -> str:
    """`web` of `host.web.cpu.per_request`, `web backends` of a key of its group."""
    _, host, *rest = key.split(".")
    return f"{host} {rest[1]}" if rest[0] == "group" else host


def _swap(cell: Cell) -> str:
    """What goes in and out of swap together, of all hosts."""
    known = [value for key, value in cell.limit.evidence.items() if ".swap." in key]
    return format_value(sum(known), Unit.BYTES_PER_SECOND) if known else "–"


# -- for programs --------------------------------------------------------------------------------


def as_csv(found: Ledger) -> str:
    """A line per configuration and scenario; what is known of the servers in columns of its own."""
    keys = sorted({key for _, _, cell in _cells(found) for key in cell.limit.evidence})
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*CSV_HEAD, *(EVIDENCE.of(key).column for key in keys)])
    for configuration, scenario, cell in _cells(found):
        limit, seen = cell.limit, cell.change
        told = None if seen is None else (seen.verdict, seen.against)
        ratios = (None,) * 3 if seen is None else (seen.ratio, seen.low, seen.high)
        row = [
            configuration, scenario, limit.sustained, limit.fails_at, _ms(limit.p95), limit.verdict,
            *(told or (None, None)), *map(rounded, ratios), _time(limit.at), limit.session,
            "; ".join(cell.notes),
            *(_shown(EVIDENCE.of(key), limit.evidence.get(key)) for key in keys),
        ]  # fmt: skip
        writer.writerow([disarmed(one) for one in row])
    return out.getvalue()


def as_json(found: Ledger) -> dict[str, Any]:
    """`target`, `scenarios`, `rows`; of each row `limits` by scenario, with `change` (null for the
    first) and `evidence` under the names of CSV columns. Rates in 1/s, `p95_ms` in ms."""
    return {
        "target": found.target,
        "scenarios": list(found.scenarios),
        "rows": [row_as_json(row) for row in found.rows],
        "problems": list(found.problems),
    }


def row_as_json(row: Row) -> dict[str, Any]:
    """A row of a ledger: its `configuration`, and `limits` by scenario."""
    return {
        "configuration": row.configuration,
        "limits": {name: _object(cell) for name, cell in row.cells.items()},
    }


def _object(cell: Cell) -> Mapping[str, Any]:
    limit, seen = cell.limit, cell.change
    return {
        "sustained": limit.sustained,
        "fails_at": limit.fails_at,
        "p95_ms": _ms(limit.p95),
        "verdict": limit.verdict,
        "evidence": {
            EVIDENCE.of(key).column: _shown(EVIDENCE.of(key), value)
            for key, value in limit.evidence.items()
        },
        "change": seen and {
            "against": seen.against,
            "verdict": seen.verdict,
            "ratio": rounded(seen.ratio),
            "low": rounded(seen.low),
            "high": rounded(seen.high),
        },
        "from_steps": limit.from_steps,
        "valid": limit.valid,
        "notes": list(cell.notes),
        "earlier": [[one.sustained, one.fails_at] for one in cell.earlier],
        "time": _time(limit.at),
        "session": limit.session,
    }  # fmt: skip


def _cells(found: Ledger) -> Iterator[tuple[str, str, Cell]]:
    for row in found.rows:
        for scenario in found.scenarios:
            if scenario in row.cells:
                yield row.configuration, scenario, row.cells[scenario]


def _shown(metric: Metric, value: float | None) -> float | None:
    return rounded(None if value is None else metric.unit.display(value))


def _ms(seconds: float | None) -> float | None:
    return rounded(None if seconds is None else seconds * 1000)


def _time(unix: float) -> str:
    return datetime.fromtimestamp(unix, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
