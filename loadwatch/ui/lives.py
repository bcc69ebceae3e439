"""The life of each process, from frame to frame: how much it has grown, and whom it replaced."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from functools import cache
from typing import NamedTuple

import msgspec

from loadwatch.core.reading import Process
from loadwatch.core.tick import HostProcess, Tick

TRACK = 16
"""Points of RSS at most that are told of a life."""

ROWS = 300_000
"""Rows of a host that are kept, in 8 MB: an hour of 80 processes. When there are more, every second
frame of the older half goes."""


class Life(NamedTuple):
    """A process as of a frame.

    `since` is the second in which it was first seen, `first` its RSS then (bytes). `track` is its
    RSS over its life, in equal steps. `replaced` says that it came to its group when another one
    went: a restart.
    """

    process: Process
    groups: tuple[str, ...]
    since: int
    first: int
    replaced: bool
    track: tuple[int, ...] = ()

    @property
    def key(self) -> tuple[int, str]:
        """A PID under another command is another process."""
        return self.process.pid, self.process.command

    @property
    def growth(self) -> int:
        """Bytes of RSS since the first sight; negative where it shrank."""
        return self.process.rss - self.first


class Lives:
    """Listens to a bus (`lives.add`) and knows the processes of any time so far."""

    def __init__(self) -> None:
        self._hosts: dict[str, _Host] = {}
        self._last = -1

    def add(self, tick: Tick) -> None:
        """Take the next tick. One of an earlier second begins it all anew: a replay went back."""
        if tick.second <= self._last:
            self._hosts.clear()
        self._last = tick.second
        for late in tick.late:
            self._take(late.second, late.processes)
        self._take(tick.second, tick.processes)

    def _take(self, second: int, processes: Sequence[HostProcess]) -> None:
        for name in {row.host for row in processes}:
            host = self._hosts.setdefault(name, _Host())
            host.take(second, [row for row in processes if row.host == name])

    def before(self, end: int, host: str) -> tuple[Life, ...]:
        """The processes of a host in its newest frame before second `end`."""
        return self._hosts[host].before(end) if host in self._hosts else ()


class _Frame(NamedTuple):
    """A frame that was: each process as it was first seen, and its RSS and CPU now."""

    second: int
    lives: tuple[Life, ...]
    rss: array[float]
    cpu: array[float]


class _Host:
    """The frames of one host so far, by their seconds."""

    def __init__(self) -> None:
        self._frames: list[_Frame] = []
        self._rows = 0
        self._told: tuple[int, tuple[Life, ...]] = (0, ())

    def take(self, second: int, rows: Sequence[HostProcess]) -> None:
        """Another frame, which may have come late."""
        place = self._place(second)
        before = self._frames[place - 1].lives if place else None
        sizes = array("d", [row.process.rss for row in rows])
        shares = array("d", [row.process.cpu for row in rows])
        self._frames.insert(place, _Frame(second, (*_next(before, rows, second),), sizes, shares))
        self._rows += len(rows)
        self._told = (0, ())
        if self._rows > ROWS:
            half = len(self._frames) // 2
            self._frames[:half] = self._frames[:half:2]
            self._rows = sum(len(frame.lives) for frame in self._frames)

    def before(self, end: int) -> tuple[Life, ...]:
        """The processes of the newest frame before second `end`."""
        place = self._place(end)
        if place != self._told[0]:
            self._told = place, self._at(place) if place else ()
        return self._told[1]

    def _at(self, place: int) -> tuple[Life, ...]:
        """The processes of the frame before that `place`, with what led there."""

        @cache
        def frames_since(second: int) -> list[dict[int, float]]:
            begin = self._place(second)
            stride = max(1, -(-(place - begin) // TRACK))
            return [sizes_in(at) for at in range(begin, place, stride)]

        @cache
        def sizes_in(at: int) -> dict[int, float]:
            frame = self._frames[at]
            return dict(zip(map(id, frame.lives), frame.rss, strict=True))

        frame = self._frames[place - 1]
        return tuple(
            one._replace(
                process=msgspec.structs.replace(one.process, rss=int(rss), cpu=cpu),
                track=tuple(
                    int(sizes[id(one)]) for sizes in frames_since(one.since) if id(one) in sizes
                ),
            )
            for one, rss, cpu in zip(frame.lives, frame.rss, frame.cpu, strict=True)
        )

    def _place(self, second: int) -> int:
        return bisect_left(self._frames, second, key=lambda frame: frame.second)


def _next(frame: Sequence[Life] | None, rows: Sequence[HostProcess], second: int) -> Iterator[Life]:
    """The lives after another frame; those of the first frame replace nobody."""
    before = {life.key: life for life in frame or ()}
    keys = {(row.process.pid, row.process.command) for row in rows}
    vacant = [name for key, life in before.items() if key not in keys for name in life.groups[:1]]
    for row in rows:
        known = before.get((row.process.pid, row.process.command))
        if known is not None:
            yield known if known.groups == row.groups else known._replace(groups=row.groups)
            continue
        group = next((name for name in row.groups if name in vacant), None)
        if group is not None:
            vacant.remove(group)
        yield Life(row.process, row.groups, second, row.process.rss, group is not None)
