"""A session as one HTML file that needs no network: numbers as tables, charts drawn by uPlot.

uPlot (https://github.com/leeoniya/uPlot, MIT) is part of the file: 51 kB for charts that zoom and
share a cursor. Without JavaScript the tables remain.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from html import escape
from importlib.resources import files
from string import Template
from typing import Any

from loadwatch.core.metric import format_clock
from loadwatch.reports import searches
from loadwatch.reports.charts import as_data
from loadwatch.reports.digest import Digest
from loadwatch.reports.facts import SCENARIOS, STEPS, facts, scenario_rows, step_rows
from loadwatch.reports.ledger import LEGEND, tables
from loadwatch.reports.standing import standing, threshold

ROLES = {"passed": "good", "FAILED": "bad", "INVALID": "bad", "PASS": "good", "FAIL": "bad"}


def as_html(digest: Digest) -> str:
    """The page."""
    page = files("loadwatch.reports") / "page"
    data = as_data(digest) | {"searches": searches.as_data(digest.result.get("limits", ()))}
    # A `<` could end the script element that holds it.
    text = json.dumps(data, ensure_ascii=False, allow_nan=False).replace("<", "\\u003c")
    return Template((page / "report.html").read_text(encoding="utf-8")).substitute(
        title=escape(f"{digest.name} – loadwatch"),
        body="\n".join(_body(digest, data)),
        data=text,
        css=(page / "report.css").read_text(encoding="utf-8"),
        js=(page / "report.js").read_text(encoding="utf-8"),
        uplot_css=(page / "uplot" / "uPlot.min.css").read_text(encoding="utf-8"),
        uplot_js=(page / "uplot" / "uPlot.iife.min.js").read_text(encoding="utf-8"),
    )


def _body(digest: Digest, data: dict[str, Any]) -> Iterable[str]:
    result = digest.result
    yield f"<h1>{escape(digest.name)}</h1>"
    yield f'<p class="quiet">{escape(digest.head)}</p>'
    yield _verdict(digest)
    if result["thresholds"]:
        yield "<h2>Thresholds</h2>"
        rows = [
            [threshold(one), one["found"], "passed" if one["passed"] else "FAILED"]
            for one in result["thresholds"]
        ]
        yield _table(["threshold", "found", ""], rows)
    if digest.ledger.rows:
        yield "<h2>Limits</h2>"
        yield from (_table(head, rows) for head, rows in tables(digest.ledger))
        yield from (f'<p class="quiet">{escape(line)}</p>' for line in LEGEND)
    for place, found in enumerate(digest.result.get("limits", ())):
        yield f"<h3>{escape(searches.caption(found))}</h3>"
        yield f'<div class="pair" id="search-{place}"></div>'
        yield _table(searches.TRIALS, searches.trial_rows(found))
        yield from (f'<p class="quiet">{escape(line)}</p>' for line in found["explained"])
    yield "<h2>Steps</h2>"
    yield _table(STEPS, step_rows(digest))
    yield "<h2>Scenarios</h2>"
    yield _table(SCENARIOS, scenario_rows(result))
    yield "<h2>Over time</h2>"
    yield '<p class="quiet">' + escape(_explained(data)) + "</p>"
    yield "<noscript><p>The charts need JavaScript; the tables do not.</p></noscript>"
    for place, chart in enumerate(data["charts"]):
        title = escape(chart["title"])
        yield f'<div class="chart"><h3>{title}</h3><div id="chart-{place}"></div></div>'
    if digest.history.events:
        yield "<h2>Events</h2>"
        events = [
            [format_clock(event.at), event.kind, event.host, event.text]
            for event in digest.history.events
        ]
        yield _table(["time", "event", "host", ""], events)
    yield "<h2>Environment</h2>"
    yield _table(["", ""], facts(digest))
    yield "<h2>Plan</h2>"
    plan = json.dumps(digest.about.get("plan", {}), indent=2, ensure_ascii=False)
    yield f"<details><summary>as it was carried out</summary><pre>{escape(plan)}</pre></details>"


def _verdict(digest: Digest) -> str:
    result, verdict = digest.result, digest.result["verdict"]
    how = standing(result)
    reasons = "; ".join(dict.fromkeys((*result["generator"]["reasons"], *verdict["evidence"])))
    also = f" (also {', '.join(verdict['also'])})" if verdict["also"] else ""
    return (
        '<div class="verdict">'
        f'<strong class="{ROLES[how]}">{how}</strong> · '
        f"<strong>{escape(verdict['name'] + also)}</strong><br>"
        f"{escape(reasons)}<br>"
        f'<span class="quiet">{escape(verdict["advice"])}</span><br>'
        f"Limit: {escape(digest.limit)}"
        "</div>"
    )


def _explained(data: dict[str, Any]) -> str:
    points = f"Each point is {data['stride']} s" if data["stride"] > 1 else "Each point is a second"
    return (
        f"{points}; the lines mark steps, full ones the marks. Drag to zoom, double-click to zoom"
        " out. Seconds that nobody knows are gaps."
    )


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(cell)}</th>" for cell in header)
    lines = [f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows]
    return f'<div class="wide"><table><tr>{head}</tr>\n' + "\n".join(lines) + "</table></div>"


def _cell(text: str) -> str:
    role = ROLES.get(text, "text" if len(text) > 40 else "")
    return f'<td class="{role}">{escape(text)}</td>' if role else f"<td>{escape(text)}</td>"
