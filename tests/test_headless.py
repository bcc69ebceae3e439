"""`loadwatch run` in CI: thresholds with windows, what ends a run, the reports, interrupts."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import xmlschema

from loadwatch.session import open_session
from tests.terminal import terminal
from tests.test_cli import a_site, loadwatch, result_of

SCHEMA = Path(__file__).parent / "fixtures" / "junit-10.xsd"


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    with a_site() as url:
        yield url


def planned(tmp_path: Path, url: str, thresholds: str, rate: int = 20) -> str:
    plan = tmp_path / "plan.toml"
    plan.write_text(
        f'[target]\nurl = "{url}"\n[load]\narrival = "uniform"\n'
        f'[[scenario]]\nname = "busy"\npath = "/busy"\nrate = {rate}\n[thresholds]\n{thresholds}\n',
        encoding="utf-8",
    )
    return str(plan)


def test_a_threshold_ends_the_run_and_every_report_says_so(site: str, tmp_path: Path) -> None:
    rules = (
        '"load.status.503" = { rule = "< 1/s", window = "2s", abort = true }\n'
        '"scenario.*.response.p50" = "< 5s"'
    )
    junit, page = tmp_path / "junit.xml", tmp_path / "summary.md"
    page.write_text("before\n", encoding="utf-8")
    done = loadwatch(
        "run", planned(tmp_path, site, rules), "--duration", "60s", "--json",
        "--session", str(tmp_path / "a"), "--junit", str(junit),
        env={"GITHUB_STEP_SUMMARY": str(page)},
    )  # fmt: skip
    assert done.returncode == 99, done.stderr
    assert "end: threshold FAILED: load.status.503 < 1/s within 2 s: 20/s" in done.stderr
    result = result_of(done)
    assert result["duration_s"] < 30
    assert result["thresholds"] == [
        {"key": "load.status.503", "rule": "< 1/s", "window_s": 2, "passed": False,
         "found": "20/s from 0:00 to 0:02"},
        {"key": "scenario.busy.response.p50", "rule": "< 5s", "window_s": None, "passed": True,
         "found": result["thresholds"][1]["found"]},
    ]  # fmt: skip
    xml = junit.read_text(encoding="utf-8")
    xmlschema.XMLSchema(SCHEMA).validate(xml)
    assert 'failures="1"' in xml
    said = page.read_text(encoding="utf-8")
    assert said.startswith("before\n### loadwatch: FAILED\n")
    with open_session(tmp_path / "a") as session:
        assert json.loads(session.meta["result"])["thresholds"] == result["thresholds"]
        kinds = [event.kind for tick in session.ticks() for event in tick.events]
    assert kinds == ["start", "end"]


def test_a_report_that_cannot_be_written_is_one_line(site: str, tmp_path: Path) -> None:
    done = loadwatch(
        "run", planned(tmp_path, site, ""), "--duration", "1s", "--session", str(tmp_path / "a"),
        "--junit", str(tmp_path / "none" / "junit.xml"), "--summary", str(tmp_path / "summary.md"),
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].endswith(
        "junit.xml: cannot be written: No such file or directory"
    )
    assert "### loadwatch: passed" in (tmp_path / "summary.md").read_text(encoding="utf-8")
    assert "completed in" in done.stdout


def test_nothing_is_written_that_nobody_asked_for(site: str, tmp_path: Path) -> None:
    done = loadwatch(
        "run", site, "--duration", "1s", "--session", str(tmp_path / "a"),
        env={"GITHUB_STEP_SUMMARY": ""},
    )  # fmt: skip
    assert done.returncode == 0
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert "\r" not in done.stderr
    assert "\x1b" not in done.stderr


def test_on_a_terminal_the_progress_is_one_line(site: str, tmp_path: Path) -> None:
    with terminal(
        sys.executable, "-m", "loadwatch", "run", site, "--duration", "3s",
        "--session", str(tmp_path / "a"),
    ) as shown:  # fmt: skip
        text = shown.wait_for(lambda text: "session" in text, 30)
        code, _ = shown.end()
    assert code == 0
    assert text.count("offered") == 1
    assert "start: firing at" in text


def test_a_second_interrupt_ends_at_once_with_the_result(tmp_path: Path) -> None:
    """The first one waits for the requests that are open; here they would take a minute."""
    with socket.create_server(("127.0.0.1", 0), backlog=200) as hanging:
        process = subprocess.Popen(
            [sys.executable, "-m", "loadwatch", "run",
             f"http://127.0.0.1:{hanging.getsockname()[1]}/", "--duration", "60s",
             "--timeout", "60s", "--json", "--session", str(tmp_path / "a")],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert process.stderr is not None
        lines = iter(process.stderr)
        next(line for line in lines if "0:01  offered" in line)
        process.send_signal(signal.SIGINT)
        next(line for line in lines if "offered 0/s" in line)  # it waits
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=20)
    assert process.returncode == 130
    result = json.loads(out)
    assert result["offered"] > 10
    assert (result["completed"], result["duration_s"] < 30) == (0, True)
    with open_session(tmp_path / "a") as session:
        assert session.meta["state"] == "ended"
