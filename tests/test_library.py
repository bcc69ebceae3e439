"""Sessions found again: listed, filtered, named, tagged, deleted, completed by a shell."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from loadwatch.analysis.result import result
from loadwatch.core.errors import SessionError
from loadwatch.core.reading import HostStatus
from loadwatch.core.summary import Summary
from loadwatch.core.tick import Tick
from loadwatch.reports.listing import as_text
from loadwatch.session import Recorder, library, open_session, resolve
from loadwatch.session.library import entries
from tests import ticks
from tests.recordings import read, record, until
from tests.terminal import terminal
from tests.ticks import CATALOGUE, START


def came_to(made: Sequence[Tick]) -> dict[str, Any]:
    summary = Summary()
    for one in made:
        summary.add(one)
    return result(
        summary, duration=len(made), hosts=[HostStatus("web", "live")], reasons=(), closed=False,
        session="",
    )  # fmt: skip


AGO = 1e8
"""Seconds before the other sessions at which one crashed."""


def crashed(path: Path, target: str) -> None:
    """A session as a run leaves it that was killed in its fifth second."""
    elsewhere = path.parents[2] / "running.loadwatch"
    running = Recorder(elsewhere, {"target": target}, CATALOGUE)
    for one in ticks.run(5, rates={"home": 3.0}):
        running.add(replace(one, time=one.time - AGO))
    until(lambda: len(read(elsewhere)) == 5)
    for suffix in ("", "-wal"):
        shutil.copy(f"{elsewhere}{suffix}", f"{path}{suffix}")
    running.close()


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three sessions in the default place: one that ended, one that crashed, a broken one."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    directory = tmp_path / "loadwatch" / "sessions"
    directory.mkdir(parents=True)
    made = list(ticks.run(60, turns={20: {"home": 40}}, marks={40: "gzip on"}))
    record(directory / "2026-11-23T20-41-07-web.loadwatch", made, result=came_to(made))
    crashed(directory / "2026-11-24T09-00-00-db.loadwatch", "http://db.example:8000/x")
    (directory / "2026-11-25T09-00-00-web.loadwatch").write_text("no session")
    (directory / "notes.txt").write_text("mine")
    return directory


def sessions(*arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "loadwatch", "sessions", *arguments],
        capture_output=True, text=True, timeout=60, check=False, input=stdin,
    )  # fmt: skip


# -- listed --------------------------------------------------------------------------------------


def test_the_list_says_what_each_was(place: Path) -> None:
    done = sessions()
    assert done.returncode == 0, done.stderr
    _, first, killed, broken = done.stdout.splitlines()
    assert first.split()[:2] == ["1", "2026-11-23T20-41-07-web"]
    for words in ("1:00", "heywall.example", "home 10–40/s, wall 2/s", "not saturated", "gzip on"):
        assert words in first
    for words in ("2026-11-24T09-00-00-db", "0:05", "db.example:8000", "home 3/s"):
        assert words in killed
    assert "not a loadwatch session" in broken


def test_a_session_runs_as_long_as_it_gets_seconds(place: Path) -> None:
    found = list(entries())
    begin = START - AGO
    assert [entry.state(begin + 7) for entry in found] == ["ended", "running", "broken"]
    assert [entry.state(begin + 30) for entry in found] == ["ended", "crashed", "broken"]
    assert "running" in as_text(found, begin + 7)


def test_the_list_for_programs(place: Path) -> None:
    first, killed, broken = json.loads(sessions("--json").stdout)
    errors = first.pop("errors")
    assert first.pop("offered") == 20 * 12 + 40 * 42
    assert 0 < errors < 60
    assert first.pop("path") == str(place / "2026-11-23T20-41-07-web.loadwatch")
    assert first == {
        "number": 1, "name": "2026-11-23T20-41-07-web", "started": START, "seconds": 60,
        "target": "http://heywall.example", "state": "ended", "tags": [], "marks": ["gzip on"],
        "rates": [{"home": 10, "wall": 2}, {"home": 40, "wall": 2}, {"home": 40, "wall": 2}],
        "standing": "passed", "verdict": "not saturated",
    }  # fmt: skip
    assert (killed["state"], killed["verdict"], killed["seconds"]) == ("crashed", None, 5)
    assert (broken["state"], broken["started"]) == ("broken", None)


@pytest.mark.parametrize(
    ("filters", "numbers"),
    [
        ((), [1, 2, 3]),
        (("--name", "WEB"), [1, 3]),
        (("--target", "db."), [2]),
        (("--mark", "gzip"), [1]),
        (("--tag", "tuned"), [2]),
        (("--tag", "tuned", "--mark", "gzip"), []),
        (("--since", "2026-11-22"), [1]),
        (("--since", "2100-01-01"), []),
    ],
)
def test_filters_narrow_the_list(place: Path, filters: Sequence[str], numbers: list[int]) -> None:
    library.tag(resolve("2"), ["tuned"])
    found = json.loads(sessions("--json", *filters).stdout)
    assert [one["number"] for one in found] == numbers


def test_no_sessions_are_an_empty_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert len(sessions().stdout.splitlines()) == 1
    assert sessions("--json").stdout == "[]\n"


# -- named ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("1", "2026-11-23T20-41-07-web.loadwatch"),
        ("2", "2026-11-24T09-00-00-db.loadwatch"),
        ("2026-11-24T09-00-00-db", "2026-11-24T09-00-00-db.loadwatch"),
        ("2026-11-24T09-00-00-db.loadwatch", "2026-11-24T09-00-00-db.loadwatch"),
        ("2026-11-24", "2026-11-24T09-00-00-db.loadwatch"),
        ("before", "2026-11-23T20-41-07-web.loadwatch"),
        ("before gzip", "2026-11-23T20-41-07-web.loadwatch"),
    ],
)
def test_a_session_has_several_names(place: Path, name: str, file: str) -> None:
    library.rename(resolve("1"), "before gzip")
    assert resolve(name) == place / file


def test_an_exact_name_is_not_the_beginning_of_another(place: Path) -> None:
    library.rename(resolve("1"), "run")
    library.rename(resolve("2"), "running")
    assert resolve("run") == place / "2026-11-23T20-41-07-web.loadwatch"
    with pytest.raises(SessionError, match="ru: 2 sessions begin so: 2026-11-23T20-41-07-web, "):
        resolve("ru")


@pytest.mark.parametrize("name", ["99", "nothing", "0"])
def test_a_name_of_none_is_a_path(place: Path, name: str) -> None:
    assert resolve(name) == Path(name)


def test_a_file_that_is_there_comes_first(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("1").touch()
    assert resolve("1") == Path("1")
    assert resolve("elsewhere/2") == Path("elsewhere/2")


# -- changed -------------------------------------------------------------------------------------


def test_rename_and_tag(place: Path) -> None:
    assert sessions("rename", "1", "before gzip").returncode == 0
    assert sessions("tag", "before", "tuned", "wall").stdout == "tuned wall\n"
    assert sessions("tag", "before", "tuned", "x", "--remove", "wall").stdout == "tuned x\n"
    with open_session(resolve("1")) as session:
        assert session.name == "before gzip"
        assert session.about["tags"] == ["tuned", "x"]
    (line,) = [line for line in sessions().stdout.splitlines() if line.startswith("1")]
    assert "before gzip" in line
    assert "gzip on, #tuned, #x" in line


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("rename", "1", "17"), "'17' is no name for a session"),
        (("rename", "1", "a/b"), "'a/b' is no name for a session"),
        (("rename", "1", "a\nb"), r"'a\nb' is no name for a session"),
        (("rename", "1", " "), "' ' is no name for a session"),
        (("rename", "1", "2026-11-24T09-00-00-db"), "is called so already"),
        (("rename", "3", "x"), "not a loadwatch session"),
        (("tag", "1", "two words"), "'two words' is no tag"),
        (("tag", "none", "x"), "none: no such session"),
        (("delete", "none", "--yes"), "none: no such session"),
        (("delete", "1"), "say --yes"),
    ],
)
def test_what_cannot_be_is_one_line(place: Path, arguments: Sequence[str], message: str) -> None:
    before = {path: path.read_bytes() for path in place.glob("*.loadwatch*[!m]")}
    done = sessions(*arguments, stdin="")
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert {path: path.read_bytes() for path in place.glob("*.loadwatch*[!m]")} == before


def test_a_running_session_can_be_renamed_and_not_deleted(place: Path) -> None:
    path = place / "2026-11-26T09-00-00-web.loadwatch"
    made = list(ticks.run(6))
    recorder = Recorder(path, {"target": "x"}, CATALOGUE)
    for one in made[:3]:
        recorder.add(one)
    until(lambda: len(read(path)) == 3)
    library.rename(path, "live")
    with pytest.raises(SessionError, match="is in use"):
        library.delete(path)
    for one in made[3:]:
        recorder.add(one)
    recorder.close()
    assert (recorder.lost, read(path)) == (0, made)
    assert resolve("live") == path


def test_delete_removes_all_of_it_and_nothing_else(place: Path) -> None:
    done = sessions("delete", "1", "2", "--yes")
    assert done.returncode == 0, done.stderr
    left = sorted(path.name for path in place.iterdir())
    assert left == ["2026-11-25T09-00-00-web.loadwatch", "notes.txt"]


@pytest.mark.parametrize(("answer", "left"), [("y", False), ("n", True), ("", True)])
def test_delete_asks(place: Path, answer: str, left: bool) -> None:
    with terminal(sys.executable, "-m", "loadwatch", "sessions", "delete", "1") as shown:
        shown.wait_for(lambda text: "Delete for good? [y/N]" in text)
        shown.press(answer + "\r")
        code, _ = shown.end()
    assert code == 0
    assert (place / "2026-11-23T20-41-07-web.loadwatch").exists() == left


# -- completed -----------------------------------------------------------------------------------


def completed(line: str, cwd: Path) -> list[str]:
    """What bash would offer at the end of `line`."""
    script = f"""
        source <({sys.executable} -m loadwatch completion bash)
        COMP_LINE={line!r}; COMP_POINT=${{#COMP_LINE}}; COMP_TYPE=9
        COMP_WORDS=({line}); [ "${{COMP_LINE: -1}}" = " " ] && COMP_WORDS+=("")
        COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
        _python_argcomplete loadwatch "${{COMP_WORDS[COMP_CWORD]}}"
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, timeout=60, check=True, cwd=cwd,
        env={**os.environ, "PATH": path},
    )  # fmt: skip
    return [word.strip() for word in done.stdout.split("\n") if word.strip()]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("loadwatch comp", {"compare", "completion"}),
        ("loadwatch compare 2026-11-2", {"2026-11-23T20-41-07-web", "2026-11-24T09-00-00-db",
                                         "2026-11-25T09-00-00-web"}),
        ("loadwatch compare a 2026-11-24", {"2026-11-24T09-00-00-db"}),
        ("loadwatch sessions tag 2026-11-23", {"2026-11-23T20-41-07-web"}),
        ("loadwatch export --form", {"--format"}),
        ("loadwatch run run", {"running.loadwatch"}),
    ],
)  # fmt: skip
def test_bash_completes(place: Path, tmp_path: Path, line: str, expected: set[str]) -> None:
    assert set(completed(line, tmp_path)) == expected


@pytest.mark.parametrize(("shell", "word"), [("zsh", "compdef"), ("fish", "complete")])
def test_other_shells_have_their_script(shell: str, word: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "loadwatch", "completion", shell],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert word in done.stdout
    assert "loadwatch" in done.stdout
