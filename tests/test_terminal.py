"""The real program in a real terminal, against real servers."""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path

import pandas
import pytest

from loadwatch.session import open_session
from tests.terminal import Terminal, terminal
from tests.test_cli import children

LOADWATCH = (sys.executable, "-m", "loadwatch")
PANES = ("Rate", "Status", "Response time", "CPU", "Processes", "Swap")

pytestmark = pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs /proc")


def all_gone(pids: list[int], seconds: float = 20) -> bool:
    deadline = time.monotonic() + seconds
    while any(Path(f"/proc/{pid}").exists() for pid in pids):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def asked_rates(shown: Terminal) -> list[str]:
    return re.findall(r"asked\s+([\d,.]+)/s", shown.text)


def test_the_demo_from_first_frame_to_summary(tmp_path: Path) -> None:
    session = tmp_path / "demo.loadwatch"
    with terminal(*LOADWATCH, "demo", "--session", str(session)) as shown:
        shown.wait_for(lambda text: all(f" {pane} " in text for pane in PANES))
        shown.wait_for(lambda text: "● live" in text and "backends" in text)
        assert shown.process.pid is not None
        below = children(shown.process.pid)
        assert len(below) >= 5  # site, its workers, a load worker, top, vmstat

        # The chosen scenario's rate turns at once; the achieved rate follows.
        shown.press("]")
        shown.wait_for(lambda text: asked_rates(shown)[:1] == ["20"], 2)
        shown.press("2")
        shown.press("+")
        shown.wait_for(lambda text: asked_rates(shown)[:2] == ["20", "3"], 2)
        shown.press("=")
        shown.press("4\r")
        shown.wait_for(lambda text: asked_rates(shown)[:2] == ["20", "4"], 3)

        shown.press("m")
        shown.press("two backends\r")
        shown.wait_for(lambda text: "two backends" in text, 5)
        shown.press(" ")
        shown.wait_for("PAUSED", 3)
        shown.press(" ")
        shown.wait_for(lambda text: "PAUSED" not in text, 3)

        shown.press("e")
        shown.wait_for(lambda text: (tmp_path / "demo-csv" / "timeline.csv").exists(), 10)
        shown.press("?")
        shown.wait_for("Type a rate", 5)
        shown.press("\x1b")

        shown.resize(80, 24)
        shown.wait_for(lambda text: "Rate" in text and "asked" in text, 5)
        assert all(len(line) <= 80 for line in shown.text.splitlines())
        time.sleep(2)
        shown.press("q")
        code, said = shown.end()
    assert code == 0
    assert "requests completed" in said
    assert str(session) in said
    assert all_gone(below)
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["demo.loadwatch"]
    timeline = pandas.read_csv(tmp_path / "demo-csv" / "timeline.csv")
    assert timeline["load.completed_per_s"].sum() > 0
    with open_session(session) as recorded:
        ticks = list(recorded.ticks())
    assert ticks[-1].mark == "two backends"
    assert {"mark", "rate", "pause", "resume"} <= {e.kind for tick in ticks for e in tick.events}


def test_kill_9_of_the_dashboard_leaves_nothing_running(tmp_path: Path) -> None:
    session = tmp_path / "demo.loadwatch"
    with terminal(*LOADWATCH, "demo", "--session", str(session), columns=80, rows=24) as shown:
        shown.wait_for("● live")
        time.sleep(2)
        assert shown.process.pid is not None
        below = children(shown.process.pid)
        assert len(below) >= 5
        shown.process.kill(9)
        shown.end()
    assert all_gone(below)
    with open_session(session) as recorded:
        assert len(list(recorded.ticks())) >= 1


def test_a_plan_that_is_wrong_never_reaches_the_screen(tmp_path: Path) -> None:
    plan = tmp_path / "plan.toml"
    plan.write_text('[target]\nurl = "http://127.0.0.1:1"\n[lod]\n', encoding="utf-8")
    with terminal(*LOADWATCH, "watch", str(plan)) as shown:
        code, said = shown.end()
    assert code == 2
    assert "lod: unknown key; did you mean `load`?" in said
    assert "\x1b" not in said
