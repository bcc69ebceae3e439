"""How a server's clocks stand against ours, from heartbeats and their answers. No I/O, no clock.

The arithmetic is NTP's (RFC 5905, sections 8 and 11): the server read its clock between our sending
and our receiving, so that the middle of the two is wrong by half of the round trip at most. The
answer with the least error counts; errors grow with age, since no two clocks run alike.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

KEPT = 75
"""Answers that are remembered: five minutes of them."""

DRIFT = 15e-6
"""How much two clocks may drift apart, in seconds per second (PHI of RFC 5905)."""

UPTIME_GRAIN = 0.01
"""The step in which /proc/uptime is read, in seconds."""

MATTERS = 1.0
"""Seconds by which clocks may differ, or be uncertain, before it is worth a remark."""

STEP = 0.5
"""Seconds by which a clock must jump to be taken for set: none drifts that far in five minutes."""


class Answer(NamedTuple):
    """One round trip: the server's clock minus ours in the middle of it, and the largest error."""

    at: float
    difference: float
    error: float


class Offset:
    """One clock of a server against one of ours; all in seconds."""

    def __init__(self) -> None:
        self._answers: deque[Answer] = deque(maxlen=KEPT)

    def add(self, answer: Answer) -> float:
        """Take a round trip; how far the server's clock has jumped since the last (0: not)."""
        best, jump = self.best, 0.0
        if best is not None:
            jump = answer.difference - best.difference
        if best is None or abs(jump) <= STEP + answer.error + best.error:
            jump = 0.0
        else:
            self._answers.clear()
        self._answers.append(answer)
        return jump

    @property
    def best(self) -> Answer | None:
        """The round trip that tells most, its error as it was when the newest came."""
        if not self._answers:
            return None
        now = self._answers[-1].at
        aged = (
            answer._replace(error=answer.error + DRIFT * (now - answer.at))
            for answer in self._answers
        )
        return min(aged, key=lambda answer: answer.error)


class Clock:
    """A server's clocks: its uptime, which nobody sets, and its wall clock, which people read.

    `epoch` is our wall clock (Unix, seconds) minus our monotonic one, once and for all: what jumps
    is then the server's. `jump` is how far its wall clock was set before the newest answer.
    """

    def __init__(self, epoch: float) -> None:
        self._epoch = epoch
        self._uptime = Offset()
        self._wall = Offset()
        self._remarked: set[str] = set()
        self.jump = 0.0

    def answered(
        self, sent: float, received: float, uptime: float | None, wall: float | None, grain: float
    ) -> None:
        """Take an answer: `sent` and `received` on our monotonic clock.

        `uptime` and `wall` are what the server read in between, None where it could not; `grain` is
        the step in which it read its wall clock.
        """
        middle, error = (sent + received) / 2, (received - sent) / 2
        if uptime is not None:
            self._uptime.add(Answer(middle, uptime + UPTIME_GRAIN / 2 - middle, error))
        self.jump = 0.0
        if wall is None:
            return
        difference = wall + grain / 2 - middle - self._epoch
        self.jump = self._wall.add(Answer(middle, difference, error + grain / 2))

    def remarks(self) -> Iterator[str]:
        """What the newest answer gives reason to say, each once."""
        offset = self.offset
        if self.jump:
            yield f"the server's clock was set {_apart(self.jump, 'forward', 'back')}"
        elif offset is not None and abs(offset.difference) > MATTERS + offset.error:
            how = f"{_apart(offset.difference, 'ahead', 'behind')} (± {offset.error:.3f} s)"
            yield from self._once("offset", f"the server's clock is {how}")
        if offset is not None and offset.error > MATTERS:
            yield from self._once("error", f"the server's clock is known to ± {offset.error:.1f} s")

    def _once(self, subject: str, remark: str) -> Iterator[str]:
        if subject not in self._remarked:
            self._remarked.add(subject)
            yield remark

    def local(self, uptime: float) -> float | None:
        """The server's `uptime` on our monotonic clock; None before the first answer."""
        best = self._uptime.best
        return None if best is None else uptime + UPTIME_GRAIN / 2 - best.difference

    @property
    def offset(self) -> Answer | None:
        """The server's wall clock minus ours; None where it does not tell."""
        return self._wall.best


def _apart(seconds: float, more: str, less: str) -> str:
    return f"{abs(seconds):.1f} s {more if seconds > 0 else less}"
