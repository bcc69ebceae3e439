"""The Tick: everything known about one second, immutable."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from loadwatch.core.histogram import MICRO
from loadwatch.core.reading import Process

Kind = str
"""A distribution of a scenario: one of `KINDS`, what the server told of its own work under a name
(`server.db`, times), or numbers in a header of its answers (`header.x-query-count`)."""

KINDS: tuple[Kind, ...] = ("response", "service", "lag")
"""What every scenario has: due to done, send to done, due to send."""

SERVER, HEADER = "server", "header"
"""The first segments of the kinds that the server's answers tell."""


def meant(kind: Kind, seconds: float) -> float:
    """What `seconds` in a histogram of `kind` mean: whole numbers stand there as microseconds."""
    return round(seconds * MICRO, 3) if kind.startswith(HEADER) else seconds


STEP = "step"
"""Before the name of a step in keys, behind its scenario's."""


def step_owner(scenario: str, step: str) -> str:
    """Whose the distributions of a step are: what stands in its keys behind `scenario.`."""
    return f"{scenario}.{STEP}.{step}"


def distribution_of(key: str) -> tuple[str | None, Kind] | None:
    """Scenario (None: all) and kind of what a key such as `load.response.p99` is a statistic of."""
    section, *rest = key.split(".")
    scenario = rest.pop(0) if section == "scenario" and rest else None
    if scenario is not None and rest[0] == STEP and len(rest) > 2:
        scenario = step_owner(scenario, rest[1])
        rest = rest[2:]
    kind = ".".join(rest[:-1])
    told = len(rest) == 3 and rest[0] in (SERVER, HEADER) and scenario is not None
    return (scenario, kind) if section in ("load", "scenario") and (told or kind in KINDS) else None


EventKind = Literal[
    "start", "mark", "rate", "pause", "resume", "host", "groups", "gap", "worker", "generator",
    "answer", "limit", "action", "recording", "error", "end",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened: a mark, a key press, a lost host; `at` seconds after the start."""

    at: float
    kind: EventKind
    text: str
    host: str = ""


@dataclass(frozen=True, slots=True)
class HostProcess:
    """A process row of a tick: where it was seen and which of the host's groups it belongs to."""

    host: str
    process: Process
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Late:
    """What came to be known of a second after its tick: values and process rows to add to it."""

    second: int
    values: Mapping[str, float]
    processes: tuple[HostProcess, ...] = ()


@dataclass(frozen=True, slots=True)
class Tick:
    """One second of a run.

    `second` counts from 0 at the run's start, `time` is its beginning on the wall clock (Unix,
    seconds). `step` and `mark` are what it belongs to, `rates` that step's asked-for arrival rates
    (scenario -> 1/s; empty for a closed loop). `values` are flat metric keys in core units;
    an absent key means that nothing is known. Counts per second are also the second's counts.
    `histograms` hold this second's `core.histogram` counts by scenario and kind. `processes` is
    empty in seconds without a frame of top. `late` completes earlier seconds; a recorded tick is
    complete and has none.
    """

    second: int
    time: float
    step: int
    mark: str
    rates: Mapping[str, float]
    values: Mapping[str, float]
    histograms: Mapping[tuple[str, Kind], Mapping[int, int]] = field(default_factory=dict)
    processes: tuple[HostProcess, ...] = ()
    events: tuple[Event, ...] = ()
    late: tuple[Late, ...] = ()
