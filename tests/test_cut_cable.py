"""A cable that is cut and mended, over a real sshd in a network namespace of its own.

One scenario, since it takes its time: what is noticed and when, what is left on the server
meanwhile, what is missing afterwards without a spool, and that with one nothing is.
"""

from __future__ import annotations

import asyncio
import math
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchmarks.peers import nginx
from loadwatch.core.plan import Host, Load, Plan, Scenario, Target
from loadwatch.core.tick import Tick
from loadwatch.run import Run
from loadwatch.session import open_session
from tests.cable import Cable, cable
from tests.sshd import Sshd, Start, require, start_sshd

__all__ = ["cable", "start_sshd"]  # the fixtures

HOSTS = ("direct", "behind", "kept")

# Rows with numbers, so that each can be told from the others, and a list of when each was made.
VMSTAT = """#!/bin/sh
echo " r  b   swpd  us sy id"
echo "0 0 0 1 1 98"
n=0
while sleep 1; do
    n=$((n + 1))
    read -r uptime idle </proc/uptime
    echo "$$ $n $uptime" >>{log}
    echo "$n 0 0 1 1 98"
done
"""


class Hop:
    """Passes connections on, and stays on the line when the far end is gone, as a jump host does:
    our TCP to it is well, whatever happens behind."""

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._server.accept()
            except OSError:
                return
            threading.Thread(target=self._connect, args=(near,), daemon=True).start()

    def _connect(self, near: socket.socket) -> None:
        try:
            far = socket.create_connection(self._target, 10)
        except OSError:
            near.close()
            return
        far.settimeout(None)
        ways = [threading.Thread(target=_pump, args=ends) for ends in ((near, far), (far, near))]
        for way in ways:
            way.start()
        for way in ways:
            way.join()
        near.close()
        far.close()

    def close(self) -> None:
        self._server.close()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass


@pytest.fixture
def server(cable: Cable, start_sshd: Start, tmp_path: Path) -> Sshd:
    """A server at the far end, with a vmstat that numbers its rows."""
    require("nginx", "top")
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "vmstat").write_text(VMSTAT.format(log=tmp_path / "rows"), encoding="utf-8")
    (tools / "vmstat").chmod(0o755)
    return start_sshd(
        address=cable.far,
        within=("ip", "netns", "exec", cable.name),
        environment={"PATH": f"{tools}:{os.environ['PATH']}"},
    )


@pytest.fixture
def hop(server: Sshd) -> Iterator[Hop]:
    made = Hop((server.address, server.port))
    public = server.host_key.with_suffix(".pub").read_text()
    with server.known_hosts.open("a") as known:
        known.write(f"[127.0.0.1]:{made.port} {public}")
    server.configure(
        f"Host behind\n  HostName 127.0.0.1\n  Port {made.port}\n  User {server.user}\n"
        f"  UserKnownHostsFile {server.known_hosts}\n  GlobalKnownHostsFile none\n"
    )
    yield made
    made.close()


async def until(condition: Callable[[], object], seconds: float) -> None:
    """Wait for it, so long at most."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() < began + seconds
        await asyncio.sleep(0.05)


def of_connections(server: Sshd) -> list[str]:
    """What runs on the server for connections: all but what a spool keeps in its directory."""
    found = []
    for pid, line in server.leftovers().items():
        try:
            place = Path(f"/proc/{pid}/cwd").readlink()
        except OSError:
            continue
        if not place.name.startswith("loadwatch."):
            found.append(line)
    return found


def states(run: Run) -> dict[str, str]:
    return {host.host: host.state for host in run.status.hosts}


async def test_a_cable_is_cut_and_mended(
    cable: Cable, server: Sshd, hop: Hop, tmp_path: Path
) -> None:
    plan_hosts = (
        Host("direct", "web"), Host("behind", "behind"), Host("kept", "web", spool=True),
    )  # fmt: skip
    session = tmp_path / "cut.loadwatch"
    with nginx() as url:
        plan = Plan(Target(url), Load(arrival="uniform"), (Scenario("home", rate=50),), plan_hosts)
        run = Run(plan, session)
        try:
            await run.start(hosts_first=True)
            began = time.monotonic() - run.elapsed
            await until(lambda: run.elapsed > 4, 20)

            cable.cut()
            cut = run.elapsed
            await until(lambda: set(states(run).values()) == {"lost"}, 20)
            await until(lambda: not of_connections(server), cut + 20 - run.elapsed)
            assert server.leftovers()  # the spool goes on

            cable.mend()
            mended = run.elapsed
            await until(lambda: set(states(run).values()) == {"live"}, 60)
            back = run.elapsed
            await until(lambda: run.elapsed > back + 3, 20)
            run.finish()
            await run.wait(20)
        finally:
            await run.close()
    await until(lambda: not server.leftovers(), 20)
    with open_session(session) as recorded:
        ticks = list(recorded.ticks())
    assert_the_load_did_not_notice(ticks)
    assert_loss_is_told(ticks, cut)
    for host in ("direct", "behind"):
        known = seconds_of(ticks, host)
        missing = set(range(math.ceil(cut) + 1, math.floor(mended))) - known
        assert len(missing) >= math.floor(mended - cut) - 2, host  # a gap is a gap
    assert_nothing_is_lost(ticks, tmp_path / "rows", began)


def assert_the_load_did_not_notice(ticks: list[Tick]) -> None:
    sent = [tick.values["load.sent"] for tick in ticks if "load.sent" in tick.values]
    assert min(sent[:-1]) > 0
    assert sum(sent) >= 50 * (len(sent) - 2)


def assert_loss_is_told(ticks: list[Tick], cut: float) -> None:
    events = [event for tick in ticks for event in tick.events]
    for host in HOSTS:
        lost = [e for e in events if e.host == host and e.kind == "gap" and "lost" in e.text]
        assert lost, host
        assert cut < lost[0].at <= cut + 15, (host, cut, lost[0])
    assert any(e.host == "kept" and "late readings are filled in" in e.text for e in events)


def seconds_of(ticks: list[Tick], host: str) -> set[int]:
    return {tick.second for tick in ticks if f"host.{host}.procs.r" in tick.values}


def assert_nothing_is_lost(ticks: list[Tick], rows: Path, began: float) -> None:
    """Every row that the kept host's vmstat printed is there, in the second that it was made in."""
    boot = time.clock_gettime(time.CLOCK_BOOTTIME) - time.monotonic()
    made: dict[str, dict[int, float]] = {}
    for line in rows.read_text(encoding="utf-8").splitlines():
        pid, number, uptime = line.split()
        made.setdefault(pid, {})[int(number)] = float(uptime) - boot - began
    kept = max(made.values(), key=len)  # the only one that was never interrupted
    key = "host.kept.procs.r"
    found = {int(t.values[key]): t.second for t in ticks if key in t.values}
    first, last = min(found), max(found)
    assert last - first >= len(ticks) - 4
    assert sorted(found) == list(range(first, last + 1))
    for number, second in found.items():
        assert second - 0.05 <= kept[number] <= second + 1.05, (number, second, kept[number])
