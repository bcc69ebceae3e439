"""The life of each process, from frame to frame: how much it has grown, and whom it replaced."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from loadwatch.core.reading import Process
from loadwatch.core.tick import HostProcess, Tick

TRACK = 16
"""Points of RSS that are kept of a life; when they are full, every second one goes."""


class Life(NamedTuple):
    """A process as of the newest frame.

    `since` is the second in which it was first seen, `first` its RSS then (bytes). `track` is its
    RSS over its life, one value every `stride` frames. `replaced` says that it came to its group
    when another one went: a restart.
    """

    process: Process
    groups: tuple[str, ...]
    since: int
    first: int
    track: tuple[int, ...]
    stride: int
    frames: int
    replaced: bool

    @property
    def growth(self) -> int:
        """Bytes of RSS since the first sight; negative where it shrank."""
        return self.process.rss - self.first


class Lives:
    """Listens to a bus (`lives.add`); what is not listed any more is forgotten."""

    def __init__(self) -> None:
        self._frames: dict[str, tuple[Life, ...]] = {}
        self._last = -1

    def add(self, tick: Tick) -> None:
        """Take the next tick. One of an earlier second begins it all anew: a replay went back."""
        if tick.second <= self._last:
            self._frames.clear()
        self._last = tick.second
        for late in tick.late:
            self._take(late.second, late.processes)
        self._take(tick.second, tick.processes)

    def _take(self, second: int, processes: Sequence[HostProcess]) -> None:
        for host in {row.host for row in processes}:
            rows = [row for row in processes if row.host == host]
            self._frames[host] = tuple(_next(self._frames.get(host), rows, second))

    def frames(self) -> dict[str, tuple[Life, ...]]:
        """Every process of the newest frame, by host."""
        return dict(self._frames)


def _next(frame: Sequence[Life] | None, rows: Sequence[HostProcess], second: int) -> Iterator[Life]:
    """The lives after another frame; those of the first frame replace nobody."""
    before = {_key(life.process): life for life in frame or ()}
    keys = {_key(row.process) for row in rows}
    vacant = [name for key, life in before.items() if key not in keys for name in life.groups[:1]]
    for row in rows:
        known = before.get(_key(row.process))
        if known is not None:
            yield _older(known, row)
            continue
        group = next((name for name in row.groups if name in vacant), None)
        if group is not None:
            vacant.remove(group)
        rss = row.process.rss
        yield Life(row.process, row.groups, second, rss, (rss,), 1, 1, group is not None)


def _key(process: Process) -> tuple[int, str]:
    """A PID under another command is another process."""
    return process.pid, process.command


def _older(life: Life, row: HostProcess) -> Life:
    track, stride = life.track, life.stride
    if life.frames % stride == 0:
        track = (*track, row.process.rss)
        if len(track) > TRACK:
            track, stride = track[::2], stride * 2
    return life._replace(process=row.process, groups=row.groups, track=track, stride=stride,
                         frames=life.frames + 1)  # fmt: skip
