"""What holds the server back, with the evidence: a table of rules over one stretch of a run.

The rules follow the USE method (utilisation, saturation, errors: https://www.brendangregg.com/
usemethod.html) on the columns of vmstat(8). The first that holds gives the verdict, later ones are
seen besides it. None that holds is said as "unknown": nothing is guessed.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from loadwatch.core.metric import Unit, format_value
from loadwatch.core.summary import Summary

JUDGED_SECONDS = 5
"""Seconds of firing below which nothing is said."""

TREND = 600
"""Seconds at most over which open requests are seen to pile up."""

ANSWERED = 0.99
"""Share of the requests that a server which keeps up answers."""

SUSTAINED = 0.7
"""Share of the seconds in which something must show, to be more than a burst."""

SWAP_RATE = 1024.0**2
"""Swap traffic, in and out together (bytes/s), that is felt."""

CPU_BUSY = 90.0
"""Percent of all CPUs (us + sy + st) that are a busy machine."""

CPU_IDLE = 30.0
"""Percent of all CPUs (id + wa) that are an idle machine."""

IO_WAIT = 20.0
"""Percent of all CPUs (wa) that wait for a disk."""

WAITING = 0.01
"""Share of requests with 503 or a timeout that says that requests wait for a worker."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What holds the server back (`name`), what else was seen, the numbers that say so, and what
    to do about it."""

    name: str
    also: tuple[str, ...]
    evidence: tuple[str, ...]
    advice: str


def judge(
    summary: Summary,
    reasons: Sequence[str],
    hosts: Sequence[str],
    baseline: Summary | None = None,
) -> Verdict:
    """The verdict on a stretch.

    `reasons` say why the generator itself was the limit (empty: it was not): nothing is then
    claimed about the server. `hosts` are the watched servers by name. `baseline` is a stretch at
    an easy rate, whose response times a server that keeps up stays near.
    """
    if reasons:
        return Verdict("client-limited", (), tuple(reasons), _CLIENT_ADVICE)
    stretch = _Stretch(summary, [_Host(summary, name) for name in hosts], baseline)
    if stretch.seconds < JUDGED_SECONDS:
        return _unknown(stretch)
    found = [(name, seen, advice) for name, rule, advice in _RULES if (seen := rule(stretch))]
    if not found:
        return _unknown(stretch)
    evidence = tuple(dict.fromkeys(line for _, seen, _ in found for line in seen))
    return Verdict(found[0][0], tuple(name for name, _, _ in found[1:]), evidence, found[0][2])


# -- what was seen -------------------------------------------------------------------------------


class _Host:
    """A watched server over a stretch; None where nothing is known."""

    def __init__(self, summary: Summary, name: str) -> None:
        self.name = name
        self._summary = summary

    def mean(self, key: str) -> float | None:
        return self._summary.mean(f"host.{self.name}.{key}")

    def is_sustained(self, key: str) -> bool:
        """Whether it was above zero most of the time."""
        tally = self._summary.tallies.get(f"host.{self.name}.{key}")
        return tally is not None and tally.positive >= SUSTAINED * tally.count

    def cpu(self, *parts: str) -> float | None:
        """Percent of all CPUs in these states (`us`, `id`); None without a reading of the CPU."""
        if self.mean("cpu.us") is None:
            return None
        return sum(self.mean(f"cpu.{part}") or 0.0 for part in parts)

    @property
    def is_swapping(self) -> bool:
        traffic = (self.mean("swap.in") or 0.0) + (self.mean("swap.out") or 0.0)
        both = self.is_sustained("swap.in") and self.is_sustained("swap.out")
        return both and traffic > SWAP_RATE

    @property
    def is_cpu_bound(self) -> bool:
        busy, count = self.cpu("us", "sy", "st"), self.mean("cpu.count")
        if busy is None or count is None:
            return False
        return busy >= CPU_BUSY and (self.mean("procs.r") or 0.0) > count

    @property
    def is_waiting_for_io(self) -> bool:
        blocked = self.is_sustained("procs.b") and (self.mean("procs.b") or 0.0) >= 1
        return blocked and (self.mean("cpu.wa") or 0.0) >= IO_WAIT and not self.is_swapping

    @property
    def is_idle(self) -> bool:
        """Known to have resources left while it works."""
        idle, count = self.cpu("id", "wa"), self.mean("cpu.count")
        queued = count is not None and (self.mean("procs.r") or 0.0) > count
        if idle is None or queued or self.is_swapping or self.is_waiting_for_io:
            return False
        return idle >= CPU_IDLE

    def describe(self) -> str:
        """Its CPU in one line."""
        if self.mean("cpu.us") is None:
            return f"{self.name}: no reading"
        states = ", ".join(
            f"{state} {format_value(self.mean(f'cpu.{state}'), Unit.PERCENT)}"
            for state in ("us", "sy", "wa", "st")
            if self.mean(f"cpu.{state}") is not None
        )
        count = self.mean("cpu.count")
        cpus = "an unknown number of CPUs" if count is None else f"{count:.0f} CPUs"
        return f"{self.name}: {states}, r {self.mean('procs.r') or 0.0:.1f} on {cpus}"

    def describe_swap(self) -> str:
        """Its swap traffic in one line."""
        into, out = (
            format_value(self.mean(f"swap.{way}"), Unit.BYTES_PER_SECOND) for way in ("in", "out")
        )
        return f"{self.name}: swap in {into}, out {out}"


@dataclass(frozen=True, slots=True)
class _Stretch:
    """What the rules look at."""

    summary: Summary
    hosts: Sequence[_Host]
    baseline: Summary | None

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
    def due(self) -> int:
        """Requests that were to be answered within the stretch."""
        still_open = self.summary.tallies["load.in_flight"].last
        return max(1, self.summary.count("load.offered") - round(still_open))

    @property
    def answered(self) -> int:
        """Requests answered by anything but a server error."""
        return self.summary.count("load.completed") - self.summary.count("load.status.5xx")

    @property
    def failed(self) -> int:
        """Requests with a server error, or without an answer."""
        errors = self.summary.counts("load.errors").values()
        return self.summary.count("load.status.5xx") + sum(errors)

    @property
    def is_rising(self) -> bool:
        """Whether open requests pile up: by 1 % of the load, and more than chance would."""
        opened = self.recent
        if len(opened) < JUDGED_SECONDS:
            return False
        slope = statistics.linear_regression(range(len(opened)), opened).slope
        chance = 3 * math.sqrt(max(1.0, statistics.fmean(opened)))
        offered = self.summary.count("load.offered") * len(opened) / self.seconds
        return slope * len(opened) > max(chance, 0.01 * offered)

    def describe(self) -> str:
        """The requests in one line."""
        offered = self.summary.count("load.offered")
        return f"{self.answered} of {offered} requests answered well, {self.describe_queue()}"

    def describe_queue(self) -> str:
        """The open requests in a few words."""
        opened = self.recent
        if self.is_rising:
            return f"open requests rising from {opened[0]:.0f} to {opened[-1]:.0f}"
        return f"{statistics.fmean(opened or [0.0]):.1f} open on average"


# -- rules: the evidence, or nothing -------------------------------------------------------------


def _at_ease(stretch: _Stretch) -> list[str]:
    if stretch.is_closed or stretch.is_rising or stretch.answered < ANSWERED * stretch.due:
        return []
    if stretch.failed > (1 - ANSWERED) * stretch.summary.count("load.offered"):
        return []
    now = stretch.summary.histogram("response")
    p95 = now.percentile(0.95)
    evidence = [stretch.describe()]
    if stretch.baseline is not None and p95 is not None and now.is_known(0.95):
        easy = stretch.baseline.histogram("response").percentile(0.95)
        if easy is not None and p95 >= 2 * easy:
            return []
        evidence.append(f"response p95 {format_value(p95, Unit.SECONDS)}")
    return evidence + [host.describe() for host in stretch.hosts]


def _swapping(stretch: _Stretch) -> list[str]:
    return [host.describe_swap() for host in stretch.hosts if host.is_swapping]


def _cpu(stretch: _Stretch) -> list[str]:
    return [host.describe() for host in stretch.hosts if host.is_cpu_bound]


def _io_wait(stretch: _Stretch) -> list[str]:
    return [
        f"{host.describe()}, b {host.mean('procs.b') or 0.0:.1f}"
        for host in stretch.hosts
        if host.is_waiting_for_io
    ]


def _worker_queue(stretch: _Stretch) -> list[str]:
    """Requests wait although every watched server has CPU left and does not wait for its disks."""
    summary = stretch.summary
    idle = stretch.hosts and all(host.is_idle for host in stretch.hosts)
    if not idle or not summary.count("load.completed"):
        return []
    waiting = []
    if not stretch.is_closed and stretch.is_rising:
        waiting.append(stretch.describe_queue())
    for key, name in (("load.status.503", "503"), ("load.errors.timeout", "timeouts")):
        if (count := summary.count(key)) > WAITING * summary.count("load.offered"):
            waiting.append(f"{count} {name} of {summary.count('load.offered')} requests")
    return waiting + [host.describe() for host in stretch.hosts] if waiting else []


_CLIENT_ADVICE = (
    "nothing is claimed about the server: fire less, or from more workers or another machine"
)

_RULES: tuple[tuple[str, Callable[[_Stretch], list[str]], str], ...] = (
    ("not saturated", _at_ease, "raise the rate to find the limit"),
    ("swapping", _swapping, "fewer or smaller worker processes, or more memory"),
    ("CPU", _cpu, "make a request cost less CPU, or add CPUs; more workers will not help"),
    ("IO wait", _io_wait, "look at the database, logs and session files: what reads and writes?"),
    (
        "worker queue",
        _worker_queue,
        "more workers if the memory allows, or shorter waits on databases and other services",
    ),
)


def _unknown(stretch: _Stretch) -> Verdict:
    """No rule holds: what was seen, and what it would take to tell."""
    needs = []
    if stretch.seconds < JUDGED_SECONDS:
        needs.append(f"{JUDGED_SECONDS} s of firing (there were {stretch.seconds})")
    if not stretch.hosts:
        needs.append("a watched host")
    for host in stretch.hosts:
        if host.mean("cpu.us") is None:
            needs.append(f"readings of {host.name}")
        elif host.mean("cpu.count") is None:
            needs.append(f"the number of CPUs of {host.name}")
    evidence = (stretch.describe(), *(host.describe() for host in stretch.hosts))
    advice = (
        f"to tell, it takes {', '.join(needs)}"
        if needs
        else ("no rule explains this: compare CPU, run queue, swap and disks with a lower rate")
    )
    return Verdict("unknown", (), evidence, advice)
