"""The ledger: what each configuration takes, rebuilt from session files."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadwatch.analysis.ledger import Change, Ledger, Limit, ledger
from loadwatch.config import redact
from loadwatch.core.errors import SessionError
from loadwatch.core.plan import Plan, Scenario, Target
from loadwatch.reports.ledger import as_csv, as_json, as_text, pair_text
from loadwatch.reports.limits import gather, sessions_of
from loadwatch.reports.markdown import ledger_as_markdown
from loadwatch.session import Recorder
from tests import ui_fakes
from tests.ledgers import MIB, TARGET, Measured, as_found, session
from tests.recordings import record, until
from tests.ticks import CATALOGUE, tick
from tests.virtual import VirtualRun, by_command, mm1

GOLDEN = Path(__file__).parent / "fixtures" / "ledger"

BACKENDS = (
    Measured("2 backends", "home", 175, 183, "worker queue", 0.31, 0.006, 38 * MIB),
    Measured("2 backends", "wall", 8, 8.4, "worker queue", 1.6, 0.110, 41 * MIB),
    Measured("2 backends + gzip", "home", 200, 210, "worker queue", 0.29, 0.007, 38 * MIB),
    Measured("2 backends + gzip", "wall", 8, 8.4, "worker queue", 1.5, 0.112, 41 * MIB),
    Measured("5 backends", "home", 200, 210, "CPU", 0.33, 0.007, 38 * MIB),
    Measured("5 backends", "wall", 11, 11.5, "CPU", 1.7, 0.110, 41 * MIB),
    Measured("10 backends", "home", 150, 157, "swapping", 1.4, 0.009, 36 * MIB, 3 * MIB),
    Measured("10 backends", "wall", 7, 7.3, "swapping", 1.9, 0.130, 39 * MIB, 5 * MIB),
)
QUERIES = (
    Measured("5 backends, no session writes", "wall", 12, 12.5, "CPU", 1.6, 0.098, 41 * MIB),
    Measured("5 backends, select_related", "wall", 13, 13.6, "CPU", 1.7, 0.090, 41 * MIB),
    Measured("5 backends, index on wall", "wall", 15, 15.7, "CPU", 1.6, 0.079, 41 * MIB),
    Measured("5 backends, counts cached", "wall", 17, 17.8, "CPU", 1.6, 0.070, 41 * MIB),
)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The default place with the sessions of two days at one target, and others."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    directory = tmp_path / "loadwatch" / "sessions"
    directory.mkdir(parents=True)
    session(directory / "2026-11-23-heywall.loadwatch", BACKENDS)
    session(directory / "2026-11-24-heywall.loadwatch", QUERIES, 1, "http://HEYWALL.example")
    other = [Measured("2 backends", "home", 99, 101)]
    session(directory / "2026-11-25-other.loadwatch", other, 2, "http://other.example")
    (directory / "2026-11-26-broken.loadwatch").write_text("no session")
    return directory


def loadwatch(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "loadwatch", "ledger", *arguments],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("options", "file"),
    [([], "ledger.txt"), (["--markdown"], "ledger.md"), (["--csv"], "ledger.csv")],
)
def test_the_table_of_the_article(place: Path, options: list[str], file: str) -> None:
    """With LOADWATCH_DOCS=write it is written anew instead."""
    done = loadwatch("heywall.example", *options)
    assert (done.returncode, done.stderr) == (0, "")
    if os.environ.get("LOADWATCH_DOCS") == "write":
        (GOLDEN / file).write_text(done.stdout, encoding="utf-8")
    assert done.stdout == (GOLDEN / file).read_text(encoding="utf-8")


def test_the_document_shows_it() -> None:
    table = (GOLDEN / "ledger.txt").read_text(encoding="utf-8")
    assert table in (GOLDEN.parents[2] / "docs" / "ledger.md").read_text(encoding="utf-8")


def test_the_ledger_for_programs(place: Path) -> None:
    found = json.loads(loadwatch("--json", "http://heywall.example").stdout)
    assert found["scenarios"] == ["home", "wall"]
    assert [row["configuration"] for row in found["rows"]][:2] == [
        "2 backends",
        "2 backends + gzip",
    ]
    assert found["rows"][3]["limits"]["wall"] == {
        "sustained": 7, "fails_at": 7.3, "p95_ms": 1900, "verdict": "swapping",
        "evidence": {
            "host.web.cpu.per_request_ms": 130, "host.web.group.backends.rss_max_kib": 39 * 1024,
            "host.web.swap.in_kib_per_s": 1280, "host.web.swap.out_kib_per_s": 3840,
        },
        "change": {"against": "5 backends", "verdict": "less", "ratio": 0.636, "low": 0.609,
                   "high": 0.664},
        "from_steps": False, "valid": True, "notes": [], "earlier": [],
        "time": "2026-11-23T20:45:47Z", "session": "2026-11-23-heywall",
    }  # fmt: skip


def test_made_up_searches_have_the_shape_of_real_ones() -> None:
    real = by_command().searching.found[0]
    made = as_found(BACKENDS[0], 0)
    assert made.keys() == real.keys()
    assert made["trials"][0].keys() == real["trials"][0].keys()
    assert made["slo"].keys() == real["slo"].keys()


# -- which sessions ------------------------------------------------------------------------------


def test_a_target_is_named_in_part_or_is_that_of_the_newest_session(place: Path) -> None:
    heywall = sorted(place.glob("*heywall*"))
    assert sessions_of("HEYWALL") == sessions_of("http://heywall.example") == heywall
    assert sessions_of("") == [place / "2026-11-25-other.loadwatch"]
    with pytest.raises(SessionError, match="several targets have it in them"):
        sessions_of("example")
    with pytest.raises(SessionError, match="nowhere: no session, and no target of one"):
        sessions_of("nowhere")


def test_some_sessions_are_named(place: Path) -> None:
    found = json.loads(loadwatch("--json", "2026-11-24", "2026-11-24-heywall").stdout)
    assert [row["configuration"] for row in found["rows"]] == [one.mark for one in QUERIES]
    done = loadwatch("2026-11-24", "2026-11-25")
    assert done.returncode == 2
    assert done.stderr == ("loadwatch: a ledger is of one target, not of http://HEYWALL.example,"
                           " http://other.example\n")  # fmt: skip


def test_what_cannot_be_read_is_said_and_loses_nothing_else(place: Path) -> None:
    done = loadwatch("2026-11-24", "2026-11-26")
    assert done.returncode == 2 and done.stderr.endswith("not a loadwatch session\n")
    assert "counts cached" in done.stdout
    done = loadwatch("2026-11-26")
    assert (done.returncode, done.stdout) == (2, "") and done.stderr.count("\n") == 2


# -- what counts ---------------------------------------------------------------------------------


def limit(sustained: float | None, fails_at: float | None, name: str = "", **more: Any) -> Limit:
    return Limit(name, "wall", more.pop("at", 0.0), "a", sustained, fails_at, **more)


def change(before: Limit, after: Limit) -> Change:
    found = ledger(
        "", [replace(before, configuration="a"), replace(after, configuration="b", at=1)]
    )
    told = found.rows[1].cells["wall"].change
    assert told is not None
    return told


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [
        ((10, 10.5), (12, 12.6), "more"),
        ((12, 12.6), (10, 10.5), "less"),
        ((10, 10.5), (10.5, 11), "perhaps more"),  # apart, but by less than chance
        ((10.5, 11), (10, 10.5), "perhaps less"),
        ((10, 10.5), (10.2, 10.7), "not told apart"),
        ((10, 20), (19, 40), "not told apart"),  # wide pairs tell little
        ((10, None), (30, 31), "not told apart"),  # nobody knows where it failed
        ((None, 10), (12, 13), "more"),
        ((12, 13), (None, 10), "less"),
        ((None, 10), (10.5, 13), "perhaps more"),
        ((None, None), (10, 11), "not told apart"),
    ],
)
def test_a_change_is_told_where_the_pairs_lie_apart(
    before: tuple[float | None, float | None], after: tuple[float | None, float | None],
    verdict: str,
) -> None:  # fmt: skip
    assert change(limit(*before), limit(*after)).verdict == verdict


@given(*[st.tuples(st.floats(1, 100), st.floats(1.01, 3)) for _ in range(2)])
def test_the_same_change_the_other_way_round(
    one: tuple[float, float], other: tuple[float, float]
) -> None:
    """And the true ratio of any two rates within the pairs is within the bounds that are told."""
    a, b = (limit(low, low * width) for low, width in (one, other))
    there, back = change(a, b), change(b, a)
    words = {"more": "less", "less": "more"}
    turned = " ".join(words.get(word, word) for word in there.verdict.split())
    assert back.verdict == turned
    assert there.low and there.high and there.low <= (b.sustained or 0) / (a.sustained or 1)
    assert (b.fails_at or 0) / (a.fails_at or 1) <= there.high


def test_what_is_in_doubt_is_perhaps() -> None:
    doubt = limit(20, 21, doubts=("not confirmed",))
    assert change(limit(10, 10.5), doubt).verdict == "perhaps more"
    assert change(doubt, limit(10, 10.5)).verdict == "perhaps less"


def test_unlike_searches_are_not_compared() -> None:
    told = change(limit(10, 10.5, terms={"arrivals": "poisson", "trials": "30 s"}),
                  limit(20, 21, terms={"arrivals": "uniform", "trials": "30 s"}))  # fmt: skip
    assert (told.verdict, told.reasons, told.ratio) == ("not comparable", ("other arrivals",), None)
    told = change(limit(10, 10.5, valid=False), limit(20, 21))
    assert told.reasons == (SPOILT,)


def test_of_several_searches_the_newest_counts() -> None:
    cell = (
        ledger("", [limit(10, 10.5, at=5), limit(9.9, 10.4, at=2), limit(20, 21, at=1)])
        .rows[0]
        .cells["wall"]
    )
    assert cell.limit.sustained == 10
    assert cell.notes == ("of 2 before, 1 came to something else",)


def test_a_change_is_against_the_nearest_limit_of_its_column() -> None:
    found = ledger("", [
        limit(10, 10.5, "a"), replace(limit(50, 52, "b", at=1), scenario="home"),
        limit(20, 21, "c", at=2),
    ])  # fmt: skip
    told = found.rows[2].cells["wall"].change
    assert told is not None and told.against == "a"
    assert found.scenarios == ("wall", "home")


@pytest.mark.parametrize(
    ("pair", "text"),
    [
        ((8.0, 8.4), "8–8.4/s"), ((8.0, None), "≥ 8/s"), ((None, 8.0), "< 8/s"),
        ((None, None), "–"),
    ],
)  # fmt: skip
def test_a_pair_in_words(pair: tuple[float | None, float | None], text: str) -> None:
    assert pair_text(*pair) == text


SPOILT = "the load generator was the limit"


def rows(path: Path, *measured: Measured) -> Ledger:
    return gather([session(path, measured)])


def test_how_a_search_ended_is_noted(tmp_path: Path) -> None:
    found = rows(
        tmp_path / "mine.loadwatch",
        Measured("", "wall", 8, 8.4, more={"ended": "stopped"}),
        Measured("", "home", 30, None, more={"ended": "the ceiling passes", "consistent": False}),
        Measured("b", "wall", 8, 16, more={"valid": False, "ended": SPOILT}),
        Measured("b", "home", 60, 61, more={"quick": True, "trial_s": 10.0}),
    )
    first, second = found.rows
    assert first.configuration == "(mine)"  # no mark: its session stands for it
    assert first.cells["wall"].notes == ("stopped",)
    assert first.cells["home"].notes == ("a higher rate passed",)
    assert second.cells["wall"].notes == (SPOILT, f"not comparable to (mine): {SPOILT}")
    assert second.cells["home"].notes == ("not comparable to (mine): other trials",)
    assert "8–8.4/s*" in as_text(found) and "8–8.4/s*" not in as_text(rows(
        tmp_path / "b.loadwatch", Measured("a", "wall", 8, 8.4))
    )  # fmt: skip


def test_a_mix_is_a_column_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "a.loadwatch"
    made = [tick(second, {"load.offered": 12}, mark="a") for second in range(40)]
    found = as_found(Measured("a", "", 12, 13), 0)
    record(path, made, {"target": TARGET}, {"limits": [found]})
    assert gather([path]).scenarios == ("home 83 %, wall 17 %",)


def test_text_of_others_is_disarmed(tmp_path: Path) -> None:
    found = rows(tmp_path / "a.loadwatch", Measured("=1+1\x1b[31m|`<b>\n", "wall", 8, 8.4))
    assert "\x1b" not in as_text(found)
    assert "\\|\\`\\<b\\>" in ledger_as_markdown(found)
    lines = list(csv.reader(io.StringIO(as_csv(found))))
    assert len(lines) == 2 and lines[1][0].startswith("'=1+1")


# -- without a search ----------------------------------------------------------------------------


def fired(path: Path, rates: Mapping[int, float], lag: float = 0.0) -> Path:
    """A session that fired at a server with one worker (100/s): each rate for so many seconds."""
    run = VirtualRun(mm1(), lag=lag)
    made = []
    for number, (seconds, rate) in enumerate(rates.items(), 1):
        run.turn(rate)
        made += [replace(run.tick(), step=number, mark="5 backends") for _ in range(seconds)]
    plan = Plan(Target(TARGET), scenarios=(Scenario("home"),))
    meta = {"target": TARGET, "plan": redact(plan), "seed": 1, "arrival": "poisson"}
    return record(path, made, meta, {"limits": []}, ui_fakes.CATALOGUE)


def test_where_nobody_searched_the_steps_tell(tmp_path: Path) -> None:
    found = gather([fired(tmp_path / "a.loadwatch", {31: 30, 40: 60, 41: 150, 10: 90})])
    cell = found.rows[0].cells["home"]
    assert found.rows[0].configuration == "5 backends"
    assert (cell.limit.sustained, cell.limit.fails_at) == (60, 150)
    assert cell.notes == ("from steps, no search",)
    assert cell.limit.p95 is not None and 0.03 < cell.limit.p95 < 0.2
    assert as_json(found)["rows"][0]["limits"]["home"]["from_steps"] is True


@pytest.mark.parametrize(
    ("rates", "lag"),
    [
        ({31: 30, 40: 60}, 0.0),  # nothing failed
        ({40: 150, 41: 160}, 0.0),  # nothing held
        ({29: 60, 40: 150}, 0.0),  # too short
        ({31: 60, 40: 150}, 0.5),  # the generator was late
    ],
)
def test_steps_that_make_no_pair_tell_nothing(
    tmp_path: Path, rates: dict[int, float], lag: float
) -> None:
    assert gather([fired(tmp_path / "a.loadwatch", rates, lag)]).rows == []


def test_a_search_counts_more_than_steps(tmp_path: Path) -> None:
    steps = fired(tmp_path / "a.loadwatch", {31: 60, 41: 150})
    search = session(tmp_path / "b.loadwatch", [Measured("5 backends", "home", 80, 84)], -9)
    cell = gather([steps, search]).rows[0].cells["home"]
    assert (cell.limit.sustained, cell.earlier) == (80, ())


def test_a_run_that_is_not_over_has_its_searches_so_far(tmp_path: Path) -> None:
    """And one that was killed has what it had found."""
    recorder = Recorder(tmp_path / "a.loadwatch", {"target": TARGET}, CATALOGUE)
    recorder.add(tick(0, mark="2 backends", rates={"wall": 8.0}))
    recorder.keep(limits=[as_found(Measured("2 backends", "wall", 8, 8.4), 0)])
    until(lambda: gather([tmp_path / "a.loadwatch"]).rows != [])
    for suffix in ("", "-wal"):
        shutil.copy(tmp_path / f"a.loadwatch{suffix}", tmp_path / f"killed.loadwatch{suffix}")
    recorder.close()
    (row,) = gather([tmp_path / "killed.loadwatch"]).rows
    assert (row.configuration, row.cells["wall"].limit.fails_at) == ("2 backends", 8.4)
