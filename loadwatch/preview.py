"""What a plan will send, without sending it and without its secrets."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from loadwatch import config
from loadwatch.core.plan import Plan, Scenario
from loadwatch.load.fleet import share_out
from loadwatch.load.request import build, render


def first_requests(plan: Plan) -> Iterator[tuple[Scenario, bytes]]:
    """The first request of every scenario, as HTTP/1.1 has it on the wire.

    Variables of the environment stand there by name, literal secrets and the contents of files in
    headers not at all. PlanError for what could not be sent.
    """
    blank = config.recorded(config.redact(plan), "the plan")
    named = config.fill_in(_without_files(blank), {name: name for name in config.variables(plan)})
    job = share_out(named)[0]
    for scenario, of_job in zip(plan.scenarios, job.scenarios, strict=True):
        request = build(
            job.url, of_job.path, of_job.headers, job.keep_alive, of_job.method, of_job.body
        )
        yield scenario, render(request)


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
