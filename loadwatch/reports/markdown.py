"""Results as Markdown: for a pull request, and for the summary page of a GitHub workflow."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from loadwatch.analysis.result import format_time
from loadwatch.reports.standing import failed, standing, threshold

_SIGNS = re.compile(r"([\\`*_\[\]<>|~#&])")
"""What Markdown, or HTML within it, would take for more than text."""


def result_as_markdown(result: Mapping[str, Any], problem: str = "") -> str:
    """The result of a run: how it ended, thresholds, scenarios, verdict."""
    blocks = [f"### loadwatch: {standing(result)}"]
    if problem:
        blocks.append(f"**{text(problem)}**")
    reasons = result["generator"]["reasons"]
    if reasons:
        blocks.append("The load generator was the limit: " + text("; ".join(reasons)))
    if result["thresholds"]:
        rows = [
            [text(threshold(one)), text(one["found"]), "passed" if one["passed"] else "**FAILED**"]
            for one in result["thresholds"]
        ]
        blocks.append(table(["threshold", "found", ""], rows))
    blocks.append(table(SCENARIO_HEADER, scenario_rows(result)))
    blocks.append(verdict(result))
    return "\n\n".join(blocks) + "\n"


SCENARIO_HEADER = ["scenario", "offered", "completed", "rate", "errors", "p50", "p95", "p99", "max"]


def scenario_rows(result: Mapping[str, Any]) -> list[list[str]]:
    """A row per scenario, and one for all where there are several."""
    parts = dict(result["scenarios"])
    if len(parts) != 1:
        parts["all"] = result
    return [
        [
            text(name),
            str(part["offered"]),
            str(part["completed"]),
            f"{part['rate']:.1f}/s",
            str(failed(part)),
            *(format_time(part["response_ms"][name]) for name in ("p50", "p95", "p99", "max")),
        ]
        for name, part in parts.items()
    ]


def verdict(result: Mapping[str, Any]) -> str:
    """What holds the server back, with its evidence."""
    found = result["verdict"]
    evidence = text("; ".join(found["evidence"]))
    advice = f" {text(found['advice'])}." if found["advice"] else ""
    return f"Verdict: **{text(found['name'])}** ({evidence}).{advice}"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of cells that are Markdown already."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def text(words: str) -> str:
    """Text from elsewhere on one line, in which nothing is a sign of Markdown."""
    return _SIGNS.sub(r"\\\1", " ".join(words.split()))
