"""The texts of a scenario that may hold expressions, wherever in it they stand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple, TypeVar

import msgspec

from loadwatch.core.plan import Login, Scenario, Step

_FIELDS = ("path", "query", "headers", "body", "json", "form", "multipart")

_Asks = TypeVar("_Asks", Scenario, Step)


class Place(NamedTuple):
    """Where a text stands: `step` (empty: the scenario itself), `field`, and what in it."""

    step: str
    field: str
    name: str = ""

    def __str__(self) -> str:
        """As a key, such as `headers.Cookie` or `step.login.json.users[0].name`."""
        name = self.name if self.name.startswith("[") else f".{self.name}".rstrip(".")
        return f"step.{self.step}.{self.field}{name}" if self.step else f"{self.field}{name}"


Change = Callable[[Place, str], str]


def requests_of(scenario: Scenario) -> tuple[Scenario | Step, ...]:
    """The scenario itself, and its steps."""
    return (scenario, *scenario.steps)


def rewrite(scenario: Scenario, change: Change) -> Scenario:
    """`scenario` with every text as `change` makes it, which gets its place and the text."""
    steps = tuple(_rewritten(step, step.name, change) for step in scenario.steps)
    return msgspec.structs.replace(_rewritten(scenario, "", change), steps=steps)


def texts(scenario: Scenario) -> Iterator[tuple[Place, str]]:
    """Every text with its place."""
    found: list[tuple[Place, str]] = []

    def note(place: Place, text: str) -> str:
        found.append((place, text))
        return text

    rewrite(scenario, note)
    return iter(found)


def rewrite_login(login: Login, change: Callable[[str, str], str]) -> Login:
    """`login` with every text as `change` makes it, which gets its key and the text."""

    def at(place: str, key: str, text: str) -> str:
        return change(f"{place}.{key}".rstrip("."), text)

    places = ("basic", "fields", "json")
    changed = {name: _rewrite(getattr(login, name), "", partial(at, name)) for name in places}
    return msgspec.structs.replace(login, **changed)


def login_texts(login: Login) -> Iterator[tuple[str, str]]:
    """Every text of a login with its key, such as `fields.password`."""
    found: list[tuple[str, str]] = []

    def note(key: str, text: str) -> str:
        found.append((key, text))
        return text

    rewrite_login(login, note)
    return iter(found)


def taken_before(scenario: Scenario, step: str) -> list[str]:
    """The names of what the steps before this one take; all of it for the scenario itself."""
    names: list[str] = []
    for own in scenario.steps:
        if own.name == step:
            break
        names += own.take
    return names


def _rewritten(request: _Asks, step: str, change: Change) -> _Asks:
    changed = {
        field: _rewrite(getattr(request, field), "", partial(_at, change, step, field))
        for field in _FIELDS
    }
    at_contains = Place(step, "expect", "contains")
    contains = request.expect.contains
    if contains is not None:
        contains = change(at_contains, contains)
    expect = msgspec.structs.replace(request.expect, contains=contains)
    return msgspec.structs.replace(request, **changed, expect=expect)


def _at(change: Change, step: str, field: str, name: str, text: str) -> str:
    return change(Place(step, field, name), text)


def _rewrite(value: Any, name: str, change: Callable[[str, str], str]) -> Any:
    if isinstance(value, str):
        return change(name, value)
    if isinstance(value, dict):
        return {
            key: _rewrite(inner, f"{name}.{key}".lstrip("."), change)
            for key, inner in value.items()
        }
    if isinstance(value, list):
        return [_rewrite(inner, f"{name}[{n}]", change) for n, inner in enumerate(value)]
    return value
