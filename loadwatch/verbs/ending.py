"""How a run is reported and which exit code it gets: shared by the verbs that run one."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from loadwatch.analysis.thresholds import Outcome
    from loadwatch.run import Run

INTERRUPTED = 130
THRESHOLD_FAILED = 99


def say(text: str) -> None:
    """Data to stdout."""
    with to_reader():
        print(text)


@contextmanager
def to_reader() -> Iterator[None]:
    """Writes to stdout. If its reader is gone, that is no failure of ours: the exit code stays."""
    try:
        yield
        sys.stdout.flush()
    except OSError as error:
        if error.errno not in (errno.EPIPE, errno.EIO):  # a pipe's reader, a terminal
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def print_result(run: Run, as_json: bool) -> None:
    """The result on stdout: one JSON object, or a short summary."""
    import json

    from loadwatch.console import summary

    result = run.result()
    if run.status.problem:
        print(f"loadwatch: {run.status.problem}", file=sys.stderr)
    say(json.dumps(result, ensure_ascii=False) if as_json else summary(result, run.history))


def exit_code(run: Run, interrupted: bool, outcomes: Sequence[Outcome] = ()) -> int:
    """The first that holds of: interrupted, a fault of ours, generator, host, threshold."""
    from loadwatch.core.errors import GeneratorError, HostError, LoadwatchError

    if interrupted:
        return INTERRUPTED
    if run.status.problem:
        return LoadwatchError.exit_code
    if run.reasons:
        return GeneratorError.exit_code
    if any(host.state in ("lost", "failed") for host in run.status.hosts):
        return HostError.exit_code
    return THRESHOLD_FAILED if any(not one.passed for one in outcomes) else 0
