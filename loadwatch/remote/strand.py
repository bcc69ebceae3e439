"""One guarded command over one connection: when it is due, what ended it. No I/O and no clock.

`remote.watch` opens the streams, says what arrived when, and acts on what a strand answers.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from loadwatch.core.reading import Reading
from loadwatch.remote.guard import BEAT, HEARTBEAT, Preamble, make_nonce
from loadwatch.remote.text import clean

DETECTION = 3.0
"""Seconds that a login has to start the guard."""

RETRY = 5.0
"""Seconds before a command that ended is started again."""

NEVER = float("-inf")


class Strand(ABC):
    """A stream of output, started again when it ends.

    `problem` says in a line why nothing comes; empty when something does. `given_up`: it will not
    be tried again. `seen`: it told something. `last_byte` is when anything came last. `remarks` are
    lines for the timeline, until somebody takes them.
    """

    def __init__(self, name: str, tool: str = "", install: str = "") -> None:
        self.name = name
        self._tool = tool
        self.problem = ""
        self.given_up = False
        self.seen = False
        self.is_open = False
        self.last_byte = NEVER
        self.remarks: list[str] = []
        self._install = install
        self._preamble = Preamble("")
        self._opened = NEVER
        self._due = NEVER
        self._beat = NEVER

    @property
    @abstractmethod
    def patience(self) -> float:
        """Seconds without a byte after which the stream counts as dead."""

    @abstractmethod
    def _command(self, nonce: str) -> str:
        """The command for a login shell; its output begins after the guard's line."""

    @abstractmethod
    def _read(self, output: bytes, at: float) -> list[Reading]:
        """The readings that the command's own output, arrived at `at`, completes."""

    def is_due(self, at: float) -> bool:
        """Whether the command should be started now."""
        return not self.is_open and not self.given_up and at >= self._due

    def open(self, at: float) -> str:
        """The command to start now."""
        nonce = make_nonce()
        self.is_open = True
        self._preamble = Preamble(nonce)
        self._opened = self.last_byte = at
        self._beat = NEVER
        return self._command(nonce)

    def beat(self, at: float) -> bytes:
        """The heartbeat to send now; empty if none is due."""
        if not self.is_open or at - self._beat < HEARTBEAT:
            return b""
        self._beat = at
        return BEAT

    def receive(self, data: bytes, at: float) -> list[Reading]:
        """The readings that `data`, arrived at `at`, completes."""
        self.last_byte = at
        return self._read(self._preamble.feed(data), at)

    def end(self, complaints: list[str], at: float) -> list[Reading]:
        """The stream ended by itself, having written `complaints` to standard error."""
        own = [line for line in complaints if line.startswith(self.name)]
        error = own[0] if own else complaints[-1] if complaints else ""
        if self._preamble.missing:
            self.given_up = True
            self.problem = f"{self._tool} is not on the login's PATH: {self._install}"
        elif not self._preamble.ready:
            self.given_up = not self.seen
            noise = clean(self._preamble.noise.decode("utf-8", "replace").strip(), 100)
            said = error or noise or "no output"
            self.problem = f"the login runs no commands: {said}; it takes a shell that may start sh"
        else:
            self.given_up = not self.seen
            self.problem = f"{self.name} ended: {error or 'without a word'}"
        self._stop(at + RETRY)
        return []

    def refuse(self, reason: str) -> None:
        """The stream could not be opened."""
        self.given_up = True
        self.problem = f"{self.name}: {reason}"
        self.is_open = False

    def overdue(self, at: float) -> str | None:
        """Why the stream should be closed now, to be opened again later; None if it should not.

        An empty reason means: at once, and nothing is wrong.
        """
        if not self.is_open:
            return None
        if not self._preamble.ready and at - self._opened > DETECTION:
            return f"{self.name}: the login gave no answer within {DETECTION:.0f} s"
        if self.is_dead(at):
            return f"{self.name}: nothing came for {self.patience:.0f} s"
        return None

    def abandon(self, reason: str, at: float) -> None:
        """The stream was closed by us because of `reason`."""
        self.problem = reason
        self._stop(at + RETRY if reason else at)

    def _stop(self, due: float) -> None:
        self.is_open = False
        self._due = due

    def is_dead(self, at: float) -> bool:
        """Whether not a byte came for too long."""
        return at - self.last_byte > self.patience
