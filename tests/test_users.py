"""How many users is that? The vectors of the article, and the model behind them."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadwatch.analysis.users import Day, Habits, assumptions, audience, audience_text
from loadwatch.config import redact
from loadwatch.core.metric import Catalogue
from loadwatch.core.plan import Plan, Scenario, Step, Target
from loadwatch.importing.visitors import visitors
from loadwatch.session import Recorder
from tests.ticks import CATALOGUE, run

FLAT = Habits(3, 3, 60, peak_to_average=1, utilisation=1)
ARTICLE = Day(((6, 200), (6, 100), (12, 10)))


@pytest.mark.parametrize(
    ("habits", "concurrent", "users"),
    [
        (FLAT, 340, 163_200),  # flat for 24 hours, at 100 %
        (replace(FLAT, peak_to_average=2.5), 340, 65_280),  # the article's day, at full peak
        (replace(FLAT, peak_to_average=2.5, utilisation=0.7), 238, 45_696),
    ],
)
def test_seventeen_per_second(habits: Habits, concurrent: int, users: int) -> None:
    found = audience(17, habits)
    assert round(found.concurrent_users) == concurrent
    assert round(found.users_per_day) == users
    assert round(found.visits_per_day) == 3 * users


def test_the_articles_day() -> None:
    """Its 115,200 are visits of one minute; users are a third of that."""
    found = ARTICLE.audience(FLAT)
    assert round(found.visits_per_day) == 115_200
    assert round(found.users_per_day) == 38_400
    assert found.rate == 10.0
    assert ARTICLE.peak_to_average == 2.5


@given(
    rate=st.floats(0.1, 1e4),
    share=st.floats(0.05, 1),
    visits=st.floats(0.1, 50),
    requests=st.floats(1, 100),
    length=st.floats(1, 3600),
    ratio=st.floats(1, 24),
)
def test_a_flat_profile_is_the_same_as_its_rate(
    rate: float, share: float, visits: float, requests: float, length: float, ratio: float
) -> None:
    habits = Habits(requests, visits, length, ratio, share)
    found = audience(rate, habits)
    day = Day(((24 / ratio, found.concurrent_users),))
    assert day.peak_to_average == pytest.approx(ratio)
    assert day.audience(habits).users_per_day == pytest.approx(found.users_per_day)
    assert day.audience(habits).rate == pytest.approx(rate * share)


def test_assumptions_say_every_number() -> None:
    text = "; ".join(assumptions(Habits(3, 2, 90, 2.5, 0.6)))
    for number in ("3 requests", "90 s", "every 30 s", "2 times a day", "2.5 times", "60%"):
        assert number in text


def test_the_interval_of_a_limit_is_carried_over() -> None:
    text = audience_text(audience(17, FLAT), audience(18, FLAT))
    assert text.startswith("340 to 360 concurrent users")
    assert "163,200 to 172,800 users a day" in text


# -- the command ---------------------------------------------------------------------------------


def users(*arguments: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "loadwatch", "users", *arguments], capture_output=True, text=True
    )
    return done.returncode, done.stdout, done.stderr


HABITS = ("--requests-per-visit", "3", "--visits-per-day", "3", "--visit-length", "60s",
          "--utilisation", "1")  # fmt: skip


def test_one_object() -> None:
    code, out, _ = users("17", *HABITS, "--peak-to-average", "1", "--json")
    found = json.loads(out)
    assert code == 0
    assert (found["concurrent_users"], found["visits_per_day"], found["users_per_day"]) == (
        340, 489_600, 163_200
    )  # fmt: skip
    assert found["below"] is None and len(found["assumptions"]) == 5


def test_a_profile_gives_the_shape() -> None:
    code, out, _ = users("17", *HABITS, "--profile", "6:200,6:100,12:10", "--json")
    found = json.loads(out)
    assert code == 0
    assert found["users_per_day"] == 65_280
    assert found["profile"]["users_per_day"] == 38_400


PLAN = Plan(Target("http://x.example"), scenarios=(Scenario("home"),))
VISITS = msgspec.structs.replace(
    PLAN, scenarios=(Scenario("visit", steps=(Step(name="a"), Step(name="b"))),)
)


def session_with(limits: list[dict[str, object]], path: Path, plan: Plan = PLAN) -> str:
    meta = {"target": "http://x.example", "plan": redact(plan)}
    recorder = Recorder(path, meta, Catalogue(CATALOGUE))
    for tick in run(2):
        recorder.add(tick)
    recorder.close({"limits": limits, "generator": {"reasons": []}})
    return str(path)


def test_the_limit_of_a_session(tmp_path: Path) -> None:
    limits: list[dict[str, object]] = [
        {"sustained": 16.0, "fails_at": 17.0},
        {"sustained": 17.0, "fails_at": 18.0},
        {"sustained": None, "fails_at": 1.0},
    ]
    code, out, error = users(session_with(limits, tmp_path / "a.loadwatch"), *HABITS, "--json",
                             "--peak-to-average", "1")  # fmt: skip
    assert code == 0, error
    found = json.loads(out)
    assert (found["rate"], found["users_per_day"]) == (17.0, 163_200)
    assert (found["below"]["rate"], found["below"]["users_per_day"]) == (18.0, 172_800)


def test_a_limit_of_visits_is_counted_in_requests(tmp_path: Path) -> None:
    trials = [{"rate": 10.0, "completed": 20.0}, {"rate": 12.0, "completed": 21.0}]
    limit: dict[str, object] = {"sustained": 10.0, "fails_at": 12.0, "trials": trials}
    path = session_with([limit], tmp_path / "a.loadwatch", VISITS)
    code, out, error = users(path, *HABITS, "--peak-to-average", "1", "--json")
    found = json.loads(out)
    assert (code, found["rate"], found["below"]["rate"]) == (0, 20.0, 24.0)
    assert "10 visits per second is 20 requests per second" in error


def log_of(seconds: list[tuple[str, int]]) -> str:
    """An access log of pages: of which client each, and how many seconds after midnight."""
    begin = datetime(2026, 11, 3, tzinfo=UTC)
    return "".join(
        f"{client} - - [{begin + timedelta(seconds=at):%d/%b/%Y:%H:%M:%S} +0000]"
        f' "GET /{at}/ HTTP/1.1" 200 5\n'
        for client, at in seconds
    )


HOURS = [(f"10.0.0.{hour}", 3600 * hour + at) for hour in range(24) for at in (0, 20, 40)]
EVENING = [(f"10.1.0.{n}", 3600 * 20 + at) for n in range(24) for at in (600, 620, 640)]
TWICE = [("10.0.0.1", 3600 * 23 + at) for at in (0, 20, 40)]


@pytest.mark.parametrize(
    ("hits", "told"),
    [
        # Two days' worth of requests in one day, half of them in one hour and a bit.
        (HOURS, (3.0, 1.0, 60.0, 1.0)),
        ([*HOURS, *TWICE], (3.0, 25 / 24, 60.0, 2 / (25 / 24))),
        ([*HOURS, *EVENING], (3.0, 1.0, 60.0, 25 / 2)),
        (HOURS[:36], (3.0, 1.0, 60.0, None)),
        (HOURS[:60:3], (1.0, 1.0, None, None)),
    ],
)
def test_an_access_log_tells_of_its_users(
    hits: list[tuple[str, int]], told: tuple[float | None, ...]
) -> None:
    found = visitors(log_of(hits).splitlines(), "access.log")
    assert found[:4] == pytest.approx(told)
    assert found.told[0].startswith(f"access.log: {len(hits) // (3 if hits[1][1] == 20 else 1)} ")


def test_what_is_given_goes_before_the_log(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    log.write_text(log_of(HOURS) + "nonsense\n", encoding="ascii")
    code, out, error = users(
        "17", "--access-log", str(log), "--visits-per-day", "2", "--utilisation", "1", "--json"
    )
    found = json.loads(out)
    assert code == 0
    assert (found["concurrent_users"], found["users_per_day"]) == (340, 244_800)
    assert "24 visits (pauses under 30 min) of 24 visitors, 72 requests for pages" in error
    assert "left out: 1 requests" in error
    code, out, error = users("17", "--access-log", str(tmp_path / "none"))
    assert (code, out) == (2, "") and error.count("\n") == 1


def test_a_session_without_a_limit_is_one_line(tmp_path: Path) -> None:
    code, out, error = users(session_with([], tmp_path / "a.loadwatch"))
    assert (code, out) == (2, "") and "no limit was found" in error and error.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["17", "--utilisation", "70"], "expected a share such as 0.7"),
        (["17", "--visits-per-day", "0"], "expected a number above 0"),
        (["17", "--peak-to-average", "0.5"], "expected a ratio from 1 on"),
        (["17", "--profile", "25:3"], "within 24 hours"),
        (["17", "--profile", "6:x"], "within 24 hours"),
        (["17", "--profile", "6:0"], "nobody is active"),
        (["17", "--profile", "6:1", "--peak-to-average", "2"], "exclude each other"),
    ],
)
def test_a_wrong_option_is_one_line(arguments: list[str], line: str) -> None:
    code, out, error = users(*arguments)
    assert (code, out) == (2, "") and line in error and error.count("\n") == 1
