"""Process groups as they are typed: `user:www-data; db=user:postgres command:writer; pid:12,13`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from loadwatch.core.group import GroupTally
from loadwatch.core.naming import plain_name, unique
from loadwatch.core.plan import NAME, Group
from loadwatch.core.reading import Process

NAMED = re.compile(rf"(?:({NAME.pattern})\s*=\s*)?(.*)", re.DOTALL)
"""A group: its name, where it has one, and its conditions."""

CONDITION = re.compile(r"(?:^|\s+)(user|command|pid):")

EXPECTED = "user:NAME, command:REGEX or pid:1,2; several groups apart by `;`"

SHOWN = 4
"""How many of a group's processes are named."""


def parse(text: str) -> tuple[Group, ...]:
    """The groups that are typed, none in an empty text; ValueError with what is expected."""
    groups: list[Group] = []
    for part in filter(None, (part.strip() for part in text.split(";"))):
        found = NAMED.fullmatch(part)
        assert found is not None  # anything is a name or none, and a rest
        groups.append(_group(found[1], found[2], [group.name for group in groups]))
    return tuple(groups)


def spelled(groups: Iterable[Group]) -> str:
    """`groups` as they would be typed."""
    return "; ".join(f"{group.name}={_conditions(group)}" for group in groups)


def matching(groups: Sequence[Group], processes: Sequence[Process]) -> str:
    """Which of the `processes` that are listed each group would have now."""
    told = []
    for group in groups:
        tally = GroupTally(group)
        members = sorted(process.pid for process in processes if tally.matches(process))
        more = ["…"] if len(members) > SHOWN else []
        pids = f" ({', '.join([*map(str, members[:SHOWN]), *more])})" if members else ""
        told.append(f"{group.name} × {len(members)}{pids}")
    return f"now, of {len(processes)} listed: {'; '.join(told)}" if told else "no groups"


def _group(name: str | None, text: str, taken: Sequence[str]) -> Group:
    before, *parts = CONDITION.split(text)
    given = dict(zip(parts[::2], (value.strip() for value in parts[1::2]), strict=True))
    if before.strip() or not given or not all(given.values()) or len(given) < len(parts) // 2:
        raise ValueError(EXPECTED)
    if name is not None and name in taken:
        raise ValueError(f"the name {name!r} is given twice")
    user, command, pids = given.get("user"), given.get("command"), given.get("pid")
    if pids is not None and not re.fullmatch(r"\d+(\s*,\s*\d+)*", pids, re.ASCII):
        raise ValueError("pid: numbers apart by commas")
    try:
        re.compile(command or "")
    except re.error as error:
        raise ValueError(f"command: not a regular expression: {error}") from None
    own = name or unique(plain_name(user or command or "pids", "group"), taken)
    numbers = None if pids is None else tuple(int(pid) for pid in pids.split(","))
    return Group(own, user, command, numbers)


def _conditions(group: Group) -> str:
    pids = None if group.pids is None else ",".join(map(str, group.pids))
    command = (group.command or "").replace(";", r"\x3b")  # the same to a regular expression
    given = {"user": group.user, "command": command, "pid": pids}
    return " ".join(f"{key}:{value}" for key, value in given.items() if value)
