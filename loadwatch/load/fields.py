"""A scenario as the plan says it -> as the workers get it: its fields as text, its files read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from loadwatch.core.errors import PlanError
from loadwatch.core.plan import FieldValue, Scenario, Target, Upload
from loadwatch.load.messages import Part, ScenarioJob


def scenario_job(scenario: Scenario, target: Target) -> ScenarioJob:
    """The scenario for the workers. PlanError for a file that cannot be read."""
    body, expect = scenario.body, scenario.expect
    statuses = expect.status or ()
    return ScenarioJob(
        name=scenario.name,
        path=scenario.path,
        rate=scenario.rate,
        headers=dict(scenario.headers),
        method=scenario.method,
        body=None if body is None else body.encode(errors="surrogateescape"),
        query=list(_pairs(scenario.query)),
        json=msgspec.to_builtins(scenario.json),
        form=None if scenario.form is None else list(_pairs(scenario.form)),
        parts=None if scenario.multipart is None else list(_parts(scenario)),
        timeout=float(scenario.timeout or target.timeout),
        statuses=[statuses] if isinstance(statuses, int) else list(statuses),
        contains=expect.contains,
        max_bytes=None if expect.max_bytes is None else int(expect.max_bytes),
    )


def _pairs(fields: Mapping[str, FieldValue | list[FieldValue]]) -> Iterator[tuple[str, str]]:
    """A list gives its name as often as it is long."""
    for name, value in fields.items():
        for one in value if isinstance(value, list) else [value]:
            yield name, one if isinstance(one, str) else msgspec.json.encode(one).decode()


def _parts(scenario: Scenario) -> Iterator[Part]:
    for name, value in (scenario.multipart or {}).items():
        if isinstance(value, Upload):
            path = Path(value.file).expanduser()
            try:
                yield Part(name, path.read_bytes(), path.name, value.type)
            except OSError as error:
                where = f"scenario.{scenario.name}.multipart.{name}"
                raise PlanError(f"{where}: cannot read {path}: {error.strerror}") from None
        else:
            for _, text in _pairs({name: value}):
                yield Part(name, text.encode())
