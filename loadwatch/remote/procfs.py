"""What `probes/proc.awk` prints, as readings: the kernel's counters become rates and shares here.

A frame begins with the server's uptime and ends with `end`; every other line is a tag and counters.
Rates are differences of two frames by the server's own clock. Formats: proc(5),
Documentation/accounting/psi.rst and Documentation/admin-guide/cgroup-v2.rst of the Linux kernel;
sums as in vmstat(8).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

from loadwatch.core.reading import Limits, Process, Reading
from loadwatch.remote.lines import Lines
from loadwatch.remote.number import LARGEST, counter, number
from loadwatch.remote.probe import PROCESS_LIMIT
from loadwatch.remote.text import clean

USER_HZ = 100
"""Ticks per second of CPU times in /proc, on every architecture that servers have."""

INSTANCES = 2000
"""Interfaces, disks, users and control groups of a server that are followed, each."""

Counted = tuple[str, str]
"""A counter: the key of its rate, and which interface, disk or control group is counted."""

_PSI = frozenset({"cpu some", "memory some", "memory full", "io some", "io full"})
_MEMORY: Mapping[str, Mapping[str, int]] = {
    "memory.available": {"MemAvailable:": 1},
    "memory.total": {"MemTotal:": 1},
    "memory.free": {"MemFree:": 1},
    "memory.buffers": {"Buffers:": 1},
    "memory.cache": {"Cached:": 1, "SReclaimable:": 1},
    "swap.used": {"SwapTotal:": 1, "SwapFree:": -1},
}
"""Sums of lines of meminfo."""

_MEMINFO = frozenset(name for names in _MEMORY.values() for name in names)
_STAT_RATES = {"intr": "system.interrupts", "ctxt": "system.switches"}
_VM_RATES = {"pgpgin": "io.in", "pgpgout": "io.out", "pswpin": "swap.in", "pswpout": "swap.out"}
_SHARES = frozenset(
    {"disk.busy", "network.retransmitted", *(f"psi.{name.replace(' ', '.')}" for name in _PSI)}
)
_SEGMENTS = ("segments.out", "segments.again")
_BRIDGED = re.compile(r"lo|docker\d|br-|veth|virbr|ifb|dummy")


class _Frame:
    """A frame in the making: counters by key and by what they count, gauges, rows of processes."""

    def __init__(self, at: float, up: float) -> None:
        self.at = at
        self.up = up
        self.values: dict[str, float] = {}
        self.counters: dict[Counted, float] = {}
        self.memory: dict[str, float] = {}
        self.cpu: list[int] = []
        self.page = 4096
        self.limits: dict[str, dict[str, float]] = {}
        self.throttle: dict[Counted, float] = {}
        self.rows: list[list[str]] | None = None
        self.skipped = 0

    def count(self, key: str, value: float, of: str = "") -> None:
        """A counter; its rate is `key`, summed or, of disks, the largest, over what is counted."""
        if len(self.counters) >= 4 * INSTANCES:
            raise ValueError("too many counters")
        self.counters[key, of] = value

    def limit(self, group: str) -> dict[str, float]:
        """What is known of a control group so far."""
        if len(self.limits) >= INSTANCES:
            raise ValueError("too many control groups")
        return self.limits.setdefault(group, {})


def _read_psi(frame: _Frame, words: list[str]) -> None:
    resource, share, *_, total = words
    # CPU pressure in full is undefined for a whole system.
    if f"{resource} {share}" in _PSI:
        microseconds = counter(total.removeprefix("total="))
        frame.count(f"psi.{resource}.{share}", microseconds / 1e4)  # of a second, as percent


def _read_memory(frame: _Frame, words: list[str]) -> None:
    if words[0] not in _MEMINFO:
        raise ValueError("not wanted")
    frame.memory[words[0]] = _bounded(1024.0 * counter(words[1]))


def _read_listen(frame: _Frame, words: list[str]) -> None:
    for key, word in zip(("listen.overflows", "listen.drops"), words, strict=True):
        frame.count(key, counter(word))


def _read_segments(frame: _Frame, words: list[str]) -> None:
    for key, word in zip(_SEGMENTS, words, strict=True):
        frame.count(key, counter(word))


def _read_queued(frame: _Frame, words: list[str]) -> None:
    key = "listen.queued"
    frame.values[key] = _bounded(frame.values.get(key, 0.0) + counter(words[1]))


def _read_killed(frame: _Frame, words: list[str]) -> None:
    frame.count("memory.oom_kills", counter(words[0]))


def _read_network(frame: _Frame, words: list[str]) -> None:
    hardware, name, into, out = words
    if hardware == "1" or not _BRIDGED.match(name):
        frame.count("network.in", counter(into), name)
        frame.count("network.out", counter(out), name)


def _read_speed(frame: _Frame, words: list[str]) -> None:
    key, bytes_per_megabit = "network.speed", 1e6 / 8
    so_far = frame.values.get(key, 0.0)
    frame.values[key] = _bounded(so_far + bytes_per_megabit * counter(words[0]))


def _read_disk(frame: _Frame, words: list[str]) -> None:
    frame.count("disk.busy", counter(words[1]) / 10, words[0])  # milliseconds of a second


def _read_stat(frame: _Frame, words: list[str]) -> None:
    name, value = words[0], counter(words[1])
    if name == "cpu":
        frame.cpu = [counter(word) for word in words[1:11]]
    elif name in _STAT_RATES:
        frame.count(_STAT_RATES[name], value)
    elif name == "procs_running":
        frame.values["procs.r"] = _bounded(max(0, value - 1))  # one of them is awk
    elif name == "procs_blocked":
        frame.values["procs.b"] = _bounded(value)


def _read_vm(frame: _Frame, words: list[str]) -> None:
    unit = frame.page if words[0].startswith("pswp") else 1024
    frame.count(_VM_RATES[words[0]], unit * counter(words[1]))


def _read_cpus(frame: _Frame, words: list[str]) -> None:
    frame.values["cpu.count"] = _bounded(counter(words[0]))


def _read_page(frame: _Frame, words: list[str]) -> None:
    if counter(words[0]) not in (4096, 16384, 65536):
        raise ValueError("no size of a page")
    frame.page = int(words[0])


def _read_load(frame: _Frame, words: list[str]) -> None:
    frame.values["loadavg.1m"] = number(words[0])
    frame.rows = []


def _read_group_memory(frame: _Frame, words: list[str]) -> None:
    group, used, limit = words
    known = frame.limit(group)
    known["cgroup.memory.used"] = _bounded(counter(used))
    if limit.isdecimal() and counter(limit) <= LARGEST:
        known["cgroup.memory.limit"] = counter(limit)


def _read_group_quota(frame: _Frame, words: list[str]) -> None:
    group, quota, period = words
    if quota.isdecimal():  # else there is none any more
        frame.limit(group)["cgroup.cpu.quota"] = _bounded(100.0 * counter(quota) / counter(period))


def _read_group_throttle(frame: _Frame, words: list[str]) -> None:
    group, name, value = words
    frame.limit(group)
    if name in ("nr_periods", "nr_throttled"):
        frame.throttle[name, group] = counter(value)


_READERS: Mapping[str, Callable[[_Frame, list[str]], None]] = {
    "psi": _read_psi,
    "mem": _read_memory,
    "listen": _read_listen,
    "segments": _read_segments,
    "queued": _read_queued,
    "killed": _read_killed,
    "net": _read_network,
    "speed": _read_speed,
    "disk": _read_disk,
    "stat": _read_stat,
    "vm": _read_vm,
    "cpus": _read_cpus,
    "page": _read_page,
    "load": _read_load,
    "memory": _read_group_memory,
    "quota": _read_group_quota,
    "throttle": _read_group_throttle,
}
"""The reader of each kind of line within a frame, by its first word."""


def _bounded(value: float) -> float:
    if value > LARGEST:
        raise ValueError("more than can be")
    return value


class ProcParser:
    """A reading per frame; rates and CPU from the second frame on."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._lines = Lines()
        self._frame: _Frame | None = None
        self._last: _Frame | None = None
        self._members: dict[str, frozenset[int]] = {}
        self._joined = 0
        self._users: dict[str, str] = {}
        self._listed_up = 0.0
        self._ticks: dict[tuple[int, int], int] = {}
        self._skipped = 0

    def feed(self, data: bytes, at: float) -> list[Reading]:
        """The readings of the frames that `data` completes."""
        found: list[Reading] = []
        for line, came in self._lines.feed(data, at):
            try:
                found += self._read(line, came)
            except (ValueError, LookupError, ArithmeticError):
                self._skipped += 1
        return found

    def flush(self) -> list[Reading]:
        """Nothing: a frame says itself where it ends."""
        return []

    def _read(self, line: str, at: float) -> list[Reading]:
        tag, _, rest = line.partition(" ")
        frame = self._frame
        if tag == "up":
            self._frame = _Frame(at, number(rest))
        elif tag == "members":
            self._members, self._joined = {}, 0
        elif tag == "in":
            self._join(rest.split())
        elif tag == "user":
            self._name(rest.split())
        elif frame is None:
            raise ValueError("outside of a frame")
        elif tag == "p":
            self._keep(frame, rest.split(" ", 7))
        elif tag == "end":
            is_first = self._last is None
            reading = self._publish(frame)
            return [] if is_first and reading.processes is None else [reading]
        else:
            _READERS[tag](frame, rest.split())
        return []

    def _join(self, words: list[str]) -> None:
        """Processes of a control group."""
        group, *pids = words
        self._joined += len(pids)
        if self._joined > PROCESS_LIMIT:
            raise ValueError("too many processes")
        joined = frozenset(counter(pid) for pid in pids)
        self._members[group] = self._members.get(group, frozenset()) | joined

    def _name(self, words: list[str]) -> None:
        """A user, before the first process of theirs."""
        uid, name = words
        if len(self._users) >= INSTANCES:
            raise ValueError("too many users")
        self._users[uid] = clean(name, 64)

    def _keep(self, frame: _Frame, row: list[str]) -> None:
        if frame.rows is None or len(row) != 8 or len(frame.rows) >= PROCESS_LIMIT:
            raise ValueError("not a process of this frame")
        frame.rows.append(row)

    def _publish(self, frame: _Frame) -> Reading:
        last, self._last, self._frame = self._last, frame, None
        values = frame.values | _memory(frame)
        if last is not None and frame.up > last.up:
            values |= _rates(frame, last) | _cpu(frame, last)
        processes = None if frame.rows is None else self._processes(frame, frame.rows)
        if processes is not None:
            values["tasks.total"] = len(processes)
            values["tasks.running"] = sum(process.state == "R" for process in processes)
        limits = tuple(self._limits(frame, last))
        skipped, self._skipped = self._skipped, 0
        return Reading(self._host, "proc", frame.at, values, processes, skipped, limits)

    def _processes(self, frame: _Frame, rows: list[list[str]]) -> tuple[Process, ...]:
        """The rows as processes; CPU since the last frame that listed any, 0 in the first."""
        found = []
        ticks: dict[tuple[int, int], int] = {}
        for row in rows:
            try:
                pid, used = counter(row[0]), counter(row[3]) + counter(row[4])
                who = (pid, counter(row[5]))
                process = Process(
                    pid=pid,
                    user=self._users.get(row[1], clean(row[1], 64)),
                    rss=int(_bounded(counter(row[6]) * frame.page)),
                    cpu=_bounded(self._share(who, used, frame.up)),
                    state=clean(row[2], 16),
                    command=clean(row[7], 256),
                )
            except ValueError:
                self._skipped += 1
                continue
            ticks[who] = used
            found.append(process)
        self._ticks, self._listed_up = ticks, frame.up
        return tuple(found)

    def _share(self, who: tuple[int, int], used: int, up: float) -> float:
        """Percent of a CPU that a process (PID, start in ticks) took since it was last listed."""
        seconds = up - self._listed_up
        before = self._ticks.get(who)
        if before is None and self._ticks and who[1] >= self._listed_up * USER_HZ:
            before = 0  # born since
        if before is None or seconds <= 0:
            return 0.0
        return max(0.0, 100.0 * (used - before) / USER_HZ / seconds)

    def _limits(self, frame: _Frame, last: _Frame | None) -> Iterator[Limits]:
        for group, known in frame.limits.items():
            throttled, periods = (
                _difference(frame.throttle, last.throttle if last else {}, (name, group))
                for name in ("nr_throttled", "nr_periods")
            )
            if throttled is not None and periods is not None:
                share = min(100.0, 100.0 * throttled / periods) if periods else 0.0
                known["cgroup.cpu.throttled"] = share
            if group in self._members:
                yield Limits(self._members[group], known)


def _memory(frame: _Frame) -> dict[str, float]:
    """The memory metrics that a frame holds; what vmstat tells, only where it stands in for it."""
    known = frame.memory
    return {
        key: max(0.0, sum(sign * known[name] for name, sign in _MEMORY[key].items()))
        for key in (_MEMORY if frame.cpu else ("memory.available", "memory.total"))
        if all(name in known for name in _MEMORY[key])
    }


def _difference(
    now: Mapping[Counted, float], before: Mapping[Counted, float], key: Counted
) -> float | None:
    """What a counter has gained; None where it is new, or was set back."""
    if key not in now or key not in before or now[key] < before[key]:
        return None
    return now[key] - before[key]


def _rates(frame: _Frame, last: _Frame) -> dict[str, float]:
    """Counters as rates per second: sums over what is counted, of disks the busiest."""
    rates: dict[str, float] = {}
    for key, of in frame.counters:
        gained = _difference(frame.counters, last.counters, (key, of))
        if gained is None:
            continue
        rate = gained / (frame.up - last.up)
        so_far = rates.get(key, 0.0)
        rates[key] = max(so_far, rate) if key == "disk.busy" else so_far + rate
    out, again = (rates.pop(key, 0.0) for key in _SEGMENTS)
    if out:
        rates["network.retransmitted"] = 100.0 * again / out
    return {
        key: min(rate, 100.0) if key in _SHARES else rate
        for key, rate in rates.items()
        if rate <= LARGEST
    }


def _cpu(frame: _Frame, last: _Frame) -> dict[str, float]:
    """Shares of all CPUs since the last frame, in percent, summed as vmstat does."""
    spent = [max(0, now - then) for now, then in zip(frame.cpu, last.cpu, strict=False)]
    spent += [0] * (10 - len(spent))
    user, nice, system, idle, wait, irq, softirq, stolen, guest, guest_nice = spent
    total = user + nice + system + idle + wait + irq + softirq + stolen
    if not total:
        return {}
    guests = min(guest + guest_nice, user + nice)  # which hold them
    parts = {
        "us": user + nice - guests,
        "sy": system + irq + softirq,
        "id": idle,
        "wa": wait,
        "st": stolen,
        "gu": guests,
    }
    return {f"cpu.{name}": 100.0 * part / total for name, part in parts.items()}
