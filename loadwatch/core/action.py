"""What may be done to a host: a command of the plan with one of its values, as a line for `sh`."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass

from loadwatch.core.errors import PlanError
from loadwatch.core.plan import Action, Plan, Value

PLACE = "{value}"
"""Where the value goes in a command."""

_QUOTED = re.compile(r"""'[^']*'|"(?:[^"\\]|\\.)*"|\\.""", re.DOTALL)
"""What a shell takes as quoted: strings, and what a backslash stands before."""

_WAIT = re.compile(r"http ([1-5]\d\d) on (/\S*)")


@dataclass(frozen=True, slots=True)
class Done:
    """What an action came to: its exit code, and the last lines that it wrote, disarmed."""

    code: int
    output: tuple[str, ...] = ()

    def __str__(self) -> str:
        return ": ".join([f"exit code {self.code}", *self.output[-1:]])


def named(plan: Plan, name: str) -> tuple[str, Action]:
    """The action `name` of a plan, and the host that it is done on; PlanError where none is."""
    known = {one.name: (host.name, one) for host in plan.hosts for one in host.actions}
    if name not in known:
        raise PlanError(f"the plan has no action {name!r}; it has: {', '.join(known) or 'none'}")
    return known[name]


def setting(action: Action, value: Value) -> str:
    """What the configuration is called that an action makes: `backends = 5`."""
    return f"{action.name} = {value}"


def shell_line(action: Action, value: Value) -> str:
    """The command with `value` as one word, whatever is in it.

    A value with signs of the shell's is quoted, which makes one word of it only outside of quotes,
    backticks and here documents. ValueError where it stands in such, for quotes that do not close,
    and for what cannot be printed.
    """
    word = str(value)
    if not word.isprintable():
        raise ValueError(f"{word!r} holds what cannot be printed")
    quoted, bare = shlex.quote(word), _QUOTED.sub("", action.command)
    if "'" in bare or '"' in bare:
        raise ValueError("its quotes do not close")
    is_bare = bare.count(PLACE) == action.command.count(PLACE)
    if quoted != word and (not is_bare or "`" in action.command or "<<" in action.command):
        raise ValueError(f"{PLACE} stands within quotes, where {word!r} is not safe")
    return action.command.replace(PLACE, quoted)


def awaited(wait: str) -> tuple[int, str]:
    """Status and path of `http 200 on /`; ValueError for anything else."""
    match = _WAIT.fullmatch(wait)
    if match is None:
        raise ValueError(f"expected something like `http 200 on /`, got {wait!r}")
    return int(match[1]), match[2]
