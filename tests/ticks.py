"""Made-up ticks, as a run publishes them: two scenarios against a server with a group of workers.

`tick` makes a single one by hand; `run` lets the real Ticker fold buckets and readings, so that
every key of a run is there. All numbers follow from the seed.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence

from loadwatch.core.bucket import Bucket, ScenarioBucket
from loadwatch.core.histogram import Histogram
from loadwatch.core.metric import GROUP_METRICS, LOAD_METRICS, Catalogue, Metric, Unit, under_host
from loadwatch.core.plan import Group, Host, Seconds
from loadwatch.core.reading import Process, Reading
from loadwatch.core.tick import Event, HostProcess, Kind, Tick
from loadwatch.core.ticker import Ticker

START = 1_795_466_467.25
"""Wall clock of second 0: 2026-11-23T20:41:07.250Z."""

HOST_METRICS = (
    Metric("cpu.us", Unit.PERCENT, "CPU user"),
    Metric("cpu.sy", Unit.PERCENT, "CPU system"),
    Metric("cpu.id", Unit.PERCENT, "CPU idle"),
    Metric("cpu.wa", Unit.PERCENT, "CPU waiting for I/O"),
    Metric("cpu.st", Unit.PERCENT, "CPU stolen"),
    Metric("cpu.count", Unit.COUNT, "CPUs"),
    Metric("procs.r", Unit.COUNT, "Runnable processes"),
    Metric("procs.b", Unit.COUNT, "Blocked processes"),
    Metric("memory.free", Unit.BYTES, "Memory free"),
    Metric("memory.available", Unit.BYTES, "Memory available"),
    Metric("swap.used", Unit.BYTES, "Swap used"),
    Metric("swap.in", Unit.BYTES_PER_SECOND, "Swap in", "rate", "lower"),
    Metric("swap.out", Unit.BYTES_PER_SECOND, "Swap out", "rate", "lower"),
    Metric("system.switches", Unit.PER_SECOND, "Context switches", "rate"),
    Metric("loadavg.1m", Unit.NUMBER, "Load average, 1 min"),
)

CATALOGUE = Catalogue([*LOAD_METRICS, *under_host(GROUP_METRICS), *under_host(HOST_METRICS)])

RATES = {"home": 10.0, "wall": 2.0}


def tick(
    second: int = 0,
    values: Mapping[str, float] | None = None,
    *,
    times: Mapping[tuple[str, Kind], Sequence[float]] | None = None,
    step: int = 1,
    mark: str = "",
    rates: Mapping[str, float] = RATES,
    processes: tuple[HostProcess, ...] = (),
    events: tuple[Event, ...] = (),
) -> Tick:
    """One tick by hand; `times` are the response, service or lag times (seconds) of a scenario."""
    histograms: dict[tuple[str, Kind], Mapping[int, int]] = {}
    for key, seconds in (times or {}).items():
        histogram = Histogram()
        for value in seconds:
            histogram.record(value)
        histograms[key] = histogram.counts
    return Tick(
        second, START + second, step, mark, rates, values or {}, histograms, processes, events
    )


def run(
    seconds: int,
    *,
    rates: Mapping[str, float] = RATES,
    hosts: Sequence[str] = ("web",),
    processes: int = 12,
    turns: Mapping[int, Mapping[str, float]] | None = None,
    marks: Mapping[int, str] | None = None,
    gaps: Sequence[int] = (),
    seed: int = 1,
) -> Iterator[Tick]:
    """A run's ticks: `turns` are new rates, `marks` notes, by the second that begins with them; in
    `gaps` hosts are silent.

    Each host lists `processes` processes; every third one belongs to its group `backends`.
    """
    chance = random.Random(seed)
    group = Group(name="backends", user="www-data")
    watched = [Host(name=name, ssh="local", interval=Seconds(1), groups=(group,)) for name in hosts]
    ticker = Ticker(rates, watched, lambda values: {"generator.healthy": 1.0}, START)
    ticker.rates(0.0, rates)
    ticker.event(Event(0.0, "start", "firing at http://heywall.example"))
    rates = dict(rates)
    for second in range(seconds):
        if second in (turns or {}):
            rates |= (turns or {})[second]
            ticker.rates(second, rates)
            text = ", ".join(f"{name} {rate:g}/s" for name, rate in rates.items())
            ticker.event(Event(second, "rate", text))
        if second in (marks or {}):
            ticker.mark(second, (marks or {})[second])
            ticker.event(Event(second, "mark", (marks or {})[second]))
        parts = [scenario_bucket(chance, round(rate)) for rate in rates.values()]
        ticker.bucket(Bucket(0, second, parts, cpu=0.1, loop_lag=0.001))
        for name in hosts if second not in gaps else ():
            ticker.reading(second, Reading(name, "vmstat", float(second), host_values(chance)))
            frame = tuple(process(chance, number) for number in range(processes))
            ticker.reading(second, Reading(name, "top", float(second), {}, frame))
        yield ticker.close()


def scenario_bucket(chance: random.Random, count: int, error_share: float = 0.01) -> ScenarioBucket:
    """A second of `count` requests, some of which end in 503, all of which are answered."""
    failed = sum(chance.random() < error_share for _ in range(count))
    times = Histogram()
    lag = Histogram()
    for _ in range(count):
        times.record(chance.lognormvariate(-3.5, 0.5))
        lag.record(chance.uniform(0.0001, 0.0005))
    status = {200: count - failed} | ({503: failed} if failed else {})
    return ScenarioBucket(
        offered=count,
        sent=count,
        completed=count,
        good=count - failed,
        received=count * 4096,
        in_flight=chance.randrange(3),
        oldest=0.01,
        status=status,
        response=dict(times.counts),
        service=dict(times.counts),
        lag=lag.counts,
    )


def host_values(chance: random.Random) -> dict[str, float]:
    """A row of vmstat of a server at ease."""
    busy = chance.randrange(20, 60)
    return {
        "cpu.us": busy,
        "cpu.sy": 5,
        "cpu.id": 95 - busy,
        "cpu.wa": 0,
        "cpu.st": 0,
        "cpu.count": 2,
        "procs.r": chance.randrange(3),
        "procs.b": 0,
        "memory.free": chance.randrange(500_000, 600_000) * 1024,
        "swap.used": 0,
        "swap.in": 0,
        "swap.out": 0,
        "system.switches": chance.randrange(1000, 9000),
        "loadavg.1m": 0.52,
    }


def process(chance: random.Random, number: int) -> Process:
    """A process row; every third is a worker of the web server."""
    worker = number % 3 == 0
    return Process(
        pid=1000 + number,
        user="www-data" if worker else "root",
        rss=(20_000 + number * 128 + chance.randrange(64)) * 1024,
        cpu=round(chance.uniform(0, 9), 1) if worker else 0.0,
        state="S",
        command=f"gunicorn-{number}" if worker else f"daemon-{number}",
    )
