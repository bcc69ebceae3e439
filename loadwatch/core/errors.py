"""Every failure that a user can cause or fix, as one tree.

LoadwatchError            message is one clear line for the user; `exit_code` is the command's
├── PlanError             2: bad usage, bad plan, an existing session file
├── SessionError          2: a session file that is missing, foreign or broken
├── HostError             3: a host could not be watched
└── GeneratorError        4: no load worker could be started

A request's failure is none of these: it is data (`core.bucket`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar


class LoadwatchError(Exception):
    """A failure to report as one line on stderr; `exit_code` is what the command returns."""

    exit_code: ClassVar[int] = 1


class PlanError(LoadwatchError):
    """The plan or the command line is wrong; nothing was started."""

    exit_code = 2


Wrong = Callable[[str, str], PlanError]
"""Makes the error of a plan's key: where it stands, and what is wrong there."""


class SessionError(LoadwatchError):
    """A session file is missing, exists already, is not ours, or cannot be written."""

    exit_code = 2


class HostError(LoadwatchError):
    """A host could not be watched: unknown key, refused login, missing tool, no route."""

    exit_code = 3


class GeneratorError(LoadwatchError):
    """The load could not be made: a worker did not start or died."""

    exit_code = 4
