"""The life of each process, from frame to frame: how much it has grown, and whom it replaced."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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


_Key = tuple[int, str]
"""PID and command: a PID under another command is another process."""


class Lives:
    """Listens to a bus (`lives.add`); what is not listed any more is forgotten."""

    def __init__(self) -> None:
        self._of: dict[str, dict[_Key, Life]] = {}

    def add(self, tick: Tick) -> None:
        """Take the next tick."""
        for host in {row.host for row in tick.processes}:
            rows = [row for row in tick.processes if row.host == host]
            self._of[host] = _next(self._of.get(host), rows, tick.second)

    def of(self, host: str) -> tuple[Life, ...]:
        """Every process of the host's newest frame."""
        return tuple(self._of.get(host, {}).values())


def _next(
    before: Mapping[_Key, Life] | None, rows: Sequence[HostProcess], second: int
) -> dict[_Key, Life]:
    """The lives after another frame; those of the first frame replace nobody."""
    keys = {(row.process.pid, row.process.command) for row in rows}
    gone = [] if before is None else [life for key, life in before.items() if key not in keys]
    vacant = [group for life in gone for group in life.groups[:1]]
    lives = {}
    for row in rows:
        process = row.process
        key = (process.pid, process.command)
        known = None if before is None else before.get(key)
        if known is not None:
            lives[key] = _older(known, row)
            continue
        group = next((name for name in row.groups if name in vacant), None)
        if group is not None:
            vacant.remove(group)
        rss = process.rss
        lives[key] = Life(process, row.groups, second, rss, (rss,), 1, 1, group is not None)
    return lives


def _older(life: Life, row: HostProcess) -> Life:
    track, stride = life.track, life.stride
    if life.frames % stride == 0:
        track = (*track, row.process.rss)
        if len(track) > TRACK:
            track, stride = track[::2], stride * 2
    return life._replace(process=row.process, groups=row.groups, track=track, stride=stride,
                         frames=life.frames + 1)  # fmt: skip
