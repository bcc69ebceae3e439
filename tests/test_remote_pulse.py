"""The pulse: what is asked when, what an answer tells, and real answers from real shells."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadwatch.core.plan import Host
from loadwatch.core.reading import Reading
from loadwatch.remote.answers import Answers
from loadwatch.remote.clock import Clock
from loadwatch.remote.connection import connect
from loadwatch.remote.guard import BEAT, HEARTBEAT, command
from loadwatch.remote.link import Link, Stream
from loadwatch.remote.local import LocalLink
from loadwatch.remote.pulse import ACCOUNT, ASK, METRICS, QUICK, SILENCE, Account, Pulse
from loadwatch.remote.sshconfig import resolve
from tests.sshd import Sshd, find, sshd, start_sshd

__all__ = ["sshd", "start_sshd"]  # the fixtures

HOST = Host("web", "web")


class Asked:
    """A pulse at our instant `at`, and the server that it asks, which is `ahead` by an hour."""

    ahead = 3600.0

    def __init__(self) -> None:
        self.clock = Clock(0.0)
        self.traffic = 1000
        self.pulse = Pulse(HOST, self.clock, traffic=lambda: self.traffic)
        self.open(0.0)

    def open(self, at: float) -> None:
        match = re.search(r"LW1 (\w+) ready", self.pulse.open(at))
        assert match is not None
        self.nonce = match[1]
        self.pulse.receive(f"motd\nLW1 {self.nonce} ready\n".encode(), at)

    def answer(self, at: float, *lines: str) -> list[Reading]:
        """What the server's lines come to; its clocks without any."""
        shown = at + self.ahead
        lines = lines or (f"clock {shown:.2f} {shown:.9f}",)
        text = "".join(f"LW1 {self.nonce} {line}\n" for line in lines)
        return self.pulse.receive(text.encode(), at)


def beats(pulse: Pulse, *instants: float) -> list[bytes]:
    return [pulse.beat(at) for at in instants]


def test_eight_quick_questions_then_one_every_four_seconds_and_the_cost_now_and_then() -> None:
    asked = Asked()
    sent = [b""]
    for number in range(QUICK):
        at = number / 1000
        sent.append(asked.pulse.beat(at))
        assert asked.pulse.beat(at) == b""  # no second one before the answer
        readings = asked.answer(at + 0.0005)
        assert bool(readings) == (number == QUICK - 1)  # worth nothing before
    assert sent[1:] == [ASK] + [BEAT] * (QUICK - 1)
    assert beats(asked.pulse, 1.0, 3.9, 4.1, 4.2, 8.2, ACCOUNT + 0.3) == [
        b"", b"", BEAT, b"", BEAT, ASK,
    ]  # fmt: skip


def test_nothing_is_asked_before_the_guard_is_there() -> None:
    pulse = Pulse(HOST, Clock(0.0))
    assert pulse.beat(0.0) == b""
    pulse.open(0.0)
    assert pulse.beat(1.0) == b""


def test_an_answer_ends_what_was_wrong() -> None:
    asked = Asked()
    asked.pulse.abandon("pulse: the server made no spool within 3 s", 0.0)
    asked.open(5.0)
    assert asked.pulse.problem
    assert asked.pulse.beat(5.0)
    asked.answer(5.1)
    assert asked.pulse.problem == ""


def test_an_answer_tells_the_offset_and_its_error() -> None:
    asked = Asked()
    for number in range(QUICK):
        asked.pulse.beat(float(number) / 10)
        readings = asked.answer(number / 10 + 0.02)
    (reading,) = readings
    assert (reading.host, reading.probe, reading.at) == ("web", "pulse", 0.72)
    assert reading.values["clock.offset"] == pytest.approx(3600.01)
    assert reading.values["clock.error"] == pytest.approx(0.01, abs=0.001)
    assert asked.pulse.remarks == ["the server's clock is 3600.0 s ahead (± 0.010 s)"]


ANSWERS = [
    # the line, what the uptime and the wall clock are known to
    ("clock 12.34 1700000000.123456789", 12.345, 1700000000.123456789),
    ("clock 12.34 1700000000.%N", 12.345, 1700000000.5),  # BusyBox
    ("clock 12.34 1700000000.N", 12.345, 1700000000.5),  # BSD
    ("clock - 1700000000.5", None, 1700000000.5),  # no /proc
    ("clock 12.34 ", 12.345, None),  # no room for another process
    ("clock 12.34", 12.345, None),
]


@pytest.mark.parametrize(("line", "uptime", "wall"), ANSWERS)
def test_what_servers_answer(line: str, uptime: float | None, wall: float | None) -> None:
    asked = Asked()
    asked.pulse.beat(10.0)
    asked.answer(10.0, line)
    offset = asked.clock.offset
    assert (offset is None) == (wall is None)
    if offset is not None:
        assert offset.difference + 10.0 == pytest.approx(wall)
    assert asked.clock.local(12.34) == (None if uptime is None else pytest.approx(10.0))


HOSTILE = [
    "clock nan nan", "clock 1e9 1", "clock 12.34 1700000000.123456789 x" * 9, "clock",
    "cost 1.00 5", "cost 1 2 3 4", "cost -1.00 -5", "spool new /tmp/loadwatch.abcdefghij", "",
]  # fmt: skip


@pytest.mark.parametrize("line", HOSTILE)
def test_other_lines_tell_nothing(line: str) -> None:
    asked = Asked()
    assert asked.answer(1.0, line) == []
    assert asked.clock.offset is None


@given(st.lists(st.binary(max_size=60) | st.sampled_from([b"clock 1.00 2\n", b"cost 1.00 2 3\n"])))
def test_no_server_makes_us_raise_or_believe_more_answers_than_questions(data: list[bytes]) -> None:
    asked = Asked()
    asked.pulse.beat(1.0)
    prefix = f"LW1 {asked.nonce} ".encode()
    readings = [
        reading
        for piece in data
        for reading in asked.pulse.receive(prefix + piece, 1.0)
    ]  # fmt: skip
    assert readings == []  # one answer is below what a clock takes, one account has no predecessor


ACCOUNTS = [
    # later by s, ticks of ours, of sshd, bytes; what comes of it
    (10.0, 5, 2, 5000, {"cost.cpu": 0.5, "cost.sshd": 0.2, "cost.bytes": 500.0}),
    (10.0, 5, None, None, {"cost.cpu": 0.5}),
    (10.0, -1, 2, 5000, {}),  # a tool has ended and took its account along
    (0.0, 5, 2, 5000, {}),
    (-9.0, 5, 2, 5000, {}),  # the server restarted
]


@pytest.mark.parametrize(("seconds", "ours", "sshd_ticks", "traffic", "values"), ACCOUNTS)
def test_the_cost_between_two_accounts(
    seconds: float,
    ours: int,
    sshd_ticks: int | None,
    traffic: int | None,
    values: dict[str, float],
) -> None:
    before = Account(100.0, 40, 10, 2000)
    later = Account(
        100.0 + seconds,
        40 + ours,
        None if sshd_ticks is None else 10 + sshd_ticks,
        None if traffic is None else 2000 + traffic,
    )
    assert later.since(before) == pytest.approx(values)
    assert set(values) <= {metric.key for metric in METRICS}


def test_an_account_is_taken_when_asked_for() -> None:
    asked = Asked()
    asked.pulse.beat(0.0)
    assert asked.answer(0.1, "cost 100.00 40 10") == []
    asked.traffic += 2400
    assert asked.answer(0.2, "cost 101.00 90 20") == []  # nobody has asked
    assert asked.pulse.beat(ACCOUNT) == ASK
    (reading,) = asked.answer(12.1, "cost 112.00 46 13")
    assert reading.values == {"cost.cpu": 0.5, "cost.sshd": 0.25, "cost.bytes": 200.0}


def test_a_question_without_an_answer_is_waited_for_so_long() -> None:
    asked = Asked()
    assert not asked.pulse.is_dead(1000.0)
    asked.pulse.beat(5.0)
    assert not asked.pulse.is_dead(5.0 + SILENCE)
    assert asked.pulse.is_dead(5.1 + SILENCE)
    asked.answer(15.0)
    assert not asked.pulse.is_dead(15.0)


def test_death_is_noticed_within_fifteen_seconds_with_time_to_spare() -> None:
    assert HEARTBEAT + SILENCE <= 13.0


# -- real answers --------------------------------------------------------------------------------


class Connected:
    """A real pulse over a real link, by a clock that can be put forward."""

    def __init__(self, link: Link) -> None:
        self.ahead = 0.0
        self.clock = Clock(time.time() - time.monotonic())
        self.pulse = Pulse(HOST, self.clock, traffic=lambda: link.traffic)
        self.stream: Stream = link.open(self.pulse.open(self.now))
        self._read(1)

    @property
    def now(self) -> float:
        return time.monotonic() + self.ahead

    def ask(self, later: float = 0.0) -> list[Reading]:
        """Everything that is due so much later, asked and answered."""
        self.ahead += later
        readings: list[Reading] = []
        while beat := self.pulse.beat(self.now):
            self.stream.write(beat)
            readings += self._read(2 if beat == ASK else 1)
        return readings

    def _read(self, lines: int) -> list[Reading]:
        readings: list[Reading] = []
        while lines > 0:
            while (data := self.stream.read(10.0)) is None:
                pass
            assert data, self.stream.complaints
            lines -= data.count(b"\n")
            readings += self.pulse.receive(data, self.now)
        return readings

    def close(self) -> None:
        self.stream.close()
        while self.stream.read(1.0) != b"":
            pass


@pytest.fixture
def burner() -> Iterator[int]:
    """A tool under guard that takes all the CPU it gets, with children that end: its PID.

    Beside it, a process of ours that is no tool and takes as much.
    """
    stream = LocalLink().open(command("sleep", "echo $$; while :; do sleep 0; done", "0" * 16))
    other = subprocess.Popen(["yes"], stdout=subprocess.DEVNULL)
    shown = b""
    while shown.count(b"\n") < 2:
        shown += stream.read(10.0) or b""
    yield int(shown.split()[-1])
    other.kill()
    other.wait()
    stream.close()
    while stream.read(1.0) != b"":
        pass


def ticks(pid: int) -> int:
    """CPU that a guard and everything below it have taken."""
    tree = subprocess.run(
        ["ps", "-o", "pid=", "--sid", str(pid)], capture_output=True, text=True, check=True
    )
    spent = 0
    for member in tree.stdout.split():
        with suppress(OSError):  # it has ended: its parent accounts for it
            stat = Path(f"/proc/{member}/stat").read_text(encoding="utf-8").rpartition(")")[2]
            spent += sum(map(int, stat.split()[11:15]))
    return spent


AWKS = [name for name in ("mawk", "gawk", "original-awk", "busybox") if find(name)]


@pytest.mark.parametrize("awk", AWKS)
def test_an_account_is_what_our_processes_have_spent(
    burner: int, awk: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "awk").symlink_to(str(find(awk)))
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    connected = Connected(LocalLink())
    spent = [ticks(burner)]
    connected.ask()
    account = connected.pulse._account
    assert account is not None
    first = account.ours
    spent.append(ticks(burner))
    while (now := ticks(burner)) < spent[1] + 20:
        time.sleep(0.05)
    connected.ask(ACCOUNT)
    account = connected.pulse._account
    assert account is not None
    assert account.sshd is None  # there is none between us and this machine
    own = 15  # the pulse's own, at most
    assert now - spent[1] <= account.ours - first <= ticks(burner) - spent[0] + own
    connected.close()


def test_a_real_server_tells_its_clock_and_its_cost(sshd: Sshd) -> None:
    link = connect(resolve("web"), Answers(), lambda note: None)
    connected = Connected(link)
    (reading,) = connected.ask()
    # One machine, one clock: the offset is what is not known of it.
    assert abs(reading.values["clock.offset"]) <= reading.values["clock.error"] < 1
    (uptime, _) = Path("/proc/uptime").read_text(encoding="utf-8").split()
    local = connected.clock.local(float(uptime))
    assert local is not None
    assert abs(local - connected.now) < 1
    time.sleep(0.02)  # an account later by nothing would tell nothing
    readings = connected.ask(ACCOUNT)
    values = {key: value for one in readings for key, value in one.values.items()}
    assert set(values) == {metric.key for metric in METRICS}
    assert values["cost.bytes"] > 0
    link.close()
