"""The spool: nothing is lost over a drop, every reading at its time, and nothing is left behind."""

from __future__ import annotations

import os
import re
import secrets
import signal
import stat
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadwatch.core.plan import Host
from loadwatch.core.reading import Reading
from loadwatch.remote import spool as module
from loadwatch.remote.clock import Clock
from loadwatch.remote.guard import command
from loadwatch.remote.lane import Lane
from loadwatch.remote.local import LocalLink
from loadwatch.remote.probe import Probe
from loadwatch.remote.probes import all_probes
from loadwatch.remote.process import ProcessStream
from loadwatch.remote.pulse import Pulse
from loadwatch.remote.spool import BYE, HELD, Spool, Track
from tests.sshd import MARK, eventually, marked, require

HOST = Host("web", "web")
PROBES = {probe.name: probe for probe in all_probes()}
CHOSEN = (PROBES["top"], PROBES["vmstat"])
WORD = "0123456789abcdef"
PLACE = "/tmp/loadwatch.abcdefghij"


def clock() -> Clock:
    """A server that was started 5000 s before our clock was."""
    known = Clock(0.0)
    known.answered(1000.0, 1000.0, 6000.0, 0.0, 0.0)
    return known


def track(probe: str = "vmstat") -> Track:
    return Track(PROBES[probe], HOST, PLACE, WORD, clock())


def spool() -> Spool:
    """One over whose first connection nothing was heard yet."""
    made = Spool(HOST, clock())
    made.connect(CHOSEN)
    return made


def mark(*words: object) -> bytes:
    return " ".join(["LW1", WORD, *map(str, words)]).encode() + b"\n"


# -- what a lane reads ---------------------------------------------------------------------------

HEADER = b" r  b   swpd  us sy id\n 1  0  0  1 2 97\n"
WRITTEN = HEADER + mark("at", "6100.00")
for number in range(5):
    WRITTEN += f" {number}  0  0  4 5 91\n".encode() + mark("at", f"{6101 + number}.25")


@given(
    cuts=st.lists(st.integers(0, len(WRITTEN)), max_size=8),
    drops=st.lists(st.booleans(), min_size=10, max_size=10),
)
def test_any_chunks_over_any_connections_give_the_same_readings(
    cuts: list[int], drops: list[bool]
) -> None:
    own = track()
    own.begin()
    found: list[Reading] = []
    edges = sorted({0, len(WRITTEN), *cuts})
    for (begin, end), drop in zip(pairwise(edges), drops, strict=False):
        found += own.feed(WRITTEN[begin:end], 9999.0)
        if drop:
            line = own.begin()
            assert f"tail -c +{end + 1} -f vmstat.1" in line
    assert [reading.values["procs.r"] for reading in found] == [0, 1, 2, 3, 4]
    assert [round(r.at, 2) for r in found] == [1101.25 + number for number in range(5)]


def test_a_frame_without_a_last_newline_is_whole_when_its_mark_is_there() -> None:
    own = track("top")
    frame = (
        b"top - 10:00:00 up 1 day,  load average: 0.10, 0.20, 0.30\n"
        b"Tasks: 1 total, 1 running\n\n  PID USER PR RES S %CPU TIME+ COMMAND\n"
        b"    7 www 20 900 S 1.5 0:00.01 python"
    )
    assert own.feed(frame + mark("at", "6100.50"), 2000.0) == []
    (reading,) = own.flush()
    assert round(reading.at, 2) == 1100.5
    assert reading.processes is not None
    assert reading.processes[0].command == "python"


def test_nothing_is_later_than_its_arrival() -> None:
    own = track()
    found = own.feed(
        HEADER + mark("at", "7000.00") + b" 1 0 0 4 5 91\n" + mark("at", "9e9"), 1500.0
    )
    found += own.feed(b" 1 0 0 4 5 91\n" + mark("at", "9000.00"), 1501.0)
    assert [reading.at for reading in found] == [1500.0, 1501.0]


def test_the_next_segment_goes_on_where_this_one_ended() -> None:
    own = track()
    own.feed(WRITTEN[:50], 2000.0)
    assert own.ended is None
    own.feed(mark("next"), 2000.0)
    assert own.ended == ""
    assert own.begin().endswith("rm -f vmstat.1 && exec tail -c +1 -f vmstat.2")
    assert own.ended is None
    assert len(own.feed(WRITTEN[50:], 2000.0)) == 5


ENDS = [
    (
        (("said", "vmstat: bad\x1b[31m option"), ("ended",)),
        "vmstat ended: vmstat: bad\ufffd[31m option",
    ),
    ((("ended",),), "vmstat ended: without a word"),
    ((("full",),), "vmstat: the spool was full"),
]


@pytest.mark.parametrize(("words", "said"), ENDS)
def test_how_a_collector_ends(words: tuple[tuple[str, ...], ...], said: str) -> None:
    own = track()
    own.feed(b"".join(mark(*word) for word in words), 2000.0)
    assert own.ended == said


@given(st.lists(st.binary(max_size=80) | st.sampled_from([mark("at"), mark("at", "x"), mark("?")])))
def test_random_bytes_never_raise_nor_pile_up(pieces: list[bytes]) -> None:
    own = track()
    for piece in pieces:
        own.feed(piece, 2000.0)
        assert len(own._held) <= HELD


def test_a_flood_without_marks_takes_no_memory() -> None:
    own = track()
    for _ in range(200):
        own.feed(b" 1 0 0 4 5 91\n" * 1000, 2000.0)
        assert len(own._held) <= HELD + 14_000


def test_only_a_directory_of_ours_is_read() -> None:
    for said in ("new /etc", "new /tmp/loadwatch.a;b-------", f"new {PLACE}/..", "new", "none"):
        own = spool()
        assert own.hear(f"LW1 {WORD} spool {said}") == [
            "no spool: the server can make no directory for it"
        ], said
        assert own.settled
        assert not own.ready


def test_what_was_lost_with_a_directory_is_said() -> None:
    own = spool()
    assert own.hear(f"LW1 {WORD} spool new {PLACE}") == []
    first = own.track(PROBES["vmstat"])
    own.connect(CHOSEN)
    assert own.hear(f"LW1 {WORD} spool old {PLACE}") == []
    assert own.track(PROBES["vmstat"]) is first
    own.connect(CHOSEN)
    assert own.hear(f"LW1 {WORD} spool new {PLACE[:-1]}k") == [
        "the spool of the lost connection is gone: the gap stays"
    ]
    assert own.track(PROBES["vmstat"]) is not first


def test_what_is_kept_of_other_probes_is_left() -> None:
    own = spool()
    own.hear(f"LW1 {WORD} spool new {PLACE}")
    own.connect(CHOSEN[:1])
    assert " d=; " in own.begin(WORD)


def test_a_server_that_does_not_tell_in_time_is_asked_again_if_it_keeps_something() -> None:
    own = spool()
    own.waive()
    assert own.settled and not own.ready  # nothing to lose: on without it
    own = spool()
    own.hear(f"LW1 {WORD} spool new {PLACE}")
    own.connect(CHOSEN)
    own.waive()
    assert not own.settled
    own.hear(f"LW1 {WORD} spool old {PLACE}")
    assert own.ready


def test_a_lane_of_a_spool_is_not_opened_again_because_its_tool_hangs() -> None:
    lane = Lane(PROBES["vmstat"], HOST, lambda probe: track())
    nonce = re.search(r"LW1 (\w+) ready", lane.open(0.0))
    assert nonce is not None
    lane.receive(f"LW1 {nonce[1]} ready\n".encode(), 0.1)
    assert lane.overdue(9999.0) is None
    assert lane.is_silent(9999.0)


# -- real collectors, on this machine ------------------------------------------------------------


@pytest.fixture
def token(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """What every process that a test starts carries; none may be left in the end."""
    require("top", "vmstat", "mkfifo", "mktemp", "tail", "dd")
    monkeypatch.setenv(MARK, secrets.token_hex(8))
    yield f"{MARK}={os.environ[MARK]}"
    for pid in marked(f"{MARK}={os.environ[MARK]}"):
        os.kill(pid, signal.SIGKILL)


class Collecting:
    """A connection to this machine with a spool: its pulse, and lanes where a test opens them."""

    def __init__(self, own: Spool, own_clock: Clock) -> None:
        self.spool = own
        self.pulse = Pulse(HOST, own_clock, own)
        self.stream = LocalLink().open(self.pulse.open(time.monotonic()))
        self.beat_until(lambda: own.settled)
        self.directory = Path(own._directory)

    def beat_until(self, condition: Callable[[], object]) -> None:
        """Keep the collector's lease until `condition` holds."""

        def turn() -> bool:
            if beat := self.pulse.beat(time.monotonic()):
                self.stream.write(beat)
            if data := self.stream.read(0.05):
                self.pulse.receive(data, time.monotonic())
            return bool(condition())

        assert eventually(turn), self.stream.complaints

    def follow(self, probe: Probe) -> ProcessStream:
        """A lane's stream."""
        line = self.spool.track(probe).begin()
        return LocalLink().open(command(probe.name, line, WORD))

    def close(self) -> None:
        close(self.stream)


def close(stream: ProcessStream) -> None:
    stream.close()
    while stream.read(1.0) != b"":
        pass


@pytest.fixture
def open_spool(token: str, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Collecting]:
    monkeypatch.setattr(module, "LOOK", 0.2)
    monkeypatch.setattr(module, "FAREWELL", 600)  # what ends, does not end by that

    def start(lease: int = 60, probes: tuple[Probe, ...] = CHOSEN) -> Collecting:
        own_clock = Clock(0.0)
        made = Spool(HOST, own_clock, lease)
        made.connect(probes)
        return Collecting(made, own_clock)

    return start


def is_gone(token: str, directory: Path) -> bool:
    return eventually(lambda: not directory.exists() and not marked(token))


def test_a_collector_is_private_and_ends_when_told(
    open_spool: Callable[..., Collecting], token: str
) -> None:
    one = open_spool()
    assert re.fullmatch(r"/tmp/loadwatch\.\w{10}", str(one.directory))
    assert stat.S_IMODE(one.directory.stat().st_mode) == 0o700
    one.beat_until(lambda: (one.directory / "vmstat.1").stat().st_size > 0)
    assert all(stat.S_IMODE(f.stat().st_mode) == 0o600 for f in one.directory.iterdir())
    one.stream.write(BYE)
    one.close()
    assert is_gone(token, one.directory)


def test_a_lane_reads_what_was_collected_while_nobody_was_there(
    open_spool: Callable[..., Collecting], token: str
) -> None:
    one = open_spool()
    vmstat = PROBES["vmstat"]
    lane, own, readings = one.follow(vmstat), one.spool.track(vmstat), []

    def read(stream: ProcessStream, wanted: int) -> None:
        def turn() -> bool:
            data = stream.read(0.2)
            if data:
                _, _, output = data.rpartition(b" ready\n")
                readings.extend(own.feed(output, time.monotonic()))
            return len(readings) >= wanted

        assert eventually(turn)

    one.beat_until(lambda: one.pulse.seen)
    read(lane, 1)
    close(lane)
    one.close()  # as a connection that breaks
    time.sleep(2.5)
    one.spool.connect(CHOSEN)
    two = Collecting(one.spool, Clock(0.0))
    assert two.directory == one.directory
    read(again := two.follow(vmstat), 4)
    apart = [later.at - earlier.at for earlier, later in pairwise(readings[:4])]
    assert all(0.5 < seconds < 1.6 for seconds in apart), apart  # as they were made, not as read
    close(again)
    two.stream.write(BYE)
    two.close()
    assert is_gone(token, one.directory)


def test_without_heartbeats_everything_vanishes_by_itself(
    open_spool: Callable[..., Collecting], token: str
) -> None:
    one = open_spool(lease=3)
    one.beat_until(lambda: one.pulse.seen)
    assert eventually(lambda: not one.directory.exists())  # while the connection is open
    one.close()
    assert is_gone(token, one.directory)


def test_a_connection_closed_among_heartbeats_shortens_the_lease(
    open_spool: Callable[..., Collecting], token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FAREWELL", 1)
    one = open_spool(lease=600)
    one.beat_until(lambda: one.pulse.seen)
    one.close()
    assert is_gone(token, one.directory)


def test_what_an_earlier_collector_left_is_swept_and_nothing_else(
    open_spool: Callable[..., Collecting], token: str, tmp_path: Path
) -> None:
    uptime = float(Path("/proc/uptime").read_text(encoding="utf-8").split()[0])
    names = ("expired", "restarted", "without", "alive", "others")
    made = {name: Path(f"/tmp/loadwatch.{secrets.token_hex(5)}") for name in names}
    link = Path(f"/tmp/loadwatch.{secrets.token_hex(5)}")
    try:
        for directory in made.values():
            directory.mkdir(mode=0o700)
        (made["expired"] / "lease").write_text(f"{uptime - 5:.0f}\n")
        (made["restarted"] / "lease").write_text(f"{uptime + 9e6:.0f}\n")
        (made["alive"] / "lease").write_text(f"{uptime + 60:.0f}\n")
        if os.geteuid() == 0:
            os.chown(made["others"], 1, 1)
        else:
            (made["others"] / "lease").write_text(f"{uptime + 60:.0f}\n")
        (tmp_path / "precious").write_text("kept")
        link.symlink_to(tmp_path)
        one = open_spool()
        left = [name for name, directory in made.items() if directory.exists()]
        assert left == ["alive", "others"]
        assert (tmp_path / "precious").exists()
        one.stream.write(BYE)
        one.close()
        assert is_gone(token, one.directory)
    finally:
        link.unlink(missing_ok=True)
        for directory in made.values():
            if directory.exists():
                (directory / "lease").unlink(missing_ok=True)
                directory.rmdir()


def tool(directory: Path, name: str, script: str) -> None:
    place = directory / name
    place.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    place.chmod(0o755)


def read_to_end(one: Collecting, probe: Probe) -> tuple[Track, bytes]:
    """Everything that a collector kept of a probe, over as many segments as there are."""
    own, output, stream = one.spool.track(probe), b"", one.follow(probe)

    def turn() -> bool:
        nonlocal output, stream
        if data := stream.read(0.2):
            _, _, piece = data.rpartition(b" ready\n")
            own.feed(piece, time.monotonic())
            output += piece
        if own.ended == "":
            close(stream)
            stream = one.follow(probe)
        return bool(own.ended)

    assert eventually(turn), output[-200:]
    close(stream)
    return own, output


def test_a_file_is_followed_by_another_and_deleted_when_it_was_read(
    open_spool: Callable[..., Collecting],
    token: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tool(tmp_path, "vmstat", "for i in 1 2 3 4 5 6 7 8 9; do echo line $i; sleep 0.3; done")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(module, "SEGMENT", 20)
    one = open_spool(probes=(PROBES["vmstat"],))
    own, output = read_to_end(one, PROBES["vmstat"])
    lines = re.findall(rb"line (\d)", output)
    assert lines == [b"%d" % number for number in range(1, 10)]
    assert own.ended == "vmstat ended: without a word"
    assert own._segment >= 3
    assert [file.name for file in one.directory.glob("vmstat.[0-9]*")] == [f"vmstat.{own._segment}"]
    one.stream.write(BYE)
    one.close()
    assert is_gone(token, one.directory)


def test_a_collector_that_nobody_reads_stops_at_two_files(
    open_spool: Callable[..., Collecting],
    token: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tool(tmp_path, "vmstat", "while echo 0123456789; do sleep 0.02; done")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(module, "SEGMENT", 100)
    one = open_spool(probes=(PROBES["vmstat"],))
    files = one.directory / "vmstat.1", one.directory / "vmstat.2"
    one.beat_until(lambda: files[1].exists() and b"full" in files[1].read_bytes())
    kept = sum(file.read_bytes().count(b"0123456789") for file in files)
    assert 18 <= kept <= 40
    one.beat_until(lambda: not any("vmstat" in line[:20] for line in marked(token).values()))
    assert not (one.directory / "vmstat.3").exists()
    own, _ = read_to_end(one, PROBES["vmstat"])
    assert own.ended == "vmstat: the spool was full"
    one.stream.write(BYE)
    one.close()
    assert is_gone(token, one.directory)


def test_a_tool_that_fails_says_why(
    open_spool: Callable[..., Collecting],
    token: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tool(tmp_path, "vmstat", "echo vmstat: no such luck >&2; exit 1")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    one = open_spool()
    own, _ = read_to_end(one, PROBES["vmstat"])
    assert own.ended == "vmstat ended: vmstat: no such luck"
    one.stream.write(BYE)
    one.close()
    assert is_gone(token, one.directory)


def test_a_tool_that_rests_does_not_outlive_its_collector(
    open_spool: Callable[..., Collecting],
    token: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tool(tmp_path, "vmstat", "exec sleep 300")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    one = open_spool(probes=(PROBES["vmstat"],))
    one.stream.write(BYE)
    one.close()
    assert is_gone(token, one.directory)


def test_a_server_without_room_for_it_is_watched_without_a_spool(
    open_spool: Callable[..., Collecting],
    token: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tool(tmp_path, "mktemp", "exit 1")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    one = open_spool()
    assert not one.spool.ready
    assert one.pulse.remarks == ["no spool: the server can make no directory for it"]
    one.beat_until(lambda: one.pulse.seen)  # what it keeps alive is nothing
    assert not Path("/lease").exists()
    one.close()
    assert eventually(lambda: not marked(token))
