"""Can a host be watched, and what would be seen? Watches it for a moment, as a run would."""

from __future__ import annotations

import queue
import time
from collections import Counter
from collections.abc import Callable, Iterator

import msgspec

from loadwatch.core.finding import Finding, Verdict
from loadwatch.core.metric import Unit, format_value
from loadwatch.core.plan import LOCAL, Host, Seconds
from loadwatch.core.reading import HostNote, HostStatus, Reading
from loadwatch.core.ticker import Ticker
from loadwatch.remote.answers import Answers
from loadwatch.remote.clock import MATTERS
from loadwatch.remote.detection import choose
from loadwatch.remote.monitor import HostMonitor, Sink
from loadwatch.remote.probe import Probe, Tool
from loadwatch.remote.probes import all_probes

PATIENCE = 20.0
"""Seconds that a host may take until every probe has delivered."""

FAREWELL = 5.0
"""Seconds that the monitor may take to leave the host clean."""

LOOK = 0.2
"""Seconds between two looks at what has come."""

ENOUGH = 2
"""Readings of every probe that are waited for: rates take two."""

CLOCK = "the server's clock"
"""How remarks on a clock begin: a finding of its own says it."""

Watch = Callable[[Host, Sink, Answers], HostMonitor]


def inspect(host: Host, answers: Answers, watch: Watch = HostMonitor) -> Iterator[Finding]:
    """What there is to say about watching `host`; `watch` is for tests.

    `answers` are what people are asked for to log in; the time that they take is not counted. It
    ends where the host cannot be watched at all.
    """
    seen = _Sight(host)
    seen.look(answers, watch)
    yield seen.connection()
    yield from seen.notes()
    if seen.was_live:
        yield seen.login()
        yield from seen.tools()
        yield seen.delivery()
        yield from seen.blind_spots()
        yield from seen.groups()
        yield seen.clock()


class _Sight:
    """What a moment of watching has shown."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._status = HostStatus(host.name, "connecting")
        self._readings: list[Reading] = []
        self._notes: list[str] = []
        self.was_live = False

    def look(self, answers: Answers, watch: Watch) -> None:
        """Watch until every probe has delivered, it fails, or patience is over."""
        items: queue.SimpleQueue[Reading | HostStatus | HostNote] = queue.SimpleQueue()
        # A minute's interval would take a minute.
        quick = msgspec.structs.replace(self._host, interval=Seconds(1), top_interval=None)
        monitor = watch(quick, items.put, answers)
        until = time.monotonic() + PATIENCE
        monitor.start()
        while time.monotonic() < until and not self._is_enough(monitor):
            try:
                self._take(items.get(timeout=LOOK))
            except queue.Empty:
                until += LOOK if answers.is_asking else 0.0
        monitor.stop()
        monitor.join(FAREWELL)
        self._server = monitor.server

    def _take(self, item: Reading | HostStatus | HostNote) -> None:
        if isinstance(item, Reading):
            self._readings.append(item)
        elif isinstance(item, HostNote):
            self._notes.append(item.text)
        else:
            self._status = item
            self.was_live = self.was_live or item.state == "live"

    def _is_enough(self, monitor: HostMonitor) -> bool:
        if self._status.state in ("failed", "lost"):
            return True
        self._server = monitor.server
        counts = Counter(reading.probe for reading in self._readings)
        return self.was_live and all(counts[probe.name] >= ENOUGH for probe in self._chosen)

    @property
    def _chosen(self) -> tuple[Probe, ...]:
        return choose(self._host, all_probes(), self._server.tools)

    def finding(self, name: str, verdict: Verdict, text: str, advice: str = "") -> Finding:
        """One finding about the host."""
        return Finding(f"host {self._host.name}", name, verdict, text, advice)

    def connection(self) -> Finding:
        """Whether it can be reached, trusted and logged in to."""
        if not self.was_live:
            detail = self._status.detail.split("; trying again")[0]
            text = detail or f"not watched within {PATIENCE:.0f} s"
            return self.finding("connection", "failure", text)
        to = self._host.access.to
        if to == LOCAL:
            return self.finding("connection", "ok", "this machine")
        return self.finding("connection", "ok", f"{to}: host key known, logged in")

    def notes(self) -> Iterator[Finding]:
        """What the monitor remarked on."""
        for note in self._notes:
            if not note.startswith(CLOCK):
                yield self.finding("note", "warning", note)

    def clock(self) -> Finding:
        """How its wall clock stands against ours."""
        offset, error = self._status.offset, self._status.error
        if offset is None or error is None:
            return self.finding("clock", "unknown", "it does not tell")
        text = f"{abs(offset):.3f} s {'ahead' if offset > 0 else 'behind'} (± {error:.3f} s)"
        if abs(offset) <= MATTERS + error:
            return self.finding("clock", "ok", text)
        advice = "times in its logs differ by that from ours; what is measured does not"
        return self.finding("clock", "warning", text, advice)

    def login(self) -> Finding:
        """Who we are there, and where."""
        server = self._server
        known = [server.user and f"user {server.user}", server.shell, server.system]
        text = ", ".join(filter(None, known))
        return self.finding("login", "ok" if text else "unknown", text or "it did not say")

    def tools(self) -> Iterator[Finding]:
        """Each probe's tool, and what stands in for one that cannot be used."""
        chosen = {probe.name for probe in self._chosen}
        for probe in all_probes():
            tool = self._server.tools.get(probe.name)
            if tool is None:
                yield self.finding(probe.tool, "unknown", "it did not show itself in time")
            elif not tool.lacks:
                yield self.finding(probe.tool, "ok", _place(tool))
            elif probe.name in chosen or probe.stand_in is not None:
                install = "" if tool.path else probe.install
                yield self.finding(probe.tool, "warning", _place(tool), install)
            else:
                yield self.finding(probe.tool, "ok", f"{_place(tool)}; proc stands in for it")

    def delivery(self) -> Finding:
        """The probes that run, and whether all of what they print can be read."""
        delivered = {reading.probe for reading in self._readings}
        names = ", ".join(probe.name for probe in self._chosen if probe.name in delivered)
        silent = [probe.name for probe in self._chosen if probe.name not in delivered]
        if silent:
            text = f"{names or 'none'}; nothing from {', '.join(silent)}"
            return self.finding("probes", "warning", text, self._status.detail)
        if skipped := sum(reading.skipped for reading in self._readings):
            advice = "a process may have a name that breaks its row; the others are read"
            return self.finding("probes", "warning", f"{names}; {skipped} unreadable rows", advice)
        return self.finding("probes", "ok", names)

    def blind_spots(self) -> Iterator[Finding]:
        """What the probes that run cannot see there."""
        for probe in self._chosen:
            for missing in self._server.tools.get(probe.name, Tool()).missing:
                yield self.finding(missing.what, "warning", missing.why, missing.advice)

    def groups(self) -> Iterator[Finding]:
        """How many processes each group has now, and the limits that they are under."""
        ticker = Ticker((), [self._host], lambda values: {})
        for reading in self._readings:
            ticker.reading(0, reading)
        values = ticker.close().values
        for group in self._host.groups:
            prefix = f"host.{self._host.name}.group.{group.name}."
            count = values.get(f"{prefix}count", 0)
            if not count:
                advice = "look at user, command and pids of the group"
                yield self.finding(f"group {group.name}", "warning", "no process", advice)
                continue
            rss = format_value(values[f"{prefix}rss"], Unit.BYTES)
            text = f"{count:.0f} process{'es' if count > 1 else ''}, RSS {rss}"
            for key, unit, what in (
                ("memory.limit", Unit.BYTES, "memory"),
                ("cpu.quota", Unit.PERCENT, "CPU"),
            ):
                if (limit := values.get(f"{prefix}cgroup.{key}")) is not None:
                    text += f", {what} limited to {format_value(limit, unit)}"
            yield self.finding(f"group {group.name}", "ok", text)


def _place(tool: Tool) -> str:
    """A tool in a few words."""
    known = " at ".join(filter(None, (tool.version, tool.path)))
    return ": ".join(filter(None, (known, tool.lacks)))
