"""One probe on one host: what came, what is missing, what is due. No I/O and no clock.

`remote.watch` opens the streams, says what arrived when, and acts on what a lane answers.
"""

from __future__ import annotations

from loadwatch.core.plan import Host
from loadwatch.core.reading import Reading
from loadwatch.remote.guard import HEARTBEAT, Preamble, command, make_nonce
from loadwatch.remote.probe import Probe
from loadwatch.remote.text import clean

DETECTION = 3.0
"""Seconds that a login has to start the guard."""

PAUSE = 0.25
"""Seconds of silence that end a burst of output."""

RETRY = 5.0
"""Seconds before a tool that ended is started again."""

NEVER = float("-inf")


class Lane:
    """A probe's stream over one connection, restarted when it ends.

    `problem` says in a line why nothing comes; empty when something does. `given_up`: the tool is
    missing, or ended before it told anything. `seen`: readings came.
    """

    def __init__(self, probe: Probe, host: Host) -> None:
        self.name = probe.name
        self.interval = probe.interval(host)
        self.problem = ""
        self.given_up = False
        self.seen = False
        self.is_open = False
        self._probe = probe
        self._host = host
        self._preamble = Preamble("")
        self._parser = probe.parser(host.name)
        self._since: float | None = None
        self._opened = NEVER
        self._due = NEVER
        self._beat = NEVER
        self._last_byte = NEVER
        self._last_reading = NEVER
        self._flushed = True

    @property
    def patience(self) -> float:
        """Seconds without a byte after which a stream counts as dead."""
        return max(3 * self.interval + 2, 10.0)

    def is_due(self, at: float) -> bool:
        """Whether the tool should be started now."""
        return not self.is_open and not self.given_up and at >= self._due

    def open(self, at: float) -> str:
        """The command to start the tool with, now."""
        nonce = make_nonce()
        self.is_open = True
        self._preamble = Preamble(nonce)
        self._parser = self._probe.parser(self._host.name)
        self._opened = self._last_byte = at
        self._since = at if self._since is None else self._since
        self._beat = NEVER
        return command(self.name, self._probe.command(self.interval), nonce)

    def beats(self, at: float) -> bool:
        """Whether a heartbeat is to be sent now."""
        if not self.is_open or at - self._beat < HEARTBEAT:
            return False
        self._beat = at
        return True

    def receive(self, data: bytes, at: float) -> list[Reading]:
        """The readings that `data`, arrived at `at`, completes."""
        self._last_byte = at
        self._flushed = False
        return self._take(self._parser.feed(self._preamble.feed(data), at), at)

    def pause(self, at: float) -> float:
        """Seconds until a pause will have ended the burst that came last."""
        return float("inf") if self._flushed else max(0.0, self._last_byte + PAUSE - at)

    def settle(self, at: float) -> list[Reading]:
        """The readings that a pause completes; called now and then."""
        if self.pause(at) > 0:
            return []
        self._flushed = True
        return self._take(self._parser.flush(), at)

    def _take(self, readings: list[Reading], at: float) -> list[Reading]:
        """Of what comes at once, after a stall or from a hostile server, the newest."""
        if not readings or at - self._last_reading < self.interval / 10:
            return []
        self.seen = True
        self.problem = ""
        self._last_reading = at
        return readings[-1:]

    def end(self, complaints: list[str], at: float) -> list[Reading]:
        """The stream ended by itself, having written `complaints` to standard error."""
        own = [line for line in complaints if line.startswith(self.name)]
        error = own[0] if own else complaints[-1] if complaints else ""
        readings = self._take(self._parser.flush(), at)
        if self._preamble.missing:
            self.given_up = True
            install = self._probe.install
            self.problem = f"{self.name} is not on the login's PATH: {install}"
        elif not self._preamble.ready:
            self.given_up = not self.seen
            noise = clean(self._preamble.noise.decode("utf-8", "replace").strip(), 100)
            self.problem = f"the login runs no commands: {error or noise or 'no output'}"
        else:
            self.given_up = not self.seen
            self.problem = f"{self.name} ended: {error or 'without a word'}"
        self._stop(at)
        return readings

    def refuse(self, reason: str) -> None:
        """The stream could not be opened."""
        self.given_up = True
        self.problem = f"{self.name}: {reason}"
        self.is_open = False

    def overdue(self, at: float) -> str:
        """Why the stream should be closed now, to be opened again later; empty if it should not."""
        if not self.is_open:
            return ""
        if not self._preamble.ready and at - self._opened > DETECTION:
            return f"{self.name}: the login gave no answer within {DETECTION:.0f} s"
        if self.is_dead(at):
            return f"{self.name}: nothing came for {self.patience:.0f} s"
        return ""

    def abandon(self, reason: str, at: float) -> None:
        """The stream was closed by us because of `reason`."""
        self.problem = reason
        self._stop(at)

    def _stop(self, at: float) -> None:
        self.is_open = False
        self._due = at + RETRY

    def is_dead(self, at: float) -> bool:
        """Whether not a byte came for too long."""
        return at - self._last_byte > self.patience

    def is_silent(self, at: float) -> bool:
        """Whether there has been no reading for over 2 intervals and 1 s."""
        if self.given_up or self._since is None:
            return False
        return at - max(self._last_reading, self._since) > 2 * self.interval + 1
