"""The rules of a verdict: each finds its evidence in a stretch, or nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from loadwatch.analysis import remedy
from loadwatch.analysis.evidence import AT_ONCE, Server, Stretch
from loadwatch.core.metric import Unit, format_value
from loadwatch.core.plan import Signs

AT_EASE = "not saturated"

SLOWER = 2.0
"""How many times the baseline's p95 a response time is that begins to feel the load."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One verdict: `seen` is the evidence, empty if it does not hold; `when` says it for people."""

    name: str
    when: Callable[[Signs], str]
    seen: Callable[[Stretch], list[str]]
    advice: Callable[[Stretch], str]


def described(servers: Iterable[Server]) -> list[str]:
    """The CPU of each in a line."""
    return [server.describe() for server in servers]


def _at_ease(stretch: Stretch) -> list[str]:
    if not stretch.keeps_up or (stretch.slowdown or 0.0) >= SLOWER or _out_of_memory(stretch):
        return []
    return [stretch.describe(), *described(stretch.servers)]


def _out_of_memory(stretch: Stretch) -> list[str]:
    killed = [(server, server.count("memory.oom_kills")) for server in stretch.servers]
    return [
        f"{server.name}: the kernel ended {count} processes for want of memory"
        for server, count in killed
        if count
    ]


def _swapping(stretch: Stretch) -> list[str]:
    return [server.describe_swap() for server in stretch.servers if server.is_swapping]


def _quota(stretch: Stretch) -> list[str]:
    found = []
    for group in stretch.groups:
        if group.is_throttled:
            told = [
                f"{label} {format_value(group.mean(key), Unit.PERCENT)}"
                for label, key in (
                    ("throttled in", "cgroup.cpu.throttled"),
                    ("of the periods at a quota of", "cgroup.cpu.quota"),
                    ("of a CPU, using", "cpu"),
                )
                if group.mean(key) is not None
            ]
            found.append(f"{group.server.name}: {group.name} {' '.join(told)}")
            found += described([group.server])
    return found


def _busy_with(kind: str) -> Callable[[Stretch], list[str]]:
    return lambda stretch: described(s for s in stretch.servers if s.busy_with == kind)


def _one_core(stretch: Stretch) -> list[str]:
    if stretch.keeps_up:
        return []
    return [
        line
        for server in stretch.servers
        for group in server.on_one_core
        for line in (
            f"{server.name}: the busiest of {group.mean('count'):.0f} {group.name} takes "
            f"{format_value(group.mean('cpu_max'), Unit.PERCENT)} of a CPU",
            server.describe(),
        )
    ]


def _io_wait(stretch: Stretch) -> list[str]:
    found = []
    for server in stretch.servers:
        if server.is_waiting_for_io:
            moved = (server.tell(f"io.{way}", Unit.BYTES_PER_SECOND) for way in ("in", "out"))
            told = [f"{server.describe()}, b {server.amount('procs.b'):.1f}"]
            told += server.percent("psi.io.some", label="some wait for disks")
            told += [f"blocks in {next(moved)}, out {next(moved)}"] if server.count("io.in") else []
            found.append(", ".join(told))
    return found


def _waiting(stretch: Stretch) -> list[str]:
    """Signs that requests wait for their turn, in numbers."""
    told = [stretch.describe_queue()] if not stretch.is_closed and stretch.is_rising else []
    late = {kind: count for kind, count in stretch.failures.items() if kind in _late(stretch)}
    if any(count > stretch.signs.waiting * stretch.offered for count in late.values()):
        told.append(_failed(late, stretch.offered))
    for server in stretch.servers:
        if server.is_sustained("listen.overflows"):
            rate = server.tell("listen.overflows", Unit.PER_SECOND)
            told.append(f"{server.name}: {rate} connections found the listen queue full")
        if server.is_sustained("listen.queued"):
            told.append(
                f"{server.name}: {server.amount('listen.queued'):.1f} connections in listen queues"
            )
    return told


def _late(stretch: Stretch) -> Sequence[str]:
    """The failures that tell of waiting: timeouts, and 503 where they come from a full queue.

    Before a server that turns away at once nobody waits: its workers have little to do, and not
    more requests are open than such answers take.
    """
    at_once = SLOWER * (stretch.concurrency(stretch.summary.count("load.completed")) or 0.0)
    is_queue = stretch.mean_open >= max(1.0, at_once) or _are_workers_busy(stretch) is True
    return ("timeout", "503") if is_queue else ("timeout",)


def _failed(failures: Mapping[str, int], offered: int) -> str:
    """`3 × status 500, 2 × connect error of 20 requests`."""
    told = (
        f"{count} × status {kind}" if kind[0].isdigit() else f"{count} × {kind} error"
        for kind, count in failures.items()
    )
    return f"{', '.join(told)} of {offered} requests"


def _busy(stretch: Stretch) -> list[str]:
    """How many of each group's processes are at work, if that is known."""
    busy = stretch.busy_workers
    if busy is None:
        return []
    return [
        f"{group.server.name}: {busy:.1f} of {group.mean('count'):.0f} {group.name} at work"
        for group in stretch.groups
    ]


def _are_workers_busy(stretch: Stretch) -> bool | None:
    """Whether most workers of some group have work; None where nobody can tell."""
    busy = stretch.busy_workers
    counts = [group.mean("count") or 0.0 for group in stretch.groups]
    if busy is None or not counts:
        return None
    return any(busy >= stretch.signs.workers * count for count in counts)


def _are_workers_idle(stretch: Stretch) -> bool:
    """Whether work for few of the workers is known to be all that there is.

    Where nobody can tell how many work, an empty listen queue tells: whoever waits was let in.
    """
    if (busy := _are_workers_busy(stretch)) is not None:
        return not busy
    queues = [server.mean("listen.queued") for server in stretch.servers]
    refused = stretch.summary.count("load.status.503") > stretch.signs.waiting * stretch.offered
    return not refused and all(queued is not None and queued < 1 for queued in queues)


def _queue(is_downstream: bool) -> Callable[[Stretch], list[str]]:
    """Requests wait although every watched server has CPU left and does not wait for its disks."""

    def seen(stretch: Stretch) -> list[str]:
        if not stretch.is_idle or not stretch.summary.count("load.completed"):
            return []
        if not (waiting := _waiting(stretch)) or _are_workers_idle(stretch) != is_downstream:
            return []
        if any(_quota(stretch)) or any(s.on_one_core or s.is_link_full for s in stretch.servers):
            return []  # that is why they wait
        return [*waiting, *_busy(stretch), *described(stretch.servers)]

    return seen


def _network(stretch: Stretch) -> list[str]:
    found = []
    for server in stretch.servers:
        if server.is_link_full and not stretch.keeps_up:
            into, out = (
                server.tell(f"network.{way}", Unit.BYTES_PER_SECOND) for way in ("in", "out")
            )
            told = [f"{server.name}: network in {into}, out {out}"]
            if server.mean("network.speed") is not None:
                told.append(f"of {server.tell('network.speed', Unit.BYTES_PER_SECOND)}")
            told += server.percent("network.retransmitted")
            found.append(", ".join(told))
    return found


def _deaf(stretch: Stretch) -> list[str]:
    if not stretch.is_deaf:
        return []
    return [_failed(stretch.failures, stretch.offered), *described(stretch.servers)]


def _failing(stretch: Stretch) -> list[str]:
    failures = stretch.failures
    slow = sum(failures.pop(kind, 0) for kind in _late(stretch))
    failed = sum(failures.values())
    if not stretch.is_idle or stretch.is_rising or failed <= slow:
        return []
    if failed <= stretch.signs.failing * stretch.offered:
        return []
    return [_failed(failures, stretch.offered), *described(stretch.servers)]


def _share(value: float) -> str:
    return f"{100 * value:g} %"


def _say(advice: str) -> Callable[[Stretch], str]:
    return lambda stretch: advice


RULES: tuple[Rule, ...] = (
    Rule(
        AT_EASE,
        lambda s: (
            f"{_share(s.answered)} of the requests are answered well, open ones do not pile "
            f"up, p95 is below {SLOWER:g} × that of the easiest step, nothing runs out of memory"
        ),
        _at_ease,
        _say("raise the rate to find the limit"),
    ),
    Rule(
        "swapping",
        lambda s: (
            f"pages come in from swap in {_share(s.sustained)} of the seconds, in and out together "
            f"above {format_value(s.swap, Unit.BYTES_PER_SECOND)}; or everything waits for "
            f"memory in {_share(s.memory_pressure)} of the time (PSI full)"
        ),
        _swapping,
        remedy.for_memory,
    ),
    Rule(
        "out of memory",
        lambda s: "the kernel's count of processes killed for want of memory rises",
        _out_of_memory,
        remedy.for_memory,
    ),
    Rule(
        "CPU quota",
        lambda s: (
            f"a group's control group is throttled in {_share(s.throttled)} of its periods, "
            f"sustained"
        ),
        _quota,
        _say("raise the quota of the group's control group, or make a request cost less CPU"),
    ),
    Rule(
        "CPU (stolen)",
        lambda s: (
            f"st ≥ {_share(s.stolen)} and id < {_share(1 - s.cpu_busy)}: the hypervisor gives the "
            f"CPU to others"
        ),
        _busy_with("stolen"),
        _say("this cannot be measured twice: ask the provider, or take a machine with own CPUs"),
    ),
    Rule(
        "CPU (kernel)",
        lambda s: (
            f"as CPU, with sy ≥ us or sy ≥ {_share(s.kernel)}: connections, TLS, forks, not the "
            f"application"
        ),
        _busy_with("kernel"),
        _say("keep connections and processes alive: the time goes into the kernel"),
    ),
    Rule(
        "CPU",
        lambda s: f"us + sy + st ≥ {_share(s.cpu_busy)} and r above the number of CPUs",
        _busy_with("work"),
        _say("make a request cost less CPU, or add CPUs; more workers will not help"),
    ),
    Rule(
        "CPU (one core)",
        lambda s: (
            f"several CPUs, us + sy + st < {_share(s.cpu_busy)}, the busiest process of a group "
            f"within {_share(s.one_core)} of one CPU, and requests pile up"
        ),
        _one_core,
        _say("a process uses one CPU at most: more worker processes, or less work in this one"),
    ),
    Rule(
        "IO wait",
        lambda s: (
            f"b ≥ 1 sustained, and wa ≥ {_share(s.io_wait)} or PSI io some ≥ "
            f"{_share(s.io_pressure)}, without swapping"
        ),
        _io_wait,
        _say("look at the database, logs and session files: what reads and writes?"),
    ),
    Rule(
        "worker queue",
        lambda s: (
            f"id + wa ≥ {_share(s.cpu_idle)}, r at most {AT_ONCE:g} per CPU, no rule above and no "
            f"full network, yet requests pile up, or timeouts or 503 pass {_share(s.waiting)}, or "
            f"listen queues fill; 503 count where requests are open, one at least, and "
            f"{SLOWER:g} × what such answers take at the easiest step"
        ),
        _queue(is_downstream=False),
        remedy.for_workers,
    ),
    Rule(
        "downstream wait",
        lambda s: (
            f"the same, while fewer than {_share(s.workers)} of the workers have work (answers "
            f"per second × service time at the easiest step); or, where that is unknown, listen "
            f"queues are empty"
        ),
        _queue(is_downstream=True),
        _say("workers wait for something else: a lock, a pool of connections, another service"),
    ),
    Rule(
        "network",
        lambda s: (
            f"in or out ≥ {_share(s.network)} of the link's speed, or {_share(s.retransmitted)} "
            f"of the segments sent again while no listen queue overflows, and requests pile up"
        ),
        _network,
        _say("send less (compression, smaller pages), or over a faster link"),
    ),
    Rule(
        "failing fast",
        lambda s: (
            f"id + wa ≥ {_share(s.cpu_idle)}, nothing piles up, yet {_share(s.failing)} fail by "
            f"other than timeouts and the 503 of a queue"
        ),
        _failing,
        _say("read the server's error log: it refuses or fails long before it is busy"),
    ),
    Rule(
        "no answer",
        lambda s: (
            f"no rule above, and {_share(s.answered)} of what ends, ends without any answer: "
            f"refused, reset, timed out"
        ),
        _deaf,
        _say("is the server there? see that it runs, and that nothing on the way turns it away"),
    ),
)
"""In the order in which they are tried."""
