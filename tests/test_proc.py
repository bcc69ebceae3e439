"""The probe that reads /proc: its script under every sh and awk, its parser, exact and hostile."""

from __future__ import annotations

import getpass
import math
import os
import secrets
import subprocess
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from unicodedata import category

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadwatch.core.plan import Host, Seconds
from loadwatch.core.reading import Process, Reading
from loadwatch.remote.guard import command as guarded
from loadwatch.remote.probe import PROCESS_LIMIT
from loadwatch.remote.probes import host_metrics, proc
from loadwatch.remote.procfs import ProcParser
from loadwatch.remote.text import HIDDEN
from tests.procroot import Root
from tests.sshd import find, require

ALL = frozenset({"top", "vmstat"})
AWKS = ("mawk", "gawk", "busybox", "original-awk")
SHELLS = ("dash", "bash", "busybox")
KIB = 1024


def tools(directory: Path, shell: str, awk: str) -> str:
    """A PATH with this `sh` and `awk`, and of the rest what the script needs."""
    require(shell, awk)
    directory.mkdir()
    programs = {"sh": shell, "awk": awk}
    for name in ("sleep", "ls"):
        programs[name] = "busybox" if shell == "busybox" else name
    for name, program in programs.items():
        place = find(program)
        assert place is not None
        (directory / name).symlink_to(place)
    return str(directory)


@contextmanager
def running(line: str, path: str) -> Iterator[Callable[[], list[str]]]:
    """The script as it runs on a server; what is given reads its next frame, as lines."""
    with subprocess.Popen(
        [f"{path}/sh", "-c", line],
        env={"PATH": path, "LC_ALL": "C"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        output = process.stdout

        def frame() -> list[str]:
            lines = []
            while lines[-1:] != ["end"]:
                line = output.readline()
                assert line, "the script ended"
                lines.append(line.decode("utf-8", "replace").rstrip("\n"))
            return lines

        try:
            yield frame
        finally:
            process.kill()
            output.close()


def read(*frames: list[str]) -> list[Reading]:
    parser = ProcParser("web")
    return [
        reading
        for lines in frames
        for reading in parser.feed("\n".join([*lines, ""]).encode(), 1.0)
    ]


def latest(*frames: list[str]) -> Reading:
    """What the last of them tells; the first one alone may tell nothing."""
    return read(*frames)[-1]


# -- on this machine, beside an independent reading ----------------------------------------------


def uptime() -> float:
    """Seconds since the machine started."""
    return float(Path("/proc/uptime").read_text(encoding="ascii").split()[0])


def counters() -> dict[str, float]:
    """What the kernel counts, as psutil reads it."""
    times, stats = psutil.cpu_times(), psutil.cpu_stats()
    nets = psutil.net_io_counters(pernic=True)
    return {
        "user": times.user + times.nice,
        "system": times.system + times.irq + times.softirq,
        "idle": times.idle,
        "switches": stats.ctx_switches,
        "interrupts": stats.interrupts,
        **{f"in {name}": net.bytes_recv for name, net in nets.items()},
        **{f"out {name}": net.bytes_sent for name, net in nets.items()},
        **{f"disk {n}": d.busy_time for n, d in psutil.disk_io_counters(perdisk=True).items()},
    }


def raw(lines: list[str]) -> dict[str, float]:
    """The same of a frame's lines."""
    found: dict[str, float] = {}
    for line in lines:
        words = line.split()
        if line.startswith("stat cpu"):
            ticks = [int(word) / 100 for word in words[2:]]
            found |= {"user": ticks[0] + ticks[1], "idle": ticks[3]}
            found["system"] = ticks[2] + ticks[5] + ticks[6]
        elif line.startswith("stat ctxt"):
            found["switches"] = int(words[2])
        elif line.startswith("stat intr"):
            found["interrupts"] = int(words[2])
        elif words[0] == "net":
            found |= {f"in {words[2]}": int(words[3]), f"out {words[2]}": int(words[4])}
        elif words[0] == "disk":
            found[f"disk {words[1]}"] = int(words[2])
    return found


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("awk", AWKS)
def test_it_reads_this_machine_as_psutil_does(tmp_path: Path, shell: str, awk: str) -> None:
    path = tools(tmp_path / "bin", shell, awk)
    before, earlier = counters(), set(psutil.pids())
    with running(proc.command(0.1, ALL), path) as frame:
        first = frame()
        between, begun = counters(), uptime()
        second = frame()
        while float(second[0].split()[1]) < begun:
            second = frame()  # it was made before, on a machine that had other things to do
        after = counters()
    later = set(psutil.pids())
    for low, lines, high in ((before, first, between), (between, second, after)):
        seen = raw(lines)
        assert {"user", "system", "idle", "switches", "interrupts"} <= set(seen)
        for name, value in seen.items():
            assert low[name] - 0.1 <= value <= high[name] + 0.1, name
    start, reading = read(first, second)
    assert (start.skipped, reading.skipped) == (0, 0)
    values = reading.values
    assert values["cpu.count"] == psutil.cpu_count()
    assert values["memory.available"] == pytest.approx(psutil.virtual_memory().available, rel=0.2)
    assert values["memory.free"] == pytest.approx(psutil.virtual_memory().free, rel=0.2)
    assert values["swap.used"] == pytest.approx(psutil.swap_memory().used, rel=0.2)
    shares = [values[f"cpu.{name}"] for name in ("us", "sy", "id", "wa", "st", "gu")]
    assert sum(shares) == pytest.approx(100)
    assert 0 <= values["loadavg.1m"] < 1e4
    assert reading.processes is not None
    own = psutil.Process()
    found = {process.pid: process for process in reading.processes}
    assert earlier & later <= set(found)
    ours = found[own.pid]
    assert ours.rss == pytest.approx(own.memory_info().rss, rel=0.1)
    assert (ours.user, ours.command) == (getpass.getuser(), own.name()[:15])
    assert values["tasks.total"] == len(found)


def test_what_it_adds_only_is_little(tmp_path: Path) -> None:
    path = tools(tmp_path / "bin", "dash", "mawk")
    with running(proc.command(0.1), path) as frame:
        reading = latest(frame(), frame())
    assert reading.processes is None
    declared = {metric.key for metric in proc.METRICS} | {"memory.available"}
    assert set(reading.values) <= declared
    assert {"cpu.count", "listen.overflows", "memory.available"} <= set(reading.values)


@pytest.mark.parametrize("login", ["sh", "bash", "tcsh", "fish", "zsh", "mksh"])
def test_it_passes_through_any_login_shell(login: str) -> None:
    if find(login) is None:
        pytest.skip(f"not installed: {login}")
    nonce = secrets.token_hex(8)
    with subprocess.Popen(
        [login, "-c", guarded("awk", proc.command(1.0, ALL), nonce)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdin and process.stdout
        assert process.stdout.readline() == f"LW1 {nonce} ready\n".encode()
        parser = ProcParser("web")
        readings: list[Reading] = []
        while not readings:
            readings = parser.feed(process.stdout.readline(), 1.0)
        process.stdin.close()
    assert readings[0].values["cpu.count"] == psutil.cpu_count()
    assert readings[0].skipped == 0


# -- exact, on a made-up machine -----------------------------------------------------------------


@pytest.fixture(params=AWKS)
def path(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return tools(
        tmp_path / "bin", "busybox" if request.param == "busybox" else "dash", request.param
    )


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return Root(tmp_path / "root")


def line_for(root: Root, in_place_of: frozenset[str] = frozenset(), every: int = 1) -> str:
    return proc.command(0.1, in_place_of, every, str(root.directory))


SNMP = "Ip: OutSegs RetransSegs\nIp: 5 5\nTcp: RtoMin OutSegs RetransSegs\nTcp: 200 {} {}\n"

SOCKETS = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000003 00:00000000 00000000     0        0 1 1
   1: 00000000:0016 00000000:0000 0A 00000000:000000FF 00:00000000 00000000     0        0 2 1
   2: 0100007F:1F90 0100007F:8E2E 01 00000000:00000099 00:00000000 00000000     0        0 3 1
"""


def test_rates_and_shares_between_two_frames(path: str, root: Root) -> None:
    root.hardware("net/eth0", "net/eth1", "block/sda", "block/sdb")
    root.netstat(100, 200)
    root.pressure(cpu_some=5, memory_full=1_000_000, io_some=0)
    root.network(lo=(1, 1), docker0=(5, 5), eth0=(5_000_000_000, 100), eth1=(0, 0))
    root.disks(sda=1000, sda1=1000, sdb=1000, loop0=1000)
    root.write("proc/meminfo", "MemTotal: 9 kB\nMemFree: 5 kB\nMemAvailable: 7000000000 kB\n")
    root.write("proc/net/snmp", SNMP.format(3_000_000_000, 10))
    root.write("proc/vmstat", "pswpin 7\noom_kill 1\noom_kill_other 5\n")
    root.write("proc/net/tcp", SOCKETS)
    root.write("sys/class/net/eth0/speed", "1000\n")
    root.write("sys/class/net/eth1/speed", "-1\n")
    root.write("sys/class/net/docker0/speed", "10000\n")
    root.write("proc/net/tcp6", SOCKETS.splitlines()[0] + "\n")
    with running(line_for(root), path) as frame:
        first = frame()
        root.netstat(130, 200)
        root.write("proc/net/snmp", SNMP.format(3_000_000_800, 30))
        root.write("proc/vmstat", "pswpin 9\noom_kill 5\noom_kill_other 50\n")
        root.pressure(cpu_some=1_000_005, memory_full=1_500_000, io_some=9_000_000)
        root.network(lo=(9, 9), docker0=(7, 7), eth0=(5_000_002_048, 1124), eth1=(1024, 0))
        root.disks(sda=1500, sda1=1500, sdb=2600, loop0=3000)
        root.at(1002.0)
        reading = latest(first, frame())
    assert reading.skipped == 0
    assert reading.values == {
        "cpu.count": 2,
        "memory.available": 7000000000 * KIB,
        "memory.total": 9 * KIB,
        "memory.oom_kills": 2,
        "network.retransmitted": 2.5,
        "listen.queued": 258,  # 3 and 255; the connection that follows waits in none
        "psi.cpu.some": 50,
        "psi.memory.some": 0,
        "psi.memory.full": 25,
        "psi.io.some": 100,  # more than there was time for: the clock has steps of 10 ms
        "psi.io.full": 0,
        "listen.overflows": 15,
        "listen.drops": 0,
        "network.in": 1536,  # eth0 and eth1, not what goes through docker0 as well
        "network.out": 512,
        "network.speed": 125_000_000,  # eth0's: eth1 has no link, docker0 no hardware
        "disk.busy": 80,  # sdb's; loops and partitions would count it twice
    }


def test_in_place_of_vmstat(path: str, root: Root) -> None:
    meminfo = (
        "MemFree: 10 kB\nBuffers: 20 kB\nCached: 30 kB\nSwapCached: 99 kB\nSwapTotal: 100 kB\n"
        "SwapFree: 60 kB\nSReclaimable: 5 kB\n"
    )
    root.write("proc/meminfo", meminfo)
    root.write(
        "proc/vmstat", "nr_free_pages 1\npgpgin 10\npgpgout 20\npswpin 5\npswpout 3000000000\n"
    )
    with running(line_for(root, frozenset({"vmstat"})), path) as frame:
        first = frame()
        # user 40 (10 of it a guest), nice 4, system 20, idle 100, wait 10, irq 3, softirq 7, st 16
        root.stat([140, 4, 70, 1100, 15, 3, 7, 16, 10, 0], 3000, 5_000_000_000, running=5)
        root.write("proc/vmstat", "pgpgin 30\npgpgout 20\npswpin 7\npswpout 3000000004\n")
        root.at(1002.0)
        reading = latest(first, frame())
    assert (reading.skipped, reading.processes) == (0, None)
    assert reading.values == {
        "cpu.count": 2,
        "procs.r": 4,  # without awk itself
        "procs.b": 3,
        "memory.free": 10 * KIB,
        "memory.buffers": 20 * KIB,
        "memory.cache": 35 * KIB,
        "swap.used": 40 * KIB,
        "swap.in": 4 * KIB,  # a page a second
        "swap.out": 8 * KIB,
        "io.in": 10 * KIB,
        "io.out": 0,
        "system.interrupts": 1500,
        "system.switches": 2_500_000_000,
        "cpu.us": 17,
        "cpu.sy": 15,
        "cpu.id": 50,
        "cpu.wa": 5,
        "cpu.st": 8,
        "cpu.gu": 5,
    }


def test_pages_are_as_large_as_the_kernel_says(path: str, root: Root) -> None:
    root.write("proc/self/smaps", "Size: 1 kB\nKernelPageSize:       64 kB\n")
    root.write("proc/vmstat", "pswpin 0\n")
    root.write("proc/loadavg", "0.5 0.4 0.3 1/2 3\n")
    root.process(7, b"python", pages=3)
    with running(line_for(root, ALL), path) as frame:
        first = frame()
        root.write("proc/vmstat", "pswpin 1\n")
        root.at(1001.0)
        reading = latest(first, frame())
    assert reading.values["swap.in"] == 64 * KIB
    assert reading.processes is not None and reading.processes[0].rss == 3 * 64 * KIB


def test_in_place_of_top(path: str, root: Root) -> None:
    root.write("proc/loadavg", "1.25 0.4 0.3 1/2 3\n")
    root.process(7, b"python", state="R", ticks=300, pages=1000)
    root.process(8, b"a) R (b c", ticks=5)
    root.process(9, b"gone", ticks=5)
    root.write("proc/10/comm", "a process that vanishes while it is read has no stat\n")
    with running(line_for(root, frozenset({"top"})), path) as frame:
        first = frame()
        root.process(7, b"python", state="R", ticks=450, pages=2000)
        root.process(11, b"born \x1b[31m", start=100_050, ticks=20, pages=0)
        root.process(12, b"n\nl \xff", start=900, ticks=77)  # old, and not seen before
        root.write("proc/9/stat", "")
        root.at(1002.0)
        start, reading = read(first, frame())
    user = "me"
    assert start.values == {
        "cpu.count": 2, "loadavg.1m": 1.25, "tasks.total": 3, "tasks.running": 1,
    }  # fmt: skip
    assert start.processes is not None
    assert {process.cpu for process in start.processes} == {0.0}
    assert reading.processes is not None and reading.skipped == 0
    assert sorted(reading.processes, key=lambda process: process.pid) == [
        Process(7, user, 2000 * 4 * KIB, 75.0, "R", "python"),
        Process(8, user, 100 * 4 * KIB, 0.0, "S", "a) R (b c"),
        Process(11, user, 0, 10.0, "S", "born \ufffd[31m"),
        Process(12, user, 100 * 4 * KIB, 0.0, "S", "n?l \ufffd"),
    ]


def test_processes_may_come_less_often(path: str, root: Root) -> None:
    root.write("proc/loadavg", "1.25 0.4 0.3 1/2 3\n")
    root.process(7, b"python", ticks=0)
    frames = []
    with running(line_for(root, frozenset({"top"}), every=2), path) as frame:
        for second in range(3):
            frames.append(frame())
            root.process(7, b"python", ticks=50 * (second + 1))
            root.at(1001.0 + second)
    first, second, third = read(*frames)
    assert second.processes is None and "loadavg.1m" not in second.values
    assert first.processes is not None and third.processes is not None
    assert [process.cpu for process in third.processes] == [50.0]


def test_a_container_has_no_hardware(path: str, root: Root) -> None:
    root.network(lo=(1, 1), eth0=(10, 20), veth12=(5, 5), br_1=(5, 5))
    with running(line_for(root), path) as frame:
        first = frame()
        root.network(lo=(9, 9), eth0=(20, 40), veth12=(9, 9), br_1=(9, 9))
        root.at(1001.0)
        reading = latest(first, frame())
    assert (reading.values["network.in"], reading.values["network.out"]) == (10, 20)
    assert "disk.busy" not in reading.values


def test_an_old_kernel_lacks_much_and_nothing_is_invented(path: str, root: Root) -> None:
    with running(line_for(root), path) as frame:
        first = frame()
        root.at(1001.0)
        reading = latest(first, frame())
    assert reading.values == {"cpu.count": 2}
    assert (reading.limits, reading.skipped) == ((), 0)


# -- control groups ------------------------------------------------------------------------------


def unified(root: Root, throttled: int = 0) -> None:
    """Version 2: a service with a quota in a slice with a memory limit, and one without either."""
    base = "sys/fs/cgroup"
    root.write(f"{base}/cgroup.controllers", "cpu memory\n")
    for place, limit, quota in (
        ("web.slice", "1073741824", "max 100000"),
        ("web.slice/app.service", "max", "150000 100000"),
        ("free.service", "max", "max 100000"),
    ):
        root.write(f"{base}/{place}/memory.max", f"{limit}\n")
        root.write(f"{base}/{place}/memory.current", "805306368\n")
        root.write(f"{base}/{place}/cpu.max", f"{quota}\n")
        root.write(
            f"{base}/{place}/cpu.stat",
            f"usage_usec 5\nnr_periods {10 + 4 * throttled}\nnr_throttled {throttled}\n",
        )


def test_limits_of_control_groups(path: str, root: Root) -> None:
    unified(root)
    root.process(7, b"app", cgroup="0::/web.slice/app.service\n")
    root.process(8, b"app", cgroup="0::/web.slice/app.service\n")
    root.process(9, b"free", cgroup="0::/free.service\n")
    root.process(10, b"slice", cgroup="0::/web.slice\n")
    with running(line_for(root), path) as frame:
        first = frame()
        unified(root, throttled=1)
        root.at(1001.0)
        reading = latest(first, frame())
    assert reading.skipped == 0
    memory = {"cgroup.memory.used": 768 * KIB * KIB, "cgroup.memory.limit": KIB * KIB * KIB}
    limits = {held.pids: held.values for held in reading.limits}
    assert limits == {
        frozenset({7, 8}): memory | {"cgroup.cpu.quota": 150, "cgroup.cpu.throttled": 25},
        frozenset({10}): memory,
    }


def test_limits_of_control_groups_of_version_1(path: str, root: Root) -> None:
    def show(periods: int, throttled: int) -> None:
        for controller, files in {
            "memory": {"memory.limit_in_bytes": 1048576, "memory.usage_in_bytes": 524288},
            "cpu,cpuacct": {"cpu.cfs_quota_us": 20000, "cpu.cfs_period_us": 100000},
        }.items():
            for name, value in files.items():
                root.write(f"sys/fs/cgroup/{controller}/docker/abc/{name}", f"{value}\n")
        root.write("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n")
        root.write("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "-1\n")
        root.write(
            "sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.stat",
            f"nr_periods {periods}\nnr_throttled {throttled}\nthrottled_time 99\n",
        )

    show(0, 0)
    own = "5:memory:/docker/abc\n4:cpuacct,cpu:/docker/abc\n1:name=systemd:/x\n"
    root.process(7, b"app", cgroup=own)
    root.process(8, b"other", cgroup="5:memory:/\n4:cpuacct,cpu:/\n")
    with running(line_for(root), path) as frame:
        first = frame()
        show(10, 10)
        root.at(1001.0)
        reading = latest(first, frame())
    (held,) = reading.limits
    assert held.pids == {7}
    assert held.values == {
        "cgroup.memory.used": 524288,
        "cgroup.memory.limit": 1048576,
        "cgroup.cpu.quota": 20,
        "cgroup.cpu.throttled": 100,
    }


def test_a_container_sees_its_own_limits_at_the_root(path: str, root: Root) -> None:
    root.write("sys/fs/cgroup/cgroup.controllers", "memory\n")
    root.write("sys/fs/cgroup/memory.max", "4096\n")
    root.write("sys/fs/cgroup/memory.current", "1024\n")
    root.process(7, b"app", cgroup="0::/\n")
    with running(line_for(root), path) as frame:
        first = frame()
        root.at(1001.0)
        reading = latest(first, frame())
    (held,) = reading.limits
    assert (held.pids, held.values["cgroup.memory.limit"]) == ({7}, 4096)


def test_a_real_control_group(tmp_path: Path) -> None:
    """Whichever version this machine has; it takes root."""
    base = Path("/sys/fs/cgroup")
    is_unified = (base / "cgroup.controllers").exists()
    name = f"loadwatch-test-{os.getpid()}"
    group = base / name if is_unified else base / "memory" / name
    try:
        group.mkdir()
        limit = group / ("memory.max" if is_unified else "memory.limit_in_bytes")
        limit.write_text("67108864")
    except OSError as error:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(
            f"no control group: {error}"
        )
    path = tools(tmp_path / "bin", "dash", "mawk")
    with subprocess.Popen(["sleep", "60"]) as child:
        (group / "cgroup.procs").write_text(str(child.pid))
        with running(proc.command(0.1), path) as frame:
            reading = latest(frame(), frame())
        child.kill()
    group.rmdir()
    held = next(held for held in reading.limits if child.pid in held.pids)
    assert held.values["cgroup.memory.limit"] == 67108864
    assert 0 <= held.values["cgroup.memory.used"] <= 67108864


# -- hostile servers -----------------------------------------------------------------------------

FRAME = b"""members
in 1 7 8
up 1000.00
cpus 2
page 4096
psi cpu some avg10=0.00 avg60=0.00 avg300=0.00 total=5
mem MemAvailable: 5 kB
mem MemFree: 4 kB
listen 1 2
net 1 eth0 5 6
disk sda 7
memory 1 5 9
quota 1 5000 10000
throttle 1 nr_periods 5
throttle 1 nr_throttled 5
stat cpu  1 2 3 4 5 6 7 8 9 10
stat ctxt 5
stat procs_running 3
vm pswpin 5
load 0.01 0.01 0.01 1/2 3
user 0 root
p 7 0 S 5 6 7 8 python -m x
p 8 0 R 5 6 7 8 ps
end
"""
FRAMES = FRAME + FRAME.replace(b"1000.00", b"1001.00")


@given(st.lists(st.integers(0, len(FRAMES)), max_size=30))
def test_any_chunking_gives_the_same_readings(cuts: list[int]) -> None:
    edges = sorted({0, len(FRAMES), *cuts})
    parser = ProcParser("web")
    found = [reading for a, b in pairwise(edges) for reading in parser.feed(FRAMES[a:b], 1.0)]
    assert found == ProcParser("web").feed(FRAMES, 1.0)
    assert len(found) == 2 and not found[1].skipped


@given(st.lists(st.binary(max_size=300), max_size=20))
def test_random_bytes_never_raise(chunks: list[bytes]) -> None:
    parser = ProcParser("web")
    for chunk in chunks:
        parser.feed(chunk, 1.0)
        parser.flush()


WORDS = st.sampled_from(
    sorted({word for word in FRAME.split() if len(word) < 20})
) | st.sampled_from(
    [b"9" * 19, b"9" * 30, b"-1", b"nan", b"1e9", b"", b"\xff", "\u0665".encode(), b"total=x"]
)
LINES = st.lists(WORDS, max_size=9).map(b" ".join) | st.sampled_from(FRAME.splitlines())


@given(st.lists(LINES, max_size=60))
def test_lines_without_sense_never_raise_and_all_values_are_declared(lines: list[bytes]) -> None:
    declared = {metric.key for metric in host_metrics()}
    grouped = {key.removeprefix("group.*.") for key in declared if key.startswith("group.*.")}
    for reading in ProcParser("web").feed(b"\n".join([*lines, FRAMES, *lines, FRAMES]), 1.0):
        assert set(reading.values) <= declared
        assert all(math.isfinite(v) and 0 <= v < 1e15 for v in reading.values.values())
        for held in reading.limits:
            assert set(held.values) <= grouped
            assert all(math.isfinite(v) and 0 <= v < 1e15 for v in held.values.values())
        for process in reading.processes or ():
            assert 0 <= process.rss < 2**49 and 0 <= process.cpu < 1e15


def test_broken_lines_are_counted_and_skipped() -> None:
    broken = (
        b"net 1 eth1 x y\nstat cpu x\np 9 0 S\nnonsense\np x 0 S 5 6 7 8 ps\nmem MemFree:\nend\n"
    )
    first, second = ProcParser("web").feed(FRAME + FRAMES[len(FRAME) : -4] + broken, 1.0)
    assert (first.skipped, second.skipped) == (0, 6)
    assert second.processes is not None and len(second.processes) == 2
    assert second.values["network.in"] == 0


def test_a_counter_that_was_set_back_gives_no_rate() -> None:
    back = FRAMES.replace(b"net 1 eth0 5 6", b"net 1 eth0 9 9", 1)
    _, second = ProcParser("web").feed(back, 1.0)
    assert "network.in" not in second.values


def test_names_are_disarmed() -> None:
    evil = "\x1b[31m\u202e[@click=app.quit]x\u009b".encode()
    data = FRAME.replace(b"python -m x", evil).replace(b"root", "ro\u202eot".encode())
    (reading,) = ProcParser("web").feed(data, 1.0)
    assert reading.processes is not None
    assert reading.processes[0].command == "\ufffd[31m\ufffd[@click=app.quit]x\ufffd"
    assert reading.processes[0].user == "ro\ufffdot"
    text = "".join(process.command + process.user for process in reading.processes)
    assert not {category(char) for char in text} & HIDDEN


FLOODS = [
    b"p %d 0 S 5 6 7 8 x\n",
    b"in 1 %d\n",
    b"in %d 1\n",
    b"net 1 eth%d 1 1\n",
    b"disk sd%d 1\n",
    b"memory %d 1 1\n",
    b"throttle %d nr_periods 1\n",
    b"user %d x\n",
    b"mem Mem%d: 1 kB\n",
    b"nonsense %d\n",
]


@pytest.mark.parametrize("row", FLOODS)
def test_a_flood_takes_little_memory(row: bytes) -> None:
    parser = ProcParser("web")
    parser.feed(b"up 1.00\nload 1 1 1\n", 1.0)
    tracemalloc.start()
    for thousand in range(60):
        chunk = b"".join(row % (thousand * 1000 + number) for number in range(1000))
        parser.feed(chunk, 1.0)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 24 * KIB * KIB
    (reading,) = parser.feed(b"end\n", 1.0)
    assert len(reading.processes or ()) <= PROCESS_LIMIT
    assert reading.skipped > 0


# -- what it is on a host ------------------------------------------------------------------------


def test_processes_come_as_often_as_top_would() -> None:
    host = Host("web", "web", interval=Seconds(1), top_interval=Seconds(3))
    line = proc.stand_in(host, frozenset({"top"}))(1.0)
    assert "-v D=1 -v V=0 -v T=3 " in line
    assert "-v D=0.5 -v V=1 -v T=0 " in proc.stand_in(host, frozenset({"vmstat"}))(0.5)


RECOGNISED = [
    (
        "mawk 1.3.4 20200120\nsee proc\nsee processes\nsee listen\nsee pressure\nsee cgroup\n",
        "",
        [],
    ),
    ("see proc\nsee processes\nsee listen\nsee cgroup\n", "", ["pressure"]),
    ("see proc\nsee listen\nsee pressure\nsee cgroup\n", "", ["processes"]),
    ("", "there is no /proc to read", ["processes", "listen", "pressure", "cgroup"]),
    # what awk says of itself is no sight
    ("awk: see proc\nsee proc or not\n", "there is no /proc to read", ...),
]


@pytest.mark.parametrize(("text", "lacks", "missing"), RECOGNISED)
def test_what_it_sees_on_a_server(text: str, lacks: str, missing: list[str]) -> None:
    tool = proc.recognise(text)
    assert tool.lacks == lacks
    if missing is not ...:
        assert [item.what for item in tool.missing] == missing
