"""Is the generator the limit? The gates as a table, and real sabotage of a real run."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from benchmarks.peers import nginx
from loadwatch.core.bucket import Bucket, ScenarioBucket
from loadwatch.core.histogram import index_of
from loadwatch.core.plan import Gates, Load, Plan, Scenario, Seconds, Stage, Target
from loadwatch.core.summary import Summary
from loadwatch.core.ticker import Ticker
from loadwatch.load.health import Health, Limits
from tests.sshd import require
from tests.test_cli import children

PLAN = Plan(Target("http://heywall.example"), Load(), (Scenario("home", rate=100.0),))


def seen(
    lag: float = 0.0001, response: float = 0.020, offered: int = 1000, dropped: int = 0,
    connected: int = 0, errors: dict[str, int] | None = None, **generator: float,
) -> Summary:  # fmt: skip
    """One second of such outcomes: `lag` is that of 2 in 100, the p99 then."""
    slow = offered // 50
    part = ScenarioBucket(
        offered=offered, sent=offered - dropped, completed=offered - dropped, dropped=dropped,
        connected=connected, errors=errors or {},
        response={index_of(round(response * 1e6)): offered - dropped},
        lag={index_of(100): offered - slow, index_of(round(lag * 1e6)): slow},
    )  # fmt: skip
    ticker = Ticker(["home"], [], lambda values: {})
    ticker.bucket(Bucket(0, 0, [part], **generator))  # type: ignore[arg-type]
    summary = Summary()
    summary.add(ticker.close())
    return summary


@pytest.mark.parametrize(
    ("gates", "stretch", "reasons", "warnings"),
    [
        (Gates(), {}, (), ()),
        # Send lag: 10 ms are forgiven, or a quarter of the median; 2 ms or a tenth go unsaid.
        (Gates(), {"lag": 0.004}, (), ("send lag p99 4 ms",)),
        (Gates(), {"lag": 0.004, "response": 0.1}, (), ()),
        (Gates(), {"lag": 0.012}, ("send lag p99 12 ms, above 10 ms",), ()),
        (Gates(), {"lag": 0.012, "response": 0.2}, (), ()),
        (Gates(), {"lag": 0.06, "response": 0.2}, ("send lag p99 60 ms, above 50 ms",), ()),
        (Gates(send_lag=Seconds(0.02)), {"lag": 0.012}, (), ("send lag p99 12 ms",)),
        # Two late ones of a hundred may be chance, seven of 370 as well; ten of 500 not.
        (Gates(), {"lag": 0.04, "offered": 50}, (), ("send lag up to 40 ms",)),
        (Gates(), {"lag": 0.04, "offered": 100}, (), ("send lag up to 40 ms",)),
        (Gates(), {"lag": 0.04, "offered": 370}, (), ("send lag p99 40 ms",)),
        (Gates(), {"lag": 0.04, "offered": 500}, ("send lag p99 40 ms, above 10 ms",), ()),
        # Drops: one in a thousand.
        (Gates(), {"dropped": 1}, (), ("1 of 1000 requests dropped",)),
        (Gates(), {"dropped": 2},
         ("2 of 1000 requests dropped at the limit of open requests",), ()),
        (Gates(dropped=0.1), {"dropped": 15}, (),
         ("15 of 1000 requests dropped", "98.5% of what was due was sent")),
        (Gates(dropped=0.1), {"dropped": 30}, ("only 97.0% of what was due was sent",), ()),
        # Our own shortages: any. What the server refuses is none.
        (Gates(), {"errors": {"descriptors": 1}},
         ("1 requests found no file descriptor of ours free",), ()),
        (Gates(), {"errors": {"ports": 2}}, ("2 requests found no local port of ours free",), ()),
        (Gates(), {"errors": {"connect": 900, "timeout": 50}}, (), ()),
        # A busy core and a stall of the loop only warn.
        (Gates(), {"cpu": 0.9}, (), ("a load worker took 90% of a core; --workers adds some",)),
        (Gates(), {"loop_lag": 0.2}, (), ("a load worker was held up for 200 ms",)),
        (Gates(), {"descriptors": 0.8}, (), ("connections took 80% of the file descriptors",)),
    ],
)  # fmt: skip
def test_gates(
    gates: Gates, stretch: dict[str, Any], reasons: tuple[str, ...], warnings: tuple[str, ...]
) -> None:
    plan = msgspec.structs.replace(PLAN, load=Load(gates=gates))
    health = Health(plan, 1, Limits())
    assert health.reasons(seen(**stretch)) == reasons
    assert health.warnings(seen(**stretch)) == warnings


def test_the_only_request_may_be_late() -> None:
    health = Health(PLAN, 1, Limits())
    assert health.reasons(late_of(1)) == ()
    assert health.reasons(late_of(2)) == ("send lag up to 40 ms, above 10 ms",)


def late_of(requests: int) -> Summary:
    """So many requests, all of them sent late."""
    part = ScenarioBucket(offered=requests, sent=requests, lag={index_of(40_000): requests})
    ticker = Ticker(["home"], [], lambda values: {})
    ticker.bucket(Bucket(0, 0, [part]))
    summary = Summary()
    summary.add(ticker.close())
    return summary


def test_nothing_seen_is_nothing_wrong() -> None:
    health = Health(PLAN, 1, Limits())
    assert health.reasons(Summary()) == health.warnings(Summary()) == ()


@pytest.mark.parametrize(
    ("values", "healthy"),
    [
        ({"load.offered": 10, "load.lag.p99": 0.001, "load.response.p50": 0.01}, 1.0),
        ({"load.offered": 10, "load.lag.p99": 0.02, "load.response.p50": 0.01}, 0.0),
        ({"load.offered": 10, "load.dropped": 1}, 0.0),
        ({"load.offered": 10, "load.errors.ports": 1}, 0.0),
        ({"load.offered": 10, "load.errors.connect": 10}, 1.0),
    ],
)
def test_a_seconds_health(values: dict[str, float], healthy: float) -> None:
    assert Health(PLAN, 1, Limits()).live(values) == {"generator.healthy": healthy}


@pytest.mark.parametrize(
    ("load", "rate", "url", "warning"),
    [
        # rate × timeout, at most max_in_flight, shared by the workers.
        (Load(), 71, "http://a", ""),
        (Load(max_in_flight=5000), 100, "http://a",
         "up to 1000 requests may be open at once, but only 1024 files (`ulimit -Hn`)"),
        (Load(workers=2, max_in_flight=5000), 100, "http://a", ""),
        (Load(connections=2000), 1, "http://a",
         "up to 2000 requests may be open at once, but only 1024 files (`ulimit -Hn`)"),
        # 28,232 ports that rest for a minute each: 470 new connections per second.
        (Load(keep_alive=False, max_in_flight=600), 329, "http://a", ""),
        (Load(keep_alive=False, max_in_flight=600), 330, "http://a",
         "330 new connections per second; 28232 local ports allow 471 in the long run, as each"
         " waits 60 s after its use"),
        (Load(keep_alive=False, max_in_flight=600), 5000, "http://[::1]:8080", ""),
        (Load(keep_alive=False, max_in_flight=600), 5000, "http://localhost", ""),
    ],
)  # fmt: skip
def test_what_is_foreseen(load: Load, rate: float, url: str, warning: str) -> None:
    plan = Plan(Target(url), load, (Scenario("home", rate=rate / 2),), stages=(
        Stage(Seconds(1), 0.5), Stage(Seconds(1), 2.0)))  # fmt: skip
    workers = load.workers if isinstance(load.workers, int) else 1
    foreseen = Health(plan, workers, Limits(1024, 28_232)).foreseen()
    assert foreseen == ((warning,) if warning else ())


def test_this_machine_has_limits() -> None:
    here = Limits.here()
    assert here.descriptors >= resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    assert 1 <= here.ports <= 65_535


# -- sabotage ------------------------------------------------------------------------------------


def run(url: str, session: Path, seconds: int, meanwhile: Callable[[int], None]) -> Any:
    """`loadwatch run` at an even 200/s, and what is done to it: exit code and result."""
    process = subprocess.Popen(
        [sys.executable, "-m", "loadwatch", "run", url, "--json", "--session", str(session),
         "--rate", "200", "--arrival", "uniform", "--duration", f"{seconds}s"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    with process:
        saboteur = threading.Thread(target=meanwhile, args=(process.pid,))
        saboteur.start()
        out, err = process.communicate(timeout=60)
        saboteur.join()
    assert out, err
    return process.returncode, json.loads(out)


def hold_up(pid: int) -> None:
    """Stop the load worker for 200 ms in every second, as a loop that is blocked does."""
    time.sleep(1)
    for worker in children(pid):
        with contextlib.suppress(ProcessLookupError):
            for _ in range(4):
                os.kill(worker, signal.SIGSTOP)
                time.sleep(0.2)
                os.kill(worker, signal.SIGCONT)
                time.sleep(0.8)


def test_a_blocked_loop_makes_the_result_invalid(tmp_path: Path) -> None:
    """One fifth of the arrivals is late, evenly up to 200 ms: the p99 of the lag is 190 ms."""
    require("nginx")
    with nginx() as url:
        code, result = run(url, tmp_path / "a.session", 5, hold_up)
    assert code == 4
    assert not result["generator"]["healthy"]
    assert any("send lag p99" in reason for reason in result["generator"]["reasons"])
    assert result["send_lag_ms"]["p99"] >= 150
    assert result["offered"] == result["completed"] == 1000  # late, but nothing is lost
    assert result["response_ms"]["p99"] >= 150  # what a user would have felt
    assert result["verdict"]["name"] == "client-limited"


def test_a_parent_that_is_held_up_does_not_slow_the_worker(tmp_path: Path) -> None:
    def stop_it(pid: int) -> None:
        time.sleep(2)
        os.kill(pid, signal.SIGSTOP)
        time.sleep(3)
        os.kill(pid, signal.SIGCONT)

    require("nginx")
    with nginx() as url:
        for _ in range(2):
            session = tmp_path / "a.session"
            code, result = run(url, session, 7, stop_it)
            if code == 0:
                break  # else the machine was busy: once more
            session.unlink()
    assert (code, result["offered"], result["completed"]) == (0, 1400, 1400)
    assert result["send_lag_ms"]["p99"] < 1000


HANGING_AND_RUN = """
    import asyncio, os, sys

    async def hang(reader, writer):
        try:
            await reader.read(100_000)
            await asyncio.sleep(30)
        finally:
            writer.close()

    async def main():
        server = await asyncio.start_server(hang, "127.0.0.1", 0, backlog=1000)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        command = [sys.executable, "-m", "loadwatch", "run", url, *sys.argv[2:]]
        process = await asyncio.create_subprocess_exec(
            "sh", "-c", f'ulimit -n {sys.argv[1]}; exec "$@"', "sh", *command)
        os._exit(await process.wait())

    asyncio.run(main())
"""


def against_a_hanging_server(
    session: Path, *before: str, descriptors: int = 1000
) -> tuple[int, dict[str, Any]]:
    """100/s for two seconds, each open for one: exit code and result."""
    done = subprocess.run(
        [*before, sys.executable, "-c", textwrap.dedent(HANGING_AND_RUN), str(descriptors),
         "--rate", "100", "--arrival", "uniform", "--duration", "2s", "--timeout", "1s", "--json",
         "--session", str(session)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def test_too_few_descriptors_make_the_result_invalid(tmp_path: Path) -> None:
    code, result = against_a_hanging_server(tmp_path / "a.session", descriptors=64)
    assert code == 4
    assert result["errors"]["descriptors"] > 0
    assert result["errors"]["timeout"] > 0
    assert sum(result["errors"].values()) == result["offered"] == 200
    (reason, *_) = result["generator"]["reasons"]
    assert reason.endswith("requests found no file descriptor of ours free")
    assert result["verdict"]["name"] == "client-limited"


def test_too_few_ports_make_the_result_invalid(tmp_path: Path) -> None:
    """In a network namespace of its own, whose range of local ports is 50 wide."""
    require("unshare", "ip")
    narrow = (
        'ip link set lo up && echo 40000 40049 >/proc/sys/net/ipv4/ip_local_port_range && exec "$@"'
    )
    namespaces = ["--net"] if os.geteuid() == 0 else ["--map-root-user", "--net"]
    code, result = against_a_hanging_server(
        tmp_path / "a.session", "unshare", *namespaces, "sh", "-c", narrow, "sh"
    )
    assert code == 4
    assert result["errors"]["ports"] > 0
    assert sum(result["errors"].values()) == result["offered"] == 200
    (reason, *_) = result["generator"]["reasons"]
    assert reason.endswith("requests found no local port of ours free")
