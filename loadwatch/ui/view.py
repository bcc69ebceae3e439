"""What a pane looks at: a stretch of the history and how the run stood at its end."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from loadwatch.core.controls import RunStatus
from loadwatch.core.histogram import Histogram
from loadwatch.core.history import History
from loadwatch.core.metric import Catalogue, Unit, format_value
from loadwatch.core.reading import HostStatus
from loadwatch.core.summary import Summary
from loadwatch.core.tick import HostProcess
from loadwatch.ui.chart import Frame, Series
from loadwatch.ui.growth import Growth

SILENCE = 10
"""Seconds after which the newest reading of a host is not shown as a present value any more."""


@dataclass(frozen=True, slots=True)
class View:
    """The `seconds` before second `end` (not included), `host` among those that are watched.

    `step` is the step of the moment, `processes` the newest frame of `host`.
    """

    history: History
    catalogue: Catalogue
    growth: Growth
    status: RunStatus
    end: int
    seconds: int
    host: str
    step: Summary
    processes: tuple[HostProcess, ...]

    @classmethod
    def of(
        cls, history: History, catalogue: Catalogue, growth: Growth, status: RunStatus, *,
        seconds: int, host: str,
    ) -> View:  # fmt: skip
        """The newest stretch."""
        processes = history.frames.get(host, ())
        return cls(history, catalogue, growth, status, history.length, seconds, host,
                   history.step, processes)  # fmt: skip

    def frozen(self) -> View:
        """The same, untouched by what the history takes from now on."""
        return replace(self, step=copy.deepcopy(self.step))

    def showing(self, host: str) -> View:
        """The same stretch of another host."""
        return replace(self, host=host, processes=self.history.frames.get(host, ()))

    @property
    def host_status(self) -> HostStatus | None:
        """How the link to the host stands; None where no host is watched."""
        return next((status for status in self.status.hosts if status.host == self.host), None)

    def values(self, key: str, seconds: int | None = None) -> list[float]:
        """The last `seconds` of `key` (the whole stretch by default), NaN where unknown."""
        wanted = self.seconds if seconds is None else seconds
        later = self.history.length - self.end
        found = self.history.series(key, wanted + later)
        found = found[: len(found) - later]
        return [math.nan] * (wanted - len(found)) + found

    def last(self, key: str, within: int = 1) -> float | None:
        """The newest known value of `key` among the last `within` seconds, else None."""
        known = [value for value in self.values(key, within) if value == value]
        return known[-1] if known else None

    def text(self, key: str, within: int = 1) -> str:
        """The same for people, with its unit."""
        return format_value(self.last(key, within), self.unit(key))

    def unit(self, key: str) -> Unit:
        """The unit of `key`."""
        return self.catalogue.of(key).unit

    def keys_below(self, prefix: str) -> list[str]:
        """Every key seen so far that starts with `prefix`."""
        return [key for key in iter(self.history.keys()) if key.startswith(prefix)]

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

    def frame(self, width: int, height: int) -> Frame:
        """Where to draw a chart of `width` × `height` cells."""
        turns = [step.first for step in self.history.steps if 0 < step.first < self.end]
        return Frame(width, height, self.end, self.seconds, turns)


def _sum(values: Sequence[float]) -> float:
    known = [value for value in values if value == value]
    return sum(known) if known else math.nan


def percentiles(histogram: Histogram, shares: tuple[float, ...]) -> list[str]:
    """Percentiles (seconds) for people: `–` if unknown, `≥` if it is the time of giving up."""
    return [
        ("≥ " if histogram.is_censored(share) else "") + format_value(value, Unit.SECONDS)
        if histogram.is_known(share)
        else "–"
        for share, value in zip(shares, histogram.percentiles(shares), strict=True)
    ]
