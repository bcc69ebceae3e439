"""How a run ended, in a word or two, from its result."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def standing(result: Mapping[str, Any]) -> str:
    """`INVALID` (the generator was the limit), `FAILED` (a threshold was), else `passed`."""
    if not result["generator"]["healthy"]:
        return "INVALID"
    failed = [one for one in result.get("thresholds", ()) if not one["passed"]]
    return "FAILED" if failed else "passed"


def threshold(outcome: Mapping[str, Any]) -> str:
    """A threshold of a result in words: `load.response.p99 < 500ms within 5 s`."""
    window = outcome["window_s"]
    within = "" if window is None else f" within {window} s"
    return f"{outcome['key']} {outcome['rule']}{within}"


def failed(numbers: Mapping[str, Any]) -> int:
    """Requests without a good answer: 5xx, none at all, dropped."""
    answers = sum(count for code, count in numbers["status"].items() if code.startswith("5"))
    return int(answers + sum(numbers["errors"].values()) + numbers["dropped"])
