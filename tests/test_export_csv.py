"""CSV files: their exact bytes, and what pandas makes of them."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path

import pandas as pd
import pytest

from loadwatch.core.errors import SessionError
from loadwatch.core.reading import Process
from loadwatch.core.tick import Event, HostProcess, Tick
from loadwatch.session import Excerpt, Recorder, exporters, open_session
from loadwatch.session.exporters.csv import export as export_csv
from tests import ticks
from tests.ticks import CATALOGUE, tick


def exported(tmp_path: Path, made: Iterable[Tick]) -> Path:
    recorder = Recorder(tmp_path / "a.lw", {}, CATALOGUE)
    for one in made:
        recorder.add(one)
    recorder.close()
    assert recorder.lost == 0
    with open_session(tmp_path / "a.lw") as session:
        export_csv(Excerpt(session), tmp_path / "csv")
    return tmp_path / "csv"


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


# -- golden bytes --------------------------------------------------------------------------------

GUNICORN = HostProcess(
    "web", Process(4711, "www-data", 21_000 * 1024, 12.5, "R", "gunicorn"), ("backends",)
)
HOSTILE = HostProcess("web", Process(4712, "@root", 512, 0.0, "S", '=cmd|"/c calc"!A1, really'))

GOLDEN = [
    tick(
        0,
        {
            "load.offered": 12,
            "load.completed": 11,
            "load.dropped": 0,
            "load.response.p50": 0.0101239,
            "load.response.max": 0.5,
            "load.received": 4096 * 11,
            "scenario.wall.offered": 2,
            "scenario.home.offered": 10,
            "generator.cpu": 0.1234,
            "host.web.cpu.us": 31,
            "host.web.swap.in": 0,
            "host.db.cpu.us": 7,
        },
        times={("home", "response"): [0.0101239] * 10, ("wall", "response"): [0.5]},
        processes=(GUNICORN, HOSTILE),
        events=(Event(0.0, "start", "firing"), Event(0.25, "mark", "+10 backends, gzip")),
    ),
    # Nobody heard from the hosts, and a request timed out.
    tick(
        1,
        {
            "load.offered": 12,
            "load.completed": 11,
            "load.status.503": 3,
            "load.errors.timeout": 1,
            "load.response.p50": 0.0101239,
            "load.response.max": 10.0,
            "scenario.wall.offered": 2,
            "scenario.wall.errors.timeout": 1,
            "scenario.home.offered": 10,
        },
        times={("home", "response"): [0.0101239] * 10, ("wall", "response"): [0.5, 10.0]},
        step=2,
        mark="+10 backends, gzip",
        rates={"home": 10.0, "wall": 2.5},
        events=(Event(1.5, "gap", "silent", "web"),),
    ),
    # No worker delivered.
    tick(2, {"host.web.cpu.us": 33.333333, "host.web.swap.in": 1024 * 3}, step=2, mark="+10"),
]

TIMELINE = """\
time,elapsed_s,step,mark,load.offered_per_s,load.completed_per_s,load.dropped_per_s,\
load.status.503_per_s,load.errors.timeout_per_s,load.received_kib_per_s,load.response.p50_ms,\
load.response.max_ms,scenario.wall.offered_per_s,scenario.wall.errors.timeout_per_s,\
scenario.home.offered_per_s,generator.cpu_pct,host.db.cpu.us_pct,host.web.cpu.us_pct,\
host.web.swap.in_kib_per_s
2026-11-23T20:41:07.250Z,0,1,,12,11,0,0,0,44,10.124,500,2,0,10,12.34,7,31,0
2026-11-23T20:41:08.250Z,1,2,"'+10 backends, gzip",12,11,0,3,1,0,10.124,10000,2,1,10,,,,
2026-11-23T20:41:09.250Z,2,2,'+10,,,,,,,,,,,,,,33.333,3
"""

PROCESSES = """\
time,elapsed_s,host,pid,user,rss_kib,cpu_pct,command,group
2026-11-23T20:41:07.250Z,0,web,4711,www-data,21000,12.5,gunicorn,backends
2026-11-23T20:41:07.250Z,0,web,4712,'@root,0.5,0,"'=cmd|""/c calc""!A1, really",
"""

EVENTS = """\
time,elapsed_s,kind,host,text
2026-11-23T20:41:07.250Z,0,start,,firing
2026-11-23T20:41:07.500Z,0.25,mark,,"'+10 backends, gzip"
2026-11-23T20:41:08.750Z,1.5,gap,web,silent
"""

STEPS = """\
step,mark,start,end,elapsed_s,duration_s,scenario.wall.asked_per_s,scenario.home.asked_per_s,\
offered,sent,completed,dropped,errors,load.offered_per_s,load.completed_per_s,\
load.dropped_per_s,load.status.503_per_s,load.errors.timeout_per_s,load.received_kib_per_s,\
load.response.p50_ms,load.response.max_ms,scenario.wall.offered_per_s,\
scenario.wall.errors.timeout_per_s,scenario.home.offered_per_s,generator.cpu_pct,\
host.db.cpu.us_pct,host.web.cpu.us_pct,host.web.swap.in_kib_per_s,load.response.at_least
1,,2026-11-23T20:41:07.250Z,2026-11-23T20:41:08.250Z,0,1,2,10,12,0,11,0,0,12,11,0,0,0,44,10.127,\
500.223,2,0,10,12.34,7,31,0,
2,"'+10 backends, gzip",2026-11-23T20:41:08.250Z,2026-11-23T20:41:10.250Z,1,2,2.5,10,12,0,11,0,1,\
12,11,0,3,1,0,10.127,10002.431,2,1,10,,,33.333,3,max
"""


@pytest.mark.parametrize(
    ("name", "expected"),
    [("timeline", TIMELINE), ("processes", PROCESSES), ("steps", STEPS), ("events", EVENTS)],
)
def test_golden_bytes(tmp_path: Path, name: str, expected: str) -> None:
    assert (exported(tmp_path, GOLDEN) / f"{name}.csv").read_bytes() == expected.encode()


# -- pandas --------------------------------------------------------------------------------------


def test_pandas_reads_each_file_without_options(tmp_path: Path) -> None:
    made = ticks.run(
        60, hosts=("web", "db"), turns={20: {"home": 40}}, marks={40: "10 backends"}, gaps=[30, 31]
    )
    frames = {p.stem: pd.read_csv(p) for p in exported(tmp_path, made).iterdir()}
    assert set(frames) == {"timeline", "processes", "steps", "events"}

    timeline = frames["timeline"]
    words = {"time", "mark"}
    numeric = timeline.drop(columns=list(words)).dtypes
    assert all(kind.kind in "if" for kind in numeric), numeric
    assert pd.to_datetime(timeline["time"]).diff().dropna().eq(pd.Timedelta("1s")).all()
    assert str(pd.to_datetime(timeline["time"]).dtype.tz) == "UTC"  # type: ignore[union-attr]
    assert list(timeline["elapsed_s"]) == list(range(60))
    assert timeline["host.web.cpu.us_pct"].isna().sum() == 2
    assert not timeline["load.status.503_per_s"].isna().any()
    assert timeline.columns.is_unique

    processes = frames["processes"]
    assert len(processes) == 58 * 2 * 12
    assert processes["rss_kib"].dtype.kind == "i"
    backends = processes[(processes["group"] == "backends") & (processes["host"] == "web")]
    group = backends.groupby("elapsed_s")["rss_kib"].sum()
    told = timeline.set_index("elapsed_s")["host.web.group.backends.rss_kib"].dropna()
    assert (group == told).all()

    steps = frames["steps"]
    assert list(steps["step"]) == [1, 2, 3]
    assert list(steps["duration_s"]) == [20, 20, 20]
    assert list(steps["scenario.home.asked_per_s"]) == [10, 40, 40]
    assert list(steps["completed"]) == [
        timeline[timeline["step"] == step]["load.completed_per_s"].sum() for step in (1, 2, 3)
    ]
    assert steps["mark"].fillna("").tolist() == ["", "", "10 backends"]
    # 240 requests do not tell p99, 840 do.
    assert steps["load.response.p99_ms"].isna().tolist() == [True, False, False]

    assert list(frames["events"]["kind"]) == ["start", "rate", "mark"]


def test_a_session_without_a_tick_gives_headers(tmp_path: Path) -> None:
    directory = exported(tmp_path, [])
    assert [len(pd.read_csv(path)) for path in directory.iterdir()] == [0, 0, 0, 0]


# -- columns and cells ---------------------------------------------------------------------------


def test_columns_stand_in_a_stable_order(tmp_path: Path) -> None:
    """load, scenarios as planned, generator, hosts by name; codes by number, whenever seen."""
    late = tick(9, {"load.status.404": 1, "load.status.200": 1, "host.a.cpu.us": 1})
    made = [*ticks.run(9, rates={"wall": 1.0, "home": 1.0}), late]
    columns = list(rows(exported(tmp_path, made) / "timeline.csv")[0])
    owners = [".".join(column.split(".")[:2]) for column in columns if column.count(".") > 1]
    order = list(dict.fromkeys(o for o in owners if o.startswith(("scenario", "host"))))
    assert order == ["scenario.wall", "scenario.home", "host.a", "host.web"]
    sections = list(dict.fromkeys(c.split(".")[0] for c in columns if "." in c))
    assert sections == ["load", "scenario", "generator", "host"]
    codes = [column for column in columns if column.startswith("load.status.")]
    assert codes == [f"load.status.{c}_per_s" for c in ("200", "2xx", "3xx", "404", "4xx", "5xx")]
    declared = [c.removeprefix("load.") for c in columns if c.startswith("load.")]
    assert declared[0] == "offered_per_s"
    assert declared[-1] == "lag.max_ms"


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r=", "\n="])
def test_no_text_starts_a_formula_or_a_line(tmp_path: Path, start: str) -> None:
    text = f"{start}SUM(A1:A9)"
    cell = "'" + text.replace("\r", " ").replace("\n", " ")
    row = HostProcess("web", Process(1, text, 1024, 0.0, "S", text), ("-group",))
    made = tick(0, mark=text, processes=(row,), events=(Event(0, "mark", text, text),))
    directory = exported(tmp_path, [made])
    for path in directory.iterdir():
        (line,) = rows(path)
        assert cell in line.values()
        assert not [value for value in line.values() if value.startswith(tuple("=+-@\t\r\n"))]


def test_numbers_have_no_noise_and_no_exponent(tmp_path: Path) -> None:
    values = {
        "load.offered": 0.1 + 0.2,
        "load.response.max": 1e-9,
        "host.web.memory.free": 1024.0**4 * 7,
        "host.web.loadavg.1m": -0.0,
        "generator.cpu": 2 / 3,
    }
    (line,) = rows(exported(tmp_path, [tick(0, values)]) / "timeline.csv")
    assert line["load.offered_per_s"] == "0.3"
    assert line["load.response.max_ms"] == "0"
    assert line["host.web.memory.free_kib"] == "7516192768"
    assert line["host.web.loadavg.1m"] == "0"
    assert line["generator.cpu_pct"] == "66.667"


# -- files ---------------------------------------------------------------------------------------


def test_an_export_replaces_its_own_files_only(tmp_path: Path) -> None:
    (tmp_path / "csv").mkdir()
    (tmp_path / "csv" / "notes.txt").write_text("mine")
    (tmp_path / "csv" / "timeline.csv").write_text("old")
    directory = exported(tmp_path, GOLDEN)
    names = sorted(path.name for path in directory.iterdir())
    assert names == ["events.csv", "notes.txt", "processes.csv", "steps.csv", "timeline.csv"]
    assert (directory / "timeline.csv").read_text() == TIMELINE


def test_an_export_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    directory = exported(tmp_path, GOLDEN)
    (directory / "events.csv").unlink()
    (directory / "events.csv").mkdir()
    with (
        open_session(tmp_path / "a.lw") as session,
        pytest.raises(SessionError, match="csv: cannot export here: Is a directory"),
    ):
        export_csv(Excerpt(session), directory)
    assert sorted(path.name for path in directory.iterdir()) == [
        "events.csv", "processes.csv", "steps.csv", "timeline.csv",
    ]  # fmt: skip


def test_a_new_exporter_is_one_new_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert sorted(exporters.exporters()) == ["csv", "hlog", "json"]
    (tmp_path / "count.py").write_text(
        "def export(excerpt, directory):\n"
        "    directory.write_text(str(sum(1 for _ in excerpt.ticks())))\n"
        "    return [directory]\n"
    )
    monkeypatch.setattr(exporters, "__path__", [*exporters.__path__, str(tmp_path)])
    exported(tmp_path, GOLDEN)
    with open_session(tmp_path / "a.lw") as session:
        (path,) = exporters.exporters()["count"].export(Excerpt(session), tmp_path / "out")
    assert path.read_text() == "3"
