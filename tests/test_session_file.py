"""The session file: what is recorded is what is read, through crashes, full disks and readers."""

from __future__ import annotations

import base64
import json
import os
import re
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from datetime import datetime
from pathlib import Path

import pytest
from hdrh.histogram import HdrHistogram
from hypothesis import given, settings
from hypothesis import strategies as st

from loadwatch.core.errors import SessionError
from loadwatch.core.histogram import HIGHEST_SECONDS, MICRO, Histogram, index_of
from loadwatch.core.reading import Process
from loadwatch.core.summary import Summary
from loadwatch.core.tick import KINDS, Event, HostProcess, Tick
from loadwatch.session import Recorder, default_path, open_session, schema
from loadwatch.session.blob import Encoder, decode
from tests import ticks
from tests.recordings import read, record
from tests.ticks import CATALOGUE, START, tick

# -- what is recorded is what is read ------------------------------------------------------------

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
NAME = st.from_regex(r"[A-Za-z0-9_-]{1,8}", fullmatch=True)
KEY = st.sampled_from(
    ["load.offered", "load.status.503", "scenario.home.response.p99", "host.web.swap.in"]
)
FLOAT = st.floats(allow_nan=False)
COUNTS = st.dictionaries(
    st.integers(0, HIGHEST_SECONDS * MICRO).map(index_of), st.integers(1, 2**40), min_size=1
)
PROCESS = st.builds(
    Process, st.integers(0, 2**22), TEXT, st.integers(0, 2**50), FLOAT, st.just("S"), TEXT
)
ROW = st.builds(HostProcess, NAME, PROCESS, st.lists(NAME, max_size=2).map(tuple))
EVENT = st.builds(Event, st.floats(0, 1e6), st.sampled_from(["mark", "rate", "host"]), TEXT, NAME)
TICK = st.builds(
    Tick,
    second=st.just(0),
    time=st.just(START),
    step=st.integers(1, 1000),
    mark=TEXT,
    rates=st.dictionaries(NAME, st.floats(0, 1e6), max_size=3),
    values=st.dictionaries(KEY, FLOAT),
    histograms=st.dictionaries(st.tuples(NAME, st.sampled_from(KINDS)), COUNTS, max_size=3),
    processes=st.lists(ROW, max_size=4).map(tuple),
    events=st.lists(EVENT, max_size=3).map(tuple),
)


@settings(max_examples=40, deadline=None)
@given(made=st.lists(TICK, min_size=1, max_size=3))
def test_any_ticks_come_back_as_they_were(
    tmp_path_factory: pytest.TempPathFactory, made: list[Tick]
) -> None:
    numbered = [
        Tick(second, START + second, *[getattr(one, name) for name in Tick.__slots__[2:]])
        for second, one in enumerate(made)
    ]
    assert read(record(tmp_path_factory.mktemp("session") / "a.lw", numbered)) == numbered


def test_a_run_comes_back_as_it_was(tmp_path: Path) -> None:
    made = list(
        ticks.run(20, hosts=("web", "db"), turns={5: {"home": 40}}, marks={9: "gzip on"}, gaps=[12])
    )
    path = record(tmp_path / "a.lw", made)
    assert read(path) == made
    with open_session(path) as session:
        assert session.start == START
        assert session.scenarios == ("home", "wall")
        assert session.metrics["host.web.swap.in"] == CATALOGUE.of("host.web.swap.in")
        assert set(session.metrics) == {key for one in made for key in one.values}
        assert session.meta["started"] == "2026-11-23T20:41:07.250Z"


def test_unknown_is_absent_and_never_a_number(tmp_path: Path) -> None:
    path = record(tmp_path / "a.lw", [tick(0, {"load.offered": float("nan")})])
    assert read(path)[0].values == {}


def test_processes_keep_their_identity_over_frames_and_groups(tmp_path: Path) -> None:
    made = list(ticks.run(30, hosts=("web", "db"), processes=20))
    with closing(sqlite3.connect(record(tmp_path / "a.lw", made))) as db:
        assert db.execute("SELECT count(*) FROM identity").fetchone() == (40,)
        assert db.execute("SELECT count(*) FROM process").fetchone() == (1200,)


# -- the documented format -----------------------------------------------------------------------

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "session-format.md").read_text(encoding="utf-8")


def documented(path: Path) -> Path:
    turns, marks = {20: {"home": 80.0}}, {40: "gzip on"}
    return record(path, ticks.run(60, turns=turns, marks=marks))


@pytest.mark.parametrize("query", re.findall(r"```sql\n(.*?)```", PAGE, re.DOTALL))
def test_a_documented_query_answers(tmp_path: Path, query: str) -> None:
    with closing(sqlite3.connect(documented(tmp_path / "a.lw"))) as db:
        assert len(db.execute(query).fetchall()) >= 2


def test_the_documented_percentile_is_the_runs(tmp_path: Path) -> None:
    path = documented(tmp_path / "a.loadwatch")
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    summary = Summary()
    for one in read(path):
        summary.add(one)
    p99 = summary.histogram("response").percentile(0.99)
    assert done.stdout == f"{(p99 or 0) * 1000} ms\n"


def test_every_table_and_column_is_documented(tmp_path: Path) -> None:
    with closing(sqlite3.connect(documented(tmp_path / "a.lw"))) as db:
        (owner,) = db.execute("PRAGMA application_id").fetchone()
        assert f"`PRAGMA application_id` is {owner}" in PAGE
        tables = db.execute("SELECT name FROM sqlite_schema WHERE type IN ('table', 'view')")
        for (table,) in tables.fetchall():
            columns = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
            listed = ", ".join(f"`{column}`" for column in columns)
            assert re.search(rf"[*`]{table}[*`]+[^(]*\({listed}\)", PAGE.replace("\n", " ")), table


# -- histograms as blobs -------------------------------------------------------------------------


@given(COUNTS)
def test_a_blob_is_hdrhistograms_own_encoding(counts: dict[int, int]) -> None:
    blob = ENCODER.encode(counts)
    library = HdrHistogram.decode(base64.b64encode(blob))
    assert library.get_total_count() == sum(counts.values())
    assert library.get_max_value() == round((Histogram(counts).max or 0) * MICRO)
    assert decode(blob) == counts


ENCODER = Encoder()


def test_one_encoder_forgets_what_it_has_encoded() -> None:
    first, second = {5: 1, 9000: 2}, {7: 3}
    encoder = Encoder()
    encoder.encode(first)
    assert encoder.encode(second) == Encoder().encode(second)
    with pytest.raises(IndexError):
        encoder.encode({10**6: 1})


@pytest.mark.parametrize("blob", [b"", b"nonsense", ENCODER.encode({5: 1})[:-4], bytes(60)])
def test_a_broken_blob_is_a_value_error(blob: bytes) -> None:
    with pytest.raises(ValueError, match="histogram"):
        decode(blob)


def test_a_blob_of_another_shape_is_refused() -> None:
    other = HdrHistogram(1, 1000, 2)
    other.record_value(5)
    with pytest.raises(ValueError, match="shape"):
        decode(base64.b64decode(other.encode()))


# -- life of the file ----------------------------------------------------------------------------


def test_a_clean_end_leaves_one_private_file(tmp_path: Path) -> None:
    meta = {"target": "http://heywall.example", "plan": {"load": {"seed": 1}}, "seed": 1}
    recorder = Recorder(tmp_path / "a.lw", meta, CATALOGUE)
    recorder.add(tick(0, {"load.offered": 1}))
    recorder.close({"offered": 1})
    recorder.close()
    assert recorder.closed
    assert [path.name for path in tmp_path.iterdir()] == ["a.lw"]
    assert stat.S_IMODE((tmp_path / "a.lw").stat().st_mode) == 0o600
    with open_session(tmp_path / "a.lw") as session:
        assert session.meta["state"] == "ended"
        assert json.loads(session.meta["plan"]) == {"load": {"seed": 1}}
        assert json.loads(session.meta["result"]) == {"offered": 1}
        assert (session.meta["seed"], session.meta["lost"]) == ("1", "0")
    # Reading leaves nothing beside it either.
    assert [path.name for path in tmp_path.iterdir()] == ["a.lw"]


def test_an_existing_file_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "a.lw").write_text("mine")
    with pytest.raises(SessionError, match="exists already") as refused:
        Recorder(tmp_path / "a.lw", {}, CATALOGUE)
    assert refused.value.exit_code == 2
    assert (tmp_path / "a.lw").read_text() == "mine"


def test_no_directory_no_recording(tmp_path: Path) -> None:
    with pytest.raises(SessionError, match="cannot record here: No such file"):
        Recorder(tmp_path / "none" / "a.lw", {}, CATALOGUE)


# -- files that are none -------------------------------------------------------------------------


def foreign_database(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE t (x)")


def newer(path: Path) -> None:
    with closing(schema.create(path, {})) as db:
        db.execute(f"PRAGMA user_version = {schema.FORMAT + 1}")


def truncated(path: Path) -> None:
    record(path, ticks.run(20))
    os.truncate(path, 3 * 4096)


def broken_histogram(path: Path) -> None:
    record(path, ticks.run(2))
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE histogram SET counts = x'00ff'")


def broken_metric(path: Path) -> None:
    record(path, ticks.run(2))
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE metric SET unit = 'furlongs'")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "no such session"),
        (Path.mkdir, "no such session"),
        (Path.touch, "not a loadwatch session"),
        (lambda path: path.write_text("time,elapsed_s\n" * 500), "not a loadwatch session"),
        (foreign_database, "not a loadwatch session"),
        (newer, r"written by a newer loadwatch \(format 2; this one reads 1\)"),
        (truncated, "cannot be read: database disk image is malformed"),
        (broken_histogram, "broken: not a histogram"),
        (broken_metric, "broken: 'FURLONGS'"),
    ],
)
def test_what_is_no_session_is_one_clear_line(
    tmp_path: Path, make: Callable[[Path], object], message: str
) -> None:
    path = tmp_path / "a.lw"
    make(path)
    with pytest.raises(SessionError, match=f"a.lw: {message}") as refused:
        read(path)
    assert "\n" not in str(refused.value)


# -- where they are ------------------------------------------------------------------------------


def test_default_paths_are_private_named_and_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))

    def now() -> datetime:
        return datetime(2026, 11, 23, 20, 41, 7)

    first = default_path("https://heywall.example:8443/wall/", now)
    assert first == tmp_path / "loadwatch/sessions/2026-11-23T20-41-07-heywall.example.loadwatch"
    assert stat.S_IMODE(first.parent.stat().st_mode) == 0o700
    record(first, [])
    second = default_path("https://heywall.example:8443/wall/", now)
    assert second.name == "2026-11-23T20-41-07-heywall.example-2.loadwatch"
    assert default_path("http://[::1]:80/", now).name == "2026-11-23T20-41-07-1.loadwatch"


def test_a_relative_data_home_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    from loadwatch.session.places import sessions_directory

    expected = Path("~/.local/share/loadwatch/sessions").expanduser()
    assert sessions_directory({"XDG_DATA_HOME": "data"}) == expected
    assert sessions_directory({}) == expected


def test_an_unusable_default_place_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "loadwatch").touch()
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    with pytest.raises(SessionError, match="cannot be made"):
        default_path("http://heywall.example")


def test_an_hour_stays_small(tmp_path: Path) -> None:
    """Two minutes of two scenarios, two hosts and 50 processes on each; an hour is below 60 MB."""
    made = ticks.run(120, rates={"home": 50.0, "wall": 10.0}, hosts=("web", "db"), processes=50)
    path = record(tmp_path / "a.lw", made)
    assert path.stat().st_size < 60e6 / 30
