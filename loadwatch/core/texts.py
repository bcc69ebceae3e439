"""The texts of a request that may hold expressions, wherever in it they stand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from loadwatch.core.plan import Scenario

_FIELDS = ("path", "query", "headers", "body", "json", "form", "multipart")


def rewrite(scenario: Scenario, change: Callable[[str, str], str]) -> Scenario:
    """`scenario` with every text as `change` makes it, which gets its key and the text."""
    changed = {name: _rewrite(getattr(scenario, name), name, change) for name in _FIELDS}
    contains = _rewrite(scenario.expect.contains, "expect.contains", change)
    expect = msgspec.structs.replace(scenario.expect, contains=contains)
    return msgspec.structs.replace(scenario, **changed, expect=expect)


def texts(scenario: Scenario) -> Iterator[tuple[str, str]]:
    """Every text with its key, such as `headers.Cookie` or `json.users[0].name`."""
    found: list[tuple[str, str]] = []

    def note(key: str, text: str) -> str:
        found.append((key, text))
        return text

    rewrite(scenario, note)
    return iter(found)


def _rewrite(value: Any, key: str, change: Callable[[str, str], str]) -> Any:
    if isinstance(value, str):
        return change(key, value)
    if isinstance(value, dict):
        return {name: _rewrite(inner, f"{key}.{name}", change) for name, inner in value.items()}
    if isinstance(value, list):
        return [_rewrite(inner, f"{key}[{n}]", change) for n, inner in enumerate(value)]
    return value
