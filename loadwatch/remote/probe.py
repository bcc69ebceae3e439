"""What a probe is: a tool that is found on servers, how to start it, how to read it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from loadwatch.core.errors import PlanError
from loadwatch.core.metric import Metric
from loadwatch.core.plan import LONGEST_INTERVAL, SHORTEST_INTERVAL, Host
from loadwatch.core.reading import Reading
from loadwatch.remote.text import clean

PROCPS = "apt install procps, dnf install procps-ng or apk add procps"
"""How to get `top` and `vmstat`."""

PROCESS_LIMIT = 20_000
"""Process rows of a frame that are kept."""

_VERSION = re.compile(
    r"(procps|busybox|toybox|mawk|gnu awk)[\w.-]*(?: version)?,? v?(\d[\w.]*)", re.I
)


class Parser(Protocol):
    """Turns one stream of a tool's output into readings; never raises, whatever comes."""

    def feed(self, data: bytes, at: float) -> list[Reading]:
        """The readings that `data`, arrived at `at`, completes."""
        ...

    def flush(self) -> list[Reading]:
        """The reading that silence, or the stream's end, completes."""
        ...


@dataclass(frozen=True, slots=True)
class Missing:
    """Something that a probe cannot read on a server, and what to do about it."""

    what: str
    why: str
    advice: str


@dataclass(frozen=True, slots=True)
class Tool:
    """A probe's tool as it was found on a server.

    `path` is where the login finds it, `version` what it says of itself (either may be empty);
    `lacks` says why the probe cannot use it, empty where it can; `missing` what it will not see.
    """

    path: str = ""
    version: str = ""
    lacks: str = ""
    missing: tuple[Missing, ...] = ()


@dataclass(frozen=True, slots=True)
class Probe:
    """One tool. A module of `remote.probes` declares one as `PROBE`.

    `metrics` are keyed relative to a host. `interval` says how often (seconds) the tool reports on
    a host; `command` is the shell line that starts it at that interval and ends in `exec`;
    `parser` reads what it prints on the host of that name; `install` is how to get it. `tool` is
    the program. `look` is a shell line that shows what kind of it a server has, `recognise` makes
    a `Tool` (but for its path) of what that prints. `stand_in`, where there is one, is the command
    that on a host does the work of the probes of these names as well.
    """

    name: str
    metrics: tuple[Metric, ...]
    interval: Callable[[Host], float]
    command: Callable[[float], str]
    parser: Callable[[str], Parser]
    tool: str
    look: str
    recognise: Callable[[str], Tool]
    install: str = PROCPS
    stand_in: Callable[[Host, frozenset[str]], Callable[[float], str]] | None = None


def version_in(text: str) -> str:
    """The first version that a tool tells of itself in `text`; empty where it tells none."""
    match = _VERSION.search(text)
    return clean(match[0], 60) if match else ""


def decimal(seconds: float) -> str:
    """`seconds` as a decimal that is safe in a shell line; PlanError outside 0.1 s to 1 h."""
    if not SHORTEST_INTERVAL <= seconds <= LONGEST_INTERVAL:
        raise PlanError(f"a host's interval must be between 100ms and 1h, not {seconds:g}s")
    return f"{seconds:.1f}".removesuffix(".0")
