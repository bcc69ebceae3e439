"""The parsers of vmstat and top against real outputs of many versions, and against hostile ones."""

from __future__ import annotations

import math
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterable
from itertools import pairwise
from pathlib import Path
from unicodedata import category

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import parsing
from loadwatch.core.errors import PlanError
from loadwatch.core.plan import Host, Seconds
from loadwatch.core.reading import Process, Reading
from loadwatch.remote import host_metrics, probes
from loadwatch.remote.lines import LINE_LIMIT
from loadwatch.remote.number import number, size
from loadwatch.remote.probe import Parser, decimal
from loadwatch.remote.probes import all_probes, top, vmstat
from loadwatch.remote.text import HIDDEN, Tail, clean

SAMPLES = Path(__file__).with_name("samples")
TOPS = sorted(
    path for path in SAMPLES.glob("*/*") if "vmstat" not in path.name and path.suffix != ".md"
)
VMSTATS = sorted(SAMPLES.glob("*/*vmstat*"))
KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB


def read(name: str) -> bytes:
    return (SAMPLES / name).read_bytes()


def parse(parser: Parser, data: bytes, at: float = 1.0) -> list[Reading]:
    return parser.feed(data, at) + parser.flush()


def parser_for(path: Path) -> Parser:
    return vmstat.VmstatParser("h") if "vmstat" in path.name else top.TopParser("h")


# -- vmstat: the row after the first, which is an average since boot -----------------------------

VMSTAT_ROWS = [
    # Debian 12, procps 4.0.2; blocks are KiB/s, so 112984 is 110 MiB/s
    (
        "local/vmstat_n.out",
        {
            "procs.r": 4,
            "procs.b": 0,
            "swap.used": 0,
            "memory.free": 22427724 * KIB,
            "memory.buffers": 38104 * KIB,
            "memory.cache": 1791144 * KIB,
            "swap.in": 0,
            "swap.out": 0,
            "io.in": 112984 * KIB,
            "io.out": 0,
            "system.interrupts": 2740,
            "system.switches": 6588,
            "cpu.us": 68,
            "cpu.sy": 29,
            "cpu.id": 0,
            "cpu.wa": 0,
            "cpu.st": 3,
        },
    ),
    # an 18th column, `gu`, in wide mode
    (
        "local/vmstat_w.out",
        {"io.out": 182884 * KIB, "cpu.us": 82, "cpu.sy": 17, "cpu.st": 0, "cpu.gu": 0},
    ),
    ("local/vmstat_t.out", {"procs.r": 3, "system.switches": 2430, "cpu.st": 0, "cpu.gu": None}),
    # a time stamp: a zone in the header, date and time in the rows
    ("local/vmstat_nwt.out", {"procs.r": 3, "io.out": 888 * KIB, "cpu.us": 82, "cpu.sy": 18}),
    # inactive and active memory in place of buffers and cache
    ("local/vmstat_a.out", {"memory.free": 22282052 * KIB, "memory.cache": None, "cpu.us": 79}),
    ("local/vmstat_procps3.3.17_n.out", {"memory.free": 23063300 * KIB, "cpu.us": 44, "cpu.st": 0}),
    ("local/vmstat_procps3.3.17_nwt.out", {"system.switches": 1476, "cpu.id": 48}),
    # 4.0.7: `gu` in narrow mode as well, and narrower columns
    (
        "local/vmstat_procps4.0.7_n.out",
        {"io.in": 28 * KIB, "system.switches": 1253, "cpu.id": 49, "cpu.gu": 0},
    ),
    ("local/vmstat_procps4.0.7_nwt.out", {"system.interrupts": 942, "cpu.sy": 7}),
    # toybox has no `st`: absent, not 0
    ("local/toybox0.8.9_vmstat.out", {"system.switches": 100, "cpu.id": 100, "cpu.st": None}),
    ("procps-jc/centos-7.7__vmstat-at-5-10.out", {"system.interrupts": 41, "cpu.id": 100}),
    ("procps-jc/ubuntu-18.04__vmstat-1-long.out", {"swap.used": 524 * KIB, "cpu.sy": 1}),
    # BusyBox cuts large numbers
    (
        "composed/busybox1.38_vmstat.out",
        {"io.out": 1.2 * MIB, "system.switches": 2.3 * MIB, "cpu.st": 2, "cpu.gu": 3},
    ),
    # FreeBSD: other memory columns, no swap traffic, and two `sy`: calls (5829) and CPU (71)
    (
        "web/freebsd_vmstat.txt",
        {"memory.free": 339792 * KIB, "cpu.sy": 71, "system.switches": 744, "swap.in": None},
    ),
]


@pytest.mark.parametrize(("name", "expected"), VMSTAT_ROWS, ids=[row[0] for row in VMSTAT_ROWS])
def test_vmstat_rows(name: str, expected: dict[str, float | None]) -> None:
    first, *_ = parse(vmstat.VmstatParser("web"), read(name))
    assert {key: first.values.get(key) for key in expected} == expected
    assert (first.host, first.probe, first.processes, first.skipped) == ("web", "vmstat", None, 0)


def test_vmstat_drops_the_row_since_boot_and_only_that() -> None:
    rows = read("procps-jc/ubuntu-18.04__vmstat-1-long.out")
    assert len(parse(vmstat.VmstatParser("h"), rows)) == 37 - 1


SINCE_BOOT = [
    # called without an interval: a first row, and no other
    (
        "procps-jc/centos-7.7__vmstat.out",
        {"memory.buffers": 2108 * KIB, "memory.free": 2794468 * KIB},
    ),
    ("procps-jc/centos-7.7__vmstat-a.out", {"memory.buffers": None, "cpu.id": 99}),
    ("procps-jc/centos-7.7__vmstat-awt.out", {"memory.cache": None, "system.switches": 57}),
    ("procps-jc/centos-7.7__vmstat-w.out", {"memory.cache": 741208 * KIB, "cpu.st": 0}),
    # FreeBSD with sizes for people
    ("web/freebsd_vmstat_human.txt", {"memory.free": 6444 * MIB, "cpu.sy": 3, "procs.r": 0}),
]


@pytest.mark.parametrize(("name", "expected"), SINCE_BOOT, ids=[row[0] for row in SINCE_BOOT])
def test_vmstat_with_only_a_row_since_boot_says_nothing(
    name: str, expected: dict[str, float | None]
) -> None:
    data = read(name).rstrip() + b"\n"
    assert parse(vmstat.VmstatParser("h"), data) == []
    (again,) = parse(vmstat.VmstatParser("h"), data + data.splitlines(keepends=True)[-1])
    assert {key: again.values.get(key) for key in expected} == expected


def test_vmstat_reads_on_behind_a_repeated_header_and_counts_what_it_cannot_read() -> None:
    header, row = b" r  b   swpd  us sy id\n", b" 1  2   3  4 5 6\n"
    broken = b"1 2 3\n" + b" 1 2 3 x 5 6\n" + b" 1 2 3 101 5 6\n" + b" 1 2 3 -1 5 6\n"
    lines = header + row + row + broken + b"procs ---cpu---\n" + header + row
    first, second = parse(vmstat.VmstatParser("h"), lines)
    assert (first.skipped, second.skipped) == (0, 4)
    assert second.values["swap.used"] == 3 * KIB


# -- top -----------------------------------------------------------------------------------------

TOP_FRAMES = [
    # Debian 12, two frames
    (
        "local/top_procps4.0.2_default.out",
        89,
        Process(10450, "root", 41088 * KIB, 93.1, "R", "python"),
        {
            "loadavg.1m": 1.14,
            "tasks.total": 89,
            "tasks.running": 4,
            "memory.available": pytest.approx(23450.9 * MIB),
        },
    ),
    ("local/top_noterm.out", 92, Process(10450, "root", 41228 * KIB, 100.0, "R", "python"), {}),
    # `%Cpu(s):100.0 us` without a blank; full command lines
    (
        "local/top_procps4.0.2_c.out",
        89,
        Process(10450, "root", 41088 * KIB, 100, "R", "../v/bin/+"),
        {},
    ),
    (
        "local/top_procps4.0.7_c.out",
        87,
        Process(24573, "root", 80972 * KIB, 93.6, "R", "/usr/bin/python /srv/heywall/manage.py"),
        {"tasks.running": 3},
    ),
    # 4.0.7: `Tasks: 79 total, 2 running, 77 sleep, 0 d-sleep`
    (
        "local/top_procps4.0.7_w200.out",
        79,
        Process(19215, "root", 39024 * KIB, 99.6, "R", "python"),
        {"tasks.total": 79, "tasks.running": 2, "memory.available": pytest.approx(23612.4 * MIB)},
    ),
    (
        "local/top_procps3.3.17_w200.out",
        79,
        Process(19215, "root", 39020 * KIB, 100, "R", "python"),
        {},
    ),
    # `Threads:` are not tasks
    (
        "local/top_H.out",
        108,
        Process(10450, "root", 41200 * KIB, 93.8, "R", "python"),
        {"tasks.total": None},
    ),
    # decimal commas and translated headers
    (
        "local/top_procps4.0.2_de_DE.out",
        87,
        Process(5740, "root", 1068 * KIB, 6.7, "S", "lighttpd-worker"),
        {"loadavg.1m": 0.8, "tasks.total": 87},
    ),
    (
        "local/top_procps4.0.2_fr_FR.out",
        84,
        Process(24592, "", 41848 * KIB, 100.0, "R", "python"),
        {"loadavg.1m": 1.57},
    ),
    # GiB in the summary, suffixes in the table
    (
        "procps-jc/centos-7.7__top-b-n1-gib.out",
        108,
        Process(1, "root", int(6.5 * MIB), 0.0, "S", "systemd"),
        {"memory.available": pytest.approx(3.3 * GIB)},
    ),
    # every column that there is: COMMAND is not the last
    (
        "procps-jc/centos-7.7__top-b-n1-gib-allfields-w.out",
        108,
        Process(2225, "kbrazil", int(2.2 * MIB), 12.5, "R", "top"),
        {},
    ),
    (
        "procps-jc/ubuntu-20.10__top-b-n1.out",
        245,
        Process(1, "root", 13208 * KIB, 0.0, "S", "systemd"),
        {"tasks.running": 1, "memory.available": pytest.approx(3345.3 * MIB)},
    ),
    # 3.2: integer CPU, no available memory
    (
        "web/procps3.2_debian6_top.txt",
        4,
        Process(68, "root", 0, 0.0, "S", "kondemand/6"),
        {"tasks.total": 162, "memory.available": None},
    ),
    # toybox: a header cell `S[%CPU]`, RES `2.5M`
    (
        "local/toybox0.8.9_top.out",
        85,
        Process(13689, "root", int(2.5 * MIB), 1.0, "R", "toybox top -b -n2 -d1"),
        {"tasks.total": 85, "loadavg.1m": None},
    ),
    # BusyBox from 1.38 on: RSS, cut where it is large; a wide PID; CPU as shares of all CPUs
    (
        "composed/busybox1.38_top_b.out",
        4,
        Process(11577, "www-data", int(41.3 * MIB), 25.0, "R", "gunicorn: worker [shop]"),
        {"loadavg.1m": 1.01, "tasks.total": None},
    ),
    (
        "web/freebsd_top.txt",
        5,
        Process(95139, "klarabsd", 3988 * KIB, 0.42, "CPU3", "top"),
        {"loadavg.1m": 0.21, "tasks.total": 22, "tasks.running": 1},
    ),
]


@pytest.mark.parametrize(
    ("name", "count", "first", "values"), TOP_FRAMES, ids=[row[0] for row in TOP_FRAMES]
)
def test_top_frames(name: str, count: int, first: Process, values: dict[str, float | None]) -> None:
    parser = top.TopParser("web")
    # Twice: the first frame of a stream tells no CPU. Thrice: what is cut short ends with the next.
    frames = parse(parser, b"\n\n".join([read(name)] * 3))
    last = frames[-1]
    assert last.processes is not None
    assert (len(last.processes), last.processes[0]) == (count, first)
    assert {key: last.values.get(key) for key in values} == values
    assert (last.host, last.probe, last.skipped) == ("web", "top", 0)


def test_every_sample_is_in_a_table() -> None:
    tables = (VMSTAT_ROWS, SINCE_BOOT, TOP_FRAMES, EVIL)
    named = {row[0] for table in tables for row in table} | {"local/busybox1.35_top_b.out"}
    assert named == {str(path.relative_to(SAMPLES)) for path in TOPS + VMSTATS}


def test_top_counts_no_cpu_in_the_first_frame() -> None:
    first, second = parse(top.TopParser("h"), read("local/top_procps4.0.2_default.out"))
    assert first.processes is not None and second.processes is not None
    assert {process.cpu for process in first.processes} == {0.0}
    assert first.processes[0].rss == 55832 * KIB
    assert second.processes[0].cpu == 93.1


def test_busybox_has_no_rss_so_it_lists_no_processes() -> None:
    (frame,) = parse(top.TopParser("h"), read("local/busybox1.35_top_b.out"))
    assert frame.processes is None
    assert frame.values == {"loadavg.1m": 0.92}


def test_top_publishes_a_whole_frame_without_waiting_for_the_next() -> None:
    parser = top.TopParser("h")
    frame = read("procps-jc/ubuntu-20.10__top-b-n1.out")
    assert len(parser.feed(frame, 1.0)) == 1
    assert parser.flush() == []


def test_top_publishes_a_frame_whose_last_line_is_still_open() -> None:
    parser = top.TopParser("h")
    frame = read("procps-jc/ubuntu-20.10__top-b-n1.out").rstrip(b"\n")  # as procps writes it
    assert parser.feed(frame, 1.0) == []
    (reading,) = parser.flush()
    assert reading.processes is not None and reading.processes[-1].command == "top"
    assert len(parser.feed(b"\n\n" + frame + b"\n", 2.0)) == 1


def test_top_holds_back_a_frame_that_a_stalled_network_cut_in_two() -> None:
    parser = top.TopParser("h")
    frame = read("procps-jc/ubuntu-20.10__top-b-n1.out")
    assert parser.feed(frame[:9000], 1.0) == []
    assert parser.flush() == []
    (reading,) = parser.feed(frame[9000:], 2.0)
    assert reading.at == 1.0
    assert reading.processes is not None and len(reading.processes) == 245


def test_top_publishes_what_lacks_rows_when_the_next_frame_begins() -> None:
    parser = top.TopParser("h")
    frame = read("procps-jc/ubuntu-20.10__top-b-n1.out")
    short = frame[: frame.rindex(b"\n", 0, 9000) + 1]
    parser.feed(short, 1.0)
    reading, _ = parser.feed(b"\n" + frame, 2.0)
    assert reading.processes is not None and 1 < len(reading.processes) < 245


def test_the_instant_is_that_of_a_frames_first_byte() -> None:
    parser = top.TopParser("h")
    frame = read("procps-jc/ubuntu-20.10__top-b-n1.out")
    found = parser.feed(frame[:3], 5.0) + parser.feed(frame[3:], 6.0)
    assert [reading.at for reading in found] == [5.0]
    rows = vmstat.VmstatParser("h")
    data = read("local/vmstat_n.out")
    assert [r.at for r in rows.feed(data[:-10], 7.0) + rows.feed(data[-10:], 8.0)] == [7.0, 7.0]


# -- hostile names -------------------------------------------------------------------------------

EVIL = [
    # procps 3.3.17 passes everything raw, and a newline splits the row
    (
        "local/procps3.3.17_evilnames_C.out",
        1,
        {
            24708: "a\ufffd[31mred\ufffd]0;x",
            24709: "nl",
            24710: "c1\ufffd31mX",
            24711: "rtl\ufffdabc",
            24712: "日本語プ",
            24713: "bad\ufffd\ufffdutf",
        },
    ),
    ("local/procps3.3.17_evilnames_C.UTF-8.out", 1, {24708: "a\ufffd[31mred\ufffd]0;x"}),
    # BusyBox: no processes, since it shows no RSS, but the broken row counts
    ("local/busybox1.35_evilnames.out", 1, {}),
    # newer ones replace most of it themselves
    ("local/procps4.0.7_evilnames_C.out", 0, {24708: "a?[31mred?]0;x", 24709: "nl?new top - 1"}),
    ("local/procps4.0.2_evilnames_C.out", 0, {11577: "c1??31mX", 11578: "rtl???abc"}),
]


@pytest.mark.parametrize(("name", "skipped", "commands"), EVIL, ids=[row[0] for row in EVIL])
def test_hostile_names_are_disarmed(name: str, skipped: int, commands: dict[int, str]) -> None:
    (frame,) = parse(top.TopParser("h"), read(name))
    found = {process.pid: process.command for process in frame.processes or ()}
    assert {pid: found[pid] for pid in commands} == commands
    assert frame.skipped == skipped


def test_no_sample_lets_a_control_character_through() -> None:
    for path in TOPS:
        for reading in parse(top.TopParser("h"), path.read_bytes()):
            for process in reading.processes or ():
                text = process.command + process.user + process.state
                assert not {category(char) for char in text} & HIDDEN, path.name


@pytest.mark.parametrize(
    "name",
    [
        b"\ntop - 10:11:12",
        b"\nPID S %CPU RES",
        b"\nTasks: 3 total",
        b"\nMem: 1K used, ",
        b"\n99999 root 20 0",
        b"\n",
        b"",
        b"   ",
        b"\n\n\n\n\n\n",
    ],
)
def test_a_process_name_cannot_forge_a_frame_or_hide_another(name: bytes) -> None:
    head, rows = read("local/top_procps4.0.7_w200.out").split(b"COMMAND", 1)
    rows = rows.split(b"\n\n", 1)[0]
    first, rest = rows.strip(b" \n").split(b"\n", 1)
    forged = first.replace(b"python", name[:15])
    frame = head + b"COMMAND\n" + forged + b"\n" + rest + b"\n"
    (reading,) = parse(top.TopParser("h"), frame)
    assert reading.processes is not None
    assert len(reading.processes) == 79
    assert reading.processes[-1].command == "ld-linux-x86-64"
    assert reading.values["tasks.total"] == 79


def test_a_user_name_with_a_blank_does_not_turn_virtual_size_into_rss() -> None:
    frame = read("local/top_procps4.0.7_w200.out").replace(b" root ", b" jo hn ", 1)
    first, _ = parse(top.TopParser("h"), frame)
    assert first.processes is not None
    assert (len(first.processes), first.skipped) == (78, 1)


# -- any chunking, any bytes, bounded memory -----------------------------------------------------


@given(
    st.sampled_from(
        [
            "local/top_procps3.3.17_w200.out",
            "local/procps3.3.17_evilnames_C.out",
            "local/toybox0.8.9_top.out",
            "web/freebsd_top.txt",
            "local/vmstat_nwt.out",
        ]
    ),
    st.lists(st.integers(0, 20000), max_size=30),
)
def test_any_chunking_gives_the_same_readings(name: str, cuts: list[int]) -> None:
    data = read(name) + b"\n" + read(name)
    edges = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    chunked = parser_for(SAMPLES / name)
    found: list[Reading] = []
    for begin, end in pairwise(edges):
        found += chunked.feed(data[begin:end], 1.0)
    found += chunked.flush()
    assert found == parse(parser_for(SAMPLES / name), data)


@given(st.lists(st.binary(max_size=300), max_size=20))
def test_random_bytes_never_raise(chunks: list[bytes]) -> None:
    for parser in (vmstat.VmstatParser("h"), top.TopParser("h")):
        for chunk in chunks:
            parser.feed(chunk, 1.0)
            parser.flush()


@given(
    st.sampled_from(TOPS + VMSTATS),
    st.lists(st.tuples(st.integers(0, 30000), st.binary(min_size=1, max_size=12)), max_size=8),
)
def test_damaged_output_never_raises_and_stays_finite(
    path: Path, damage: list[tuple[int, bytes]]
) -> None:
    data = bytearray(path.read_bytes())
    for at, junk in damage:
        data[at : at + len(junk)] = junk
    for reading in parse(parser_for(path), bytes(data)):
        assert all(math.isfinite(v) and v >= 0 for v in reading.values.values())
        assert all(p.rss >= 0 and 0 <= p.cpu < 1e15 for p in reading.processes or ())


def peak_of(parser: Parser, chunks: Iterable[bytes]) -> int:
    """The largest amount of memory held meanwhile, in bytes."""
    tracemalloc.start()
    for chunk in chunks:
        parser.feed(chunk, 1.0)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak


@pytest.mark.parametrize("parser", [vmstat.VmstatParser("h"), top.TopParser("h")])
def test_a_line_without_an_end_takes_no_memory(parser: Parser) -> None:
    assert peak_of(parser, [b"x" * 100_000] * 30) < MIB


def test_a_frame_without_an_end_is_cut() -> None:
    row = b"  %d root 20 0 1 1 1 S 0.0 0.0 0:00.00 x\n" * 1000 % tuple(range(1000))
    header = b"  PID USER PR NI VIRT RES SHR S %CPU %MEM TIME+ COMMAND\n"
    parser = top.TopParser("h")
    assert peak_of(parser, [header, *[row] * 30]) < 16 * MIB
    (reading,) = parser.flush()
    assert reading.processes is not None
    assert (len(reading.processes), reading.skipped) == (top.PROCESS_LIMIT, 10_000)


def test_numbers_too_long_to_be_true_are_skipped() -> None:
    data = read("local/top_procps4.0.7_w200.out").replace(b"1.52,", b"9" * 5000 + b".52,")
    data = data.replace(b"23612.4 avail", b"9" * 5000 + b" avail").replace(b"39024", b"9" * 20)
    _, frame = parse(top.TopParser("h"), data)
    assert frame.processes is not None
    assert (len(frame.processes), frame.skipped) == (78, 3)
    assert "memory.available" not in frame.values
    rows = read("local/vmstat_n.out").replace(b"2740", b"9" * 5000)
    (row,) = parse(vmstat.VmstatParser("h"), rows)
    assert row.skipped == 1


def test_a_long_line_is_cut_and_the_next_one_whole() -> None:
    frame = read("local/top_procps4.0.7_w200.out").replace(b"python", b"p" * 3 * LINE_LIMIT, 1)
    first, _ = parse(top.TopParser("h"), frame)
    assert first.processes is not None and len(first.processes) == 79
    assert first.processes[0].command == "p" * 256


def test_a_frame_costs_a_small_multiple_of_splitting_it() -> None:
    """`benchmarks/parsing.py` prints both; 7 times, where nothing disturbs."""
    data = parsing.frame()
    parser = top.TopParser("h")

    def least(work: Callable[[], object]) -> float:
        times = []
        for _ in range(60):
            began = time.perf_counter()
            work()
            times.append(time.perf_counter() - began)
        return min(times)

    floor = least(lambda: [line.split() for line in data.decode().split("\n")])
    assert least(lambda: parser.feed(data, 1.0)) < 20 * floor


# -- the parts -----------------------------------------------------------------------------------


@given(st.text(), st.integers(0, 50))
def test_clean_text_holds_nothing_hidden_and_keeps_the_rest(text: str, limit: int) -> None:
    cleaned = clean(text, limit)
    assert len(cleaned) == min(len(text), limit)
    assert not {category(char) for char in cleaned} & HIDDEN
    for before, after in zip(text, cleaned, strict=False):
        assert after == ("\ufffd" if category(before) in HIDDEN else before)


def test_a_tail_keeps_the_newest_lines() -> None:
    tail = Tail(limit=20)
    for word in ("first", "second", "th\x1bird", "fourth"):
        tail.add(word.encode() + b"\n\n")
    assert tail.lines == ["nd", "th\ufffdird", "fourth"]


SIZES = [
    ("0", 0),
    ("812", 812 * KIB),
    ("33m", 33 * MIB),
    ("1.2g", 1.2 * GIB),
    ("1,2g", 1.2 * GIB),
    ("3988K", 3988 * KIB),
    ("2.0t", 2 * 1024 * GIB),
]


@pytest.mark.parametrize(("text", "expected"), SIZES)
def test_sizes(text: str, expected: float) -> None:
    assert size(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", "?", "-1", "1e5", "nan", "inf", "1.", "+", "1 2", "9" * 400, "300t", "9e", "9" * 15],
)
def test_what_is_not_a_number(text: str) -> None:
    with pytest.raises(ValueError, match="not a number"):
        number(text)


def test_every_value_is_declared_once_in_core_units() -> None:
    declared = [metric.key for metric in host_metrics()]
    assert len(declared) == len(set(declared))
    for path in TOPS + VMSTATS:
        for reading in parse(parser_for(path), path.read_bytes()):
            assert set(reading.values) <= set(declared), path.name


def test_probes_are_found_in_their_folder() -> None:
    assert [probe.name for probe in all_probes()] == ["proc", "top", "vmstat"]
    host = Host("web", "web", interval=Seconds(0.5), top_interval=Seconds(2.5))
    intervals = {probe.name: probe.interval(host) for probe in all_probes()}
    assert intervals == {"proc": 0.5, "top": 2.5, "vmstat": 1.0}
    commands = {probe.name: probe.command(intervals[probe.name]) for probe in all_probes()}
    assert commands["vmstat"] == "exec vmstat 1"
    assert commands["top"].endswith("; exec top -b -d 2.5 ${w:+-w $w}")
    assert "; exec awk " in commands["proc"] and "-v D=0.5 -v V=0 -v T=0 " in commands["proc"]


def test_a_probe_is_one_new_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "uptime.py").write_text(
        "from dataclasses import replace\n"
        "from loadwatch.core.metric import Metric, Unit\n"
        "from loadwatch.remote.probes.vmstat import PROBE as LIKE\n"
        "PROBE = replace(LIKE, name='uptime', metrics=(Metric('up', Unit.SECONDS, 'Up'),))\n"
    )
    monkeypatch.setattr(probes, "__path__", [*probes.__path__, str(tmp_path)])
    all_probes.cache_clear()
    try:
        assert [probe.name for probe in all_probes()] == ["proc", "top", "uptime", "vmstat"]
        assert "up" in {metric.key for metric in host_metrics()}
    finally:
        all_probes.cache_clear()
        sys.modules.pop("loadwatch.remote.probes.uptime", None)


@pytest.mark.parametrize("seconds", [0.0, -1.0, 1e9, float("nan"), float("inf")])
def test_only_sane_intervals_reach_a_shell(seconds: float) -> None:
    with pytest.raises(PlanError, match="interval"):
        decimal(seconds)
