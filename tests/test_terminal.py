"""The real program in a real terminal, against real servers."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TextIO

import pandas
import pytest
from textual.app import App
from textual.drivers._writer_thread import MAX_QUEUED_WRITES

from loadwatch.session import open_session
from loadwatch.ui.driver import TerminalDriver
from loadwatch.verbs import watch
from tests.terminal import Terminal, terminal
from tests.test_cli import INVALID, a_site, children, loadwatch

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


def close_window(shown: Terminal) -> None:
    with open(os.devnull, "r+b") as nothing:  # noqa: PTH123 - a descriptor is wanted
        os.dup2(nothing.fileno(), shown.process.child_fd)


def asked_rates(shown: Terminal) -> list[str]:
    return re.findall(r"asked(?: →)?\s+([\d,.]+)/s", shown.text)


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
    assert code in (0, INVALID)  # a machine that stalls is told, and no fault of the screen
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


def test_suspended_and_resumed(tmp_path: Path) -> None:
    """Ctrl-Z gives the shell back, with nothing fired meanwhile; fg shows all again."""
    session = tmp_path / "run.loadwatch"
    with terminal("bash", "--norc", "-i", env={"PS1": "ready> "}) as shown:
        shown.wait_for("ready> ")
        shown.press(f"{' '.join(LOADWATCH)} demo --session {session}\r")
        shown.wait_for("● firing")
        shown.wait_for("step 1")
        shown.press("\x1a")
        shown.wait_for(lambda text: "Stopped" in text and "ready> " in text, 10)
        assert b"\x1b[?1049l" in shown.raw  # the shell's screen, as it was
        shown.press("echo $((6 * 7))\r")
        shown.wait_for("42")
        shown.press("fg\r")
        shown.wait_for(lambda text: "■ PAUSED" in text and " Rate " in text, 10)
        shown.press(" ")
        shown.wait_for("● firing", 10)
        shown.press("q")
        shown.wait_for(lambda text: "requests completed" in text and "ready> " in text)
        shown.press("exit\r")
        shown.end()


BROKEN = """
import subprocess
import sys
import threading
from loadwatch.cli import main
from loadwatch.ui.panes.rate import RatePane

def draw(self, view, width, height):
    password = "hunter2"
    if view.end > 1:
        raise ZeroDivisionError("a bug of ours")
    return []

RatePane.draw = draw
sys.exit(main(sys.argv[1:]))
"""


def test_a_crash_restores_the_terminal_and_names_the_session(tmp_path: Path) -> None:
    session = tmp_path / "run.loadwatch"
    command = (sys.executable, "-c", BROKEN, "demo", "--session", str(session))
    with terminal(*command, env={"COLUMNS": "160"}) as shown:
        code, said = shown.end(30)
    assert code == 1
    assert "a bug of ours" in said
    assert "hunter2" not in said.replace('password = "hunter2"', "")  # no local variables
    left = said.rindex("\x1b[?1049l")  # the alternate screen
    assert "\x1b[?25h" in said[said.rindex("\x1b[?25l") :]  # the cursor is back
    assert "ZeroDivisionError" in said[left:]
    assert str(session) in said[left:].replace("\r\n", "")
    with open_session(session) as recorded:
        assert len(list(recorded.ticks())) >= 1


def test_what_is_wrong_is_said_before_anything_is_measured(tmp_path: Path) -> None:
    """The wall without its cookie is a redirect to the login."""
    site = (*LOADWATCH, "demo", "--site-only")
    with subprocess.Popen(site, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as serving:
        try:
            assert serving.stdout is not None
            url = serving.stdout.readline().decode().strip()
            session = str(tmp_path / "run.loadwatch")
            with terminal(*LOADWATCH, "watch", f"{url}/wall/42/", "--session", session) as shown:
                shown.wait_for("redirects to /login/")
                shown.wait_for("3xx")
                assert "▲ wall-42: 302" in shown.text
                shown.press("L")
                shown.wait_for("tried before the start")
                shown.press("q")
                shown.end()
        finally:
            serving.terminate()


def test_a_public_target_is_not_fired_at_without_a_word(tmp_path: Path) -> None:
    session = tmp_path / "run.loadwatch"
    public = "http://224.0.0.1:9"  # multicast: nobody could be reached by mistake
    with terminal(*LOADWATCH, "watch", public, "--session", str(session)) as shown:
        shown.wait_for("224.0.0.1 is a public address")
        shown.press(" ")
        shown.press("n")
        code, said = shown.end()
    assert code == 0
    assert "nothing was fired" in said
    assert not session.exists()


def test_a_terminal_that_goes_takes_everything_with_it(tmp_path: Path) -> None:
    session = tmp_path / "run.loadwatch"
    with terminal(*LOADWATCH, "demo", "--session", str(session)) as shown:
        shown.wait_for("● firing")
        assert shown.process.pid is not None
        below = children(shown.process.pid)
        assert len(below) >= 5
        close_window(shown)
        deadline = time.monotonic() + 20
        while shown.process.isalive() and time.monotonic() < deadline:
            time.sleep(0.1)
        assert not shown.process.isalive()
        assert all_gone(below)


def test_a_dashboard_whose_terminal_goes_without_a_signal_ends_too(tmp_path: Path) -> None:
    """In a session of its own nobody tells it; as after a `setsid`, or in some containers."""
    session = tmp_path / "run.loadwatch"
    pid_file = tmp_path / "pid"
    with a_site() as url:
        line = f'echo $$ >{pid_file}; exec "$0" -m loadwatch watch {url} --session {session}'
        command = ("setsid", "--wait", "sh", "-c", line, sys.executable)
        with terminal(*command) as shown:
            shown.wait_for("● firing")
            below = [int(pid_file.read_text()), *children(int(pid_file.read_text()))]
            close_window(shown)
            gone = all_gone(below)
            for pid in () if gone else below:  # no signal of the terminal's reaches them
                os.kill(pid, signal.SIGKILL)
            assert gone
    with open_session(session) as recorded:
        assert recorded.meta["state"] == "ended"


def test_a_dashboard_ends_with_the_session_that_its_terminal_led(tmp_path: Path) -> None:
    """The kernel sends SIGHUP and SIGCONT to those in front when a session's leader goes."""
    session = tmp_path / "run.loadwatch"
    with a_site() as url:
        command = (*LOADWATCH, "watch", url, "--session", str(session))
        with terminal(*command) as shown:
            shown.wait_for("● firing")
            assert shown.process.pid is not None
            below = children(shown.process.pid)
            os.kill(shown.process.pid, signal.SIGHUP)
            os.kill(shown.process.pid, signal.SIGCONT)
            close_window(shown)
            deadline = time.monotonic() + 20
            while shown.process.isalive() and time.monotonic() < deadline:
                time.sleep(0.1)
            assert not shown.process.isalive()
            assert all_gone(below)
    with open_session(session) as recorded:
        assert recorded.meta["state"] == "ended"


def test_a_run_whose_terminal_goes_stops_and_is_whole(tmp_path: Path) -> None:
    session = tmp_path / "run.loadwatch"
    with a_site() as url:
        command = (*LOADWATCH, "run", url, "--duration", "5m", "--session", str(session))
        with terminal(*command) as shown:
            shown.wait_for("0:01")
            assert shown.process.pid is not None
            below = [shown.process.pid, *children(shown.process.pid)]
            close_window(shown)
            deadline = time.monotonic() + 20
            while shown.process.isalive() and time.monotonic() < deadline:
                time.sleep(0.1)
            assert all_gone(below)
    with open_session(session) as recorded:
        assert recorded.meta["state"] == "ended"


@pytest.mark.parametrize("answer", ["yes", "no", "\x04"])
def test_a_run_at_a_public_host_takes_a_word(tmp_path: Path, answer: str) -> None:
    session = tmp_path / "run.loadwatch"
    public = "http://224.0.0.1:9"  # multicast: nobody could be reached by mistake
    command = (*LOADWATCH, "run", public, "--requests", "1", "--session", str(session))
    with terminal(*command) as shown:
        shown.wait_for("224.0.0.1 is a public address")
        shown.press(f"{answer}\r" if answer != "\x04" else answer)
        code, said = shown.end()
    if answer == "yes":
        assert session.exists()
        assert "connect" in said
    else:
        assert (code, session.exists()) == (2, False)
        assert "nothing was fired" in said


def test_a_script_says_yes_or_names_the_host(tmp_path: Path) -> None:
    public = "http://224.0.0.1:9"
    run = ("run", public, "--requests", "1", "--timeout", "2s")
    refused = loadwatch(*run, "--session", str(tmp_path / "a"))
    assert refused.returncode == 2
    assert refused.stderr == (
        f"loadwatch: Fire at {public}? 224.0.0.1 is a public address. --yes fires, or its name in"
        " the plan's [target] allow\n"
    )
    sure = loadwatch(*run, "--yes", "--session", str(tmp_path / "b"))
    assert (sure.returncode, (tmp_path / "b").exists()) == (0, True)
    assert not (tmp_path / "a").exists()


def test_a_dead_terminal_holds_up_no_writer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor does SIGCONT, unasked, begin a second one."""
    handled = {number: signal.getsignal(number) for number in (signal.SIGTSTP, signal.SIGCONT)}
    controller, terminal = os.openpty()

    async def show(screen: TextIO) -> None:
        monkeypatch.setattr(sys, "__stdin__", screen)
        monkeypatch.setattr(sys, "__stderr__", screen)
        driver = TerminalDriver(App(), size=(80, 24))
        driver.start_application_mode()
        writer = driver._writer_thread
        signal.raise_signal(signal.SIGCONT)
        assert driver._writer_thread is writer and writer is not None
        os.close(controller)
        driver.disable_input()
        for _ in range(MAX_QUEUED_WRITES * 2):
            driver.write("x")
        driver.stop_application_mode()
        driver.close()
        assert not writer.is_alive()

    with suppress(OSError), open(terminal, "w") as screen:  # noqa: PTH123 - a descriptor is wanted
        try:
            asyncio.run(show(screen))
        finally:
            for number, handler in handled.items():
                signal.signal(number, handler)


def test_a_screen_that_does_not_go_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    gone = threading.Event()
    calls: list[str] = []
    controller, terminal = os.openpty()
    monkeypatch.setattr(watch, "LAST", 0.05)
    monkeypatch.setattr(os, "_exit", lambda code: gone.set())

    def end() -> None:
        calls.append("end")
        assert gone.wait(20)  # as a screen that waits for its terminal

    async def show() -> None:
        with watch._ending_without_terminal(end):
            os.kill(os.getpid(), signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGHUP)
            await asyncio.sleep(0.2)

    with open(terminal) as stdin, open(controller):  # noqa: PTH123 - descriptors
        monkeypatch.setattr(sys, "stdin", stdin)
        asyncio.run(show())
    assert calls == ["end"] and gone.is_set()
