"""A run that never was, for the dashboard: controls that note every command, and made-up seconds.

The seconds come from the real `Ticker`, fed with made-up buckets and readings, so that they have
the shape of real ones.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from textual.app import App

from loadwatch.analysis.thresholds import Thresholds
from loadwatch.core.action import Done
from loadwatch.core.bucket import Bucket, ScenarioBucket
from loadwatch.core.bus import TickBus
from loadwatch.core.controls import RunStatus
from loadwatch.core.errors import LoadwatchError, PlanError
from loadwatch.core.histogram import index_of
from loadwatch.core.history import History
from loadwatch.core.limit import Goal
from loadwatch.core.metric import GROUP_METRICS, LOAD_METRICS, Catalogue, Metric, Unit, under_host
from loadwatch.core.plan import Group, Host, Value
from loadwatch.core.reading import HostStatus, Process, Reading
from loadwatch.core.tick import Tick
from loadwatch.core.ticker import Ticker
from loadwatch.ui.lives import Lives
from loadwatch.ui.view import NO_THRESHOLDS, View
from loadwatch.ui.window import Window

MIB = 1024**2

HOST_METRICS = (
    *(Metric(f"cpu.{name}", Unit.PERCENT, name) for name in ("us", "sy", "id", "wa", "st")),
    Metric("cpu.count", Unit.COUNT, "CPUs"),
    Metric("procs.r", Unit.COUNT, "Run queue"),
    Metric("procs.b", Unit.COUNT, "Blocked"),
    Metric("swap.used", Unit.BYTES, "Swap used"),
    Metric("swap.in", Unit.BYTES_PER_SECOND, "Swap in"),
    Metric("swap.out", Unit.BYTES_PER_SECOND, "Swap out"),
    *(
        Metric(f"memory.{name}", Unit.BYTES, name)
        for name in ("free", "available", "cache", "buffers")
    ),
    *(Metric(f"network.{way}", Unit.BYTES_PER_SECOND, way) for way in ("in", "out")),
    Metric("disk.busy", Unit.PERCENT, "Disk busy"),
    *(Metric(f"psi.{name}", Unit.PERCENT, name) for name in ("memory.full", "io.some")),
    *(Metric(f"io.{way}", Unit.BYTES_PER_SECOND, way) for way in ("in", "out")),
)

CATALOGUE = Catalogue(
    [*LOAD_METRICS, *under_host(GROUP_METRICS), *under_host(HOST_METRICS)],
)

RATES = {"home": 10.0, "wall": 2.0}

STATUS = RunStatus(
    target="http://127.0.0.1:8000/",
    rates=RATES,
    firing=True,
    elapsed=0.0,
    hosts=(HostStatus("web", "live", probes=("vmstat", "top")),),
    recording="/home/me/.local/share/loadwatch/sessions/2026-11-03T14-05-11.loadwatch",
    groups={"web": (Group("backends", user="www-data"), Group("db", user="postgres"))},
)


class FakeControls:
    """Does what it is told to its own status and keeps the commands in `calls`."""

    def __init__(self, status: RunStatus = STATUS, failure: LoadwatchError | None = None) -> None:
        self.status = status
        self.calls: list[tuple[object, ...]] = []
        self._failure = failure

    def set_rate(self, scenario: str, rate: float) -> float:
        self.calls.append(("set_rate", scenario, rate))
        if self.status.connections is not None:
            raise PlanError("a closed loop has no rate to turn")
        if self.status.max_rate is not None:
            others = sum(own for name, own in self.status.rates.items() if name != scenario)
            rate = min(rate, self.status.max_rate - others)
        self.change(rates={**self.status.rates, scenario: rate})
        return rate

    def pause(self) -> None:
        self.calls.append(("pause",))
        self.change(firing=False)

    def resume(self) -> None:
        self.calls.append(("resume",))
        self.change(firing=True)

    def mark(self, text: str) -> None:
        self.calls.append(("mark", text))

    def set_groups(self, host: str, groups: tuple[Group, ...]) -> None:
        self.calls.append(("set_groups", host, groups))
        self.change(groups={**self.status.groups, host: groups})

    def find_limit(self, goal: Goal | None = None) -> None:
        self.calls.append(("find_limit", goal))
        if self.status.connections is not None:
            raise PlanError("a closed loop has no rate whose limit could be found")

    async def act(self, name: str, value: Value) -> Done:
        self.calls.append(("act", name, value))
        if self._failure is not None:
            raise self._failure
        return Done(0 if value == 5 else 1, ("[b]restarted[/b]",))

    async def export(self) -> str:
        self.calls.append(("export",))
        if self._failure is not None:
            raise self._failure
        return "/tmp/[b]somewhere-csv"

    def change(self, **changes: object) -> None:
        self.status = replace(self.status, **changes)  # type: ignore[arg-type]


def bucket(
    offered: int, seconds: float, *, bad: int = 0, timeouts: int = 0, spread: float = 0.3,
    dropped: int = 0, chance: random.Random | None = None,
) -> ScenarioBucket:  # fmt: skip
    """One second of a scenario: answers around `seconds`, `bad` of them 503, some timeouts."""
    chance = chance or random.Random(1)
    answered = offered - timeouts
    part = ScenarioBucket(
        offered=offered, sent=offered, completed=answered, good=answered - bad, dropped=dropped,
        received=answered * 4000,
    )  # fmt: skip
    if answered > bad:
        part.status = {200: answered - bad}
    if bad:
        part.status = {**part.status, 503: bad}
    if timeouts:
        part.errors = {"timeout": timeouts}
    for _ in range(answered):
        index = index_of(round(seconds * chance.lognormvariate(0, spread) * 1e6))
        part.response = {**part.response, index: part.response.get(index, 0) + 1}
    if timeouts:
        part.response = {**part.response, index_of(10_000_000): timeouts}
    part.service = part.response
    part.lag = {index_of(400): offered} if offered else {}
    return part


def pool(second: int, workers: int, rss: float, load: float) -> tuple[Process, ...]:
    """The processes of a small web server; every worker has its own size."""
    processes = [
        Process(900 + n, "www-data", int(rss * (0.8 + 0.04 * n)), load * (5 + n % 3), "S",
                f"gunicorn: worker [wall:{n}]")
        for n in range(workers)
    ]  # fmt: skip
    db = Process(700, "postgres", int(180 * MIB + second * 9000), load * 20, "S", "postgres: main")
    rest = [
        Process(1 + n, "root", (20 - n) * MIB, 0.1, "S", f"systemd-part-{n}") for n in range(12)
    ]
    return (*processes, db, *rest)


def story(seconds: int = 300, hosts: tuple[str, ...] = ("web",)) -> Iterator[Tick]:
    """A server that is asked for more and more: CPU, then 503, then memory, then swap."""
    chance = random.Random(7)
    groups = (Group("backends", user="www-data"), Group("db", user="postgres"))
    plan = [Host(name, f"me@{name}", groups=groups) for name in hosts]
    ticker = Ticker(RATES, plan, lambda values: {"generator.healthy": 1.0}, start=1_760_000_000.0)
    for second in range(seconds):
        level = second // 60
        rates = {"home": 10.0 * (level + 1), "wall": 2.0 * 2**level}
        ticker.rates(second, rates)
        if second == 120:
            ticker.mark(second, "10 backends")
        strain = max(0.0, (second - 130) / 170)
        parts = []
        for name, rate in rates.items():
            offered = min(int(chance.gauss(rate, math.sqrt(rate) / 2)), 400)
            bad = int(offered * strain * chance.uniform(0.2, 0.5)) if name == "wall" else 0
            slow = 0.008 if name == "home" else 0.045
            parts.append(
                bucket(offered, slow * (1 + 12 * strain**2 + level / 3), bad=bad, chance=chance,
                       timeouts=int(strain > 0.7 and offered > 4) * chance.randint(0, 2))
            )  # fmt: skip
        ticker.bucket(Bucket(0, second, parts))
        for name in hosts:
            _read(ticker, second, name, level, strain, chance)
        yield ticker.close()


def _read(
    ticker: Ticker, second: int, host: str, level: int, strain: float, chance: random.Random
) -> None:
    us = min(12 + 14 * level + chance.gauss(0, 3), 75)
    sy = 4 + 3 * level + chance.gauss(0, 1)
    wa = min(max(0.0, 45 * strain - 12 + chance.gauss(0, 3)), max(0.0, 98 - us - sy))
    swapping = max(0.0, strain - 0.25)
    values = {
        "cpu.us": us, "cpu.sy": sy, "cpu.wa": wa, "cpu.st": 0.0, "cpu.id": 100 - us - sy - wa,
        "cpu.count": 4.0, "procs.r": max(0, round(level * 1.3 + chance.gauss(0, 1))),
        "procs.b": float(strain > 0.4),
        "swap.used": swapping * 600 * MIB,
        "swap.in": swapping * 9 * MIB * chance.uniform(0.4, 1) if swapping else 0.0,
        "swap.out": swapping * 22 * MIB * chance.uniform(0.4, 1) if swapping else 0.0,
        "memory.free": max(40 * MIB, 900 * MIB - second * 4 * MIB),
        "memory.available": max(90 * MIB, 1300 * MIB - second * 4 * MIB),
        "memory.cache": max(80 * MIB, 420 * MIB - swapping * 500 * MIB), "memory.buffers": 30 * MIB,
        "io.in": (0.2 + 10 * swapping) * MIB * chance.uniform(0.4, 1),
        "network.in": (level + 1) * 30_000 * chance.uniform(0.8, 1),
        "network.out": (level + 1) * 600_000 * chance.uniform(0.8, 1),
        "disk.busy": min(100.0, 4 + 90 * swapping), "psi.io.some": min(100.0, 60 * swapping),
        "psi.memory.full": min(100.0, 20 * swapping),
        "io.out": (0.5 + 20 * swapping) * MIB * chance.uniform(0.4, 1),
    }  # fmt: skip
    ticker.reading(second, Reading(host, "vmstat", 0.0, values))
    workers = 5 if second < 120 else 10
    rss = (60 + max(0, second - 125) * 0.35) * MIB
    processes = pool(second, workers, rss, 1 + level)
    ticker.reading(second, Reading(host, "top", 0.0, {}, processes))


def told(
    ticks: Iterable[Tick], controls: FakeControls | None = None, lives: Lives | None = None
) -> tuple[TickBus, History]:
    """A bus with a history that has taken `ticks`; the controls say what the last one did."""
    bus, history = TickBus(), History()
    bus.subscribe(history.add)
    if lives is not None:
        bus.subscribe(lives.add)
    for tick in ticks:
        bus.publish(tick)
        if controls is not None:
            rates: Mapping[str, float] = tick.rates
            controls.change(elapsed=tick.second + 1.0, rates=dict(rates))
    return bus, history


def shown(app: App[None]) -> str:
    """What the terminal shows, line by line."""
    return "\n".join(strip.text.rstrip() for strip in app.screen._compositor.render_strips())


def text_of(rows: Iterable[Iterable[tuple[str, str]]]) -> list[str]:
    """Rows of runs as plain lines."""
    return ["".join(text for text, _ in row) for row in rows]


def tick(second: int, values: Mapping[str, float], **more: object) -> Tick:
    """A second with these values and nothing else."""
    return Tick(second, 0.0, 1, "", {}, values, **more)  # type: ignore[arg-type]


def seen(ticks: Iterable[Tick], **more: Any) -> View:
    """What a pane would look at after `ticks`, with the lives of all processes."""
    lives = Lives()
    return view(told(ticks, lives=lives), lives=lives, **more)


def view(
    bus_history: tuple[TickBus, History], *, status: RunStatus = STATUS, seconds: int = 60,
    host: str = "web", lives: Lives | None = None, thresholds: Thresholds = NO_THRESHOLDS,
    end: int | None = None,
) -> View:  # fmt: skip
    """What a pane would look at."""
    _, history = bus_history
    return View.of(history, CATALOGUE, lives or Lives(), status, thresholds=thresholds,
                   window=Window(seconds, end), host=host)  # fmt: skip
