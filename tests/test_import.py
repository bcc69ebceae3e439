"""Logs of top and vmstat that were captured without loadwatch, made into sessions."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from datetime import date, datetime
from pathlib import Path

import psutil
import pytest

from loadwatch.captured import Capture
from loadwatch.core.errors import PlanError
from loadwatch.core.plan import Group, Host
from loadwatch.core.tick import Tick
from loadwatch.session import open_session
from tests.sshd import require

SAMPLES = Path(__file__).with_name("samples")
LOADWATCH = [sys.executable, "-m", "loadwatch"]
HOST = Host("server", "imported")
HEADER = "  PID USER      PR  NI    VIRT    RES    SHR S  %CPU %MEM     TIME+ COMMAND"
VMSTAT = "procs ---\n r  b   swpd   free   si   so us sy id wa\n"


def frame(clock: str, rss: int = 100, cpu: float = 5.0) -> str:
    return (
        f"top - {clock} up 1 day,  2 users,  load average: 0.50, 0.40, 0.30\n"
        "Tasks:   2 total,   1 running,   1 sleeping\n\n"
        f"{HEADER}\n"
        f"    7 www-data  20   0    1000   {rss}    100 R  {cpu} 0.0   0:00.01 gunicorn\n"
        "    8 root      20   0    1000    500    100 S   0.0  0.0   0:00.01 sshd\n\n"
    )


def row(si: int, us: int = 5, stamp: str = "") -> str:
    return f" 1  0      0   1000   {si:2}    0 {us:2}  1 90  0{stamp}\n"


def log(directory: Path, name: str, text: str, written: datetime | None = None) -> Path:
    path = directory / name
    path.write_text(text)
    if written is not None:
        os.utime(path, (written.timestamp(), written.timestamp()))
    return path


def known(ticks: list[Tick], key: str) -> dict[int, float]:
    """The values of `key` by second."""
    return {
        t.second: t.values[f"host.server.{key}"] for t in ticks if f"host.server.{key}" in t.values
    }


def clock(tick: Tick) -> str:
    return datetime.fromtimestamp(tick.time).isoformat(" ")


# -- times ---------------------------------------------------------------------------------------


def test_frames_of_top_come_at_the_times_that_they_tell(tmp_path: Path) -> None:
    text = frame("10:00:00", 100) + frame("10:00:03", 200) + frame("10:00:05", 300)
    path = log(tmp_path, "top.txt", text)
    host = Host("server", "x", groups=(Group("web", user="www-data"),))
    ticks = list(Capture([path], day=date(2026, 3, 1)).ticks(host))
    assert clock(ticks[0]) == "2026-03-01 10:00:00"
    kib = {second: rss / 1024 for second, rss in known(ticks, "group.web.rss").items()}
    assert kib == {0: 100, 3: 200, 5: 300}  # and nothing in between
    assert known(ticks, "group.web.cpu") == {0: 0.0, 3: 5.0, 5: 5.0}
    assert known(ticks, "group.web.growth")[5] == 200 * 1024
    assert [tick.second for tick in ticks] == list(range(6))
    assert [(e.kind, e.text) for tick in ticks for e in tick.events] == [
        ("start", "imported from top.txt"), ("host", "live"), ("end", "end of the logs"),
    ]  # fmt: skip


def test_midnight_is_passed(tmp_path: Path) -> None:
    text = frame("23:59:58") + frame("00:00:01") + frame("00:00:04")
    ticks = list(Capture([log(tmp_path, "top.txt", text)], day=date(2026, 2, 28)).ticks(HOST))
    assert clock(ticks[0]) == "2026-02-28 23:59:58"
    assert clock(ticks[-1]) == "2026-03-01 00:00:04"
    assert list(known(ticks, "tasks.total")) == [0, 3, 6]


def test_a_clock_that_was_set_back_loses_no_frame(tmp_path: Path) -> None:
    text = "".join(map(frame, ("10:00:00", "10:00:03", "09:58:00", "09:58:03")))
    ticks = list(Capture([log(tmp_path, "top.txt", text)], day=date(2026, 2, 28)).ticks(HOST))
    assert list(known(ticks, "tasks.total")) == [0, 3, 6, 9]


WRITTEN = [
    # when the file was last written to, when it must have begun
    (datetime(2026, 5, 6, 10, 0, 3), "2026-05-06 10:00:00"),
    (datetime(2026, 5, 6, 17, 0, 3), "2026-05-06 10:00:00"),  # the server is in another zone
    (datetime(2026, 5, 6, 1, 0, 3), "2026-05-06 10:00:00"),
    (datetime(2026, 5, 6, 23, 30, 0), "2026-05-07 10:00:00"),
]


@pytest.mark.parametrize(("written", "began"), WRITTEN)
def test_the_day_is_that_on_which_the_file_was_written(
    tmp_path: Path, written: datetime, began: str
) -> None:
    path = log(tmp_path, "top.txt", frame("10:00:00") + frame("10:00:03"), written)
    first, *_ = Capture([path]).ticks(HOST)
    assert clock(first) == began


def test_vmstat_tells_its_times_with_t(tmp_path: Path) -> None:
    header = VMSTAT.replace("wa\n", "wa                 UTC\n")
    stamps = [f" 2026-03-01 10:00:{second:02}" for second in (0, 2, 4)]
    text = header + "".join(
        row(si, stamp=stamp) for si, stamp in zip((9, 1, 2), stamps, strict=True)
    )
    ticks = list(Capture([log(tmp_path, "vmstat.txt", text)]).ticks(HOST))
    assert clock(ticks[0]) == "2026-03-01 10:00:02"  # the row before is an average since boot
    assert known(ticks, "swap.in") == {0: 1024, 2: 2048}


def test_vmstat_alone_ends_when_it_was_written(tmp_path: Path) -> None:
    text = VMSTAT + row(9) + row(1) + VMSTAT + "garbage\n" + row(2)
    path = log(tmp_path, "vmstat.txt", text, datetime(2026, 5, 6, 10, 0, 20))
    ticks = list(Capture([path], interval=5.0).ticks(HOST))
    assert clock(ticks[0]) == "2026-05-06 10:00:15"
    assert known(ticks, "swap.in") == {0: 1024, 5: 2048}
    elsewhere = Capture([path], interval=5.0, day=date(2020, 1, 1)).ticks(HOST)
    assert clock(next(elsewhere)) == "2020-01-01 10:00:15"


INTERVALS = [
    # rows of vmstat beside 21 s of top; the interval given; the one taken
    (22, None, 1.0),
    (12, None, 2.0),
    (8, None, 3.0),
    (5, None, 5.0),  # 20 s: near enough
    (4, None, 7.0),
    (15, None, 1.0),  # at 2 s they would last for 28 s
    (200, None, 1.0),
    (12, 4.0, 4.0),
]


@pytest.mark.parametrize(("rows", "given", "interval"), INTERVALS)
def test_vmstat_beside_top_begins_with_it_and_lasts_as_long(
    tmp_path: Path, rows: int, given: float | None, interval: float
) -> None:
    tops = log(tmp_path, "top.txt", "".join(frame(f"10:00:{s:02}") for s in range(0, 22, 3)))
    vmstats = log(tmp_path, "vmstat.txt", VMSTAT + "".join(row(n) for n in range(rows)))
    capture = Capture([vmstats, tops], given, date(2026, 3, 1))
    ticks = list(capture.ticks(HOST))
    assert capture.interval(capture.logs[0]) == interval
    assert clock(ticks[0]) == "2026-03-01 10:00:00"
    seconds = list(known(ticks, "swap.in"))
    assert seconds[0] == interval and len(seconds) == rows - 1
    assert list(known(ticks, "tasks.total")) == list(range(0, 22, 3))


def test_frames_without_times_are_an_interval_apart(tmp_path: Path) -> None:
    data = (SAMPLES / "composed/busybox1.38_top_b.out").read_text()
    path = log(tmp_path, "top.txt", data, datetime(2026, 5, 6, 10, 0, 10))
    ticks = list(Capture([path], interval=5.0).ticks(HOST))
    assert clock(ticks[0]) == "2026-05-06 10:00:05"
    assert [t.second for t in ticks if t.processes] == [0, 5]


def test_every_sample_is_a_log(tmp_path: Path) -> None:
    for path in sorted(SAMPLES.glob("*/*")):
        if path.suffix == ".md":
            continue
        capture = Capture([path], day=date(2026, 1, 1))
        assert capture.logs[0].kind == ("vmstat" if "vmstat" in path.name else "top"), path.name
        try:
            assert list(capture.ticks(HOST))
        except PlanError as error:
            assert "no reading" in str(error), path.name


# -- what is no log ------------------------------------------------------------------------------

USELESS = [
    (b"", "neither a log of `top -b` nor one of `vmstat`"),
    (b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 100, "neither a log"),
    (b"x" * 3_000_000, "neither a log"),
    (b"PID USER\n1 root\n", "neither a log"),
    (VMSTAT.encode() + row(1).encode(), "no reading (vmstat's first row is an average since boot)"),
    (HEADER.encode(), "no reading"),
    (
        "".join(frame(f"{hour % 24:02}:00:00") for hour in range(0, 24 * 100, 11)).encode(),
        "spans 100 days; are these several logs in one?",
    ),
]


@pytest.mark.parametrize(("data", "said"), USELESS)
def test_what_is_no_log_is_said_in_one_line(tmp_path: Path, data: bytes, said: str) -> None:
    path = tmp_path / "log"
    path.write_bytes(data)
    with pytest.raises(PlanError, match=re.escape(said)) as caught:
        list(Capture([path]).ticks(HOST))
    assert "\n" not in str(caught.value)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="none: no such file or directory"):
        Capture([tmp_path / "none"])
    with pytest.raises(PlanError, match="is a directory"):
        Capture([tmp_path])


def test_logs_of_other_times_are_no_pair(tmp_path: Path) -> None:
    tops = log(tmp_path, "top.txt", frame("10:00:00") + frame("10:00:03"))
    stamp = " 2020-01-01 10:00:00"
    vmstats = log(tmp_path, "vmstat.txt", VMSTAT.replace("wa", "wa UTC") + row(1, stamp=stamp) * 2)
    with pytest.raises(PlanError, match="31 days apart"):
        list(Capture([tops, vmstats], day=date(2026, 1, 1)).ticks(HOST))


# -- the verb ------------------------------------------------------------------------------------


def run(*arguments: object) -> tuple[int, str, str]:
    done = subprocess.run(
        [*LOADWATCH, "import", "top", *map(str, arguments)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


def test_a_session_to_export(tmp_path: Path) -> None:
    tops = log(tmp_path, "top.txt", frame("10:00:00") + frame("10:00:03") + frame("10:00:06"))
    vmstats = log(tmp_path, "vmstat.txt", VMSTAT + "".join(map(row, (9, 1, 2, 3))))
    session = tmp_path / "old.loadwatch"
    code, output, errors = run(
        tops, vmstats, "-o", session, "--date", "2026-03-01", "--host", "web",
        "--process-user", "www-data", "--process-command", "^ssh",
    )  # fmt: skip
    assert (code, output) == (0, f"{session}\n")
    assert "vmstat.txt tells no times: taken as 2 s apart; --interval says otherwise" in errors
    with open_session(session) as opened:
        assert opened.meta["state"] == "ended"
        assert opened.meta["target"] == "imported from top.txt, vmstat.txt"
        ticks = list(opened.ticks())
    assert [t.second for t in ticks] == list(range(7))
    assert ticks[3].values["host.web.group.www-data.count"] == 1
    assert ticks[3].values["host.web.group.ssh.rss"] == 500 * 1024
    assert ticks[2].values["host.web.swap.in"] == 1024
    done = subprocess.run(
        [*LOADWATCH, "export", str(session), "-o", str(tmp_path / "csv")],
        capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0
    assert "host.web.swap.in_kib_per_s" in (tmp_path / "csv" / "timeline.csv").read_text()


def test_the_logs_of_this_machine(tmp_path: Path) -> None:
    """Captured as people do it, with this machine's own tools."""
    require("top", "vmstat")
    script = "top -b -d 1 -n 3 >top.txt & vmstat 1 4 >vmstat.txt; wait"
    subprocess.run(["sh", "-c", script], cwd=tmp_path, check=True, timeout=60)
    session = tmp_path / "now.loadwatch"
    code, _, errors = run(tmp_path / "top.txt", tmp_path / "vmstat.txt", "-o", session)
    assert code == 0, errors
    with open_session(session) as opened:
        ticks = list(opened.ticks())
    written = (tmp_path / "top.txt").stat().st_mtime
    assert abs(ticks[-1].time - written) < 5
    assert len([tick for tick in ticks if tick.processes]) >= 2
    free = [t.values["host.server.memory.free"] for t in ticks if "host.server.cpu.us" in t.values]
    assert len(free) >= 2
    assert free[-1] == pytest.approx(psutil.virtual_memory().free, rel=0.2)


WRONG = [
    # what is given, what is said
    (["none.txt"], "none.txt: no such file or directory"),
    (["top.txt", "top.txt"], "two logs of top: import one of each kind at a time"),
    (["top.txt", "--date", "yesterday"], "expected a date as 2026-11-24"),
    (["top.txt", "--host", "a.b"], "--host: a name is made of"),
    (["top.txt", "--process-command", "("], "not a regular expression"),
]


@pytest.mark.parametrize(("arguments", "said"), WRONG)
def test_bad_usage_is_one_line_and_leaves_nothing(
    tmp_path: Path, arguments: list[str], said: str
) -> None:
    log(tmp_path, "top.txt", frame("10:00:00"))
    given = [tmp_path / part if part.endswith(".txt") else part for part in arguments]
    code, output, errors = run(*given, "-o", tmp_path / "new.loadwatch")
    assert (code, output) == (2, "")
    assert said in errors and errors.count("\n") == 1
    assert not list(tmp_path.glob("new*"))


def test_a_session_that_exists_is_kept(tmp_path: Path) -> None:
    path = log(tmp_path, "top.txt", frame("10:00:00"))
    kept = log(tmp_path, "kept.loadwatch", "precious")
    code, _, errors = run(path, "-o", kept)
    assert code == 2 and "exists already" in errors
    assert kept.read_text() == "precious"


def test_logs_that_fail_midway_leave_no_session(tmp_path: Path) -> None:
    tops = log(tmp_path, "top.txt", frame("10:00:00") + frame("10:00:03"))
    stamp = " 2020-01-01 10:00:00"
    vmstats = log(tmp_path, "vmstat.txt", VMSTAT.replace("wa", "wa UTC") + row(1, stamp=stamp) * 2)
    code, _, errors = run(tops, vmstats, "-o", tmp_path / "new.loadwatch", "--date", "2026-01-01")
    assert code == 2 and errors.count("\n") == 1
    assert not list(tmp_path.glob("new*"))
