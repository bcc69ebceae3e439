"""The table of flavours in docs/probes.md, made of the samples: `python -m tests.flavours`."""

from __future__ import annotations

from pathlib import Path

from loadwatch.core.reading import Reading
from loadwatch.remote.probe import Parser
from loadwatch.remote.probes import top, vmstat

SAMPLES = Path(__file__).with_name("samples")

FLAVOURS = (
    # whose tools, a sample of top, a sample of vmstat
    ("procps 3.2 (Debian 6)", "web/procps3.2_debian6_top.txt", ""),
    ("procps 3.3.10 (CentOS 7)", "procps-jc/centos-7.7__top-b-n1-gib.out",
     "procps-jc/centos-7.7__vmstat.out"),
    ("procps 3.3.12 (Ubuntu 18.04)", "", "procps-jc/ubuntu-18.04__vmstat-1-long.out"),
    ("procps 3.3.16 (Ubuntu 20.10)", "procps-jc/ubuntu-20.10__top-b-n1.out", ""),
    ("procps 3.3.17 (Debian 11)", "local/top_procps3.3.17_w200.out",
     "local/vmstat_procps3.3.17_n.out"),
    ("procps 4.0.2 (Debian 12)", "local/top_procps4.0.2_default.out", "local/vmstat_n.out"),
    ("procps 4.0.7 (Debian unstable)", "local/top_procps4.0.7_w200.out",
     "local/vmstat_procps4.0.7_n.out"),
    ("the same in German", "local/top_procps4.0.2_de_DE.out", ""),
    ("the same in French", "local/top_procps4.0.2_fr_FR.out", ""),
    ("BusyBox 1.35", "local/busybox1.35_top_b.out", ""),
    ("BusyBox 1.38 (composed)", "composed/busybox1.38_top_b.out",
     "composed/busybox1.38_vmstat.out"),
    ("toybox 0.8.9", "local/toybox0.8.9_top.out", "local/toybox0.8.9_vmstat.out"),
    ("FreeBSD", "web/freebsd_top.txt", "web/freebsd_vmstat.txt"),
)  # fmt: skip

SUMMARY = {"loadavg.1m": "load", "tasks.total": "tasks", "memory.available": "memory available"}
VMSTAT = {
    "procs.r": "r", "procs.b": "b", "swap.used": "swpd", "memory.free": "free",
    "memory.buffers": "buff", "memory.cache": "cache", "swap.in": "si", "swap.out": "so",
    "io.in": "bi", "io.out": "bo", "system.interrupts": "in", "system.switches": "cs",
    "cpu.us": "us", "cpu.sy": "sy", "cpu.id": "id", "cpu.wa": "wa", "cpu.st": "st", "cpu.gu": "gu",
}  # fmt: skip


def table() -> str:
    """The table as Markdown."""
    head = "| tools of | top's summary | top's processes | vmstat | live |\n|---|---|---|---|---|\n"
    return head + "".join(
        f"| {' | '.join(row)} |\n" for row in map(_row, *zip(*FLAVOURS, strict=True))
    )


def _row(name: str, of_top: str, of_vmstat: str) -> tuple[str, ...]:
    banner = f"{name.split(' (')[0]} " if "BusyBox" in name else ""
    reasons = [
        f"{tool} not: {lacks}"
        for tool, sample, recognise in (
            ("top", of_top, top.recognise),
            ("vmstat", of_vmstat, vmstat.recognise),
        )
        if sample and (lacks := recognise(banner + _text(sample)).lacks)
    ]
    live = "; ".join(reasons) or "streamed"
    return (name, *_of_top(of_top), _of_vmstat(of_vmstat), live)


def _text(sample: str) -> str:
    return (SAMPLES / sample).read_text(encoding="utf-8", errors="replace")


def _last(parser: Parser, sample: str) -> Reading:
    """The last reading of the sample, which is read twice: the first one tells less."""
    data = (SAMPLES / sample).read_bytes().strip(b"\n") + b"\n"
    return (parser.feed(data * 2, 0.0) + parser.flush())[-1]


def _of_top(sample: str) -> tuple[str, str]:
    if not sample:
        return "no sample", "no sample"
    reading = _last(top.TopParser("h"), sample)
    summary = ", ".join(name for key, name in SUMMARY.items() if key in reading.values)
    processes = reading.processes
    if processes is None:
        return summary or "–", "–"
    columns = {"user": "user", "rss": "RSS", "state": "state", "command": "command"}
    told = [name for key, name in columns.items() if any(getattr(row, key) for row in processes)]
    return summary or "–", ", ".join(["PID", "CPU", *told])


def _of_vmstat(sample: str) -> str:
    if not sample:
        return "no sample"
    values = _last(vmstat.VmstatParser("h"), sample).values
    missing = [name for key, name in VMSTAT.items() if key not in values]
    return f"all but {', '.join(missing)}" if missing else "all"


if __name__ == "__main__":
    print(table(), end="")
