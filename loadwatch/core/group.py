"""Process groups: all of `www-data`, all that match `gunicorn`, a list of PIDs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from loadwatch.core.plan import Group
from loadwatch.core.reading import Limits, Process

ZOMBIE = "Z"
"""State of a process that has ended, until its parent asks how."""


class GroupTally:
    """Follows one group of one host from frame to frame."""

    def __init__(self, group: Group) -> None:
        self.group = group
        self.name = group.name
        self._user = group.user
        self._command = re.compile(group.command) if group.command is not None else None
        self._pids = frozenset(group.pids) if group.pids is not None else None
        self._seen: frozenset[int] | None = None
        self._restarts = 0
        self._step = 0
        self._before = 0

    def matches(self, process: Process) -> bool:
        """Whether `process` belongs to the group: all given conditions hold."""
        return (
            (self._user is None or _is_user(process.user, self._user))
            and (self._command is None or self._command.search(process.command) is not None)
            and (self._pids is None or process.pid in self._pids)
        )

    def observe(self, processes: Iterable[Process], step: int) -> dict[str, float]:
        """The group's metrics of one frame, keyed below the host (`group.<name>.rss`, bytes).

        A restart is a PID that went while another came; a pool that only grows or shrinks has none.
        Growth counts from the first frame in `step`.
        """
        members = [p for p in processes if p.state != ZOMBIE and self.matches(p)]
        pids = frozenset(process.pid for process in members)
        rss = sum(process.rss for process in members)
        if self._seen is not None:
            self._restarts += min(len(self._seen - pids), len(pids - self._seen))
        if self._seen is None or step != self._step:
            self._step, self._before = step, rss
        self._seen = pids
        largest = {} if not members else {
            "rss_max": max(process.rss for process in members),
            "cpu_max": max(process.cpu for process in members),
        }  # fmt: skip
        return self._keyed(
            {
                "count": len(members),
                "rss": rss,
                "growth": rss - self._before,
                "cpu": sum(process.cpu for process in members),
                "restarts": self._restarts,
                **largest,
            }
        )

    def limits(self, all_limits: Iterable[Limits]) -> dict[str, float]:
        """The limits that most of the group's processes are under, keyed below the host."""
        members = self._seen or frozenset()
        held = max(all_limits, key=lambda limits: len(limits.pids & members), default=None)
        if held is None or 2 * len(held.pids & members) <= len(members):
            return {}
        return self._keyed(held.values)

    def _keyed(self, values: Mapping[str, float]) -> dict[str, float]:
        return {f"group.{self.name}.{key}": value for key, value in values.items()}


def _is_user(shown: str, name: str) -> bool:
    """Whether top's USER column means `name`: it cuts long names and ends them with a `+`."""
    return shown == name or (shown.endswith("+") and name.startswith(shown[:-1]))
