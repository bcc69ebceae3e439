"""Results as Markdown: for a pull request, and for the summary page of a GitHub workflow."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from loadwatch.analysis.ledger import Ledger
from loadwatch.reports.digest import Digest
from loadwatch.reports.facts import SCENARIOS, STEPS, facts, scenario_rows, step_rows
from loadwatch.reports.ledger import LEGEND, tables
from loadwatch.reports.standing import standing, threshold

_SIGNS = re.compile(r"([\\`*_\[\]<>|~#&])")
"""What Markdown, or HTML within it, would take for more than text."""


def result_as_markdown(result: Mapping[str, Any], problem: str = "") -> str:
    """The result of a run: how it ended, thresholds, scenarios, verdict."""
    blocks = [f"### loadwatch: {standing(result)}"]
    if problem:
        blocks.append(f"**{text(problem)}**")
    return "\n\n".join([*blocks, *_judged(result), verdict(result)]) + "\n"


def as_markdown(digest: Digest) -> str:
    """A session, for a pull request."""
    result = digest.result
    plan = json.dumps(digest.about.get("plan", {}), indent=2, ensure_ascii=False)
    blocks = [
        f"## {text(digest.name)}: {standing(result)}",
        text(digest.head),
        verdict(result),
        f"Limit: {text(digest.limit)}.",
        *_judged(result),
        *_limits(digest.ledger),
        table(STEPS, map(cells, step_rows(digest))),
        table(["", ""], map(cells, facts(digest))),
        f"<details><summary>Plan</summary>\n\n{fenced(plan)}\n\n</details>",
    ]
    return "\n\n".join(blocks) + "\n"


def ledger_as_markdown(found: Ledger) -> str:
    """A ledger, for a pull request."""
    return "\n\n".join([f"## {text(found.target)}", *_limits(found)]) + "\n"


def _limits(found: Ledger) -> Iterator[str]:
    """The limits of a ledger, and how to read them."""
    if found.rows:
        yield from (table(cells(head), map(cells, rows)) for head, rows in tables(found))
        yield from LEGEND


def _judged(result: Mapping[str, Any]) -> Iterator[str]:
    """What makes it invalid, thresholds, scenarios."""
    reasons = result["generator"]["reasons"]
    if reasons:
        yield "The load generator was the limit: " + text("; ".join(reasons))
    if result["thresholds"]:
        rows = [
            [text(threshold(one)), text(one["found"]), "passed" if one["passed"] else "**FAILED**"]
            for one in result["thresholds"]
        ]
        yield table(["threshold", "found", ""], rows)
    yield table(SCENARIOS, map(cells, scenario_rows(result)))


def cells(row: Sequence[str]) -> list[str]:
    """A row of plain text as Markdown."""
    return [text(cell) for cell in row]


def verdict(result: Mapping[str, Any]) -> str:
    """What holds the server back, with its evidence."""
    found = result["verdict"]
    evidence = text("; ".join(found["evidence"]))
    advice = f" Next: {text(found['advice'])}." if found["advice"] else ""
    return f"Verdict: **{text(found['name'])}** ({evidence}).{advice}"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of cells that are Markdown already."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def text(words: str) -> str:
    """Text from elsewhere on one line, in which nothing is a sign of Markdown."""
    return _SIGNS.sub(r"\\\1", " ".join(words.split()))


def fenced(code: str) -> str:
    """A block of code, whatever is in it."""
    longest = max((len(run) for run in re.findall("`+", code)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{code}\n{fence}"
