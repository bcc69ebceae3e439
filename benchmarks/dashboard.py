"""What the dashboard costs: CPU per second at one tick a second, without a terminal behind it.

Six panes, two hosts of some 200 processes each, five minutes of history behind it.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import statistics
import time
from collections.abc import Iterator
from dataclasses import replace

from benchmarks.peers import table
from loadwatch.core.reading import HostStatus, Process
from loadwatch.core.tick import HostProcess, Tick
from loadwatch.ui.app import LoadwatchApp
from tests.ui_fakes import CATALOGUE, MIB, STATUS, FakeControls, story, told

HOSTS = ("web", "db")
HISTORY = 300
SIZES = ((160, 45), (80, 24))


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


async def cost(size: tuple[int, int], ticks: list[Tick]) -> tuple[float, float, float]:
    """Median and 90th percentile of CPU ms per tick, and CPU ms of an idle second."""
    hosts = tuple(HostStatus(name, "live") for name in HOSTS)
    controls = FakeControls(replace(STATUS, hosts=hosts))
    bus, history = told(iter(ticks[:HISTORY]), controls)
    app = LoadwatchApp(bus, history, controls, CATALOGUE)
    async with app.run_test(size=size) as pilot:
        await pilot.press(">")
        await asyncio.sleep(1)
        gc.collect()
        gc.freeze()
        begin = time.process_time()
        await asyncio.sleep(2)
        idle = (time.process_time() - begin) / 2
        costs = []
        for tick in ticks[HISTORY:]:
            begin = time.process_time()
            bus.publish(tick)
            await asyncio.sleep(0.3)
            costs.append((time.process_time() - begin - 0.3 * idle) * 1000)
    return statistics.median(costs), statistics.quantiles(costs, n=10)[-1], idle * 1000


def main() -> None:
    """Print one row per size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ticks", type=int, default=60)
    parser.add_argument("--processes", type=int, default=180)
    given = parser.parse_args()
    ticks = list(crowded(HISTORY + given.ticks, given.processes))
    rows = []
    for size in SIZES:
        median, high, idle = asyncio.run(cost(size, ticks))
        rows.append((f"{size[0]}×{size[1]}", f"{median:.0f}", f"{high:.0f}", f"{idle:.1f}",
                     f"{(median + idle) / 10:.1f} %"))  # fmt: skip
    heads = ("size", "tick ms", "tick p90 ms", "idle ms/s", "of a core")
    print(table(heads, rows))


if __name__ == "__main__":
    main()
