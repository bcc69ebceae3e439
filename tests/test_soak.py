"""Longer checks, by `make soak`: what must not grow does not."""

from __future__ import annotations

import gc
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.peers import nginx
from loadwatch.core.history import History
from loadwatch.core.reading import HostStatus
from loadwatch.load.arrivals import Arrivals, poisson_phases
from loadwatch.load.generator import OpenLoop
from loadwatch.load.stream import Stream
from loadwatch.ui.app import LoadwatchApp
from loadwatch.watching import catalogue as run_catalogue
from tests.sshd import require
from tests.test_cli import children
from tests.ticks import run
from tests.ui_fakes import STATUS, FakeControls, told

pytestmark = pytest.mark.soak

MIB = 1024**2


def rss(pid: int) -> int:
    """Resident memory of a process, in bytes; 0 if it is gone meanwhile."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
            if line.startswith("VmRSS"):
                return int(line.split()[1]) * 1024
    return 0


class PromptWire:
    """Answers at once, in one of a thousand times that vary with the number of the request."""

    def __init__(self) -> None:
        self.fired = 0

    def fire(self, stream: Stream, due: float, now: float) -> bool:
        self.fired += 1
        stream.offered += 1
        time_taken = 0.001 + (self.fired * 7919 % 1000) * 1e-5
        stream.answered(200, time_taken, time_taken)
        return True


def test_an_hour_at_5000_per_second_leaves_a_worker_as_it_was() -> None:
    """On a virtual clock: 18 million requests through arrivals, generator and buckets."""
    now = 0.0
    wire = PromptWire()
    stream = Stream("home", b"", Arrivals(poisson_phases("1/0"), 0.0, 5000))
    loop = OpenLoop([stream], wire, lambda: now)
    before = 0
    for second in range(3600):
        now = float(second + 1)
        while not loop.advance(now):
            pass
        assert stream.take().completed > 4000
        if second == 60:
            before = rss_of_self()
    growth = rss_of_self() - before
    print(f"{wire.fired:,} requests, RSS grew by {growth / MIB:.2f} MiB after the first minute")
    assert growth < MIB


def test_five_minutes_of_load_take_no_more_memory_than_one(tmp_path: Path) -> None:
    require("nginx", "top", "vmstat")
    with nginx() as url:
        process = subprocess.Popen(
            [sys.executable, "-m", "loadwatch", "run", url, "--rate", "5000", "--duration", "300s",
             "--host", "local", "--session", str(tmp_path / "soak.loadwatch")],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        time.sleep(60)
        pids = [process.pid, *children(process.pid)]
        before = {pid: rss(pid) for pid in pids}
        time.sleep(230)
        growth = {pid: rss(pid) - before[pid] for pid in pids if Path(f"/proc/{pid}").exists()}
        code = process.wait(60)
    assert code in (0, 4)  # the machine may be busy: that is not the question here
    print({pid: f"{size / MIB:.2f} MiB" for pid, size in growth.items()})
    assert growth
    assert max(growth.values()) < 10 * MIB, growth


def test_eight_hours_of_ticks_fit_into_a_history() -> None:
    history = History()
    before = rss_of_self()
    for tick in run(8 * 3600, rates={"home": 3.0}, hosts=("web", "db"), processes=20):
        history.add(tick)
    assert history.length == 8 * 3600
    assert rss_of_self() - before < 150 * MIB


def rss_of_self() -> int:
    return rss(int(Path("/proc/self").resolve().name))


async def test_eight_hours_on_the_screen_take_no_more_memory_than_their_numbers() -> None:
    """A frame for every ten seconds, at the window of the whole run, two hosts, 200 processes."""
    catalogue, hosts = run_catalogue(), ("web", "db")
    status = replace(STATUS, hosts=tuple(HostStatus(name, "live") for name in hosts))
    bus, history = told([])
    app = LoadwatchApp(bus, history, FakeControls(status), catalogue)
    rows: list[tuple[int, int]] = []
    async with app.run_test(size=(160, 45)) as pilot:
        await pilot.press(*">>>>>")
        for tick in run(8 * 3600, rates={"home": 3.0}, hosts=hosts, processes=100):
            bus.publish(tick)
            if tick.second % 10 == 0:
                await pilot.pause()
            if tick.second % 3600 == 3599:
                gc.collect()
                numbers = sum(len(history.stretch(key, 0, history.length)) for key in history.keys)
                rows.append((rss_of_self(), 8 * numbers))
    (first, first_numbers), (last, last_numbers) = rows[0], rows[-1]
    assert last - first - (last_numbers - first_numbers) < 20 * MIB, rows
