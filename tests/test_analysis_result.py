"""The object of `run --json`: every number of a run with known answers."""

from __future__ import annotations

import json
from collections.abc import Iterable

import pytest

from loadwatch import console
from loadwatch.analysis.result import result
from loadwatch.core.history import History
from loadwatch.core.reading import HostStatus
from loadwatch.core.summary import Summary
from loadwatch.core.tick import Tick
from tests import ticks
from tests.ticks import CATALOGUE, tick


def summed(made: Iterable[Tick]) -> Summary:
    summary = Summary()
    for one in made:
        summary.add(one)
    return summary


def timeouts_and_answers() -> Summary:
    """390 answers in 1, 2, … 390 ms and ten timeouts after a second, all of one scenario."""
    values = {
        "load.offered": 400,
        "load.sent": 400,
        "load.completed": 390,
        "load.dropped": 0,
        "load.received": 12_345,
        "load.in_flight": 0,
        "load.status.2xx": 390,
        "load.status.200": 388,
        "load.status.204": 2,
        "load.status.5xx": 0,
        "load.errors.timeout": 10,
    }
    mine = {key.replace("load.", "scenario.home."): value for key, value in values.items()}
    times = [n / 1000 for n in range(1, 391)] + [1.0] * 10
    lags = [0.0001] * 399 + [0.002]
    return summed(
        [
            tick(
                0,
                {**values, **mine},
                times={("home", "response"): times, ("home", "lag"): lags},
            )
        ]
    )


HOSTS = (
    HostStatus("web", "live", "", ("top", "vmstat"), gaps=1),
    HostStatus("db", "lost", "connection reset"),
)

RESPONSE = {
    # The mean of 1…390 ms and ten times a second.
    "mean": pytest.approx((390 * 391 / 2 + 10_000) / 400, rel=1e-3),
    "p50": 200.063,
    "p90": 360.191,
    "p95": 380.159,
    "p99": {"at_least": 1000.447},
    "p999": None,  # 400 requests do not tell
    "max": {"at_least": 1000.447},
}

UNKNOWN = dict.fromkeys(("mean", "p50", "p90", "p95", "p99", "p999", "max"))

NUMBERS = {
    "offered": 400,
    "sent": 400,
    "completed": 390,
    "dropped": 0,
    "duration_s": 8.0,
    "rate": 48.75,
    "status": {"200": 388, "204": 2},
    "errors": {"timeout": 10},
    "response_ms": RESPONSE,
    "service_ms": UNKNOWN,
    "send_lag_ms": {"p50": 0.1, "p99": 0.1, "max": 2.0},
    "received_bytes": 12_345,
}


def test_every_number_of_a_run() -> None:
    found = result(
        timeouts_and_answers(),
        duration=8,
        hosts=HOSTS,
        reasons=(),
        closed=False,
        session="/tmp/a.loadwatch",
    )
    verdict = found.pop("verdict")
    assert found == {
        **NUMBERS,
        "generator": {"healthy": True, "reasons": [], "warnings": []},
        "hosts": {
            "web": {"state": "live", "detail": "", "probes": ["top", "vmstat"], "gaps": 1},
            "db": {"state": "lost", "detail": "connection reset", "probes": [], "gaps": 0},
        },
        "scenarios": {"home": NUMBERS},
        "thresholds": [],
        "limits": [],
        "session": "/tmp/a.loadwatch",
    }
    assert set(verdict) == {"name", "also", "evidence", "advice"}
    assert verdict["name"] == "unknown"
    json.dumps({**found, "response_ms": None, "scenarios": None, "verdict": verdict})


def test_a_closed_loop_has_no_send_lag_and_a_sick_generator_says_why() -> None:
    found = result(
        timeouts_and_answers(), duration=8, hosts=(), reasons=["too slow"], closed=True, session=""
    )
    assert found["send_lag_ms"] is None
    assert found["scenarios"]["home"]["send_lag_ms"] is None
    assert found["generator"] == {"healthy": False, "reasons": ["too slow"], "warnings": []}
    assert found["verdict"]["name"] == "client-limited"
    assert found["verdict"]["evidence"] == ["too slow"]


def test_nothing_at_all_is_an_answer_too() -> None:
    found = result(Summary(), duration=0, hosts=(), reasons=(), closed=False, session="")
    assert (found["offered"], found["rate"], found["response_ms"]) == (0, 0.0, UNKNOWN)
    assert found["send_lag_ms"] == {"p50": None, "p99": None, "max": None}
    assert found["verdict"]["name"] == "unknown"
    json.dumps(found, allow_nan=False)


def test_scenarios_add_up_and_stand_in_the_plans_order() -> None:
    summary = summed(ticks.run(30, rates={"wall": 5.0, "home": 20.0}))
    found = result(summary, duration=30, hosts=(), reasons=(), closed=False, session="")
    assert list(found["scenarios"]) == ["wall", "home"]
    for name in ("offered", "sent", "completed", "received_bytes", "rate"):
        assert found[name] == pytest.approx(sum(s[name] for s in found["scenarios"].values()))
    assert json.loads(json.dumps(found, allow_nan=False)) == found


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("load.response.p50", 0.200063),
        ("load.response.p999", None),
        ("load.response.max", 1.000447),
        ("scenario.home.response.p99", 1.000447),
        ("scenario.wall.response.p99", None),
        ("load.service.mean", None),
        ("load.errors.timeout", 10.0),
        ("load.errors.reset", 0.0),
        ("scenario.wall.errors.reset", None),
        ("host.web.swap.in", None),
    ],
)
def test_a_metric_over_a_stretch(key: str, value: float | None) -> None:
    assert timeouts_and_answers().value(CATALOGUE.of(key)) == value


def test_the_summary_says_why_a_host_was_lost() -> None:
    hosts = (*HOSTS, HostStatus("old", "lost"))
    found = result(
        timeouts_and_answers(),
        duration=8,
        hosts=hosts,
        reasons=(),
        closed=False,
        session="a.loadwatch",
    )
    lines = console.summary(found, History()).splitlines()
    assert [line for line in lines if line.startswith("host ")] == [
        "host web: live (top, vmstat, 1 gaps)",
        "host db: lost (connection reset)",
        "host old: lost",
    ]
