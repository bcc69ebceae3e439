"""The whole: a real nginx under load, a real sshd watched, a real terminal, all on loopback."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pandas
import pytest

from benchmarks.peers import nginx
from loadwatch.session import open_session
from tests.sshd import Sshd, eventually, keygen, require, sshd, start_sshd
from tests.terminal import terminal
from tests.test_cli import INVALID, children, loadwatch

__all__ = ["sshd", "start_sshd"]  # the fixtures

LOADWATCH = (sys.executable, "-m", "loadwatch")


@pytest.fixture
def plan(sshd: Sshd, tmp_path: Path) -> Path:
    """Two scenarios, one watched server; the target's URL comes from the environment."""
    require("nginx")
    path = tmp_path / "plan.toml"
    path.write_text(
        '[target]\nurl = "${env:TARGET}"\n[load]\narrival = "uniform"\nmax_rate = 400\n'
        '[[scenario]]\nname = "home"\nrate = 50\n'
        '[[scenario]]\nname = "wall"\npath = "/wall/42/?page=1"\nrate = 10\n'
        '[[host]]\nname = "web"\nssh = "web"\n'
        '[[host.group]]\nname = "nginx"\ncommand = "nginx"\n',
        encoding="utf-8",
    )
    return path


def test_a_headless_run_watches_over_ssh(sshd: Sshd, plan: Path, tmp_path: Path) -> None:
    with nginx() as url:
        plan.write_text(plan.read_text().replace("${env:TARGET}", url))
        session = tmp_path / "run.loadwatch"
        done = loadwatch("run", str(plan), "--duration", "5s", "--json", "--session", str(session))
        assert done.returncode == 0, done.stderr
        csv = tmp_path / "csv"
        subprocess.run(
            [*LOADWATCH, "export", str(session), "--to", "csv", "-o", str(csv)],
            check=True, capture_output=True, timeout=60,
        )  # fmt: skip
    result = json.loads(done.stdout)
    assert result["completed"] == 300
    assert result["hosts"] == {
        "web": {"state": "live", "detail": "", "probes": ["top", "vmstat", "proc"], "gaps": 0},
    }
    assert eventually(lambda: not sshd.leftovers()), sshd.leftovers()
    timeline = pandas.read_csv(csv / "timeline.csv")
    assert timeline["scenario.wall.completed_per_s"].sum() == 50
    for column in ("cpu.us_pct", "procs.r", "swap.in_kib_per_s", "group.nginx.rss_kib"):
        assert timeline[f"host.web.{column}"].notna().sum() >= 3, column
    assert set(pandas.read_csv(csv / "steps.csv")["step"]) == {1}
    assert pandas.read_csv(csv / "events.csv")["kind"].eq("start").any()


@pytest.mark.parametrize(("columns", "rows"), [(160, 45), (80, 24)])
def test_the_dashboard_over_ssh(
    sshd: Sshd, plan: Path, tmp_path: Path, columns: int, rows: int
) -> None:
    with nginx() as url:
        plan.write_text(plan.read_text().replace("${env:TARGET}", url))
        session = str(tmp_path / "watch.loadwatch")
        with terminal(
            *LOADWATCH, "watch", str(plan), "--session", session, columns=columns, rows=rows
        ) as shown:
            shown.wait_for(lambda text: "● live" in text and "nginx" in text)
            text = shown.wait_for(lambda text: re.search(r"completed\s+60/s", text) is not None)
            assert all(len(line) <= columns for line in text.splitlines())
            shown.press("]")
            shown.wait_for(lambda text: re.search(r"asked(?: →)?\s+100/s", text) is not None, 2)
            shown.wait_for(lambda text: re.search(r"completed\s+110/s", text) is not None, 10)
            shown.press("]]]")  # the ceiling of the plan holds: 400/s in all
            shown.wait_for(lambda text: re.search(r"asked(?: →)?\s+390/s", text) is not None, 3)

            # The connection drops: said at once, mended by itself; the load does not notice.
            sshd.drop()
            shown.wait_for(lambda text: "lost" in text, 10)
            shown.wait_for(lambda text: "● live" in text, 20)
            shown.press("q")
            code, said = shown.end()
    assert code in (0, INVALID), said  # a machine that stalls is told, and no fault of the screen
    assert eventually(lambda: not sshd.leftovers()), sshd.leftovers()
    with open_session(Path(session)) as recorded:
        ticks = list(recorded.ticks())
    assert any(event.kind == "gap" for tick in ticks for event in tick.events)
    sent = [tick.values["load.sent"] for tick in ticks if "load.sent" in tick.values]
    assert min(sent[:-1]) > 0  # never a second without load


def test_kill_9_leaves_nothing_on_server_or_client(sshd: Sshd, plan: Path, tmp_path: Path) -> None:
    with nginx() as url:
        plan.write_text(plan.read_text().replace("${env:TARGET}", url))
        session = tmp_path / "killed.loadwatch"
        process = subprocess.Popen(
            [*LOADWATCH, "run", str(plan), "--duration", "60s", "--session", str(session)],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert process.stderr is not None
        seconds = 0
        for line in process.stderr:
            seconds += "offered" in line
            if seconds == 4:
                break
        assert sshd.leftovers()  # top, vmstat and their guards
        below = children(process.pid)
        assert below
        os.kill(process.pid, signal.SIGKILL)
        process.communicate(timeout=10)
        assert eventually(lambda: not sshd.leftovers(), 20), sshd.leftovers()
        assert eventually(lambda: not any(Path(f"/proc/{pid}").exists() for pid in below), 20)
    with open_session(session) as recorded:
        assert len(list(recorded.ticks())) >= seconds


def test_a_wrong_host_key_is_exit_code_3_and_nothing_is_fired(
    sshd: Sshd, plan: Path, tmp_path: Path
) -> None:
    sshd.trust(keygen(tmp_path / "another_host_key"))
    with nginx() as url:
        plan.write_text(plan.read_text().replace("${env:TARGET}", url))
        done = subprocess.run(
            [*LOADWATCH, "run", str(plan), "--duration", "2s", "--session", str(tmp_path / "s")],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
    assert done.returncode == 3
    (line,) = done.stderr.splitlines()
    assert "SHA256:" in line
    assert done.stdout == ""
    assert not (tmp_path / "s").exists()
