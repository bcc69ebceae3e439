"""Recording through crashes, full disks and readers: what was committed is there, and whole."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from loadwatch.core.reading import Process
from loadwatch.core.tick import Event, HostProcess
from loadwatch.session import Recorder, open_session, recorder, schema
from tests import ticks
from tests.recordings import read, record, until
from tests.test_cli import a_site
from tests.ticks import CATALOGUE, tick

ROOT = Path(__file__).parents[1]


def integrity(path: Path) -> str:
    with closing(sqlite3.connect(path)) as db:
        (answer,) = db.execute("PRAGMA integrity_check").fetchone()
    return str(answer)


def child(code: str, path: Path) -> list[str]:
    """A process of its own that runs `code` on `path`."""
    head = """
        import signal, sys, time
        from pathlib import Path
        from loadwatch.session import Recorder, open_session
        from tests import ticks
        path = Path(sys.argv[1])
    """
    script = textwrap.dedent(head) + textwrap.dedent(code)
    return [sys.executable, "-c", script, str(path)]


# -- crashes -------------------------------------------------------------------------------------


def test_after_a_kill_all_but_the_last_second_is_there(tmp_path: Path) -> None:
    path = tmp_path / "a.lw"
    code = """
        recorder = Recorder(path, {}, ticks.CATALOGUE)
        for one in ticks.run(1000):
            recorder.add(one)
            print(one.second, flush=True)
            time.sleep(0.1)
    """
    with subprocess.Popen(child(code, path), stdout=subprocess.PIPE, text=True, cwd=ROOT) as run:
        assert run.stdout is not None
        for line in run.stdout:
            if int(line) == 8:
                break
        run.kill()
    assert Path(f"{path}-wal").exists()
    assert read(path)[:8] == list(ticks.run(8))
    with open_session(path) as session:
        assert session.meta["state"] == "running"
    assert Path(f"{path}-wal").exists()  # reading changes nothing
    assert integrity(path) == "ok"


def test_a_crash_of_the_machine_leaves_whole_seconds(tmp_path: Path) -> None:
    """Whatever the disk has of the last writes, a second is there as it was, or not at all."""
    path = tmp_path / "a.lw"
    made = list(ticks.run(6, processes=3))
    writing = Recorder(path, {}, CATALOGUE)
    begin = Path(f"{path}-wal").stat().st_size
    for one in made:
        writing.add(one)
    until(lambda: len(read(path)) == len(made))
    main, log = path.read_bytes(), Path(f"{path}-wal").read_bytes()
    writing.close()
    chance = random.Random(1)
    found = set()
    for number in range(60):
        cut = chance.randrange(begin, len(log) + 1)
        garbage = chance.randbytes(chance.randrange(5000)) if number % 2 else b""
        crashed = tmp_path / f"{number}.lw"
        crashed.write_bytes(main)
        Path(f"{crashed}-wal").write_bytes(log[:cut] + garbage)
        seconds = read(crashed)
        assert seconds == made[: len(seconds)]
        assert integrity(crashed) == "ok"
        found.add(len(seconds))
    assert found >= {1, 2, 3, 4, 5}


def test_a_second_is_on_the_disk_when_it_is_committed(tmp_path: Path) -> None:
    with closing(schema.create(tmp_path / "a.lw", {})) as db:
        assert db.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL
        assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)


# -- full disks ----------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of a few megabytes."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        if os.environ.get("CI"):
            pytest.fail("needs root, to mount a tmpfs")
        pytest.skip("needs root, to mount a tmpfs")
    place = tmp_path / "disk"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(place)], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill(place: Path) -> Path:
    """A file that takes all the room there is."""
    ballast = place / "ballast"
    with ballast.open("ab", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass
    return ballast


def test_a_disk_that_was_full_for_a_while_costs_nothing(small_disk: Path) -> None:
    path = small_disk / "a.lw"
    turns: list[str] = []
    made = list(ticks.run(60, processes=3))
    writing = Recorder(path, {}, CATALOGUE, on_turn=turns.append)
    writing.add(made[0])
    until(lambda: len(read(path)) == 1)
    ballast = fill(small_disk)
    for one in made[1:-1]:
        writing.add(one)
    until(lambda: bool(turns))
    assert len(read(path)) < len(made)
    ballast.unlink()
    writing.add(made[-1])
    until(lambda: len(read(path)) == len(made))
    writing.close()
    assert turns == [f"recording to {path}: database or disk is full", ""]
    assert read(path) == made
    assert (writing.lost, integrity(path)) == (0, "ok")


def test_a_disk_that_stays_full_keeps_what_it_has(
    small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "HELD", 5)
    path = small_disk / "a.lw"
    turns: list[str] = []
    made = list(ticks.run(200, processes=20))
    writing = Recorder(path, {}, CATALOGUE, on_turn=turns.append)
    for one in made:
        writing.add(one)
    until(lambda: writing.lost > 0)
    writing.close()
    assert turns == [f"recording to {path}: database or disk is full"]
    recorded = read(path)
    assert recorded == made[: len(recorded)]
    assert len(recorded) + writing.lost == len(made)
    assert len(recorded) > 5
    assert integrity(path) == "ok"


def test_a_run_goes_on_while_its_disk_is_full(small_disk: Path, tmp_path: Path) -> None:
    """Said at once, counted in the exit code; the load does not notice."""
    ballast = fill(small_disk)
    os.truncate(ballast, ballast.stat().st_size - 150 * 1024)
    with a_site() as url:
        done = subprocess.run(
            [sys.executable, "-m", "loadwatch", "run", url, "--rate", "20", "--duration", "5s",
             "--arrival", "uniform", "--json", "--session", str(small_disk / "a.lw")],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
    assert done.returncode == 1
    assert json.loads(done.stdout)["completed"] == 100
    assert f"recording: recording to {small_disk / 'a.lw'}: database or disk is full" in done.stderr
    seconds = [one.second for one in read(small_disk / "a.lw")]
    assert seconds == list(range(len(seconds)))
    assert 0 < len(seconds) < 5, seconds


def test_a_second_that_can_never_be_written_is_counted_and_the_next_is_tried(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a.lw"
    turns: list[str] = []
    writing = Recorder(path, {}, CATALOGUE, on_turn=turns.append)
    failing = [
        # Its transaction has made ids for a metric and a process when the event fails.
        tick(
            second,
            {"host.web.swap.in": 5.0},
            processes=(HostProcess("web", Process(7, "root", 1024, 0.0, "S", "init")),),
            events=(Event(0.5, "mark", "x"),),
        )
        for second in range(4)
    ]
    with closing(sqlite3.connect(path)) as other:
        other.execute(
            "CREATE TRIGGER t BEFORE INSERT ON event"
            " BEGIN SELECT RAISE(ABORT, 'no such event'); END"
        )
        for one in failing[:2]:
            writing.add(one)
        until(lambda: writing.lost == 2)
        other.execute("DROP TRIGGER t")
    for one in failing[2:]:
        writing.add(one)
    writing.close()
    assert read(path) == failing[2:]
    head = f"recording to {path}: "
    assert turns == [head + "no such event", head + "seconds that are missing: 2"]
    with open_session(path) as session:
        assert session.meta["lost"] == "2"


# -- readers while it is written -----------------------------------------------------------------


def test_a_reader_sees_a_snapshot_of_a_running_session(tmp_path: Path) -> None:
    path = tmp_path / "a.lw"
    made = list(ticks.run(4))
    writing = Recorder(path, {}, CATALOGUE)
    for one in made[:2]:
        writing.add(one)
    until(lambda: len(read(path)) == 2)
    with open_session(path) as session:
        for one in made[2:]:
            writing.add(one)
        until(lambda: len(read(path)) == 4)
        assert list(session.ticks()) == made[:2]
        assert session.meta["state"] == "running"
        writing.close()
    assert read(path) == made


def test_two_processes_read_what_a_third_writes(tmp_path: Path) -> None:
    path = tmp_path / "a.lw"
    reader = """
        made = list(ticks.run(80, processes=3))
        print("ready", flush=True)
        seen, looks = 0, set()
        while True:
            try:
                with open_session(path) as session:
                    state, recorded = session.meta["state"], list(session.ticks())
            except Exception as error:
                if not seen and "session" in str(error):
                    continue  # not made yet
                raise
            assert recorded == made[: len(recorded)]
            assert len(recorded) >= seen
            seen = len(recorded)
            looks.add(seen)
            if state == "ended":
                break
        print(seen, len(looks))
    """
    readers = [
        subprocess.Popen(child(reader, path), stdout=subprocess.PIPE, text=True, cwd=ROOT)
        for _ in range(2)
    ]
    for one in readers:
        assert one.stdout is not None
        assert one.stdout.readline() == "ready\n"
    writing = Recorder(path, {}, CATALOGUE)
    for made in ticks.run(80, processes=3):
        writing.add(made)
        time.sleep(0.01)
    writing.close()
    for one in readers:
        out, _ = one.communicate(timeout=30)
        assert one.returncode == 0
        seen, looks = out.split()
        assert (int(seen), int(looks) > 3) == (80, True)
    assert writing.lost == 0


# -- files of earlier versions -------------------------------------------------------------------

FIXTURES = ROOT / "tests" / "fixtures"


@pytest.mark.parametrize("version", range(1, schema.FORMAT + 1))
def test_a_file_of_every_format_opens(version: int, tmp_path: Path) -> None:
    """What was recorded then is what is read today: as the export that was stored beside it."""
    stored = FIXTURES / f"session-{version}"
    path = tmp_path / "old.loadwatch"
    shutil.copy(stored / "old.loadwatch", path)
    done = subprocess.run(
        [sys.executable, "-m", "loadwatch", "export", str(path), "-o", str(tmp_path / "csv")],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for expected in stored.glob("*.csv"):
        assert (tmp_path / "csv" / expected.name).read_bytes() == expected.read_bytes()
    assert path.read_bytes() == (stored / "old.loadwatch").read_bytes()


def test_an_earlier_format_is_seen_as_todays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if the next format called a table differently and had a column more."""
    made = list(ticks.run(5, marks={2: "gzip on"}))
    path = record(tmp_path / "a.lw", made)
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("ALTER TABLE event RENAME TO happening")
        db.execute("ALTER TABLE happening DROP COLUMN host")
    before = path.read_bytes()
    monkeypatch.setattr(schema, "FORMAT", schema.FORMAT + 1)
    monkeypatch.setitem(
        schema.EARLIER,
        schema.FORMAT - 1,
        "CREATE TEMP VIEW event AS SELECT second, place, at, kind, '' AS host, text FROM happening",
    )
    assert read(path) == made
    assert path.read_bytes() == before


def test_every_earlier_format_has_its_views() -> None:
    assert sorted(schema.EARLIER) == list(range(1, schema.FORMAT))


def test_an_interrupt_of_the_recording_thread_is_no_end(tmp_path: Path) -> None:
    """Ctrl+C goes to the main thread: what is queued is still written by `close`."""
    path = tmp_path / "a.lw"
    code = """
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have it ignored
        recorder = Recorder(path, {}, ticks.CATALOGUE)
        try:
            for one in ticks.run(50):
                recorder.add(one)
            print("added", flush=True)
            time.sleep(60)
        except KeyboardInterrupt:
            recorder.close()
    """
    with subprocess.Popen(child(code, path), stdout=subprocess.PIPE, text=True, cwd=ROOT) as run:
        assert run.stdout is not None
        run.stdout.readline()
        run.send_signal(signal.SIGINT)
        assert run.wait(30) == 0
    assert len(read(path)) == 50
