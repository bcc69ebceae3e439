"""A scenario as the plan says it -> as the workers get it: its fields as text, its files read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from loadwatch.core.errors import PlanError
from loadwatch.core.plan import FieldValue, Scenario, Step, Take, Target, Think, Upload
from loadwatch.core.texts import taken_before
from loadwatch.load.messages import Part, ScenarioJob, TakeJob, ThinkJob


def scenario_job(scenario: Scenario, target: Target) -> ScenarioJob:
    """The scenario for the workers. PlanError for a file that cannot be read."""
    job = _job(scenario, scenario.headers, target, f"scenario.{scenario.name}")
    job.rate = scenario.rate
    for step in scenario.steps:
        headers = {**scenario.headers, **step.headers}
        own = _job(step, headers, target, f"scenario.{scenario.name}.step.{step.name}")
        own.taken = taken_before(scenario, step.name)
        own.take = [take_job(name, take) for name, take in step.take.items()]
        own.think = _think(step.think or scenario.think)
        job.steps.append(own)
    return job


def take_job(name: str, take: Take) -> TakeJob:
    """What is taken as `name`, for the workers."""
    for source in ("header", "cookie", "json", "css", "regex"):
        what = getattr(take, source)
        if what is not None:
            return TakeJob(name, source, what, take.attribute)
    raise AssertionError(take)  # `config` has seen to it


def _think(think: Think | str | None) -> ThinkJob:
    assert not isinstance(think, str)  # `config` has made one of it
    if think is None:
        return ThinkJob()
    if think.mean is not None:
        return ThinkJob(mean=float(think.mean))
    return ThinkJob(float(think.least or 0), float(think.most or 0))


def _job(
    request: Scenario | Step, headers: Mapping[str, str], target: Target, where: str
) -> ScenarioJob:
    body, expect = request.body, request.expect
    statuses = expect.status or ()
    return ScenarioJob(
        name=request.name,
        path=request.path,
        rate=0.0,
        headers=dict(headers),
        method=request.method,
        body=None if body is None else body.encode(errors="surrogateescape"),
        query=list(_pairs(request.query)),
        json=msgspec.to_builtins(request.json),
        form=None if request.form is None else list(_pairs(request.form)),
        parts=None if request.multipart is None else list(_parts(request.multipart, where)),
        timeout=float(request.timeout or target.timeout),
        statuses=[statuses] if isinstance(statuses, int) else list(statuses),
        contains=expect.contains,
        max_bytes=None if expect.max_bytes is None else int(expect.max_bytes),
    )


def _pairs(fields: Mapping[str, FieldValue | list[FieldValue]]) -> Iterator[tuple[str, str]]:
    """A list gives its name as often as it is long."""
    for name, value in fields.items():
        for one in value if isinstance(value, list) else [value]:
            yield name, one if isinstance(one, str) else msgspec.json.encode(one).decode()


def _parts(
    fields: Mapping[str, FieldValue | list[FieldValue] | Upload], where: str
) -> Iterator[Part]:
    for name, value in fields.items():
        if isinstance(value, Upload):
            path = Path(value.file).expanduser()
            try:
                yield Part(name, path.read_bytes(), path.name, value.type)
            except OSError as error:
                key = f"{where}.multipart.{name}"
                raise PlanError(f"{key}: cannot read {path}: {error.strerror}") from None
        else:
            for _, text in _pairs({name: value}):
                yield Part(name, text.encode())
