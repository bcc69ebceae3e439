"""What the rules of a verdict look at: a stretch of requests, and the servers that answered them.

Signs are keyed as the probes declare them (`docs/metrics.md`); numbers are means over the stretch,
so that they stand in the session's samples. What nobody measured is None, and no sign of anything.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from loadwatch.analysis.queueing import piles_up
from loadwatch.core.metric import Unit, format_value
from loadwatch.core.plan import Signs
from loadwatch.core.summary import Summary

JUDGED_SECONDS = 5
"""Seconds of firing below which nothing is said."""

TREND = 600
"""Seconds at most over which open requests are seen to pile up."""

AT_ONCE = 2.0
"""Runnable processes per CPU that a machine with time left may have in the instant in which it is
looked at: what wakes up once a second does so together, the probes among it."""

FULL = 100.0
"""Percent."""


@dataclass(frozen=True, slots=True)
class Group:
    """A process group of a server over a stretch: numbers by the last segments of their keys."""

    name: str
    server: Server

    def mean(self, key: str) -> float | None:
        """The mean of `group.<name>.<key>`."""
        return self.server.mean(f"group.{self.name}.{key}")

    @property
    def is_throttled(self) -> bool:
        """Whether its control group has used up its CPU quota in many periods, all the time."""
        key = "cgroup.cpu.throttled"
        share = self.mean(key) or 0.0
        is_sustained = self.server.is_sustained(f"group.{self.name}.{key}")
        return is_sustained and share >= FULL * self.server.signs.throttled


class Server:
    """A watched server over a stretch; None where nothing is known."""

    def __init__(self, summary: Summary, name: str, signs: Signs) -> None:
        self.name = name
        self.signs = signs
        self._summary = summary

    def mean(self, key: str) -> float | None:
        """The mean of `host.<name>.<key>`."""
        return self._summary.mean(f"host.{self.name}.{key}")

    def amount(self, key: str) -> float:
        """The same, 0 where it is unknown."""
        return self.mean(key) or 0.0

    def count(self, key: str) -> int:
        """How many there were of what is counted per second."""
        return self._summary.count(f"host.{self.name}.{key}")

    def is_sustained(self, key: str) -> bool:
        """Whether it was above zero most of the time."""
        tally = self._summary.tallies.get(f"host.{self.name}.{key}")
        return tally is not None and tally.positive >= self.signs.sustained * tally.count

    def cpu(self, *parts: str) -> float | None:
        """Percent of all CPUs in these states (`us`, `id`); None without a reading of the CPU."""
        if self.mean("cpu.us") is None:
            return None
        return sum(self.amount(f"cpu.{part}") for part in parts)

    @cached_property
    def groups(self) -> Sequence[Group]:
        """Its process groups that have a process."""
        start, end = f"host.{self.name}.group.", ".count"
        names = (
            key[len(start) : -len(end)]
            for key in self._summary.tallies
            if key.startswith(start) and key.endswith(end)
        )
        return [group for name in names if (group := Group(name, self)).mean("count")]

    @cached_property
    def is_swapping(self) -> bool:
        """Pages come back all the time, or everything waits for memory.

        What was only read since it came back is still in the swap, and need not go out again.
        """
        traffic = self.amount("swap.in") + self.amount("swap.out")
        is_stalled = self.amount("psi.memory.full") > FULL * self.signs.memory_pressure
        return (self.is_sustained("swap.in") and traffic > self.signs.swap) or is_stalled

    @cached_property
    def busy_with(self) -> str:
        """What takes all its CPUs: `stolen`, `kernel`, `work`; empty if they are not all taken."""
        signs, count = self.signs, self.mean("cpu.count")
        idle, busy = self.cpu("id"), self.cpu("us", "sy", "st")
        if idle is None or busy is None:
            return ""
        if self.amount("cpu.st") >= FULL * signs.stolen and idle < FULL * (1 - signs.cpu_busy):
            return "stolen"
        if count is None or busy < FULL * signs.cpu_busy or self.amount("procs.r") <= count:
            return ""
        sy = self.amount("cpu.sy")
        return "kernel" if sy >= min(self.amount("cpu.us"), FULL * signs.kernel) else "work"

    @cached_property
    def on_one_core(self) -> Sequence[Group]:
        """The groups with a process that takes a whole CPU, on a machine that has more of them."""
        count, busy = self.mean("cpu.count"), self.cpu("us", "sy", "st")
        if count is None or busy is None or count < 2 or busy >= FULL * self.signs.cpu_busy:
            return []
        whole = FULL * (1 - self.signs.one_core)
        return [group for group in self.groups if (group.mean("cpu_max") or 0.0) >= whole]

    @cached_property
    def is_waiting_for_io(self) -> bool:
        """Processes are blocked, and the time goes into waiting for disks."""
        signs = self.signs
        blocked = self.is_sustained("procs.b") and self.amount("procs.b") >= 1
        waits = (
            self.amount("cpu.wa") >= FULL * signs.io_wait
            or self.amount("psi.io.some") >= FULL * signs.io_pressure
        )
        return blocked and waits and not self.is_swapping

    @cached_property
    def is_idle(self) -> bool:
        """Known to have resources left while it works."""
        idle, count = self.cpu("id", "wa"), self.mean("cpu.count")
        queued = count is not None and self.amount("procs.r") > AT_ONCE * count
        if idle is None or queued or self.is_swapping or self.is_waiting_for_io:
            return False
        return idle >= FULL * self.signs.cpu_idle

    @cached_property
    def is_link_full(self) -> bool:
        """Its interface is used up, or packets get lost on the way, and not in a listen queue."""
        speed, signs = self.amount("network.speed"), self.signs
        used = max(self.amount("network.in"), self.amount("network.out"))
        lost = self.amount("network.retransmitted") >= FULL * signs.retransmitted
        is_way = lost and not self.count("listen.overflows")
        return (speed > 0 and used >= signs.network * speed) or is_way

    def tell(self, key: str, unit: Unit) -> str:
        """A mean for people."""
        return format_value(self.mean(key), unit)

    def percent(self, *keys: str, label: str = "") -> Iterator[str]:
        """`us 80 %` for each of `cpu.us` … that is known; `label` stands for the key."""
        for key in keys:
            if self.mean(key) is not None:
                yield f"{label or key.rpartition('.')[2]} {self.tell(key, Unit.PERCENT)}"

    def describe(self) -> str:
        """Its CPU in one line."""
        if self.mean("cpu.us") is None:
            return f"{self.name}: no reading"
        states = ", ".join(self.percent("cpu.us", "cpu.sy", "cpu.wa", "cpu.st"))
        count = self.mean("cpu.count")
        cpus = "an unknown number of CPUs" if count is None else f"{count:.0f} CPUs"
        return f"{self.name}: {states}, r {self.amount('procs.r'):.1f} on {cpus}"

    def describe_swap(self) -> str:
        """Its swap traffic, and how long everything waited for memory, in one line."""
        into, out = (self.tell(f"swap.{way}", Unit.BYTES_PER_SECOND) for way in ("in", "out"))
        stalled = self.percent("psi.memory.full", label="all waited for memory")
        return ", ".join([f"{self.name}: swap in {into}", f"out {out}", *stalled])


@dataclass(frozen=True)
class Stretch:
    """What the rules look at; `baseline` is a stretch at an easy rate."""

    summary: Summary
    servers: Sequence[Server]
    baseline: Summary | None
    signs: Signs

    @property
    def seconds(self) -> int:
        """Seconds that fired."""
        return len(self.summary.open_requests)

    @property
    def recent(self) -> Sequence[float]:
        """Open requests at the end of the last seconds that fired."""
        return self.summary.open_requests[-TREND:]

    @property
    def is_closed(self) -> bool:
        """Whether it is a closed loop, which asks for no rate."""
        return not self.summary.rates

    @property
    def offered(self) -> int:
        """Requests that were scheduled."""
        return self.summary.count("load.offered")

    @property
    def due(self) -> int:
        """Requests that were to be answered within the stretch."""
        still_open = self.summary.tallies["load.in_flight"].last
        return max(1, self.offered - round(still_open))

    @property
    def answered(self) -> int:
        """Requests answered by anything but a server error."""
        return self.summary.count("load.completed") - self.summary.count("load.status.5xx")

    @property
    def well(self) -> int:
        """Those of them whose body was as expected too."""
        return self.answered - self.summary.count("load.errors.content")

    @property
    def failures(self) -> dict[str, int]:
        """What a server error or a missing answer was -> how many."""
        codes = self.summary.counts("load.status")
        found = {code: count for code, count in codes.items() if code.startswith("5")}
        if len(found) > 1:
            found.pop("5xx", None)  # which they add up to
        return found | self.summary.counts("load.errors")

    @cached_property
    def is_rising(self) -> bool:
        """Whether open requests pile up: by 1 % of the load, and more than chance would."""
        opened = self.recent
        return piles_up(opened, self.offered * len(opened) / max(self.seconds, 1))

    @property
    def is_deaf(self) -> bool:
        """Whether all that ended, ended without an answer: refused, reset, timed out."""
        unanswered = self.summary.unanswered
        ended = unanswered + self.summary.count("load.completed")
        return ended > 0 and unanswered >= self.signs.answered * ended

    @cached_property
    def keeps_up(self) -> bool:
        """Whether what was asked for was answered, and well."""
        if self.is_closed or self.is_rising or self.answered < self.signs.answered * self.due:
            return False
        return sum(self.failures.values()) <= (1 - self.signs.answered) * self.offered

    @cached_property
    def slowdown(self) -> float | None:
        """The response time's p95 as a multiple of the baseline's; None where unknown."""
        if self.baseline is None:
            return None
        now, easy = (s.histogram("response") for s in (self.summary, self.baseline))
        before, after = easy.percentile(0.95), now.percentile(0.95)
        if not before or after is None or not now.is_known(0.95):
            return None
        return after / before

    @property
    def is_idle(self) -> bool:
        """Whether every watched server, of one at least, has resources left."""
        return bool(self.servers) and all(server.is_idle for server in self.servers)

    @property
    def groups(self) -> Iterator[Group]:
        """The process groups of all servers."""
        return (group for server in self.servers for group in server.groups)

    def concurrency(self, answers: int) -> float | None:
        """How many requests such `answers` take at once, by Little's law; None without a baseline.

        J. D. C. Little, "A proof for the queuing formula L = λW", Operations Research 9 (1961):
        what is answered per second, times the service time at an easy rate, in which nobody waits.
        """
        if self.baseline is None or not self.summary.firing:
            return None
        service = self.baseline.histogram("service").mean
        return None if service is None else answers / self.summary.firing * service

    @property
    def busy_workers(self) -> float | None:
        """How many requests are worked on at once; None without a baseline."""
        return self.concurrency(self.answered)

    @property
    def mean_open(self) -> float:
        """Requests that are open at the end of a second, on average."""
        return statistics.fmean(self.recent or [0.0])

    def describe(self) -> str:
        """The requests in one line."""
        told = f"{self.well} of {self.offered} requests answered well"
        if self.well > self.offered:
            told = f"{self.well} requests answered well, some of them due before"
        return f"{told}, {self.describe_queue()}"

    def describe_queue(self) -> str:
        """The open requests in a few words."""
        opened = self.recent
        if self.is_rising:
            return f"open requests rising from {opened[0]:.0f} to {opened[-1]:.0f}"
        return f"{self.mean_open:.1f} open on average"
