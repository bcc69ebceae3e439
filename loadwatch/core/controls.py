"""What a screen may ask of a run, and what it may know of it besides the ticks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from loadwatch.core.action import Done
from loadwatch.core.limit import GOAL, Goal, SearchStatus
from loadwatch.core.plan import SIGNS, Action, Group, Signs, Value
from loadwatch.core.reading import HostStatus


@dataclass(frozen=True, slots=True)
class Trial:
    """What one request of a scenario came to before anything was measured, in a line for people."""

    scenario: str
    text: str
    is_good: bool
    is_answered: bool = True


@dataclass(frozen=True, slots=True)
class RunStatus:
    """How a run stands right now.

    `rates`: scenario -> asked-for arrival rate (1/s), in the plan's order, also while paused.
    `connections` is set for a closed loop, which has no rates to turn. `max_rate` is the ceiling of
    their sum. `elapsed` is seconds since firing began. `recording` is the session's path, `reasons`
    why the generator itself was the limit (empty: healthy), `warnings` what else looks wrong in it.
    `trials` are what a request of each scenario came to before the first shot, `signs` the plan's.
    `groups` are the process groups of each host: of a replay, where conditions may be unknown,
    their names. `search` is how the last search for the limit stands, `goal` what the plan asks a
    search for. `ended` is how many seconds after the start firing was over for good: nothing makes
    it go on; None while it may. `actions` are what the plan names, by host.
    """

    target: str
    rates: Mapping[str, float]
    firing: bool
    connections: int | None = None
    max_rate: float | None = None
    elapsed: float = 0.0
    hosts: tuple[HostStatus, ...] = ()
    recording: str = ""
    reasons: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    problem: str = ""
    groups: Mapping[str, tuple[Group, ...]] = field(default_factory=dict)
    trials: tuple[Trial, ...] = ()
    signs: Signs = SIGNS
    search: SearchStatus | None = None
    goal: Goal = GOAL
    ended: float | None = None
    actions: Mapping[str, tuple[Action, ...]] = field(default_factory=dict)


OVER = "firing is over: leave (q), and watch again without an end to go on"
"""What is said to who turns the rates of a run whose time, stages or requests are used up."""


class Controls(Protocol):
    """The commands of a run. None of them blocks; each takes effect within a tenth of a second."""

    @property
    def status(self) -> RunStatus:
        """How the run stands right now."""
        ...

    def set_rate(self, scenario: str, rate: float) -> float:
        """Ask for `rate` (1/s) of `scenario`; returns what it became under the plan's ceiling.

        PlanError for a negative rate, an unknown scenario, a closed loop, or once firing is over.
        """
        ...

    def pause(self) -> None:
        """Stop all firing at once; open requests run out."""
        ...

    def resume(self) -> None:
        """Fire again at the rates that were set, without making up for the pause."""
        ...

    def mark(self, text: str) -> None:
        """Put a note on the timeline; it labels what follows and opens a new step."""
        ...

    def set_groups(self, host: str, groups: tuple[Group, ...]) -> None:
        """Follow these process groups of `host` from the next frame on, instead of its present
        ones; one that stays goes on counting.

        PlanError for an unknown host, or a group that makes no sense.
        """
        ...

    def find_limit(self, goal: Goal | None = None) -> None:
        """Search for the limit from now on, by the plan's thresholds where there is no `goal`.

        `pause`, or another rate, ends it. PlanError for a closed loop, while a search goes on, or
        once firing is over.
        """
        ...

    async def act(self, name: str, value: Value) -> Done:
        """Do one of the plan's actions on its host; where it ends well, mark what follows.

        PlanError for what the plan does not name, or while a search goes on; HostError where
        nobody knows how it ended, or the target does not come back.
        """
        ...

    async def export(self) -> str:
        """Write the session so far as CSV files; returns the directory."""
        ...


SPEEDS = (1, 2, 5, 10, 30, 60)
"""How many recorded seconds a replay may show per second."""


@dataclass(frozen=True, slots=True)
class Position:
    """Where a replay is: `second` is the next to be shown of `end`; `marks` are second and text.

    `following`: it shows a run that another process records, and has no time of its own.
    """

    second: int
    end: int
    speed: int = 1
    playing: bool = False
    following: bool = False
    marks: tuple[tuple[int, str], ...] = ()


class Playback(Controls, Protocol):
    """The commands of a replay besides: `pause` and `resume` stop and go on with its time."""

    @property
    def position(self) -> Position:
        """Where it is right now."""
        ...

    def set_speed(self, speed: int) -> None:
        """Show so many recorded seconds per second, one of `SPEEDS`."""
        ...

    async def seek(self, second: int) -> None:
        """Show the run as it was before `second`; beyond an end it is that end."""
        ...
