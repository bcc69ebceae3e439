"""The `loadwatch` command: finds the verb, turns its errors into one line and an exit code.

stdout is data, stderr is narration, the exit code says how it went: 0 passed, 2 bad usage or plan,
3 a host could not be watched, 4 the generator was the limit, 99 a threshold failed, 130 interrupted
by the user, 1 a fault of ours (the session could not be recorded).
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib.metadata import version
from typing import NoReturn

from loadwatch.verbs import (
    check,
    compare,
    completion,
    demo,
    export,
    import_,
    ledger,
    limit,
    metrics,
    plan,
    replay,
    report,
    run,
    sessions,
    sweep,
    users,
    verdicts,
    watch,
)
from loadwatch.verbs.ending import INTERRUPTED

VERBS = (
    demo, watch, run, limit, sweep, ledger, check, plan, import_, sessions, replay, export, compare,
    report, users, metrics, verdicts, completion,
)  # fmt: skip
"""In the order of `--help`."""


class _Parser(argparse.ArgumentParser):
    """Usage errors as one line, in the words of the plan's errors."""

    def error(self, message: str) -> NoReturn:
        """Leave with exit code 2 and one line."""
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """The `loadwatch` command."""
    from loadwatch.core.errors import LoadwatchError

    parser = _parser()
    if "_ARGCOMPLETE" in os.environ:  # a shell asks what could stand here
        import argcomplete

        argcomplete.autocomplete(parser)
    arguments = parser.parse_args(argv)
    try:
        code = arguments.verb(arguments)
    except LoadwatchError as error:
        print(f"loadwatch: {error}", file=sys.stderr)
        code = error.exit_code
    except KeyboardInterrupt:
        code = INTERRUPTED
    sys.exit(code)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="loadwatch",
        description="Fire an open-loop load, watch the server over SSH, see both on one screen.",
    )
    parser.add_argument("--version", action="version", version=f"loadwatch {version('loadwatch')}")
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    for verb in VERBS:
        verb.add(verbs)
    return parser
