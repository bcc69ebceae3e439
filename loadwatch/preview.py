"""What a plan will send, without sending it and without its secrets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from loadwatch import config
from loadwatch.core.expression import Column, parse
from loadwatch.core.plan import Plan, Scenario
from loadwatch.core.texts import taken_before, texts
from loadwatch.load.fleet import share_out
from loadwatch.load.messages import Table
from loadwatch.load.taking import taker
from loadwatch.load.template import Rows


class Shown(NamedTuple):
    """The first request of a scenario, or of one step of it."""

    scenario: Scenario
    step: str
    request: bytes


def first_requests(plan: Plan) -> Iterator[Shown]:
    """The first request of every scenario, of visits that of every step, as HTTP/1.1 has it.

    Variables of the environment, and what a visit takes from an answer, stand there by name, and
    so do columns of data files that look like secrets; literal secrets and the contents of files in
    headers not at all. PlanError for what could not be sent.
    """
    blank = config.recorded(config.redact(plan), "the plan")
    named = config.fill_in(_without_files(blank), {name: name for name in config.variables(plan)})
    job = share_out(named)[0]
    for table in job.data:
        _name_secrets(table, plan)
    rows = Rows(job)
    for scenario, own in zip(plan.scenarios, job.scenarios, strict=True):
        if not own.steps:
            yield Shown(scenario, "", next(rows.requests(own)))
            continue
        script = rows.script(own)
        drawn = next(script.draws)
        for step, template in zip(own.steps, script.templates, strict=True):
            for take in step.take:
                taker(take)
            taken = {name: name for name in step.taken}
            yield Shown(scenario, step.name, template.filled(drawn, taken))


def _name_secrets(table: Table, plan: Plan) -> None:
    """Put the name of a column in place of its values where they may be secret."""
    secret = {
        part.name
        for scenario in plan.scenarios
        for place, text in texts(scenario)
        for part in parse(text, taken_before(scenario, place.step))
        if isinstance(part, Column)
        and part.table == table.name
        and config.sounds_secret(place.name)
    }
    for at, name in enumerate(table.columns):
        if name in secret or config.sounds_secret(name):
            for row in table.rows:
                row[at] = name


def _without_files(plan: Plan) -> Plan:
    """The plan with `(@file)` where a header's value is in a file: it may be a secret."""
    replace = msgspec.structs.replace
    scenarios = (
        replace(
            scenario,
            headers={
                name: f"({value})" if value.startswith("@") else value
                for name, value in scenario.headers.items()
            },
        )
        for scenario in plan.scenarios
    )
    return replace(plan, scenarios=tuple(scenarios))
