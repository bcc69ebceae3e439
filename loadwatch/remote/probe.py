"""What a probe is: a tool that is found on servers, how to start it, how to read it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from loadwatch.core.errors import PlanError
from loadwatch.core.metric import Metric
from loadwatch.core.plan import Host
from loadwatch.core.reading import Reading

PROCPS = "apt install procps, dnf install procps-ng or apk add procps"
"""How to get `top` and `vmstat`."""


class Parser(Protocol):
    """Turns one stream of a tool's output into readings; never raises, whatever comes."""

    def feed(self, data: bytes, at: float) -> list[Reading]:
        """The readings that `data`, arrived at `at`, completes."""
        ...

    def flush(self) -> list[Reading]:
        """The reading that silence, or the stream's end, completes."""
        ...


@dataclass(frozen=True, slots=True)
class Probe:
    """One tool. A module of `remote.probes` declares one as `PROBE`.

    `metrics` are keyed relative to a host. `interval` says how often (seconds) the tool reports on
    a host; `command` is the shell line that starts it at that interval and ends in `exec`;
    `parser` reads what it prints on the host of that name; `install` is how to get it.
    """

    name: str
    metrics: tuple[Metric, ...]
    interval: Callable[[Host], float]
    command: Callable[[float], str]
    parser: Callable[[str], Parser]
    install: str = PROCPS


def decimal(seconds: float) -> str:
    """`seconds` as a decimal that is safe in a shell line; PlanError outside 0.1 s to 1 h."""
    if not 0.1 <= seconds <= 3600:
        raise PlanError(f"a host's interval must be between 100ms and 1h, not {seconds:g}s")
    return f"{seconds:.1f}".removesuffix(".0")
