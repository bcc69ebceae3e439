"""The command as users and scripts meet it: real processes, real exit codes."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pandas
import pytest

from loadwatch.session import open_session
from tests.sshd import command_line

INVALID = 4
"""Exit code of a run of which the load generator was the limit."""


class _Site(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    seen: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.seen.append(f"{self.path} {self.headers['Cookie']}")
        body = b"ok"
        self.send_response(503 if self.path.startswith("/busy") else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        pass


@contextlib.contextmanager
def a_site() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Site)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def site() -> Iterator[str]:
    with a_site() as url:
        yield url


def loadwatch(
    *arguments: str, env: dict[str, str] | None = None, timeout: float = 60
) -> subprocess.CompletedProcess[str]:
    """The command, carried out. A run of which its own generator was the limit is repeated once:
    so says who measures on a machine that others use too."""

    def once() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "loadwatch", *arguments],
            capture_output=True, text=True, timeout=timeout, check=False,
            stdin=subprocess.DEVNULL, env={**os.environ, **(env or {})},
        )  # fmt: skip

    done = once()
    if done.returncode == INVALID and "--session" in arguments:
        Path(arguments[arguments.index("--session") + 1]).unlink()
        done = once()
    return done


def result_of(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def test_run_prints_one_object_that_adds_up(site: str, tmp_path: Path) -> None:
    session = tmp_path / "a.session"
    done = loadwatch(
        "run", site, "--rate", "40", "--arrival", "uniform", "--duration", "2s", "--json",
        "--session", str(session), "--host", "local", "--process-pid", str(os.getpid()),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    result = result_of(done)
    assert (result["offered"], result["sent"], result["completed"]) == (80, 80, 80)
    assert (result["duration_s"], result["rate"]) == (2.0, 40.0)
    assert (result["status"], result["errors"], result["dropped"]) == ({"200": 80}, {}, 0)
    for name in ("response_ms", "service_ms"):
        times = result[name]
        assert set(times) == {"mean", "p50", "p90", "p95", "p99", "p999", "max"}
        assert 0 < times["p50"] <= times["p90"] <= times["p95"] <= times["max"]
        assert times["p99"] is None  # 80 samples do not bound it
    assert set(result["send_lag_ms"]) == {"p50", "p99", "max"}
    generator = result["generator"]
    assert (generator["healthy"], generator["reasons"]) == (True, [])
    assert set(generator) == {"healthy", "reasons", "warnings"}
    assert result["received_bytes"] > 80 * 40
    assert result["scenarios"]["home"]["completed"] == 80
    assert set(result["verdict"]) == {"name", "also", "evidence", "advice"}
    assert result["session"] == str(session)
    assert result["hosts"]["local"]["state"] == "live"
    assert sorted(result["hosts"]["local"]["probes"]) == ["proc", "top", "vmstat"]
    assert "0:01" in done.stderr  # a line per second
    assert [path.name for path in tmp_path.iterdir()] == ["a.session"]  # one file is left

    with open_session(session) as recorded:
        ticks = list(recorded.ticks())
    assert [tick.values["load.offered"] for tick in ticks][:2] == [40, 40]
    assert sum(tick.values["load.completed"] for tick in ticks) == 80
    assert any("host.local.cpu.us" in tick.values for tick in ticks)
    assert any("host.local.group.pids.rss" in tick.values for tick in ticks)

    exported = loadwatch("export", str(session), "--to", "csv", "-o", str(tmp_path / "csv"))
    assert exported.returncode == 0
    assert len(exported.stdout.split()) == 4
    timeline = pandas.read_csv(tmp_path / "csv" / "timeline.csv")
    assert timeline["load.completed_per_s"].sum() == 80
    processes = pandas.read_csv(tmp_path / "csv" / "processes.csv")
    assert os.getpid() in set(processes["pid"])


def test_the_screen_is_never_imported_without_one(site: str, tmp_path: Path) -> None:
    program = (
        "import sys\nfrom loadwatch.cli import main\n"
        "try: main(sys.argv[1:])\n"
        "finally: print(*(m for m in ('textual', 'rich', 'plotext') if m in sys.modules), 'end')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "run", site, "--duration", "1s",
         "--host", "local", "--session", str(tmp_path / "a")],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode in (0, INVALID), done.stderr
    assert done.stdout.splitlines()[-1].split() == ["end"]


def test_a_closed_loop_has_no_send_lag(site: str, tmp_path: Path) -> None:
    done = loadwatch(
        "run", site, "--rate", "max", "--connections", "3", "--requests", "60", "--json",
        "--session", str(tmp_path / "a"),
    )  # fmt: skip
    result = result_of(done)
    assert done.returncode == 0
    assert (result["completed"], result["send_lag_ms"]) == (60, None)
    assert result["duration_s"] > 0
    assert result["rate"] == pytest.approx(60 / result["duration_s"], rel=0.01)


def test_the_httpx_engine_does_the_same(site: str, tmp_path: Path) -> None:
    body = tmp_path / "body.bin"
    body.write_bytes(bytes(range(256)))
    plan = tmp_path / "plan.toml"
    plan.write_text(
        f'[target]\nurl = "{site}"\n[load]\narrival = "uniform"\n'
        '[[scenario]]\nname = "home"\nrate = 20\n'
        f'[[scenario]]\nname = "post"\nrate = 10\nmethod = "POST"\nbody = "@{body}"\n',
        encoding="utf-8",
    )
    numbers = []
    for engine in ("wire", "httpx"):
        session = tmp_path / f"{engine}.session"
        done = loadwatch(
            "run", str(plan), "--engine", engine, "--duration", "2s", "--json",
            "--session", str(session),
        )  # fmt: skip
        result = result_of(done)
        assert done.returncode in (0, 4), done.stderr  # httpx is slow, and says so
        numbers.append({name: scenario["status"] for name, scenario in result["scenarios"].items()})
    assert numbers[0] == numbers[1]
    assert sum(numbers[0]["home"].values()) == 40


def test_a_ramp_goes_up_and_down_between_the_stages(site: str, tmp_path: Path) -> None:
    plan = tmp_path / "plan.toml"
    plan.write_text(
        f'[target]\nurl = "{site}"\n[load]\narrival = "uniform"\nworkers = 2\n'
        '[[scenario]]\nname = "home"\nrate = 40\n'
        '[[stage]]\nduration = "2s"\nramp = true\n[[stage]]\nduration = "1s"\n'
        '[[stage]]\nduration = "2s"\nramp = true\nscale = 0.5\n',
        encoding="utf-8",
    )
    session = tmp_path / "a.session"
    done = loadwatch("run", str(plan), "--session", str(session))
    assert done.returncode == 0, done.stderr
    assert "home 10–30/s: 2 s" in done.stdout and "home 35–25/s: 2 s" in done.stdout
    with open_session(session) as recorded:
        ticks = list(recorded.ticks())
    offered = [round(tick.values["load.offered"]) for tick in ticks][:5]
    # What is expected in each second: the integral of the rate.
    for seen, expected in zip(offered, [10, 30, 40, 35, 25], strict=True):
        assert abs(seen - expected) <= 1
    assert sum(offered) in (140, 141)
    assert [tick.step for tick in ticks][:5] == [1, 1, 2, 3, 3]


def test_stages_scale_the_rates_and_make_steps(site: str, tmp_path: Path) -> None:
    plan = tmp_path / "plan.toml"
    plan.write_text(
        f'[target]\nurl = "{site}"\n[load]\narrival = "uniform"\n'
        '[[scenario]]\nname = "home"\nrate = 20\n[[scenario]]\nname = "busy"\npath = "/busy"\n'
        'rate = 5\n[[stage]]\nduration = "2s"\nscale = 0.5\n[[stage]]\nduration = "2s"\n'
        '[thresholds]\n"scenario.busy.status.5xx" = "< 1"\n"load.response.p90" = "< 5s"\n',
        encoding="utf-8",
    )
    session = tmp_path / "a.session"
    done = loadwatch("run", str(plan), "--json", "--session", str(session))
    result = result_of(done)
    assert done.returncode == 99, done.stderr
    assert "scenario.busy.status.5xx" in done.stderr
    assert result["scenarios"]["home"]["offered"] == pytest.approx(60, abs=1)
    assert result["scenarios"]["busy"]["status"] == {
        "503": result["scenarios"]["busy"]["completed"]
    }
    with open_session(session) as recorded:
        assert {tick.step for tick in recorded.ticks()} == {1, 2}


WRONG = '[target]\nurl = "http://127.0.0.1:1"\n'


@pytest.mark.parametrize(
    ("plan", "arguments", "message"),
    [
        (WRONG + "[lod]\nseed = 1\n", ["--duration", "1s"],
         "lod: unknown key; did you mean `load`?"),
        (WRONG + '[[scenario]]\nname = "a"\nrate = "x"\n', ["--duration", "1s"],
         "scenario[0].rate: Expected `float`, got `str`"),
        (WRONG + '[[scenario]]\nname = "a"\nrate = -1\n', ["--duration", "1s"],
         "scenario[0].rate: Expected `float` >= 0.0"),
        (WRONG, ["--duration", "1s"], "scenario: at least one [[scenario]] is needed"),
        (WRONG + '[[scenario]]\nname = "a"\n', [], "run needs an end: --duration"),
        (WRONG + '[[scenario]]\nname = "a"\n', ["--duration", "5"], "expected a duration"),
        (WRONG + '[[scenario]]\nname = "a"\n', ["--duration", "1s", "--rate", "x"], "--rate"),
        (WRONG + '[[scenario]]\nname = "a"\n', ["--duraton", "1s"], "unrecognized arguments"),
        (WRONG + '[[scenario]]\nname = "a"\nrate = 0\n', ["--requests", "3"],
         "never come to an end"),
        (WRONG + '[[scenario]]\nname = "a"\n', ["--requests", "x"], "expected a whole number"),
        (WRONG + '[[scenario]]\nname = "a"\nrate = inf\n', ["--duration", "1s"],
         "scenario[0].rate"),
        (WRONG + '[[scenario]]\nname = "a"\n[thresholds]\n"load.respons.p99" = "< 1s"\n',
         ["--duration", "1s"], "load.respons.p99"),
        (WRONG + '[[scenario]]\nname = "a"\n[thresholds]\n"load.response.p99" = "< 1MiB"\n',
         ["--duration", "1s"], "load.response.p99"),
        (WRONG + '[[scenario]]\nname = "a"\nheaders = { X = "${env:NOT_SET_ANYWHERE}" }\n',
         ["--duration", "1s"], "the environment has no NOT_SET_ANYWHERE"),
    ],
)  # fmt: skip
def test_a_wrong_plan_or_option_is_one_line_and_nothing_is_started(
    plan: str, arguments: list[str], message: str, tmp_path: Path
) -> None:
    path = tmp_path / "plan.toml"
    path.write_text(plan, encoding="utf-8")
    session = tmp_path / "a.session"
    done = loadwatch("run", str(path), "--session", str(session), *arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not session.exists()


def test_an_existing_session_is_not_overwritten(site: str, tmp_path: Path) -> None:
    session = tmp_path / "a.session"
    session.write_text("precious", encoding="utf-8")
    done = loadwatch("run", site, "--duration", "1s", "--session", str(session))
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert session.read_text(encoding="utf-8") == "precious"


def test_a_refused_target_is_counted_and_the_run_goes_on(tmp_path: Path) -> None:
    with a_site() as url:
        pass  # nobody listens there any more
    done = loadwatch(
        "run", url, "--rate", "20", "--arrival", "uniform", "--duration", "2s", "--json",
        "--session", str(tmp_path / "a"),
    )  # fmt: skip
    result = result_of(done)
    assert (result["offered"], result["completed"]) == (40, 0)
    assert result["errors"] == {"connect": 40}
    assert result["response_ms"]["p50"] is None


def test_an_interrupt_keeps_the_result_so_far(site: str, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "loadwatch", "run", site, "--duration", "60s", "--json",
         "--session", str(tmp_path / "a")],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stderr is not None
    for line in process.stderr:
        if "0:01" in line:
            break
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=20)
    assert process.returncode == 130
    result = json.loads(out)
    assert result["completed"] > 0
    assert result["duration_s"] < 30


def children(pid: int) -> list[int]:
    """The processes below `pid`."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                stat = (entry / "stat").read_text(encoding="utf-8", errors="replace")
                fields = stat.rpartition(")")[2].split()
                if int(fields[1]) == pid and fields[0] != "Z":
                    found += [int(entry.name), *children(int(entry.name))]
    return found


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs /proc")
def test_after_kill_9_nothing_is_left_and_the_session_is_whole(site: str, tmp_path: Path) -> None:
    session = tmp_path / "a.session"
    process = subprocess.Popen(
        [sys.executable, "-m", "loadwatch", "run", site, "--duration", "60s", "--host", "local",
         "--session", str(session)],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stderr is not None
    last = 0
    for line in process.stderr:
        if "offered" in line:
            last = int(line.split()[0].rpartition(":")[2])
            if last == 4:
                break
    below = children(process.pid)
    assert len(below) >= 3  # a load worker, top, vmstat
    process.kill()
    process.communicate(timeout=10)
    deadline = time.monotonic() + 20
    while left := [pid for pid in below if Path(f"/proc/{pid}").exists()]:
        assert time.monotonic() < deadline, left
        time.sleep(0.1)
    with open_session(session) as recorded:
        seconds = [tick.second for tick in recorded.ticks()]
    assert seconds == list(range(len(seconds)))
    assert len(seconds) >= last  # all but the last second
    with contextlib.closing(sqlite3.connect(session)) as db:
        assert db.execute("pragma integrity_check").fetchone() == ("ok",)


def test_secrets_reach_the_server_and_nothing_else(site: str, tmp_path: Path) -> None:
    plan = tmp_path / "plan.toml"
    plan.write_text(
        f'[target]\nurl = "{site}"\n[[scenario]]\nname = "wall"\nrate = 20\n'
        'headers = { Cookie = "sessionid=${env:LW_TEST_SECRET}" }\n',
        encoding="utf-8",
    )
    session = tmp_path / "a.session"
    process = subprocess.Popen(
        [sys.executable, "-m", "loadwatch", "run", str(plan), "--duration", "2s", "--json",
         "--session", str(session)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env={**os.environ, "LW_TEST_SECRET": "CANARY-COOKIE"},
    )  # fmt: skip
    time.sleep(1.5)
    arguments = b"".join(map(command_line, [process.pid, *children(process.pid)]))
    assert arguments
    out, err = process.communicate(timeout=30)
    assert process.returncode == 0, err
    assert "/ sessionid=CANARY-COOKIE" in _Site.seen
    for place in (arguments, out, err, session.read_bytes()):
        assert b"CANARY" not in place
    exported = loadwatch("export", str(session), "-o", str(tmp_path / "csv"))
    assert exported.returncode == 0
    for path in (tmp_path / "csv").iterdir():
        assert "CANARY" not in path.read_text(encoding="utf-8")


def test_a_literal_cookie_is_warned_about(site: str, tmp_path: Path) -> None:
    session = tmp_path / "a.session"
    done = loadwatch(
        "run", site, "--duration", "1s", "--header", "Cookie: sessionid=CANARY",
        "--session", str(session),
    )  # fmt: skip
    assert done.returncode == 0
    assert "Cookie stands in clear" in done.stderr
    assert "CANARY" not in done.stderr + done.stdout
    assert b"CANARY" not in session.read_bytes()


def test_a_host_that_cannot_be_watched_is_exit_code_3(site: str, tmp_path: Path) -> None:
    done = loadwatch(
        "run", site, "--duration", "1s", "--host", "nobody@127.0.0.1:1",
        "--session", str(tmp_path / "a"),
    )  # fmt: skip
    assert done.returncode == 3
    assert "host 127-0-0-1" in done.stderr.splitlines()[-1]
    assert list(tmp_path.iterdir()) == []  # a run that never began leaves no session


def test_an_interrupt_while_a_host_connects_is_heard(site: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        process = subprocess.Popen(
            [sys.executable, "-m", "loadwatch", "run", site, "--duration", "5s", "--json",
             "--host", f"root@127.0.0.1:{silent.getsockname()[1]}",
             "--session", str(tmp_path / "a")],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "HOME": str(tmp_path), "SSH_AUTH_SOCK": ""},
        )  # fmt: skip
        (tmp_path / ".ssh").mkdir()
        time.sleep(1.5)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=15)
    assert process.returncode in (130, 3)  # 3: no key, so that it was refused before
    assert out == ""
    assert not (tmp_path / "a").exists()


def test_a_reader_that_is_gone_does_not_change_how_it_went(site: str, tmp_path: Path) -> None:
    plan = tmp_path / "plan.toml"
    plan.write_text(
        f'[target]\nurl = "{site}"\n[load.gates]\nsend_lag = "5s"\n[[scenario]]\nname = "a"\n'
        '[thresholds]\n"load.completed" = "> 1000/s"\n',
        encoding="utf-8",
    )
    done = subprocess.run(
        f"{{ {sys.executable} -m loadwatch run {plan} --duration 1s --session {tmp_path / 'a'};"
        f" echo $? >{tmp_path / 'code'}; }} | true",
        shell=True, capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0
    assert (tmp_path / "code").read_text().strip() == "99"


def test_a_stuck_worker_is_given_up(site: str, tmp_path: Path) -> None:
    """It is stopped, not dead: after ten seconds without a word it counts as such."""
    process = subprocess.Popen(
        [sys.executable, "-m", "loadwatch", "run", site, "--duration", "2s", "--json",
         "--session", str(tmp_path / "a")],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stderr is not None
    for line in process.stderr:
        if "offered" in line:
            break
    (worker,) = children(process.pid)
    os.kill(worker, signal.SIGSTOP)
    out, err = process.communicate(timeout=40)
    assert process.returncode == 4
    assert not json.loads(out)["generator"]["healthy"]
    assert "load worker 1 died" in err


def test_the_dashboard_wants_a_terminal(site: str, tmp_path: Path) -> None:
    done = loadwatch("watch", site, "--session", str(tmp_path / "a"))
    assert done.returncode == 2
    assert "needs a terminal" in done.stderr
