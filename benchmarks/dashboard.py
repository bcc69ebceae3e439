"""What the dashboard costs, in a real terminal: CPU at one tick a second, stalls, the first frame.

Two hosts of some 200 processes each, five minutes of history behind it, windows of five minutes.
The terminal is a pty whose other end reads as fast as it can.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from benchmarks.peers import table
from benchmarks.terminal import in_terminal
from loadwatch.core.reading import HostStatus, Process
from loadwatch.core.tick import HostProcess, Tick
from loadwatch.ui.app import LoadwatchApp
from tests.ui_fakes import CATALOGUE, MIB, STATUS, FakeControls, story, told

HOSTS = ("web", "db")
HISTORY = 300
SIZES = ((80, 24), (160, 45), (250, 70))
ROUNDS = 5
LOADWATCH = (sys.executable, "-m", "loadwatch")


def crowded(seconds: int, processes: int) -> Iterator[Tick]:
    """The made-up run with so many more processes on every host."""
    for tick in story(seconds, HOSTS):
        crowd = tuple(
            HostProcess(host, Process(5000 + n, "www-data", (10 + n) * MIB + tick.second, 1.0, "S",
                                      f"php-fpm: pool www {n}"), ("backends",))
            for host in HOSTS
            for n in range(processes)
        )  # fmt: skip
        yield replace(tick, processes=tick.processes + crowd)


# -- inside the terminal -------------------------------------------------------------------------


def slowest(steps: list[float]) -> Callable[[], None]:
    """Notes the CPU time of every callback of an event loop from now on; returns how to end it.

    CPU time, since on a shared machine others make any wait longer; nothing here waits for a disk.
    """
    run = asyncio.Handle._run

    def timed(self: asyncio.Handle) -> None:
        begin = time.thread_time()
        run(self)
        steps.append(time.thread_time() - begin)

    asyncio.Handle._run = timed  # type: ignore[method-assign]

    def end() -> None:
        asyncio.Handle._run = run  # type: ignore[method-assign]

    return end


async def show(seconds: int, processes: int) -> dict[str, float]:
    """Run the dashboard for so many ticks: its CPU, as a share of a core, and its longest stall."""
    ticks = list(crowded(HISTORY + seconds, processes))
    controls = FakeControls(replace(STATUS, hosts=tuple(HostStatus(h, "live") for h in HOSTS)))
    bus, history = told(iter(ticks[:HISTORY]), controls)
    app = LoadwatchApp(bus, history, controls, CATALOGUE)
    showing = asyncio.create_task(app.run_async())
    await asyncio.sleep(2)
    await app.run_action("resize_window(1)", app.screen)
    bus.publish(ticks[HISTORY])
    await asyncio.sleep(1)
    gc.collect()
    gc.freeze()
    steps: list[float] = []
    end = slowest(steps)
    begin, used = time.monotonic(), time.process_time()
    for number, tick in enumerate(ticks[HISTORY + 1 :], start=1):
        bus.publish(tick)
        controls.change(elapsed=tick.second + 1.0)
        await asyncio.sleep(begin + number - time.monotonic())
    cpu = (time.process_time() - used) / (time.monotonic() - begin)
    end()
    app.exit()
    await showing
    return {"cpu": cpu, "stall": max(steps)}


# -- outside -------------------------------------------------------------------------------------


def cost(size: tuple[int, int], seconds: int, processes: int) -> dict[str, float]:
    """CPU and longest stall at one size."""
    with tempfile.NamedTemporaryFile() as answer:
        command = [sys.executable, "-m", "benchmarks.dashboard", "--inside", answer.name,
                   "--ticks", str(seconds), "--processes", str(processes)]  # fmt: skip
        in_terminal(command, size)
        found: dict[str, float] = json.loads(Path(answer.name).read_text(encoding="utf-8"))
    return found


def first_frame() -> float:
    """Seconds from the command to the first pane on the screen."""
    with tempfile.TemporaryDirectory() as directory:
        session = str(Path(directory) / "first.loadwatch")
        command = [*LOADWATCH, "watch", "http://127.0.0.1:9", "--rate", "1", "--session", session]
        return in_terminal(command, (160, 45), until=b"Response ")


def help_time() -> float:
    """Seconds that `loadwatch --help` takes."""
    begin = time.monotonic()
    subprocess.run([*LOADWATCH, "--help"], check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - begin


def main() -> None:
    """Print one row per size, then the times to the first frame and of `--help`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ticks", type=int, default=20)
    parser.add_argument("--processes", type=int, default=180)
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.inside:
        found = asyncio.run(show(given.ticks, given.processes))
        Path(given.inside).write_text(json.dumps(found), encoding="utf-8")
        return
    rows = []
    for size in SIZES:
        found = cost(size, given.ticks, given.processes)
        stall = f"{found['stall'] * 1000:.0f} ms"
        rows.append((f"{size[0]}×{size[1]}", f"{found['cpu']:.1%}", stall))
    print(table(("size", "CPU of a core", "longest stall"), rows), "\n")
    frames, helps = ([one() for _ in range(ROUNDS)] for one in (first_frame, help_time))
    print(table(
        ("", "median", "slowest"),
        [(name, f"{statistics.median(times):.2f} s", f"{max(times):.2f} s")
         for name, times in (("first frame", frames), ("loadwatch --help", helps))],
    ))  # fmt: skip


if __name__ == "__main__":
    main()
