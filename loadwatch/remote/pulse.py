"""The pulse of a connection: heartbeats that the server answers. No I/O and no clock.

An answer says that the server is there, which a slow probe or a hop in between cannot, what its
clocks show, and now and then what our own processes there have cost so far.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from loadwatch.core.metric import Metric, Unit
from loadwatch.core.plan import Host
from loadwatch.core.reading import Reading
from loadwatch.remote.clock import Clock
from loadwatch.remote.guard import BEAT, HEARTBEAT, answering, fill
from loadwatch.remote.lines import Lines
from loadwatch.remote.spool import Spool
from loadwatch.remote.strand import DETECTION, NEVER, Strand

NAME = "pulse"

METRICS = (
    Metric("clock.offset", Unit.SECONDS, "Server's clock ahead of ours"),
    Metric("clock.error", Unit.SECONDS, "Error of the clock's offset", "gauge", "lower"),
    Metric("cost.cpu", Unit.PERCENT, "CPU of our tools and shells there", "gauge", "lower"),
    Metric("cost.sshd", Unit.PERCENT, "CPU of the sshd that serves us", "gauge", "lower"),
    Metric("cost.bytes", Unit.BYTES_PER_SECOND, "Bytes of our monitoring", "rate", "lower"),
)
"""What a pulse measures, keyed relative to a host; CPU in percent of one core."""

QUICK = 8
"""Answers that are asked for one right after the other: a clock is known after those."""

ACCOUNT = 12.0
"""Seconds between two accounts of the cost: that takes a look at every process."""

SILENCE = 9.0
"""Seconds without an answer, nor any other byte, after which a peer is dead."""

ASK = b"cost\n"
"""A heartbeat that asks for the cost as well."""

# Ours are the shells that the same sshd (`r`, our parent) has started, the collector of a spool
# (`k`), and all below them. Their times include those of children that have ended (fields 14 to 17
# of /proc/PID/stat, proc(5)). sshd is named so, or sshd-session (from 9.8 on).
_COST = """
awk -v r=$PPID -v k=$k -v q="(sh)" -v d="(sshd" "BEGIN {
  while (++i < ARGC) if ((getline s <ARGV[i]) > 0) {
    close(ARGV[i]); p = s + 0; ours = index(s, q); daemon = index(s, d);
    sub(/.*[)] /, e, s); split(s, x); up[p] = x[2]; t[p] = x[12] + x[13] + x[14] + x[15];
    m[p] = p == k || x[2] == r && ours > 0; if (p == r && daemon) h = x[12] + x[13]
  }
  do { more = 0; for (p in up) if (m[up[p]] > m[p]) more = m[p] = 1 } while (more);
  for (p in up) if (m[p]) sum += t[p];
  print sum + 0, h
}" /proc/[0-9]*/stat
"""
_ANSWER = """
u=-; read -r u v </proc/uptime; echo LW1 @nonce@ clock $u $(date +%s.%N);
@keep@
case $x in cost) echo LW1 @nonce@ cost $u $(@cost@);; esac;
"""
_CLOCK = re.compile(r"LW1 \w+ clock (?:-|(\d{1,12}\.\d{1,9})) ?(\d{1,12})?(\.\d{1,9})?.{0,9}")
_ACCOUNT = re.compile(r"LW1 \w+ cost (\d{1,12}\.\d{1,9}) (\d{1,12}) ?(\d{0,12})")


class Account(NamedTuple):
    """What the monitoring has cost up to a moment of the server's uptime.

    CPU in ticks, of which every Linux shows 100 a second; `traffic` in bytes both ways, None where
    the link does not count.
    """

    uptime: float
    ours: int
    sshd: int | None
    traffic: int | None

    def since(self, before: Account) -> dict[str, float]:
        """The metrics of the time since `before`; what ended meanwhile may have taken its share."""
        seconds = self.uptime - before.uptime
        if seconds <= 0 or self.ours < before.ours:
            return {}
        values = {"cost.cpu": (self.ours - before.ours) / seconds}
        if self.sshd is not None and before.sshd is not None:
            values["cost.sshd"] = (self.sshd - before.sshd) / seconds
        if self.traffic is not None and before.traffic is not None:
            values["cost.bytes"] = (self.traffic - before.traffic) / seconds
        return values


class Pulse(Strand):
    """The heartbeats of one connection to `host` and their answers.

    `clock` learns from them. `spool`, if there is one, is kept alive by them. `traffic` counts the
    bytes on the wire so far.
    """

    def __init__(
        self,
        host: Host,
        clock: Clock,
        spool: Spool | None = None,
        traffic: Callable[[], int | None] = lambda: None,
    ) -> None:
        super().__init__(NAME)
        self._host = host
        self._clock = clock
        self._spool = spool
        self._traffic = traffic
        self._lines = Lines()
        self._sent: deque[float] = deque()
        self._answers = 0
        self._asked = NEVER
        self._is_charged = True
        self._account: Account | None = None

    @property
    def patience(self) -> float:
        """Seconds without an answer after which another pulse is tried."""
        return SILENCE

    def is_dead(self, at: float) -> bool:
        """Whether a heartbeat has been without an answer for too long."""
        return self.is_open and bool(self._sent) and at - self._sent[0] > SILENCE

    def _command(self, nonce: str) -> str:
        self._lines = Lines()
        self._sent.clear()
        self._answers = 0
        self._asked = NEVER
        self._is_charged = True
        self._account = None
        spool = self._spool
        keep = "" if spool is None else spool.keep()
        answer = fill(_ANSWER, nonce=nonce, keep=keep, cost=fill(_COST))
        if spool is None:
            return answering(nonce, answer, begin="k=0;")
        return answering(nonce, answer, begin=spool.begin(nonce), end=spool.end())

    def refuse(self, reason: str) -> None:
        """The stream could not be opened."""
        super().refuse(reason)
        if self._spool is not None:
            self._spool.forget()
            self._spool.waive()

    def end(self, complaints: list[str], at: float) -> list[Reading]:
        """The stream ended by itself, having written `complaints` to standard error."""
        if self._spool is not None:
            self._spool.waive()
        return super().end(complaints, at)

    def overdue(self, at: float) -> str | None:
        """Why the stream should be closed now; None if it should not."""
        waiting = self._spool is not None and not self._spool.settled
        if self.is_open and waiting and at - self._opened > DETECTION:
            return f"{self.name}: the server made no spool within {DETECTION:.0f} s"
        return super().overdue(at)

    def beat(self, at: float) -> bytes:
        """The heartbeat to send now; empty if none is due."""
        if not self.is_open or not self._preamble.ready:
            return b""
        quick = self._answers < QUICK and not self._sent
        if not quick and at - self._beat < HEARTBEAT:
            return b""
        self._beat = at
        self._sent.append(at)
        if at - self._asked < ACCOUNT:
            return BEAT
        self._asked = at
        self._is_charged = False
        return ASK

    def _read(self, output: bytes, at: float) -> list[Reading]:
        readings: list[Reading] = []
        for line, came in self._lines.feed(output, at):
            values: dict[str, float] = {}
            if match := _CLOCK.fullmatch(line):
                values = self._learn(match, came)
            elif match := _ACCOUNT.fullmatch(line):
                values = self._charge(match)
            elif self._spool is not None:
                self.remarks += self._spool.hear(line)
            if values:
                readings.append(Reading(self._host.name, NAME, came, values))
        return readings

    def _learn(self, match: re.Match[str], at: float) -> dict[str, float]:
        """Take an answer's clocks; the offset that they come to."""
        if not self._sent:
            return {}  # more answers than questions
        self._answers += 1
        self.seen = True
        self.problem = ""
        uptime = float(match[1]) if match[1] else None
        wall = int(match[2]) + float(match[3] or 0) if match[2] else None
        grain = 0.0 if match[3] else 1.0  # date(1) of BusyBox has no %N
        self._clock.answered(self._sent.popleft(), at, uptime, wall, grain)
        offset = self._clock.offset
        if offset is None or self._answers < QUICK:
            return {}
        self.remarks += self._clock.remarks()
        return {"clock.offset": offset.difference, "clock.error": offset.error}

    def _charge(self, match: re.Match[str]) -> dict[str, float]:
        """Take an account; what the time since the last one has cost."""
        if self._is_charged:
            return {}  # nobody has asked
        self._is_charged = True
        sshd = int(match[3]) if match[3] else None
        account = Account(float(match[1]), int(match[2]), sshd, self._traffic())
        before, self._account = self._account, account
        return {} if before is None else account.since(before)
