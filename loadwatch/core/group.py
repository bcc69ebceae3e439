"""Process groups: all of `www-data`, all that match `gunicorn`, a list of PIDs."""

from __future__ import annotations

import re
from collections.abc import Iterable

from loadwatch.core.plan import Group
from loadwatch.core.reading import Process


class GroupTally:
    """Follows one group of one host from frame to frame."""

    def __init__(self, group: Group) -> None:
        self.name = group.name
        self._user = group.user
        self._command = re.compile(group.command) if group.command is not None else None
        self._pids = frozenset(group.pids) if group.pids is not None else None
        self._seen: frozenset[int] | None = None
        self._restarts = 0

    def matches(self, process: Process) -> bool:
        """Whether `process` belongs to the group: all given conditions hold."""
        return (
            (self._user is None or _is_user(process.user, self._user))
            and (self._command is None or self._command.search(process.command) is not None)
            and (self._pids is None or process.pid in self._pids)
        )

    def observe(self, processes: Iterable[Process]) -> dict[str, float]:
        """The group's metrics of one frame, keyed below the host (`group.<name>.rss`, bytes).

        A restart is a PID that went while another came; a pool that only grows or shrinks has none.
        """
        members = [process for process in processes if self.matches(process)]
        pids = frozenset(process.pid for process in members)
        if self._seen is not None:
            self._restarts += min(len(self._seen - pids), len(pids - self._seen))
        self._seen = pids
        prefix = f"group.{self.name}"
        return {
            f"{prefix}.count": len(members),
            f"{prefix}.rss": sum(process.rss for process in members),
            f"{prefix}.rss_max": max((process.rss for process in members), default=0),
            f"{prefix}.cpu": sum(process.cpu for process in members),
            f"{prefix}.restarts": self._restarts,
        }


def _is_user(shown: str, name: str) -> bool:
    """Whether top's USER column means `name`: it cuts long names and ends them with a `+`."""
    return shown == name or (shown.endswith("+") and name.startswith(shown[:-1]))
