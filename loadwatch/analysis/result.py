"""A run as the one JSON object that `run --json` prints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from loadwatch.analysis.thresholds import Outcome
from loadwatch.analysis.verdict import judge, judged
from loadwatch.core.histogram import Histogram
from loadwatch.core.metric import Unit, format_value
from loadwatch.core.plan import SIGNS, Signs
from loadwatch.core.reading import HostStatus
from loadwatch.core.summary import SHARES, Summary
from loadwatch.core.tick import SERVER, STEP, distribution_of, step_owner

STATISTICS = ("mean", *SHARES, "max")
LAG_STATISTICS = ("p50", "p99", "max")

Time = float | dict[str, float] | None
"""Milliseconds; None where unknown; `{"at_least": ms}` where requests that timed out decide it."""


def result(
    summary: Summary,
    *,
    duration: float,
    hosts: Sequence[HostStatus],
    reasons: Sequence[str],
    closed: bool,
    session: str,
    steps: Sequence[Summary] = (),
    signs: Signs = SIGNS,
    warnings: Sequence[str] = (),
    outcomes: Sequence[Outcome] = (),
    limits: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """What a run came to, as JSON-ready data.

    `duration` is the time of firing in seconds, `reasons` why the generator was the limit (empty:
    it was not), `closed` whether the load was a closed loop, which has no due instants and so no
    send lag; `session` is the recording's path; the verdict is on one of `steps`, where there
    are any, by the plan's `signs`; `warnings` what looks suspicious about the generator, though it
    kept up; `outcomes` what became of the thresholds; `limits` the searches for the limit in it.
    """
    names = [host.host for host in hosts]
    verdict = judge(judged(steps, summary), reasons, names, steps, signs)
    return {
        **_numbers(summary, "load", None, duration, closed),
        "generator": {
            "healthy": not reasons,
            "reasons": list(reasons),
            "warnings": list(warnings),
        },
        "hosts": {
            host.host: {
                "state": host.state,
                "detail": host.detail,
                "probes": list(host.probes),
                "gaps": host.gaps,
            }
            for host in hosts
        },
        "scenarios": {
            name: _numbers(summary, f"scenario.{name}", name, duration, closed)
            | _sizes(summary, name)
            | _told(summary, name)
            | _steps(summary, name, duration)
            for name in _scenarios(summary)
        },
        "verdict": verdict.as_json(),
        "thresholds": [
            {
                "key": outcome.key,
                "rule": outcome.rule,
                "window_s": outcome.window,
                "passed": outcome.passed,
                "found": outcome.reason,
            }
            for outcome in outcomes
        ],
        "limits": list(limits),
        "session": session,
    }


def _steps(summary: Summary, scenario: str, duration: float) -> dict[str, Any]:
    """The numbers of each step of a scenario of visits."""
    prefix = f"scenario.{scenario}.{STEP}."
    keys = [key.removeprefix(prefix) for key in summary.tallies if key.startswith(prefix)]
    names = dict.fromkeys(key.partition(".")[0] for key in keys)
    if not names:
        return {}
    return {
        "steps": {
            name: _numbers(summary, prefix + name, step_owner(scenario, name), duration, False)
            | _sizes(summary, step_owner(scenario, name))
            | _told(summary, step_owner(scenario, name))
            for name in names
        }
    }


def _scenarios(summary: Summary) -> list[str]:
    """Their names, in the plan's order."""
    keys = (key.split(".") for key in summary.tallies if key.startswith("scenario."))
    return list(dict.fromkeys(segments[1] for segments in keys))


def _numbers(
    summary: Summary, owner: str, scenario: str | None, duration: float, closed: bool
) -> dict[str, Any]:
    """The numbers of the whole load (`scenario` None), or of one scenario."""
    completed = summary.count(f"{owner}.completed")
    codes = summary.counts(f"{owner}.status")
    lag = summary.histogram("lag", scenario)
    visits = summary.counts(f"{owner}.visits")
    visits.pop("active", None)
    return {
        "offered": summary.count(f"{owner}.offered"),
        "sent": summary.count(f"{owner}.sent"),
        "completed": completed,
        "dropped": summary.count(f"{owner}.dropped"),
        "duration_s": round(duration, 3),
        "rate": round(completed / duration, 3) if duration > 0 else 0.0,
        "status": {code: count for code, count in codes.items() if code.isdigit()},
        "errors": summary.counts(f"{owner}.errors"),
        "response_ms": _times(summary.histogram("response", scenario)),
        "service_ms": _times(summary.histogram("service", scenario)),
        "send_lag_ms": None if closed else _times(lag, LAG_STATISTICS),
        "received_bytes": summary.count(f"{owner}.received"),
    } | ({"visits": {"offered": 0, "completed": 0, "failed": 0} | visits} if visits else {})


def _sizes(summary: Summary, scenario: str) -> dict[str, dict[str, float]]:
    """Mean sizes of the bodies that were weighed; nothing where none was."""
    means = {
        name: round(mean, 1)
        for name in ("compressed", "decompressed")
        if (mean := summary.mean(f"scenario.{scenario}.body.{name}")) is not None
    }
    return {"body_bytes": means} if means else {}


def _told(summary: Summary, scenario: str) -> dict[str, Any]:
    """What a scenario's, or step's, answers told of the server's work; nothing if they did not."""
    server = f"scenario.{scenario}.{SERVER}"
    if f"{server}.sampled" not in summary.tallies:
        return {}
    times: dict[str, dict[str, float | None]] = {}
    numbers: dict[str, dict[str, float | None]] = {}
    for key in sorted(summary.tallies):
        name = key.rpartition(".")[2]
        owner, kind = distribution_of(key) or (None, "")
        what, _, entry = kind.partition(".")
        if owner == scenario and entry:
            value = summary.statistic(key)
            found, scale = (times, 1000) if what == SERVER else (numbers, 1)
            found.setdefault(entry, {})[name] = None if value is None else round(value * scale, 3)
    return {
        "server": {
            "sampled": summary.count(f"{server}.sampled"),
            "unreadable": summary.count(f"{server}.unreadable"),
            "times_ms": times,
            "numbers": numbers,
        }
    }


def _times(histogram: Histogram, names: Sequence[str] = STATISTICS) -> dict[str, Time]:
    """Statistics of a distribution, by name."""
    found: dict[str, Time] = {}
    for name in names:
        if name == "mean":
            found[name] = _milliseconds(histogram.mean)
        elif name == "max":
            found[name] = _milliseconds(histogram.max, histogram.censored > 0)
        elif histogram.is_known(SHARES[name]):
            value = histogram.percentile(SHARES[name])
            found[name] = _milliseconds(value, histogram.is_censored(SHARES[name]))
        else:
            found[name] = None
    return found


def _milliseconds(seconds: float | None, at_least: bool = False) -> Time:
    if seconds is None:
        return None
    value = round(seconds * 1000, 3)
    return {"at_least": value} if at_least else value


def format_time(value: Time) -> str:
    """A time of a result for people: `12.3 ms`, `≥ 10 s` where censored, `–` if unknown."""
    if isinstance(value, dict):
        return f"≥ {format_time(value['at_least'])}"
    return format_value(None if value is None else value / 1000, Unit.SECONDS)
