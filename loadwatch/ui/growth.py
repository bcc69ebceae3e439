"""How much each process has grown since it was first seen in this run."""

from __future__ import annotations

from loadwatch.core.reading import Process
from loadwatch.core.tick import Tick


class Growth:
    """Listens to a bus (`growth.add`); a PID under another command is another process."""

    def __init__(self) -> None:
        self._first: dict[str, dict[tuple[int, str], int]] = {}
        self._last = -1

    def add(self, tick: Tick) -> None:
        """Take the next tick; what is not listed any more is forgotten.

        One of an earlier second begins it all anew: a replay went back.
        """
        if tick.second <= self._last:
            self._first.clear()
        self._last = tick.second
        for host in {row.host for row in tick.processes}:
            before = self._first.get(host, {})
            now = [row.process for row in tick.processes if row.host == host]
            self._first[host] = {
                key: before.get(key, process.rss)
                for process in now
                for key in [(process.pid, process.command)]
            }

    def of(self, host: str, process: Process) -> int:
        """Bytes of RSS since the first sight; negative where it shrank."""
        first = self._first.get(host, {}).get((process.pid, process.command), process.rss)
        return process.rss - first
