"""Every verdict for real: a site in that trouble on loopback, a headless run that must name it.

Each evidence is held against the session's `sample` table besides: its numbers stand there. With
`pytest -s` they are shown.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import pytest

from loadwatch.analysis.evidence import JUDGED_SECONDS
from loadwatch.core.metric import Unit, format_value
from tests.confined import MIB, control_group, swap
from tests.sshd import Sshd, require, sshd, start_sshd
from tests.test_cli import loadwatch, result_of

__all__ = ["sshd", "start_sshd"]  # the fixtures

pytestmark = pytest.mark.timeout(300)  # with all attempts, on a busy machine

SECONDS = 6
"""Of firing: enough to judge."""

ATTEMPTS = 2
"""At a run, on a machine that others use too."""

MANY = 80.0
"""Percent of a CPU; what others take of it beside a site and loadwatch puts the machine into
another trouble than the site's."""

QUIET = 40.0
PATIENCE = 30.0
"""Percent of all CPUs below which a machine is quiet; seconds that are waited for it."""


class Site(NamedTuple):
    """Where it serves, and the process ids of its workers."""

    url: str
    workers: tuple[int, ...] = ()


@contextlib.contextmanager
def serving(*command: str, within: Sequence[str] = ()) -> Iterator[Site]:
    """A site that says in a line of JSON when it serves, and ends when its stdin does."""
    with subprocess.Popen(
        [*within, sys.executable, "-m", *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as site:
        assert site.stdin is not None and site.stdout is not None
        try:
            ready = json.loads(site.stdout.readline())
            yield Site(ready["url"], tuple(ready["workers"]))
        finally:
            site.stdin.close()


def troubled(
    workers: int, trouble: str, amount: float, within: Sequence[str] = ()
) -> contextlib.AbstractContextManager[Site]:
    return serving("tests.troubled", str(workers), trouble, str(amount), within=within)


def named(
    name: str, directory: Path, site: Site, rate: float, easy: float = 0.0, host: str = "local"
) -> dict[str, Any]:
    """The verdict of a run at this rate, which must have that `name`.

    After some seconds at an `easy` rate, if there is one. `host` may be empty: nothing is watched.
    """
    directory.mkdir(exist_ok=True)
    plan = directory / "plan.toml"
    lines = [
        f'[target]\nurl = "{site.url}"\ntimeout = "2s"\n[load]\narrival = "uniform"',
        '[[scenario]]\nname = "home"\nrate = 1',
    ]
    if host:
        lines += [f'[[host]]\nname = "web"\nssh = "{host}"']
    if host and site.workers:
        lines += [f'[[host.group]]\nname = "workers"\npids = {list(site.workers)}']
    stages = ([(4, easy)] if easy else []) + [(SECONDS, rate)]
    lines += [f'[[stage]]\nduration = "{length}s"\nscale = {scale}' for length, scale in stages]
    plan.write_text("\n".join(lines), encoding="utf-8")
    session = directory / "a.loadwatch"
    for _ in range(ATTEMPTS):
        done = loadwatch("run", str(plan), "--json", "--session", str(session))
        found: dict[str, Any] = result_of(done)["verdict"]
        seen = Sampled(session)
        if found["name"] == name or seen.others < MANY:
            break
        session.unlink()
        wait_for_quiet()
    else:  # the machine was busy with something else
        give_up = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        give_up(f"others took {seen.others:.0f} % of a CPU: {found}")
    assert found["name"] == name, found
    print(f"{name}: {'; '.join(found['evidence'])}: {found['advice']}")
    for line in found["evidence"]:
        assert not re.search(r"\d", without_what_was_sampled(line, seen)), (line, session)
    return found


def wait_for_quiet() -> None:
    """Wait a while for an hour in which this machine has nothing else to do."""
    until = time.monotonic() + PATIENCE
    while psutil.cpu_percent(0.5) > QUIET and time.monotonic() < until:
        pass


def side_by_side(*runs: Callable[[], dict[str, Any]]) -> list[dict[str, Any]]:
    """What runs find that do not disturb each other."""
    with ThreadPoolExecutor(len(runs)) as pool:
        return [run.result() for run in [pool.submit(run) for run in runs]]


# -- the evidence --------------------------------------------------------------------------------


class Sampled:
    """The judged seconds of a session, straight from its tables."""

    def __init__(self, session: Path) -> None:
        with contextlib.closing(sqlite3.connect(session)) as db:
            steps: list[tuple[int, int]] = list(
                db.execute("SELECT first, first + seconds FROM step ORDER BY first")
            )
            rows: list[tuple[int, str, float]] = list(db.execute(
                "SELECT second, key, value FROM sample JOIN metric ON metric.id = sample.metric "
                "ORDER BY second"
            ))  # fmt: skip
        self._rows = rows
        fired = [second for second, key, value in rows if key == "load.offered" and value]
        long = [
            (begin, end) for begin, end in steps
            if sum(begin <= second < end for second in fired) >= JUDGED_SECONDS
        ]  # fmt: skip
        self._easy = steps[0]
        self._judged = long[-1]
        self._fired = [second for second in fired if long[-1][0] <= second < long[-1][1]]

    def _timed(self, key: str, within: tuple[int, int]) -> list[tuple[int, float]]:
        begin, end = within
        return [(second, value) for second, name, value in self._rows
                if name == key and begin <= second < end]  # fmt: skip

    def values(self, key: str) -> list[float]:
        return [value for _, value in self._timed(key, self._judged)]

    def keys(self, start: str, end: str = "") -> set[str]:
        return {name[len(start) : len(name) - len(end)] for _, name, _ in self._rows
                if name.startswith(start) and name.endswith(end)}  # fmt: skip

    def mean(self, key: str) -> float:
        values = self.values(key)
        return sum(values) / len(values) if values else -1.0

    def count(self, key: str) -> int:
        return round(sum(self.values(key)))

    @property
    def others(self) -> float:
        """Percent of a CPU that neither idled nor worked for the site."""
        busy = self.mean("host.web.cpu.us") + self.mean("host.web.cpu.sy")
        site = max(0.0, self.mean("host.web.group.workers.cpu"))
        return busy * self.mean("host.web.cpu.count") - site

    @property
    def opened(self) -> list[float]:
        """Requests that were open at the end of each second that fired."""
        return [value for second, name, value in self._rows
                if name == "load.in_flight" and second in self._fired]  # fmt: skip

    @property
    def at_work(self) -> float:
        """Good answers per second, times the mean service time in the step before."""
        served = dict(self._timed("load.completed", self._easy))
        times = dict(self._timed("load.service.mean", self._easy))
        total = sum(served[at] * time for at, time in times.items())
        service = total / max(1.0, sum(served.values()))
        good = self.count("load.completed") - self.count("load.status.5xx")
        return good / (self._fired[-1] - self._fired[0] + 1) * service


def what_was_sampled(seen: Sampled) -> Iterator[str]:
    """Every phrase of an evidence that is true of a session, the longest before their parts."""

    def of(key: str, unit: Unit) -> str:
        return format_value(seen.mean(key), unit)

    def percent(key: str) -> str:
        return of(key, Unit.PERCENT)

    offered, opened = seen.count("load.offered"), seen.opened
    good = seen.count("load.completed") - seen.count("load.status.5xx")
    yield f"{good} of {offered} requests answered well"
    yield f"open requests rising from {opened[0]:.0f} to {opened[-1]:.0f}"
    yield f"{sum(opened) / len(opened):.1f} open on average"
    yield from (f"{seen.count(f'load.status.{code}')} × status {code}"
                for code in seen.keys("load.status."))  # fmt: skip
    yield from (f"{seen.count(f'load.errors.{kind}')} × {kind} error"
                for kind in seen.keys("load.errors."))  # fmt: skip
    yield f"of {offered} requests"
    web = "host.web"
    yield f"r {seen.mean(f'{web}.procs.r'):.1f} on {seen.mean(f'{web}.cpu.count'):.0f} CPUs"
    yield from (f"{part} {percent(f'{web}.cpu.{part}')}" for part in ("us", "sy", "wa", "st"))
    yield f"b {seen.mean(f'{web}.procs.b'):.1f}"
    yield f"some wait for disks {percent(f'{web}.psi.io.some')}"
    yield f"all waited for memory {percent(f'{web}.psi.memory.full')}"
    yield f"ended {seen.count(f'{web}.memory.oom_kills')} processes"
    yield f"{seen.mean(f'{web}.listen.queued'):.1f} connections in listen queues"
    for way in ("in", "out"):
        yield from (f"{way} {of(f'{web}.{what}.{way}', Unit.BYTES_PER_SECOND)}"
                    for what in ("io", "swap"))  # fmt: skip
    for name in seen.keys(f"{web}.group.", ".count"):
        group = f"{web}.group.{name}"
        count = f"{seen.mean(f'{group}.count'):.0f}"
        yield f"the busiest of {count} {name} takes {percent(f'{group}.cpu_max')} of a CPU"
        yield f"throttled in {percent(f'{group}.cgroup.cpu.throttled')} of the periods"
        yield f"a quota of {percent(f'{group}.cgroup.cpu.quota')} of a CPU"
        yield f"using {percent(f'{group}.cpu')}"
        yield f"{seen.at_work:.1f} of {count} {name} at work"


def without_what_was_sampled(line: str, seen: Sampled) -> str:
    """What is left of a line of evidence without all that stands in the session's samples."""
    for phrase in what_was_sampled(seen):
        line = line.replace(phrase, "")
    return line


# -- the machine at its end ----------------------------------------------------------------------


def test_all_cpus(tmp_path: Path) -> None:
    """At nice 19, so that the generator stays on time."""
    with troubled(4, "works", 50, within=("nice", "-n", "19")) as site:
        found = named("CPU", tmp_path, site, 60)
    assert "more workers will not help" in found["advice"]


def test_all_cpus_within_the_kernel(tmp_path: Path) -> None:
    with troubled(4, "asks_the_kernel", 50, within=("nice", "-n", "19")) as site:
        named("CPU (kernel)", tmp_path, site, 60)


def test_one_core(tmp_path: Path) -> None:
    with troubled(1, "works", 25) as site:
        found = named("CPU (one core)", tmp_path, site, 60)
    assert "the busiest of 1 workers takes" in found["evidence"][0]


def test_a_cpu_quota_and_a_slow_disk(tmp_path: Path) -> None:
    with control_group("cpu") as slow, control_group("blkio") as far:
        slow.cpus(0.2)
        far.reading(tmp_path, MIB)
        with troubled(2, "works", 10, within=slow.within) as held, \
                troubled(4, "reads", 64, within=far.within) as disk:  # fmt: skip
            quota, _ = side_by_side(
                lambda: named("CPU quota", tmp_path / "quota", held, 30),
                lambda: named("IO wait", tmp_path / "disk", disk, 30),
            )
    assert "at a quota of 20 % of a CPU" in quota["evidence"][0]


def test_memory_that_runs_out(tmp_path: Path) -> None:
    with control_group("memory") as group:
        group.memory(150 * MIB)
        group.no_swap()
        with troubled(2, "leaks", 5, within=group.within) as site:
            named("out of memory", tmp_path, site, 30)


def test_more_workers_than_fit_into_the_memory(tmp_path: Path) -> None:
    """Ten that need some 40 MiB each, in 256 MiB and swap on a slow disk."""
    require("mkswap", "swapon")
    with swap(tmp_path / "swap", 512 * MIB), control_group("memory", "blkio") as group:
        demo = ("loadwatch.demo.site", "--parent-pipe", "--backends", "10",
                "--memory-per-worker", "35MiB")  # fmt: skip
        with serving(*demo, within=group.within) as site:
            group.memory(256 * MIB)
            group.reading(tmp_path, 10 * MIB)
            found = named("swapping", tmp_path, site, 40)
    assert re.fullmatch(
        r"10 workers × [\d.]+ MiB do not fit in 256 MiB: go back to \d", found["advice"]
    )


# -- the machine has time left -------------------------------------------------------------------


def test_servers_that_make_wait(sshd: Sshd, tmp_path: Path) -> None:
    """Two workers that sleep, ten that wait for one lock, and a server that nobody looks at."""
    with troubled(2, "sleeps", 100) as pool, troubled(10, "locks", 50) as lock, \
            troubled(1, "sleeps", 100) as unseen:  # fmt: skip
        queue, downstream, unknown = side_by_side(
            lambda: named("worker queue", tmp_path / "queue", pool, 30, easy=6, host="web"),
            lambda: named("downstream wait", tmp_path / "lock", lock, 30, easy=6),
            lambda: named("unknown", tmp_path / "unseen", unseen, 20, host=""),
        )
    assert re.search(r"\b[12]\.\d of 2 workers at work", " ".join(queue["evidence"]))
    assert queue["advice"].startswith("try 4 workers instead of 2: there is memory for")
    assert "of 10 workers at work" in " ".join(downstream["evidence"])
    assert unknown["advice"] == "to tell, it takes a watched host"


def test_servers_that_answer_at_once(tmp_path: Path) -> None:
    """With 503, not at all, and well."""
    with troubled(2, "fails", 503) as refusing, troubled(2, "works", 1) as well, \
            socket.socket() as closed:  # fmt: skip
        closed.bind(("127.0.0.1", 0))
        nobody = Site(f"http://127.0.0.1:{closed.getsockname()[1]}")
        turned_away, refused, at_ease = side_by_side(
            lambda: named("failing fast", tmp_path / "turned away", refusing, 30),
            lambda: named("failing fast", tmp_path / "refused", nobody, 30),
            lambda: named("not saturated", tmp_path / "at ease", well, 30),
        )
    assert turned_away["evidence"][0] == "180 × status 503 of 180 requests"
    assert refused["evidence"][0] == "180 × connect error of 180 requests"
    assert at_ease["also"] == []
