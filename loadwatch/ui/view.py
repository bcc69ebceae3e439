"""What a pane looks at: a stretch of the history and how the run stood at its end."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from loadwatch.analysis.levels import level
from loadwatch.analysis.thresholds import Thresholds
from loadwatch.analysis.verdict import present
from loadwatch.core.controls import RunStatus
from loadwatch.core.histogram import Histogram
from loadwatch.core.history import History
from loadwatch.core.metric import Catalogue, Unit, format_value
from loadwatch.core.plan import Group
from loadwatch.core.reading import HostStatus
from loadwatch.core.summary import Summary
from loadwatch.ui.canvas import Row
from loadwatch.ui.chart import Boundary, Frame, Series
from loadwatch.ui.lives import Life, Lives
from loadwatch.ui.window import Window

NO_THRESHOLDS = Thresholds(())

NOW = Window()

SILENCE = 10
"""Seconds after which the newest reading of a host is not shown as a present value any more."""


LEVELS = {"fine": ("good", ""), "warning": ("warning", " ▲"), "bad": ("bad", " ✗")}
"""How a value is shown that means something: its role, and a sign for those who see no colour."""


@dataclass(frozen=True, slots=True)
class View:
    """The `seconds` before second `end` (not included); the chosen `host` and `scenario`.

    All of it is of that moment: `status` is how the run stood then, `step` what its step had come
    to. `is_now` tells whether that is the present.
    """

    history: History
    catalogue: Catalogue
    lives: Lives
    status: RunStatus
    thresholds: Thresholds
    end: int
    seconds: int
    host: str
    step: Summary
    is_now: bool = True
    scenario: str = ""

    @classmethod
    def of(
        cls, history: History, catalogue: Catalogue, lives: Lives, status: RunStatus, *,
        thresholds: Thresholds = NO_THRESHOLDS, window: Window = NOW, host: str = "",
        scenario: str = "",
    ) -> View:  # fmt: skip
        """What `window` shows of the run, which stood as `status` at its end."""
        end = history.length if window.end is None else window.end
        view = cls(history, catalogue, lives, status, thresholds, end, window.seconds(end), host,
                   history.step_until(end), scenario=scenario)  # fmt: skip
        return view if window.end is None else replace(view.standing(), is_now=False)

    def standing(self) -> View:
        """The same, untouched by what the history takes from now on."""
        is_open = self.step is self.history.step
        return replace(self, step=copy.deepcopy(self.step)) if is_open else self

    def showing(self, host: str) -> View:
        """The same stretch of another host."""
        return replace(self, host=host)

    def beside(self, place: int) -> View:
        """The same stretch of the host so many further on."""
        names = [status.host for status in self.status.hosts]
        if not place or self.host not in names:
            return self
        return self.showing(names[(names.index(self.host) + place) % len(names)])

    @property
    def host_status(self) -> HostStatus | None:
        """How the link to the host stands; None where no host is watched."""
        return next((status for status in self.status.hosts if status.host == self.host), None)

    @property
    def processes(self) -> tuple[Life, ...]:
        """The host's processes as of then."""
        return self.lives.before(self.end, self.host)

    @property
    def groups(self) -> tuple[Group, ...]:
        """The host's process groups."""
        return self.status.groups.get(self.host, ())

    @property
    def judged(self) -> Summary:
        """The seconds that tell how things stand, or stood when firing ended."""
        over = self.status.ended
        return present(self.history, self.end if over is None else min(self.end, math.ceil(over)))

    def values(self, key: str, seconds: int | None = None) -> list[float]:
        """The last `seconds` of `key` (the whole stretch by default), NaN where unknown."""
        wanted = self.seconds if seconds is None else seconds
        found = self.history.stretch(key, self.end - wanted, self.end)
        return [math.nan] * (wanted - len(found)) + found

    def last(self, key: str, within: int = 1) -> float | None:
        """The newest known value of `key` among the last `within` seconds, else None."""
        known = [value for value in self.values(key, within) if value == value]
        return known[-1] if known else None

    def text(self, key: str, within: int = 1) -> str:
        """The same for people, with its unit; `–` if unknown."""
        value = self.last(key, within)
        return "–" if value is None else format_value(value, self.unit(key))

    def unit(self, key: str) -> Unit:
        """The unit of `key`."""
        return self.catalogue.of(key).unit

    def keys_below(self, prefix: str) -> list[str]:
        """Every key seen so far that starts with `prefix`."""
        return [key for key in self.history.keys if key.startswith(prefix)]

    def knows(self, key: str) -> bool:
        """Whether there was ever a value of `key`."""
        return key in self.history.keys

    def on_host(self, key: str) -> str:
        """The full key of a metric of the host."""
        return f"host.{self.host}.{key}"

    def host_text(self, key: str) -> str:
        """The newest value of a metric of the host, for people; `–` after a silence."""
        return self.text(self.on_host(key), SILENCE)

    def series(self, role: str, key: str, is_step: bool = False) -> Series:
        """`key` as a series of a chart."""
        return Series(role, self.values(key), is_step)

    def total(self, role: str, keys: Sequence[str]) -> Series:
        """The sum of `keys` per second, unknown only where all are."""
        columns = [self.values(key) for key in keys]
        return Series(role, [_sum(values) for values in zip(*columns, strict=True)])

    def frame(self, width: int, height: int, names: bool = False) -> Frame:
        """Where to draw a chart of `width` × `height` cells, with the `names` of marks or not."""
        begin, boundaries, before = self.end - self.seconds, [], ""
        for step in self.history.steps:
            if step.first and step.first >= begin:
                boundaries.append(Boundary(step.first, step.mark if step.mark != before else ""))
            before = step.mark
        return Frame(width, height, self.end, self.seconds, boundaries, names)

    def meaning(self, key: str, value: float | None) -> tuple[str, str]:
        """The role and the sign of a value of `key`: what it means; both empty if nothing."""
        found = None if value is None else level(self.thresholds, key, value, self.status.signs)
        return LEVELS[found] if found else ("", "")

    def item(self, name: str, key: str, role: str, within: int = 1) -> Row:
        """A number of a title: `name` in its line's colour, the newest value by its meaning."""
        value = self.last(key, within)
        meaning, sign = self.meaning(key, value)
        return [(name, role), (f" {self.text(key, within)}{sign}", meaning if sign else "")]

    def host_item(self, name: str, key: str, role: str) -> Row:
        """The same of the host; `–` after a silence."""
        return self.item(name, self.on_host(key), role, SILENCE)


def _sum(values: Sequence[float]) -> float:
    known = [value for value in values if value == value]
    return sum(known) if known else math.nan


SHARES = (0.50, 0.95, 0.99)
"""The percentiles that are told of a stretch."""

AT_LEAST = "≥ "
"""Before what is only known to be at least so much."""


def percentiles(histogram: Histogram, shares: tuple[float, ...]) -> list[str]:
    """Percentiles (seconds) for people: `–` if unknown, `≥` if it is the time of giving up."""
    return [
        (AT_LEAST if histogram.is_censored(share) else "") + format_value(value, Unit.SECONDS)
        if histogram.is_known(share)
        else "–"
        for share, value in zip(shares, histogram.percentiles(shares), strict=True)
    ]
