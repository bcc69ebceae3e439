"""proc: /proc read by awk, for what vmstat and top do not tell, or in place of them.

In place of vmstat it gives all of its metrics, in place of top the processes, load average and
tasks. Network counts the interfaces with hardware behind them, real or virtual; where there are
none, as in a container, all but the loopback and what is named like a bridge or one of its ports.
Disks have hardware behind them; the busiest one counts. `proc.awk` runs on the server,
`remote.procfs` reads what it prints.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache, partial
from importlib import resources

from loadwatch.core.metric import Metric, Unit
from loadwatch.core.plan import Host
from loadwatch.remote.probe import Missing, Probe, Tool, decimal, version_in
from loadwatch.remote.probes import top, vmstat
from loadwatch.remote.procfs import ProcParser

NAME = "proc"

METRICS = (
    Metric("cpu.count", Unit.COUNT, "CPUs"),
    Metric("psi.cpu.some", Unit.PERCENT, "Some task waits for a CPU", "gauge", "lower"),
    Metric("psi.memory.some", Unit.PERCENT, "Some task waits for memory", "gauge", "lower"),
    Metric("psi.memory.full", Unit.PERCENT, "All tasks wait for memory", "gauge", "lower"),
    Metric("psi.io.some", Unit.PERCENT, "Some task waits for I/O", "gauge", "lower"),
    Metric("psi.io.full", Unit.PERCENT, "All tasks wait for I/O", "gauge", "lower"),
    Metric("listen.overflows", Unit.PER_SECOND, "Listen queue overflows", "rate", "lower"),
    Metric("listen.drops", Unit.PER_SECOND, "Connections dropped on listening", "rate", "lower"),
    Metric("listen.queued", Unit.COUNT, "Connections in listen queues", "gauge", "lower"),
    Metric("memory.total", Unit.BYTES, "Memory"),
    Metric("memory.oom_kills", Unit.PER_SECOND, "Ended for want of memory", "rate", "lower"),
    Metric("network.retransmitted", Unit.PERCENT, "Segments sent again", "gauge", "lower"),
    Metric("network.in", Unit.BYTES_PER_SECOND, "Network in", "rate"),
    Metric("network.out", Unit.BYTES_PER_SECOND, "Network out", "rate"),
    Metric("network.speed", Unit.BYTES_PER_SECOND, "Speed of the network's links"),
    Metric("disk.busy", Unit.PERCENT, "Busiest disk", "gauge", "lower"),
    Metric("group.*.cgroup.memory.used", Unit.BYTES, "Memory and page cache of the control group"),
    Metric("group.*.cgroup.memory.limit", Unit.BYTES, "Memory limit of the control group"),
    Metric("group.*.cgroup.cpu.quota", Unit.PERCENT, "CPU quota of the control group"),
    Metric("group.*.cgroup.cpu.throttled", Unit.PERCENT, "Periods throttled", "gauge", "lower"),
)
"""What it adds. CPU pressure in full is not among them: the kernel leaves it undefined for a whole
system. CPU quotas are percent of one CPU."""


def interval(host: Host) -> float:
    """The host's interval, in seconds."""
    return float(host.interval)


def command(
    seconds: float, in_place_of: frozenset[str] = frozenset(), every: int = 1, root: str = ""
) -> str:
    """How to start it, doing the work of the probes `in_place_of` as well.

    Processes are listed in every `every`th frame. Another `root` of files is for tests.
    """
    settings = {
        "P": f"{root}/proc",
        "S": f"{root}/sys",
        "C": f"{root}/sys/fs/cgroup",
        "U": f"{root}/etc/passwd",
        "D": decimal(seconds),
        "V": int(vmstat.NAME in in_place_of),
        "T": every if top.NAME in in_place_of else 0,
    }
    given = " ".join(f"-v {name}={value}" for name, value in settings.items())
    # Quotes would end the word that the program is: awk itself makes one out of its number.
    quote = "q=$(awk -v f=%c {0}BEGIN{{printf f,34}}{0})".format('"')
    return f'{quote}; exec awk {given} "{program().replace(chr(34), "${q}")}"'


@cache
def program() -> str:
    """`proc.awk` in one line, without its comments."""
    text = resources.files(__package__).joinpath("proc.awk").read_text(encoding="ascii")
    lines = (line.strip() for line in text.splitlines())
    return " ".join(line for line in lines if line and not line.startswith("#"))


def stand_in(host: Host, lacking: frozenset[str]) -> Callable[[float], str]:
    """The command on a host where the tools of the probes `lacking` cannot be used."""
    every = max(1, round(top.interval(host) / interval(host)))
    return partial(command, in_place_of=lacking, every=every)


# Its lines begin with `see`, so that nothing that awk says of itself can be taken for one.
LOOK = (
    "awk -W version 2>&1 </dev/null; "
    "test -r /proc/stat && echo see proc; "
    "test -r /proc/1/stat && echo see processes; "
    "test -r /proc/net/netstat && echo see listen; "
    "{ read -r x </proc/pressure/memory; } 2>/dev/null && echo see pressure; "
    "for f in cgroup.controllers memory/memory.limit_in_bytes; do "
    "test -r /sys/fs/cgroup/$f && echo see cgroup; done"
)

_MISSING = (
    Missing(
        "processes",
        "only those of the login are visible (/proc is mounted with hidepid)",
        "log in as the user whose processes are watched, or as a member of hidepid's gid= group",
    ),
    Missing("listen", "/proc/net/netstat cannot be read", "listen queue overflows are not seen"),
    Missing(
        "pressure",
        "the kernel tells no pressure (PSI)",
        "it takes Linux 4.20 with CONFIG_PSI, on some distributions booted with psi=1",
    ),
    Missing("cgroup", "/sys/fs/cgroup cannot be read", "limits of containers are not seen"),
)


def recognise(text: str) -> Tool:
    """What `LOOK` found: awk's version, and what of /proc and the control groups is hidden."""
    seen = set(re.findall(r"^see (\w+)$", text, re.MULTILINE))
    return Tool(
        version=version_in(text),
        lacks="" if "proc" in seen else "there is no /proc to read",
        missing=tuple(missing for missing in _MISSING if missing.what not in seen),
    )


PROBE = Probe(
    NAME,
    METRICS,
    interval,
    command,
    ProcParser,
    tool="awk",
    look=LOOK,
    recognise=recognise,
    install="apt install mawk",
    stand_in=stand_in,
)
