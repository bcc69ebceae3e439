"""Readings that come after their second was closed: a session is in the end as if they had not."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadwatch.core.history import History
from loadwatch.core.plan import Group, Host
from loadwatch.core.reading import Process, Reading
from loadwatch.core.tick import Tick
from loadwatch.core.ticker import LATE_SECONDS, Ticker
from tests.test_session_file import read, record

HOSTS = [Host("web", "local", groups=(Group("pool", user="www"),)), Host("db", "local")]
KEYS = ("host.web.cpu.us", "host.web.group.pool.rss", "host.web.group.pool.restarts")


def frame(host: str, second: int) -> Reading:
    """What a host's probes see in a second; a process is replaced in every third."""
    pool = Process(10 + second // 3, "www", 1000 + second, 1.0, "S", "worker")
    other = Process(1, "root", 500, 0.0, "S", "init")
    return Reading(host, "top", float(second), {"cpu.us": float(second)}, (pool, other))


def run(delays: Sequence[int]) -> list[Tick]:
    """Ticks of a run whose readings of `web` arrive so many seconds late, those of `db` in time."""
    ticker = Ticker(["home"], HOSTS, lambda values: {})
    published = []
    due = list(accumulate((second + delay for second, delay in enumerate(delays)), max))
    for second in range(len(delays)):
        ticker.reading(second, frame("db", second))
        for made, arrives in enumerate(due):
            if arrives == second:
                ticker.reading(made, frame("web", made))
        ticker.rates(float(second), {"home": float(second // 4)})
        published.append(ticker.close())
    for made, arrives in enumerate(due):
        if arrives >= len(delays):
            ticker.reading(made, frame("web", made))
    while ticker.pending:
        published.append(ticker.close())
    return published


def rows(tick: Tick, host: str) -> list[tuple[object, ...]]:
    return [(row.process, row.groups) for row in tick.processes if row.host == host]


@settings(max_examples=30, deadline=None)
@given(delays=st.lists(st.integers(0, 6), min_size=1, max_size=14))
def test_late_readings_end_up_where_they_belong(
    tmp_path_factory: pytest.TempPathFactory, delays: list[int]
) -> None:
    in_time, late = run([0] * len(delays)), run(delays)
    place = tmp_path_factory.mktemp("late")
    wanted, found = (
        read(record(place / name, ticks)) for name, ticks in (("a", in_time), ("b", late))
    )
    for one, other in zip(wanted, found[: len(wanted)], strict=True):
        assert other.values == one.values
        for host in ("web", "db"):
            assert rows(other, host) == rows(one, host)
    assert not any(tick.values for tick in found[len(wanted) :])

    histories = [History(), History()]
    for history, ticks in zip(histories, (in_time, late), strict=True):
        for tick in ticks:
            history.add(tick)
    before, after = histories
    for key in KEYS:
        series = after.series(key, after.length)
        assert series[: before.length] == before.series(key, before.length)
        assert after.total.mean(key) == before.total.mean(key)
        for ours, theirs in zip(after.steps, before.steps, strict=False):
            assert ours.mean(key) == theirs.mean(key)


def test_of_two_readings_of_a_second_the_newer_one_counts(tmp_path: Path) -> None:
    ticker = Ticker(["home"], HOSTS, lambda values: {})
    ticker.reading(0, frame("db", 0))
    ticker.reading(0, frame("web", 0))
    first = ticker.close()
    ticker.reading(0, frame("web", 5))
    session = read(record(tmp_path / "a", [first, ticker.close()]))
    assert session[0].values["host.web.cpu.us"] == 5.0
    assert [row[0] for row in rows(session[0], "web")] == list(frame("web", 5).processes or ())
    assert [row[0] for row in rows(session[0], "db")] == list(frame("db", 0).processes or ())


def test_a_tick_completes_so_many_seconds_and_the_next_one_more() -> None:
    ticker = Ticker(["home"], HOSTS, lambda values: {})
    for _ in range(LATE_SECONDS + 10):
        ticker.close()
    for second in range(LATE_SECONDS + 5):
        ticker.reading(second, frame("web", second))
    assert [late.second for late in ticker.close().late] == list(range(LATE_SECONDS))
    assert ticker.pending
    assert len(ticker.close().late) == 5
    assert not ticker.pending
    assert ticker.close().late == ()


def test_nothing_is_known_of_the_time_before_the_run() -> None:
    ticker = Ticker(["home"], HOSTS, lambda values: {})
    ticker.close()
    ticker.reading(-1, frame("web", 0))
    assert not ticker.pending
