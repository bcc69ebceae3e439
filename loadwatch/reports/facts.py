"""What every report says in tables: plain text, which each format escapes in its own way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from loadwatch.analysis.result import format_time
from loadwatch.core.metric import Unit, format_clock, format_rates, format_value
from loadwatch.core.summary import SHARES, Summary
from loadwatch.reports.digest import Digest
from loadwatch.reports.standing import failed

SCENARIOS = ["scenario", "offered", "completed", "rate", "errors", "p50", "p95", "p99", "max"]

STEPS = ["step", "from", "long", "mark", "asked", "completed", "errors", "p50", "p95", "p99",
         "verdict"]  # fmt: skip


def scenario_rows(result: Mapping[str, Any]) -> list[list[str]]:
    """A row per scenario, and one for all where there are several."""
    parts = dict(result["scenarios"])
    if len(parts) != 1:
        parts["all"] = result
    return [
        [
            name,
            str(part["offered"]),
            str(part["completed"]),
            f"{part['rate']:.1f}/s",
            str(failed(part)),
            *(format_time(part["response_ms"][share]) for share in ("p50", "p95", "p99", "max")),
        ]
        for name, part in parts.items()
    ]


def step_rows(digest: Digest) -> list[list[str]]:
    """A row per step, with the verdict on it."""
    return [
        [
            str(step.step),
            format_clock(step.first),
            f"{step.last + 1 - step.first} s",
            step.mark,
            format_rates(step.rates),
            format_value(step.rate("load.completed"), Unit.PER_SECOND),
            str(errors_of(step)),
            *(_percentile(step, share) for share in ("p50", "p95", "p99")),
            verdict.name,
        ]
        for step, verdict in zip(digest.history.steps, digest.verdicts, strict=True)
    ]


def errors_of(step: Summary) -> int:
    """Requests of a step without a good answer: 5xx, none at all, dropped."""
    unanswered = sum(step.counts("load.errors").values())
    return step.count("load.status.5xx") + unanswered + step.count("load.dropped")


def _percentile(step: Summary, name: str) -> str:
    times, share = step.histogram("response"), SHARES[name]
    if not times.is_known(share):
        return "–"
    sign = "≥ " if times.is_censored(share) else ""
    return sign + format_value(times.percentile(share), Unit.SECONDS)


def facts(digest: Digest) -> list[list[str]]:
    """Name and value of what else is known about the run."""
    about, machine = digest.about, digest.about.get("environment", {})
    hosts = digest.result["hosts"]
    found = {
        "target": about.get("target"),
        "arrivals": about.get("arrival"),
        "seed": about.get("seed"),
        "loadwatch": about.get("loadwatch"),
        "generator": machine and f"{machine['host']}: {machine['system']}, {machine['cpus']} CPUs,"
                                 f" Python {machine['python']}",
        "generator warnings": "; ".join(digest.result["generator"].get("warnings", ())),
        "watched": ", ".join(f"{name} ({host['state']}, {host['gaps']} gaps)"
                             for name, host in hosts.items()),
        "seconds that are missing": about.get("lost") or None,
        "session": f"{digest.name}, format {about.get('format')}, {about.get('state')}",
    }  # fmt: skip
    return [[name, str(value)] for name, value in found.items() if value not in (None, "", {})]
