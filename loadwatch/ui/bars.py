"""The lines above and below the panes: how the run stands, what holds it back, what it fires."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import PurePath

from textual import events
from textual.geometry import Size

from loadwatch.analysis.verdict import Verdict, judge
from loadwatch.core.controls import RunStatus, Trial
from loadwatch.core.metric import Unit, format_value
from loadwatch.core.reading import HostStatus
from loadwatch.ui.canvas import Canvas, Row, crop, fit, length, plain, wrap
from loadwatch.ui.messages import ScenarioChosen
from loadwatch.ui.pane import STATES
from loadwatch.ui.scale import clock
from loadwatch.ui.view import View
from loadwatch.ui.window import Window

RECENT = 5
"""Seconds over which the achieved rate of a scenario is averaged."""

SCENARIO_WIDTH = 65
"""Cells that a scenario's line takes, and a blank behind it."""

BEHIND = 0.02
"""Share of the asked-for rate that may be missing, besides what chance explains."""

CLOCK = 1.0
"""Seconds by which a server's clock may differ, or be uncertain, before that is marked."""

LEAST = 8
"""Cells that the target has at least."""

ROOMY = 100
"""Cells from which on there is room for the program's name."""

VERDICT_ROWS = 2
"""Lines that a verdict may take; they stay, so that the panes do not jump."""

TRIALS_SHOWN = 60
"""Seconds for which it stays in sight that the trial before the start did not go well."""

CALM = 30
"""Seconds for which the header keeps the lines that it took."""

TROUBLED = ("live", "silent", "lost", "failed")
"""States in which what is told of a host beside is something amiss."""

VERDICT_ROLES = {"not saturated": ("●", "good"), "unknown": ("?", "quiet")}


class Bar(Canvas):
    """Full lines of text, as many as there is something to say."""

    def __init__(self, look: str = "bar") -> None:
        super().__init__(classes=look)

    @property
    def room(self) -> int:
        """The cells of a line, known even before the first layout."""
        return max(self.app.size.width - 2, 1)

    def say(self, rows: list[Row]) -> None:
        """Show `rows`; the bar grows or shrinks with them."""
        grown = len(rows) != len(self._rows)
        self.show([crop(row, self.room) for row in rows])
        if grown:
            self.refresh(layout=True)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """As high as what is said."""
        return max(len(self._rows), 1)


class Header(Bar):
    """Target, elapsed time, step and mark; hosts and recording; what makes the result invalid.

    `is_own`: the run fires and records here and now, other than one that is replayed.
    """

    is_own = True

    def __init__(self, look: str) -> None:
        super().__init__(look)
        self._tall, self._since = 0, 0.0

    def tell(self, view: View, window: Window, now: RunStatus) -> None:
        """How the run stood at the end of the view; what is wrong, and whether it fires, is said of
        the present."""
        status = view.status
        width = self.room
        hosts = _gather([_host(host, view.host) for host in status.hosts])
        sign = ("rec ", "bad") if self.is_own else ("of ", "quiet")
        recording: Row = [sign, (plain(PurePath(status.recording).name), "quiet")]
        state = self._state(view, window, now)
        rows = [
            _spread(_run(view, width, width - length(state) - 2), state, width),
            _spread(hosts, recording if status.recording else [], width),
        ]
        wrong = [f"result invalid: {reason}" for reason in now.reasons]
        for text in (*wrong, *([now.problem] if now.problem else [])):
            rows += wrap([("✗ " + plain(text), "bad")], width)
        for host in now.hosts:
            rows += wrap(_trouble(host), width) if host.detail and host.state in TROUBLED else []
        for text in now.warnings:
            rows += wrap([("▲ " + plain(text), "warning")], width)
        if view.step.seconds and status.elapsed < TRIALS_SHOWN:
            rows += [_trial(trial) for trial in status.trials if not trial.is_good]
        self._hold(rows, now.elapsed)
        self.say(rows)

    def _hold(self, rows: list[Row], at: float) -> None:
        """Keep the height for a while when there is less to say: the panes are not to jump."""
        if len(rows) >= self._tall or not 0 <= at - self._since <= CALM:
            self._tall, self._since = len(rows), at
        rows += [[]] * (self._tall - len(rows))

    def _state(self, view: View, window: Window, now: RunStatus) -> Row:
        row: Row = [(f"< {window} >  ", "quiet")]
        if window.end is not None:
            behind = view.history.length - window.end
            told = (f" FROZEN at {clock(window.end)}, −{clock(behind)} ", "chosen")
            row = [told, ("  ", ""), *row, ("now " if self.is_own else "", "quiet")]
        return [*row, *_firing(now, self.is_own)]


class VerdictBar(Bar):
    """What holds the server back, in one sentence with its evidence."""

    def tell(self, view: View) -> None:
        """The verdict on the step."""
        status = view.status
        if not view.step.seconds:
            tried = [_trial(trial) for trial in status.trials]
            self.say(tried or [[("… connecting and starting", "quiet")]])
            return
        if not status.firing and status.ended is None:
            self.say([[("■ nothing is fired: space goes on", "warning")]])
            return
        hosts = [host.host for host in status.hosts]
        before = [step for step in view.history.steps if step.last < view.end]
        verdict = judge(view.judged, status.reasons, hosts, before, status.signs)
        sign, role = VERDICT_ROLES.get(verdict.name, ("▲", "bad"))
        also = f" (also {', '.join(verdict.also)})" if verdict.also else ""
        over = "" if status.ended is None else "when it ended "
        head: Row = [(f"{over}{sign} {plain(verdict.name)}{also}", role)]
        text: Row = [*head, (": " + plain("; ".join(verdict.evidence)), ""), _advice(verdict)]
        lines = wrap(text, self.room)
        if len(lines) > VERDICT_ROWS:
            lines[VERDICT_ROWS - 1] = crop(lines[VERDICT_ROWS - 1] + [(" …", "")], self.room)
        rows = lines[:VERDICT_ROWS]
        self.say(rows + [[]] * (len(self._rows) - len(rows)))


class Scenarios(Bar):
    """Every scenario with the rate that is asked for and the rate that is achieved."""

    def __init__(self) -> None:
        super().__init__()
        self._count = 1

    def tell(self, view: View, chosen: str) -> None:
        """The rates now, asked-for ones even before they take effect."""
        names = list(view.status.rates)
        self._count = max(len(names), 1)
        across, each = self._across
        cells = [_scenario(view, number, name, name == chosen) for number, name in enumerate(names)]
        rows = [
            [run for cell in cells[at : at + across] for run in _padded(cell, each)]
            for at in range(0, len(cells), across)
        ]
        self.say(rows)

    @property
    def _across(self) -> tuple[int, int]:
        """How many scenarios stand side by side, and the cells of each."""
        across = max(1, min(self._count, self.room // SCENARIO_WIDTH))
        return across, self.room // across

    def on_click(self, event: events.Click) -> None:
        """A click on a scenario chooses it."""
        offset = event.get_content_offset(self)
        if offset is not None:
            across, each = self._across
            self.post_message(ScenarioChosen(offset.y * across + offset.x // each + 1))


def _trial(trial: Trial) -> Row:
    sign, role = ("✓", "good") if trial.is_good else ("▲", "warning")
    return [(f"{sign} {plain(trial.scenario)}: {plain(trial.text)}", role)]


def _run(view: View, width: int, room: int) -> Row:
    """Target, elapsed time, step and mark in `room` of the line's cells; the target gives way."""
    step = view.step
    name: Row = [(" loadwatch ", "chosen"), ("  ", "")] if width >= ROOMY else []
    when: Row = [("  " + clock(view.status.elapsed), ""), (f"  step {step.step or 1}", "")]
    left = max(room - length(name) - length(when), LEAST)
    row = [*name, *crop([(plain(view.status.target), "strong")], left), *when]
    return [*row, (f"  “{plain(step.mark)}”", "second")] if step.mark else row


def _firing(status: RunStatus, is_own: bool) -> Row:
    if status.ended is not None:
        return [(f"■ ended at {clock(status.ended)}", "strong")]
    if not is_own:
        return [("● firing" if status.firing else "■ paused", ""), (" (recorded)", "quiet")]
    if not status.elapsed:
        return [("◌ starting", "warning")]
    if not status.firing:
        return [("■ PAUSED", "warning")]
    closed = f", {status.connections} connections" if status.connections else ""
    return [(f"● firing{closed}", "good")]


def _host(host: HostStatus, shown: str) -> Row:
    sign, role = STATES[host.state]
    return [
        (host.host + " ", "strong" if host.host == shown else ""),
        (f"{sign} {host.state}", role), *_clock_of(host),
    ]  # fmt: skip


def _trouble(host: HostStatus) -> Row:
    """Why a host is lost, or what is amiss although it is live."""
    is_gone = host.state in ("lost", "failed")
    text = f"{host.host} {host.state}: {plain(host.detail)}"
    return [(f"✗ {text}", "bad") if is_gone else (f"▲ {text}", "warning")]


def _clock_of(host: HostStatus) -> Row:
    """By how much the server's clock differs from ours, if that is known to, and how well."""
    if host.offset is None or host.error is None:
        return []
    ahead, error = abs(host.offset) > host.error, format_value(host.error, Unit.SECONDS)
    sign = "−" if host.offset < 0 else "+"
    apart = f" {sign}{format_value(abs(host.offset), Unit.SECONDS)}" if ahead else ""
    is_wrong = abs(host.offset) > CLOCK + host.error or host.error > CLOCK
    role = "warning" if is_wrong else "quiet"
    return [(f"  clock{apart} ± {error}" + " ▲" * is_wrong, role)]


def _gather(parts: Sequence[Row]) -> Row:
    if not parts:
        return [("no host watched", "quiet")]
    row: Row = [("h ", "quiet")] if len(parts) > 1 else []
    return row + [run for part in parts for run in (*part, ("   ", ""))]


def _scenario(view: View, number: int, name: str, chosen: bool) -> Row:
    asked = view.status.rates[name]
    achieved, well = (_recent(view, f"scenario.{name}.{key}") for key in ("completed", "goodput"))
    if (visits := _recent(view, f"scenario.{name}.visits.completed")) is not None:
        broken = _recent(view, f"scenario.{name}.visits.failed") or 0.0
        achieved, well = visits + broken, visits  # what is asked for is visits
    row: Row = [
        ("▶ " if chosen else "  ", "good"), (str(number + 1), "strong"),
        (" " + fit(plain(name), 12), "strong" if chosen else ""),
    ]  # fmt: skip
    if view.status.connections is None:
        latest = view.history.latest if view.is_now and view.status.firing else None
        is_pending = latest is not None and latest.rates.get(name) != asked
        way = ("→", "warning") if is_pending else (" ", "")
        row += [(" asked ", "quiet"), way, (fit(format_value(asked, Unit.PER_SECOND), 9, True), "")]
    shown = fit(format_value(achieved, Unit.PER_SECOND), 9, True)
    return [*row, ("  completed ", "quiet"), (shown, "first"), _held(view, asked, achieved, well)]


def _recent(view: View, key: str) -> float | None:
    """The mean of `key` over the last seconds of the step."""
    seconds = min(RECENT, view.step.seconds)
    known = [value for value in view.values(key, seconds) if value == value]
    return sum(known) / len(known) if known else None


def _held(view: View, asked: float, achieved: float | None, well: float | None) -> tuple[str, str]:
    """Whether the server keeps up and answers well, beyond what chance would explain, once there
    is enough to say.

    Counts of independent arrivals vary by the root of their number (Poisson).
    """
    is_open = view.status.firing and view.status.connections is None
    if not is_open or achieved is None or view.step.seconds <= RECENT or not asked:
        return ("", "")
    chance = 3 * math.sqrt(asked * RECENT)
    enough = asked * RECENT * (1 - BEHIND) - chance
    if achieved * RECENT < enough:
        return (" ▲ behind", "warning")
    if well is not None and well * RECENT < enough:
        return (" ✗ failing", "bad")
    return (" ✓ held", "good")


def _advice(verdict: Verdict) -> tuple[str, str]:
    return (" → " + plain(verdict.advice) if verdict.advice else "", "quiet")


def _padded(row: Row, width: int) -> Row:
    return [*crop(row, width), (" " * max(0, width - length(row)), "")]


def _spread(left: Row, right: Row, width: int) -> Row:
    """`left` and `right` at the two ends of a line; `left` gives way."""
    kept = crop(left, max(width - length(right) - 2, 0))
    return [*kept, (" " * max(width - length(kept) - length(right), 0), ""), *right]
