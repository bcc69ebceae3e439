"""Lanes by a clock of the test's own; a monitor over a scripted link that goes wrong."""

from __future__ import annotations

import queue
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice, repeat
from typing import Any

import pytest

from loadwatch.core.errors import HostError
from loadwatch.core.plan import Host, Seconds
from loadwatch.core.reading import HostNote, HostStatus, Reading
from loadwatch.remote import watch as watching
from loadwatch.remote.answers import Answers
from loadwatch.remote.backoff import backoff
from loadwatch.remote.clock import Clock
from loadwatch.remote.detection import Server
from loadwatch.remote.guard import BEAT
from loadwatch.remote.lane import PAUSE, Lane
from loadwatch.remote.link import Link, LinkError, LoginDropError
from loadwatch.remote.monitor import Detect, HostMonitor, Note
from loadwatch.remote.probe import Probe, Tool
from loadwatch.remote.probes import all_probes
from loadwatch.remote.pulse import QUICK
from loadwatch.remote.spool import BYE
from loadwatch.remote.strand import RETRY
from loadwatch.remote.watch import QUEUE, Arrival, Watch
from tests.sshd import eventually

HOST = Host("web", "web")
PROBES = {probe.name: probe for probe in all_probes()}
TOP, VMSTAT = PROBES["top"], PROBES["vmstat"]
ROWS = b" r  b   swpd  us sy id\n 1  0  0  1 2 97\n" + b" 1  0  0  4 5 91\n"
ROW = b" 1  0  0  4 5 91\n"
FRAME = (
    b"top - 10:00:00 up 1 day,  load average: 0.10, 0.20, 0.30\n"
    b"Tasks: 1 total, 1 running\n\n  PID USER PR RES S %CPU TIME+ COMMAND\n"
    b"    7 www 20 900 S 1.5 0:00.01 python\n"
)


def nonce_of(command: str) -> bytes:
    match = re.search(r"LW1 (\w+) ready", command)
    assert match is not None
    return match[1].encode()


def is_pulse(command: str) -> bool:
    return " clock $u " in command


def ready(command: str) -> bytes:
    return b"LW1 " + nonce_of(command) + b" ready\n"


# -- a lane --------------------------------------------------------------------------------------


def test_a_lane_opens_reads_and_is_live() -> None:
    lane = Lane(VMSTAT, HOST)
    assert lane.is_due(100.0)
    command = lane.open(100.0)
    assert not lane.is_due(100.0)
    assert "exec vmstat 1" in command
    assert lane.receive(b"motd\n" + ready(command), 100.1) == []
    (reading,) = lane.receive(ROWS, 101.5)
    assert (reading.host, reading.at, reading.values["cpu.us"]) == ("web", 101.5, 4)
    assert lane.seen and not lane.problem


def test_the_first_heartbeat_is_due_at_once_and_then_every_four_seconds() -> None:
    lane = Lane(VMSTAT, HOST)
    assert not lane.beat(0.0)
    lane.open(0.0)
    beats = [second for second in range(12) if lane.beat(float(second)) == BEAT]
    assert beats == [0, 4, 8]


def test_a_pause_completes_a_frame_whose_size_is_unknown() -> None:
    lane = Lane(TOP, HOST)
    command = lane.open(0.0)
    data = ready(command) + FRAME.replace(b"Tasks: 1 total, 1 running", b"")
    assert lane.receive(data, 1.0) == []
    assert lane.pause(1.1) == pytest.approx(PAUSE - 0.1)
    assert lane.settle(1.1) == []
    (reading,) = lane.settle(1.0 + PAUSE)
    assert reading.at == 1.0
    assert lane.settle(9.0) == []
    assert lane.pause(9.0) == float("inf")


SILENCE = [
    # interval of vmstat, last reading, now, silent?
    (1.0, 10.0, 13.0, False),
    (1.0, 10.0, 13.01, True),
    (5.0, 10.0, 21.0, False),
    (5.0, 10.0, 21.01, True),
]


@pytest.mark.parametrize(("interval", "last", "now", "silent"), SILENCE)
def test_silence_is_more_than_two_intervals_and_a_second(
    interval: float, last: float, now: float, silent: bool
) -> None:
    lane = Lane(VMSTAT, Host("web", "web", interval=Seconds(interval)))
    command = lane.open(0.0)
    lane.receive(ready(command) + ROWS, last)
    assert lane.is_silent(now) is silent


def test_a_lane_that_never_read_anything_is_silent_from_its_opening_on() -> None:
    lane = Lane(VMSTAT, HOST)
    assert not lane.is_silent(50.0)
    lane.open(50.0)
    assert not lane.is_silent(53.0)
    assert lane.is_silent(53.1)


@pytest.mark.parametrize(("interval", "patience"), [(1.0, 10.0), (5.0, 17.0)])
def test_a_stream_without_a_byte_is_given_time_by_its_interval(
    interval: float, patience: float
) -> None:
    lane = Lane(VMSTAT, Host("web", "web", interval=Seconds(interval)))
    command = lane.open(0.0)
    lane.receive(ready(command), 1.0)
    assert not lane.is_dead(1.0 + patience)
    assert lane.is_dead(1.1 + patience)
    assert lane.overdue(1.0 + patience) is None
    assert lane.overdue(1.1 + patience) == f"vmstat: nothing came for {patience:.0f} s"


def test_detection_gives_up_after_three_seconds_and_tries_again_later() -> None:
    lane = Lane(VMSTAT, HOST)
    lane.open(0.0)
    lane.receive(b"Loading profile ...", 1.0)
    assert lane.overdue(3.0) is None
    reason = lane.overdue(3.1)
    assert reason is not None
    assert reason == "vmstat: the login gave no answer within 3 s"
    lane.abandon(reason, 3.1)
    assert (lane.problem, lane.given_up) == (reason, False)
    assert not lane.is_due(3.1 + RETRY - 0.1)
    assert lane.is_due(3.1 + RETRY)


ENDINGS = [
    # what came, what it complained, whether it is given up, what is said
    ("{missing}", [], True, "vmstat is not on the login's PATH: apt install procps"),
    ("{ready}", ["Usage:", "vmstat: bad option", "more"], True, "vmstat ended: vmstat: bad option"),
    ("{ready}", ["sh: 1: Cannot fork"], True, "vmstat ended: sh: 1: Cannot fork"),
    ("{ready}", [], True, "vmstat ended: without a word"),
    ("This account is\x1b[31m closed.\n", [], True, "runs no commands: This account is\ufffd[31m"),
    ("", ["sh: not found"], True, "the login runs no commands: sh: not found"),
    ("", [], True, "the login runs no commands: no output"),
    # what has worked is started again
    ("{ready}{rows}", ["Killed"], False, "vmstat ended: Killed"),
]


@pytest.mark.parametrize(("came", "complaints", "given_up", "said"), ENDINGS)
def test_how_a_stream_ends(came: str, complaints: list[str], given_up: bool, said: str) -> None:
    lane = Lane(VMSTAT, HOST)
    nonce = nonce_of(lane.open(0.0)).decode()
    lane.receive(
        came.format(
            ready=f"LW1 {nonce} ready\n", missing=f"LW1 {nonce} missing\n", rows=ROWS.decode()
        ).encode(),
        1.0,
    )
    lane.end(complaints, 2.0)
    assert said in lane.problem
    assert lane.given_up is given_up
    assert lane.is_due(2.0 + RETRY) is not given_up


def test_a_restarted_tool_begins_afresh_and_clears_the_problem() -> None:
    lane = Lane(VMSTAT, HOST)
    lane.receive(ready(lane.open(0.0)) + ROWS, 1.0)
    lane.end([], 2.0)
    command = lane.open(7.0)
    assert lane.problem
    assert lane.receive(ready(command) + ROWS[: -len(ROW)], 7.5) == []  # since boot, once more
    assert len(lane.receive(ROW, 8.0)) == 1
    assert lane.problem == ""


def test_of_a_flood_only_the_newest_counts() -> None:
    lane = Lane(VMSTAT, HOST)
    command = lane.open(0.0)
    flood = ROWS + ROW * 500 + ROW.replace(b"4", b"9")
    (reading,) = lane.receive(ready(command) + flood, 1.0)
    assert reading.values["cpu.us"] == 9
    assert lane.receive(flood, 1.05) == []
    assert len(lane.receive(flood, 1.1)) == 1


def test_backoff_doubles_up_to_half_a_minute_with_jitter() -> None:
    assert list(islice(backoff(lambda: 0.0), 7)) == [1, 2, 4, 8, 16, 30, 30]
    assert list(islice(backoff(lambda: 1.0), 3)) == [1.25, 2.5, 5]
    assert all(1 <= a <= 37.5 for a in islice(backoff(), 50))


# -- a monitor over a scripted link --------------------------------------------------------------


class ScriptedStream:
    """Gives what was put into it; b"" for the end, an exception to raise.

    A pulse is answered, until `mute`.
    """

    def __init__(self, command: str) -> None:
        self.command = command
        self.mute = not is_pulse(command)
        self.uptime = 100.0
        self.written = b""
        self.complaints: list[str] = []
        self._coming: queue.Queue[bytes | Exception] = queue.Queue()

    def give(self, *chunks: bytes | Exception) -> None:
        for chunk in chunks:
            self._coming.put(chunk)

    @property
    def is_read(self) -> bool:
        """Whether all that was given was taken."""
        return self._coming.empty()

    def read(self, timeout: float) -> bytes | None:
        try:
            chunk = self._coming.get(timeout=timeout)
        except queue.Empty:
            return None
        if isinstance(chunk, Exception):
            raise chunk
        return chunk

    def write(self, data: bytes) -> None:
        self.written += data
        if data == BYE:
            self.close()
        elif not self.mute:
            clocks = b" clock %.2f %.2f\n" % (self.uptime, 1_700_000_000 + self.uptime)
            self.give(b"LW1 " + nonce_of(self.command) + clocks)

    def close(self) -> None:
        self.give(b"")


class ScriptedLink:
    """Opens streams that begin as `answers` says: `ready`, `missing`, `refused`, or nothing.

    Several lines are separated by `; `.
    """

    traffic: int | None = None

    def __init__(self, **answers: str) -> None:
        self.uptime = 100.0
        self.answers = {"top": "ready", "vmstat": "ready", "pulse": "ready"} | answers
        self.streams: dict[str, ScriptedStream] = {}
        self.closed = False

    def open(self, command: str) -> ScriptedStream:
        match = re.search(r"exec (top|vmstat) |-f (top|vmstat)\.", command)
        tool = match[1] or match[2] if match and not is_pulse(command) else "pulse"
        if self.answers[tool] == "refused":
            raise HostError("no more sessions")
        stream = self.streams[tool] = ScriptedStream(command)
        stream.uptime = self.uptime
        answer = self.answers[tool]
        for line in filter(None, answer.split("; ")):
            stream.give(b"LW1 " + nonce_of(command) + f" {line}\n".encode())
        if answer == "missing":
            stream.give(b"")
        return stream

    def close(self) -> None:
        self.closed = True

    def deliver(self) -> None:
        """A reading from each tool."""
        self.streams["top"].give(FRAME)
        self.streams["vmstat"].give(ROWS)


class Time:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Sink:
    """Remembers what a monitor tells."""

    def __init__(self) -> None:
        self.readings: list[Reading] = []
        self.statuses: list[HostStatus] = []
        self.notes: list[str] = []

    def __call__(self, item: Reading | HostStatus | HostNote) -> None:
        if isinstance(item, HostStatus):
            self.statuses.append(item)
        elif isinstance(item, HostNote):
            self.notes.append(item.text)
        else:
            self.readings.append(item)

    @property
    def states(self) -> list[str]:
        """The states gone through."""
        names = [status.state for status in self.statuses]
        return [name for i, name in enumerate(names) if i == 0 or names[i - 1] != name]

    def reaches(self, state: str, detail: str = "") -> bool:
        return eventually(
            lambda: self.states[-1:] == [state] and detail in self.statuses[-1].detail
        )


Outcome = Link | Exception


def top_and_vmstat(link: Link, probes: tuple[Probe, ...], stopping: threading.Event) -> Server:
    """What a server without /proc shows."""
    return Server(tools={"proc": Tool(lacks="there is no /proc to read")})


@contextmanager
def monitoring(
    *outcomes: Outcome,
    sink: Callable[[Any], None],
    clock: Time | None = None,
    host: Host = HOST,
    wall: float = 1_700_000_100.0,
    detecting: Detect = top_and_vmstat,
) -> Iterator[HostMonitor]:
    """A monitor whose attempts to connect come out as given; the last again and again."""
    remaining = list(outcomes)

    def link_to(host: Host, answers: Answers, note: Note) -> Link:
        outcome = remaining.pop(0) if len(remaining) > 1 else remaining[0]
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    monitor = HostMonitor(
        host,
        sink,
        clock=clock or Time(),
        wall=lambda: wall,
        link_to=link_to,
        delays=lambda: repeat(0.01),
        detecting=detecting,
    )
    monitor.start()
    yield monitor
    monitor.stop()
    assert monitor.join(10)


def test_a_monitor_goes_live_and_stops() -> None:
    sink, link = Sink(), ScriptedLink()
    with monitoring(link, sink=sink):
        assert eventually(lambda: len(link.streams) == 3)
        link.deliver()
        assert eventually(lambda: sink.statuses[-1].probes == ("top", "vmstat"))
        assert all(link.streams[tool].written.startswith(BEAT) for tool in ("top", "vmstat"))
    assert sink.states == ["connecting", "live", "stopped"]
    assert sorted(r.probe for r in sink.readings) == ["pulse", "top", "vmstat"]
    assert link.closed
    assert sink.statuses[-1].gaps == 0


def test_silence_is_told_then_taken_for_a_loss_and_mended() -> None:
    sink, clock = Sink(), Time()
    first, second = ScriptedLink(), ScriptedLink()
    with monitoring(first, second, sink=sink, clock=clock):
        assert eventually(lambda: len(first.streams) == 3)
        first.deliver()
        assert sink.reaches("live")
        pulse = first.streams["pulse"]
        assert eventually(lambda: pulse.written.count(b"\n") == QUICK)
        pulse.mute = True
        clock.now += 4
        assert sink.reaches("silent", "no reading from")
        assert eventually(lambda: pulse.written.count(b"\n") == QUICK + 1)
        clock.now += 10.1
        assert eventually(lambda: len(second.streams) == 3)
        assert first.closed
        assert "the host fell silent; trying again" in sink.statuses[-1].detail
        second.deliver()
        assert sink.reaches("live")
    assert sink.states == ["connecting", "live", "silent", "lost", "live", "stopped"]
    assert sink.statuses[-1].gaps == 1


def test_one_silent_probe_is_told_and_restarted_while_the_other_goes_on() -> None:
    sink, clock, link = Sink(), Time(), ScriptedLink()
    with monitoring(link, sink=sink, clock=clock):
        assert eventually(lambda: len(link.streams) == 3)
        link.deliver()
        assert eventually(lambda: sink.statuses[-1].probes == ("top", "vmstat"))
        hung = link.streams["vmstat"]
        for _ in range(6):
            clock.now += 3
            before = len(sink.readings)
            link.streams["top"].give(FRAME)
            assert eventually(lambda before=before: len(sink.readings) > before)
        assert sink.reaches("silent", "vmstat: nothing came for 10 s")
        assert eventually(lambda: link.streams["vmstat"] is not hung)
        link.streams["vmstat"].give(ROWS)
        link.streams["top"].give(FRAME)
        assert sink.reaches("live")
    assert "lost" not in sink.states


def test_a_missing_tool_is_named_and_the_other_goes_on() -> None:
    sink, link = Sink(), ScriptedLink(vmstat="missing")
    with monitoring(link, sink=sink):
        assert eventually(lambda: len(link.streams) == 3)
        link.streams["top"].give(FRAME)
        assert sink.reaches("live", "vmstat is not on the login's PATH: apt install procps")
        assert sink.statuses[-1].probes == ("top",)


def test_a_session_that_is_refused_is_named_and_the_other_goes_on() -> None:
    sink, link = Sink(), ScriptedLink(vmstat="refused")
    with monitoring(link, sink=sink):
        assert eventually(lambda: len(link.streams) == 2)
        link.streams["top"].give(FRAME)
        assert sink.reaches("live", "vmstat: no more sessions")


def test_a_host_without_any_tool_has_failed() -> None:
    sink, link = Sink(), ScriptedLink(vmstat="missing", top="missing")
    with monitoring(link, sink=sink):
        assert sink.reaches("failed", "top is not on the login's PATH")
    assert sink.states == ["connecting", "failed"]
    assert link.closed


def test_a_host_that_worked_before_is_tried_again_even_if_its_tools_fail() -> None:
    sink, first, third = Sink(), ScriptedLink(), ScriptedLink()
    broken = ScriptedLink(vmstat="missing", top="missing")
    with monitoring(first, broken, third, sink=sink):
        assert eventually(lambda: len(first.streams) == 3)
        first.deliver()
        assert sink.reaches("live")
        first.streams["top"].give(LinkError("connection lost"))
        assert eventually(lambda: len(third.streams) == 3)
        third.deliver()
        assert sink.reaches("live")
    assert "failed" not in sink.states
    assert sink.statuses[-1].gaps == 1


@pytest.mark.parametrize("was_live", [True, False])
def test_a_session_refused_at_the_look_is_asked_for_again_if_the_host_worked(
    was_live: bool,
) -> None:
    sink, links = Sink(), [ScriptedLink(), ScriptedLink(), ScriptedLink()]
    refused = links[1 if was_live else 0]

    def detecting(link: Link, probes: tuple[Probe, ...], stopping: threading.Event) -> Server:
        if link is refused:
            raise HostError("the server allows no session")
        return top_and_vmstat(link, probes, stopping)

    with monitoring(*links, sink=sink, detecting=detecting):
        if was_live:
            assert eventually(lambda: len(links[0].streams) == 3)
            links[0].deliver()
            assert sink.reaches("live")
            links[0].streams["top"].give(LinkError("connection lost"))
            assert eventually(lambda: len(links[2].streams) == 3)
            links[2].deliver()
            assert sink.reaches("live")
            assert "failed" not in sink.states
        else:
            assert sink.reaches("failed", "the server allows no session")
    assert refused.closed


def test_a_tool_that_ends_is_restarted_on_the_same_link() -> None:
    sink, clock, link = Sink(), Time(), ScriptedLink()
    with monitoring(link, sink=sink, clock=clock):
        assert eventually(lambda: len(link.streams) == 3)
        link.deliver()
        assert eventually(lambda: sink.statuses[-1].probes == ("top", "vmstat"))
        ended = link.streams["vmstat"]
        ended.complaints = ["Killed"]
        ended.give(b"")
        assert sink.reaches("live", "vmstat ended: Killed")
        clock.now += RETRY
        assert eventually(lambda: link.streams["vmstat"] is not ended)
        link.deliver()
        assert eventually(lambda: sink.statuses[-1].detail == "")
        assert not link.closed


@pytest.mark.parametrize("attempts", [1, 4])
def test_what_may_mend_is_tried_again(attempts: int) -> None:
    sink, link = Sink(), ScriptedLink()
    with monitoring(*[LinkError("connection refused")] * attempts, link, sink=sink):
        assert eventually(lambda: len(link.streams) == 3)
        link.deliver()
        assert sink.reaches("live")
    assert sink.states == ["connecting", "lost", "live", "stopped"]
    assert sink.statuses[-1].gaps == 0


def test_a_login_that_breaks_off_is_tried_again_only_if_it_worked_before() -> None:
    dropped = LoginDropError("hung up on")
    sink = Sink()
    with monitoring(dropped, AssertionError("tried again"), sink=sink):
        assert sink.reaches("failed", "hung up on")
    sink, first, second = Sink(), ScriptedLink(), ScriptedLink()
    with monitoring(first, dropped, second, sink=sink):
        assert eventually(lambda: len(first.streams) == 3)
        first.deliver()
        assert sink.reaches("live")
        first.streams["top"].give(LinkError("connection lost"))
        assert eventually(lambda: len(second.streams) == 3)


def test_our_own_delay_is_not_taken_for_the_hosts() -> None:
    clock, link = Time(), ScriptedLink()
    stalled, go_on = threading.Event(), threading.Event()
    told = Sink()

    def stall(item: Reading | HostStatus | HostNote) -> None:
        told(item)
        if isinstance(item, Reading) and not stalled.is_set():
            stalled.set()
            go_on.wait(20)

    with monitoring(link, sink=stall, clock=clock):
        assert eventually(lambda: len(link.streams) == 3)
        link.deliver()
        assert stalled.wait(20)
        clock.now += 30
        link.deliver()
        link.deliver()
        assert eventually(lambda: link.streams["top"].is_read and link.streams["vmstat"].is_read)
        go_on.set()
        assert eventually(lambda: len(told.readings) >= 3)
        assert eventually(lambda: told.statuses[-1].probes == ("top", "vmstat"))
    assert set(told.states) == {"connecting", "live", "stopped"}


@pytest.mark.parametrize("was_live", [False, True])
def test_a_refused_login_or_key_is_never_tried_again(was_live: bool) -> None:
    sink, link = Sink(), ScriptedLink()
    refusal = HostError("unknown host key of web")
    outcomes: list[Outcome] = [link, refusal] if was_live else [refusal]
    with monitoring(*outcomes, AssertionError("tried again"), sink=sink) as monitor:
        if was_live:
            assert eventually(lambda: len(link.streams) == 3)
            link.deliver()
            assert sink.reaches("live")
            link.streams["top"].give(LinkError("connection lost"))
        assert sink.reaches("failed", "unknown host key of web")
        assert monitor.join(10)


def test_a_bug_is_a_failed_host_and_nothing_else() -> None:
    sink = Sink()
    with monitoring(ZeroDivisionError("oops"), sink=sink):
        assert sink.reaches("failed", "internal error: ZeroDivisionError")


def test_a_sink_that_raises_ends_the_monitor_quietly() -> None:
    def closed(item: Reading | HostStatus | HostNote) -> None:
        raise RuntimeError("Event loop is closed")

    link = ScriptedLink()
    with monitoring(link, sink=closed) as monitor:
        assert monitor.join(10)


class EndlessStream(ScriptedStream):
    """Never stops."""

    reads = 0
    ended = False

    def read(self, timeout: float) -> bytes | None:
        self.reads += 1
        if self.reads == 1:
            return ready(self.command)
        return b"" if self.ended else ROWS

    def close(self) -> None:
        self.ended = True


def test_an_endless_stream_waits_for_us_and_does_not_hold_up_the_end() -> None:
    streams: list[EndlessStream] = []

    class EndlessLink(ScriptedLink):
        def open(self, command: str) -> ScriptedStream:
            streams.append(EndlessStream(command))
            return streams[-1]

    busy, go_on = threading.Event(), threading.Event()

    def slow(item: Reading | HostStatus | HostNote) -> None:
        if isinstance(item, Reading):
            busy.set()
            go_on.wait(60)

    def reads() -> int:
        return sum(stream.reads for stream in streams)

    with monitoring(EndlessLink(), sink=slow):
        assert busy.wait(20)
        before = reads()
        assert not eventually(lambda: reads() > before + 2 * QUEUE, 0.5)
        go_on.set()
        assert eventually(lambda: reads() > before + 9 * QUEUE)


def test_the_end_does_not_wait_for_a_connection_that_is_being_made() -> None:
    connecting, go_on = threading.Event(), threading.Event()

    def link_to(host: Host, answers: Answers, note: Note) -> Link:
        connecting.set()
        go_on.wait(10)
        raise LinkError("no answer")

    monitor = HostMonitor(HOST, Sink(), link_to=link_to)
    monitor.start()
    assert connecting.wait(10)
    monitor.stop()
    assert not monitor.join()
    go_on.set()
    assert eventually(lambda: monitor.join(0.1))


def test_a_note_is_said_once_however_often_the_connection_is_made() -> None:
    outcomes: list[Exception] = [LinkError("gone"), LinkError("gone"), HostError("refused")]

    def link_to(host: Host, answers: Answers, note: Note) -> Link:
        note("the key was \x1b[31mnew")
        raise outcomes.pop(0)

    sink = Sink()
    monitor = HostMonitor(HOST, sink, link_to=link_to, delays=lambda: repeat(0.01))
    monitor.start()
    assert monitor.join(10)
    assert sink.notes == ["the key was \ufffd[31mnew"]


# -- with a spool --------------------------------------------------------------------------------

SPOOLED = Host("web", "web", spool=True)
DIRECTORY = "/tmp/loadwatch.abcdefghij"
NEW, OLD = f"ready; spool new {DIRECTORY}", f"ready; spool old {DIRECTORY}"


def word_of(link: ScriptedLink) -> bytes:
    """What marks the collector's lines."""
    match = re.search(r"LW1 (\w+) at \$u", link.streams["pulse"].command)
    assert match is not None
    return b"LW1 " + match[1].encode()


def collect(link: ScriptedLink, tool: str, output: bytes, uptime: float, word: bytes) -> None:
    link.streams[tool].give(output + word + b" at %.2f\n" % uptime)


def test_lanes_read_on_from_the_spool_and_every_reading_has_its_own_time() -> None:
    sink, clock = Sink(), Time()  # our 1000 is the server's uptime of 100
    first, second = ScriptedLink(pulse=NEW), ScriptedLink(pulse=OLD)
    second.uptime = 131.0
    with monitoring(first, second, sink=sink, clock=clock, host=SPOOLED):
        assert eventually(lambda: len(first.streams) == 3)
        assert f"cd {DIRECTORY} " in first.streams["vmstat"].command
        assert "tail -c +1 -f vmstat.1" in first.streams["vmstat"].command
        word = word_of(first)
        assert eventually(lambda: first.streams["pulse"].written.count(b"\n") == QUICK)
        clock.now += 1
        collect(first, "vmstat", ROWS, 101.0, word)
        assert sink.reaches("live")
        read = len(ROWS + word + b" at 101.00\n")
        first.streams["top"].give(LinkError("connection lost"))
        clock.now += 30
        assert eventually(lambda: len(second.streams) == 3)
        assert f"tail -c +{read + 1} -f vmstat.1" in second.streams["vmstat"].command
        for uptime in range(102, 132):
            collect(second, "vmstat", ROW, uptime, word)
        assert sink.reaches("live")
        assert eventually(lambda: len(sink.notes) == 1)
    times = [reading.at for reading in sink.readings if reading.probe == "vmstat"]
    assert [round(at) for at in times] == list(range(1001, 1032))
    assert sink.notes == ["vmstat: 26 late readings are filled in"]
    assert sink.statuses[-1].gaps == 1
    assert second.streams["pulse"].written.endswith(BYE)
    assert not first.streams["pulse"].written.endswith(BYE)


def test_a_tool_that_ends_takes_a_new_spool() -> None:
    sink, second = Sink(), ScriptedLink(pulse=NEW)
    first = ScriptedLink(pulse=NEW)
    with monitoring(first, second, sink=sink, host=SPOOLED):
        assert eventually(lambda: len(first.streams) == 3)
        word = word_of(first)
        collect(first, "vmstat", ROWS, 100.0, word)
        assert sink.reaches("live")
        first.streams["vmstat"].give(word + b" said Killed\n" + word + b" ended\n")
        assert eventually(lambda: len(second.streams) == 3)
        assert first.streams["pulse"].written.endswith(BYE)
        assert "d=;" in second.streams["pulse"].command  # no directory to go on with
        assert "tail -c +1 -f vmstat.1" in second.streams["vmstat"].command
        assert any("vmstat ended: Killed" in status.detail for status in sink.statuses)


def test_a_tool_that_never_worked_is_left_alone() -> None:
    sink, link = Sink(), ScriptedLink(pulse=NEW)
    with monitoring(link, AssertionError("a new link"), sink=sink, host=SPOOLED):
        assert eventually(lambda: len(link.streams) == 3)
        word = word_of(link)
        link.streams["vmstat"].give(word + b" said vmstat: no\n" + word + b" ended\n")
        collect(link, "top", FRAME, 100.0, word)
        assert sink.reaches("live", "vmstat ended: vmstat: no")
        assert sink.statuses[-1].probes == ("top",)


SPOOLLESS = {
    "none": "ready; spool none",  # no room
    "refused": "refused",  # no session left
}


@pytest.mark.parametrize("answer", SPOOLLESS.values(), ids=SPOOLLESS)
def test_without_a_spool_the_tools_are_read_directly(answer: str) -> None:
    sink, link = Sink(), ScriptedLink(pulse=answer)
    with monitoring(link, sink=sink, host=SPOOLED):
        assert eventually(lambda: {"top", "vmstat"} <= link.streams.keys())
        assert "exec vmstat 1" in link.streams["vmstat"].command
        link.deliver()
        assert sink.reaches("live")


def test_a_login_that_is_slow_to_tell_of_a_spool_is_asked_again() -> None:
    sink, clock, link = Sink(), Time(), ScriptedLink(pulse="ready")
    with monitoring(link, sink=sink, clock=clock, host=SPOOLED):
        assert eventually(lambda: "pulse" in link.streams)
        slow = link.streams["pulse"]
        link.answers["pulse"] = NEW
        for _ in range(4):
            clock.now += 0.8
            time.sleep(0.01)
        assert sink.reaches("silent", "pulse: the server made no spool within 3 s")
        assert "vmstat" not in link.streams
        clock.now += RETRY
        assert eventually(lambda: "vmstat" in link.streams)
        assert link.streams["pulse"] is not slow
        assert "tail -c +1 -f vmstat.1" in link.streams["vmstat"].command


# -- what a pulse tells of a host ----------------------------------------------------------------


def test_the_servers_clock_is_in_the_status() -> None:
    sink, link = Sink(), ScriptedLink()
    with monitoring(link, sink=sink, wall=1_700_001_000.0):
        assert eventually(lambda: len(link.streams) == 3)
        link.deliver()
        assert eventually(lambda: sink.statuses[-1].offset == -900.0)
        assert sink.statuses[-1].error == 0.0
        assert eventually(lambda: sink.notes)
    assert sink.notes == ["the server's clock is 900.0 s behind (± 0.000 s)"]


class Idle(threading.Thread):
    """A reader that leaves its stream to the test."""

    def __init__(self, name: str, stream: ScriptedStream, *others: object) -> None:
        super().__init__(name=name, target=lambda: None)
        self.stream = stream


class Turns:
    """A watch over a scripted link whose turns a test takes one by one, in no thread."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, host: Host = HOST) -> None:
        monkeypatch.setattr(watching, "Reader", Idle)
        self.clock, self.link = Time(), ScriptedLink()
        self.readings: list[Reading] = []
        self.watch = Watch(
            host, (TOP, VMSTAT), self.link, self.clock, self.readings.append,
            lambda *how: None, lambda text: None, Clock(0.0),
        )  # fmt: skip
        for _ in range(2 * QUICK):
            self.take(0.0)

    def take(self, seconds: float) -> None:
        """Let so much time pass, do what is due, take what has come, and judge."""
        self.clock.now += seconds
        self.watch._attend()
        for reader in tuple(self.watch._readers.values()):
            while not reader.stream.is_read:
                data = reader.stream.read(0.0)
                self.watch._handle(Arrival(reader, data, self.clock.now))
        self.watch._judge()


def test_a_pulse_that_hangs_is_no_dead_peer_while_tools_deliver(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    turns = Turns(monkeypatch)
    hung = turns.link.streams["pulse"]
    hung.mute = True
    for _ in range(40):
        turns.link.deliver()
        turns.take(0.9)
    assert len(turns.readings) >= 80
    assert turns.link.streams["pulse"] is not hung  # another is tried


def test_a_slow_probe_is_no_dead_peer_and_a_dead_peer_is_noticed_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    turns = Turns(monkeypatch, Host("web", "web", interval=Seconds(30)))
    for _ in range(50):
        turns.take(0.9)
    turns.link.streams["pulse"].mute = True
    died = turns.clock.now
    with pytest.raises(LinkError, match="the host fell silent"):
        while turns.clock.now < died + 30:
            turns.take(0.9)
    assert turns.clock.now <= died + 14


def test_a_stall_of_our_own_is_not_taken_for_a_dead_peer(monkeypatch: pytest.MonkeyPatch) -> None:
    turns = Turns(monkeypatch)
    turns.link.streams["pulse"].mute = True
    for _ in range(5):
        turns.take(0.9)  # a heartbeat, which nobody answers
    turns.take(60)  # we may have slept: what came meanwhile is not read yet
    with pytest.raises(LinkError, match="fell silent"):
        turns.take(0.1)
