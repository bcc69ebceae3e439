"""Visits in a plan: their think times and what they take; and rates that are said by weights."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from loadwatch.config.units import duration
from loadwatch.core.errors import Wrong
from loadwatch.core.expression import TAKEN
from loadwatch.core.plan import Load, Plan, Request, Scenario, Step, Take, Think

_PLACES = ("header", "cookie", "json", "css", "regex")


def with_think_times(plan: Plan) -> Plan:
    """`plan` with constant think times as `Think`. ValueError for one that is no duration."""
    replace = msgspec.structs.replace

    def thinking(own: str | Think | None) -> Think | None:
        return Think(duration(own), duration(own)) if isinstance(own, str) else own

    scenarios = tuple(
        replace(
            scenario,
            think=thinking(scenario.think),
            steps=tuple(replace(step, think=thinking(step.think)) for step in scenario.steps),
        )
        for scenario in plan.scenarios
    )
    return replace(plan, scenarios=scenarios)


def with_shares(plan: Plan, document: Mapping[str, Any]) -> Plan:
    """`plan` with the rates that `load.rate` and the scenarios' weights come to.

    ValueError where the `document` says a rate twice, or a share of nothing.
    """
    rate = plan.load.rate
    rated = [s["name"] for s in document.get("scenario", ()) if "rate" in s]
    weighted = [scenario.name for scenario in plan.scenarios if scenario.weight is not None]
    if rate is None:
        if weighted:
            raise ValueError(f"scenario.{weighted[0]}.weight: it is a share of `load.rate`")
        return plan
    if rated:
        raise ValueError(f"scenario.{rated[0]}.rate: with `load.rate` it has a `weight` instead")
    replace = msgspec.structs.replace
    total = sum(scenario.weight or 1.0 for scenario in plan.scenarios)
    scenarios = tuple(
        replace(scenario, rate=rate * (scenario.weight or 1.0) / total)
        for scenario in plan.scenarios
    )
    return replace(plan, scenarios=scenarios)


def check_visit(scenario: Scenario, load: Load, wrong: Wrong) -> None:
    """PlanError for steps that make no sense together."""
    where = f"scenario.{scenario.name}"
    if not scenario.steps:
        if scenario.think is not None:
            raise wrong(f"{where}.think", "there are no steps to think between")
        return
    if load.connections is not None:
        raise wrong(where, "a closed loop knows no visits: they have a rate")
    for field in msgspec.structs.fields(Request):
        if field.name != "headers" and getattr(scenario, field.name) != _default(field):
            raise wrong(f"{where}.{field.name}", "a visit says it in its steps")
    if scenario.path != "/":
        raise wrong(f"{where}.path", "a visit says it in its steps")
    names = [step.name for step in scenario.steps]
    for step in scenario.steps:
        if names.count(step.name) > 1:
            raise wrong(f"{where}.step", f"the name {step.name!r} is given twice")
        _check_step(step, f"{where}.step.{step.name}", wrong)
    if scenario.steps[0].think is not None:
        raise wrong(f"{where}.step.{names[0]}.think", "a visit begins with its first step")
    _check_think(scenario.think, where, wrong)


def _default(field: msgspec.structs.FieldInfo) -> Any:
    has_factory = field.default_factory is not msgspec.NODEFAULT
    return field.default_factory() if has_factory else field.default


def _check_step(step: Step, where: str, wrong: Wrong) -> None:
    _check_think(step.think, where, wrong)
    for name, take in step.take.items():
        key = f"{where}.take.{name}"
        if not TAKEN.fullmatch(name) or name in ("seq", "uuid"):
            raise wrong(key, "a name is made of letters, digits and `_`, and is not seq or uuid")
        check_take(take, key, wrong)


def check_take(take: Take, key: str, wrong: Wrong) -> None:
    """PlanError for a value that is taken from nowhere, or from two places."""
    places = [place for place in _PLACES if getattr(take, place) is not None]
    if len(places) != 1:
        raise wrong(key, f"it is taken from one of {', '.join(_PLACES)}")
    if take.attribute is not None and take.css is None:
        raise wrong(f"{key}.attribute", "it is one of an element that `css` selects")
    if take.json not in (None, "") and not str(take.json).startswith("/"):
        raise wrong(f"{key}.json", "a JSON Pointer such as `/user/0/name`")
    try:
        re.compile(take.regex or "")
    except re.error as error:
        raise wrong(f"{key}.regex", f"not a regular expression: {error}") from None


def _check_think(think: str | Think | None, where: str, wrong: Wrong) -> None:
    if not isinstance(think, Think):
        return
    is_range = think.least is not None and think.most is not None
    if is_range == (think.mean is not None) or (think.least is None) != (think.most is None):
        raise wrong(f"{where}.think", "expected `3s`, { mean = … } or { from = …, to = … }")
    if think.least is not None and think.most is not None and think.least > think.most:
        raise wrong(f"{where}.think", "`from` is more than `to`")
