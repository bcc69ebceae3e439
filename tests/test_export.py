"""Exports beside CSV: JSON, HdrHistogram logs, one table on stdout, parts of a session."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path
from typing import Any

import pandas
import pytest
from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogReader

from loadwatch.core.errors import SessionError
from loadwatch.core.histogram import HIGHEST_SECONDS, MICRO
from loadwatch.core.reading import Process
from loadwatch.core.summary import Summary
from loadwatch.core.tick import HostProcess, Tick
from loadwatch.session import Excerpt, Selection, open_session
from loadwatch.session.excerpt import ALL
from loadwatch.session.exporters import exporters
from loadwatch.session.tables import NAMES, Cell, rows, tables
from tests import ticks
from tests.recordings import record
from tests.ticks import START, tick

ROOT = Path(__file__).parents[1]


def story() -> list[Tick]:
    return list(
        ticks.run(60, hosts=("web", "db"), turns={20: {"home": 40}}, marks={40: "+10"}, gaps=[30])
    )


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return record(tmp_path_factory.mktemp("export") / "a.loadwatch", story())


def export(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "loadwatch", "export", *arguments],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def table(path: Path, name: str, selection: Selection = ALL) -> list[dict[str, Cell]]:
    with open_session(path) as opened:
        excerpt = Excerpt(opened, selection)
        wanted = tables(excerpt)[name]
        found = [row for _, added in rows(excerpt, [wanted]) for row in added]
    return [dict(zip(wanted.header, row, strict=True)) for row in found]


# -- JSON ----------------------------------------------------------------------------------------


def test_json_says_what_csv_says(session: Path, tmp_path: Path) -> None:
    for name in ("csv", "json"):
        done = export(str(session), "--format", name, "-o", str(tmp_path))
        assert done.returncode == 0, done.stderr
    made = json.loads((tmp_path / "session.json").read_text(encoding="utf-8"))
    assert list(made) == ["version", "session", *NAMES]
    assert made["version"] == 1
    assert made["session"]["started"] == "2026-11-23T20:41:07.250Z"
    for name in NAMES:
        frame = pandas.read_csv(tmp_path / f"{name}.csv")
        other = pandas.DataFrame(made[name])
        assert list(frame.columns) == list(other.columns)
        numeric = other.select_dtypes("number").columns
        pandas.testing.assert_frame_equal(
            frame[numeric].astype(float), other[numeric].astype(float)
        )
    assert made["steps"][2]["mark"] == "+10"  # CSV has to defuse it
    assert made["timeline"][30]["host.web.cpu.us_pct"] is None


def test_json_of_nothing_is_json(tmp_path: Path) -> None:
    path = record(tmp_path / "a.lw", [])
    with open_session(path) as opened:
        (made,) = exporters()["json"].export(Excerpt(opened), tmp_path)
    found = json.loads(made.read_text(encoding="utf-8"))
    assert [found[name] for name in NAMES] == [[], [], [], []]


# -- HdrHistogram logs ---------------------------------------------------------------------------


def test_the_librarys_own_reader_reads_the_logs(session: Path, tmp_path: Path) -> None:
    done = export(str(session), "--to", "hlog", "-o", str(tmp_path))
    assert done.returncode == 0, done.stderr
    kinds = ("lag", "response", "service")
    expected = [f"{name}.{kind}.hlog" for name in ("home", "wall") for kind in kinds]
    assert [Path(line).name for line in done.stdout.split()] == expected
    summary = Summary()
    for one in story():
        summary.add(one)
    for name in ("home", "wall"):
        total = HdrHistogram(1, HIGHEST_SECONDS * MICRO, 3)
        reader = HistogramLogReader(str(tmp_path / f"{name}.response.hlog"), total)
        count = 0
        while (interval := reader.get_next_interval_histogram()) is not None:
            assert interval.get_start_time_stamp() == (START + count) * 1000
            assert interval.get_end_time_stamp() == (START + count + 1) * 1000
            total.add(interval)
            count += 1
        reader.close()
        assert (count, reader.get_start_time_sec()) == (60, START)
        ours = summary.histogram("response", name)
        assert total.get_total_count() == ours.total
        for share in (50, 95, 99):
            theirs = total.get_value_at_percentile(share) / MICRO
            assert theirs == pytest.approx(ours.percentile(share / 100))


def test_the_largest_of_an_interval_is_in_milliseconds(tmp_path: Path) -> None:
    path = record(
        tmp_path / "a.lw",
        [tick(3, {"scenario.home.offered": 2}, times={("home", "response"): [0.001, 0.25]})],
    )
    with open_session(path) as opened:
        (log,) = exporters()["hlog"].export(Excerpt(opened), tmp_path / "out")
    head, *_, line = log.read_text(encoding="utf-8").splitlines()
    assert head == "#[Histogram log format version 1.3]"
    assert line.startswith("3.000,1.000,250.111,HISTF")


# -- one table on stdout -------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_one_table_goes_to_stdout(session: Path, tmp_path: Path, name: str) -> None:
    written = export(str(session), "-o", str(tmp_path))
    assert written.returncode == 0
    piped = export(str(session), "-o", "-", "--table", name)
    assert piped.stdout == (tmp_path / f"{name}.csv").read_text(encoding="utf-8")
    as_json = export(str(session), "-o", "-", "--table", name, "--format", "json")
    assert len(json.loads(as_json.stdout)) == len(list(csv.reader(io.StringIO(piped.stdout)))) - 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("-o", "-"), "--table and `-o -` belong together"),
        (("-o", "x", "--table", "steps"), "--table and `-o -` belong together"),
        (("-o", "-", "--table", "stps"), "no table 'stps'; there are: timeline, processes"),
        (("-o", "-", "--table", "steps", "--format", "hlog"), "this format has no tables"),
        (("-o", "x", "--format", "xls"), "no format 'xls'; there are: csv, hlog, json"),
        (("-o", "x", "--scenario", "hom"), "no scenario hom; there are: home, wall"),
        (("-o", "x", "--step", "9"), "no step 9; there are: 1, 2, 3"),
        (("-o", "x", "--from", "5"), "expected a duration such as `30s`"),
    ],
)
def test_what_cannot_be_is_one_line(
    session: Path, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    done = export(str(session), *(a.replace("x", str(tmp_path / "x")) if a == "x" else a
                                  for a in arguments))  # fmt: skip
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr.splitlines()[-1]
    assert not (tmp_path / "x").exists()


def test_a_reader_that_has_enough_is_no_failure(session: Path) -> None:
    done = subprocess.run(
        f"{sys.executable} -m loadwatch export {session} -o - --table processes | head -1",
        shell=True, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.stdout.startswith("time,elapsed_s,host")
    assert done.stderr == ""


# -- parts ---------------------------------------------------------------------------------------


def seconds(found: Iterable[dict[str, Cell]]) -> list[Cell]:
    return [row["elapsed_s"] for row in found]


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        (Selection(), [*range(60)]),
        (Selection(first=50), [*range(50, 60)]),
        (Selection(end=5), [*range(5)]),
        (Selection(first=18, end=22), [18, 19, 20, 21]),
        (Selection(steps=frozenset({2})), [*range(20, 40)]),
        (Selection(first=35, steps=frozenset({2, 3})), [*range(35, 60)]),
        (Selection(first=100), []),
    ],
)
def test_a_part_in_time(session: Path, selection: Selection, expected: list[int]) -> None:
    assert seconds(table(session, "timeline", selection)) == expected
    steps = table(session, "steps", selection)
    assert sum(int(row["duration_s"] or 0) for row in steps) == len(expected)
    frames = {second for second, _ in groupby(seconds(table(session, "processes", selection)))}
    assert frames == set(expected) - {30}
    events = table(session, "events", selection)
    assert len(events) == len({0, 20, 40} & set(expected))


def test_a_part_of_the_scenarios_leaves_the_rest_as_it_is(session: Path, tmp_path: Path) -> None:
    wall = Selection(scenarios=frozenset({"wall"}))
    whole, part = table(session, "steps"), table(session, "steps", wall)
    dropped = set(whole[0]) - set(part[0])
    assert dropped
    assert all(column.startswith("scenario.home.") for column in dropped)
    assert not [column for column in part[0] if column.startswith("scenario.home.")]
    assert part == [{key: row[key] for key in part[0]} for row in whole]
    with open_session(session) as opened:
        logs = exporters()["hlog"].export(Excerpt(opened, wall), tmp_path)
    assert [path.name for path in logs] == [
        f"wall.{k}.hlog" for k in ("lag", "response", "service")
    ]


def test_a_process_that_appears_at_minute_40_has_its_rows(tmp_path: Path) -> None:
    def frame(second: int) -> tuple[HostProcess, ...]:
        old = HostProcess("web", Process(10, "root", 4096, 0.0, "S", "init"))
        new = HostProcess("web", Process(99, "www-data", 8192, 5.0, "R", "late"), ("backends",))
        return (old, new) if second >= 2400 else (old,)

    made = (tick(n, {"load.offered": 1.0}, processes=frame(n)) for n in range(0, 2403, 3))
    found = table(record(tmp_path / "a.lw", made), "processes")
    late = [row for row in found if row["pid"] == 99]
    assert seconds(late) == [2400]
    assert late[0] == {
        "time": "2026-11-23T21:21:07.250Z", "elapsed_s": 2400, "host": "web", "pid": 99,
        "user": "www-data", "rss_kib": 8, "cpu_pct": 5, "command": "late", "group": "backends",
    }  # fmt: skip
    assert len([row for row in found if row["pid"] == 10]) == 801


def test_a_selection_that_names_what_is_not_there_is_refused(session: Path) -> None:
    with open_session(session) as opened, pytest.raises(SessionError, match="no scenario x"):
        Excerpt(opened, Selection(scenarios=frozenset({"x"})))


# -- documents -----------------------------------------------------------------------------------


def test_every_metric_is_documented() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "loadwatch", "metrics"], capture_output=True, text=True, check=True
    )
    page = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    assert page == done.stdout, "run: loadwatch metrics >docs/metrics.md"


def test_the_fixed_columns_are_documented(session: Path) -> None:
    page = (ROOT / "docs" / "export.md").read_text(encoding="utf-8").replace("\n", " ")
    with open_session(session) as opened:
        made: dict[str, Any] = tables(Excerpt(opened))
    for name, one in made.items():
        (section,) = [part for part in page.split("- **") if part.startswith(f"{name}**")]
        fixed = [column for column in one.header if "." not in column]
        places = [section.find(f"`{column}`") for column in fixed]
        assert -1 not in places, name
        assert places == sorted(places), name
