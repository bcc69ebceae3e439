"""One observation of a watched server: a row of vmstat, a frame of top."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import msgspec


class Process(msgspec.Struct, frozen=True):
    """One row of a process list: RSS in bytes, CPU in percent of one core.

    `user`, `state` and `command` are remote text that `remote.text.clean` has already disarmed.
    """

    pid: int
    user: str
    rss: int
    cpu: float
    state: str
    command: str


@dataclass(frozen=True, slots=True)
class Limits:
    """The control groups that limit some processes, by their PIDs; `values` are keyed relative to
    a process group (`cgroup.memory.used`), in core units."""

    pids: frozenset[int]
    values: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Reading:
    """What one probe saw at one instant.

    `at` is our own monotonic clock when the first byte arrived. `values` are keyed relative to the
    host (`swap.in`, not `host.web.swap.in`), in core units. `processes` is None for a probe that
    lists none. `skipped` counts the rows that could not be read.
    """

    host: str
    probe: str
    at: float
    values: Mapping[str, float] = field(default_factory=dict)
    processes: tuple[Process, ...] | None = None
    skipped: int = 0
    limits: tuple[Limits, ...] = ()


HostState = Literal["connecting", "live", "silent", "lost", "failed", "stopped"]
"""connecting: not yet seen; live; silent: connected, but no reading for too long; lost: connection
gone, trying again; failed: will not try again (key, login, missing tool); stopped: we ended it."""


@dataclass(frozen=True, slots=True)
class HostNote:
    """Something about a host for people to know, in one line; it changes nothing."""

    host: str
    text: str


@dataclass(frozen=True, slots=True)
class HostStatus:
    """How the link to a host stands; `detail` is one line for people, `probes` what is streamed.

    `offset` is the server's wall clock minus ours and `error` how wrong that may be, both in
    seconds; None where the server has not told. `skipped` counts the rows so far that could not be
    read.
    """

    host: str
    state: HostState
    detail: str = ""
    probes: tuple[str, ...] = ()
    gaps: int = 0
    offset: float | None = None
    error: float | None = None
    skipped: int = 0
