"""The recorder: writes every tick into a session file as it happens, in a thread of its own."""

from __future__ import annotations

import os
import platform
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from importlib.metadata import version
from pathlib import Path
from queue import SimpleQueue

import msgspec

from loadwatch.core.metric import Catalogue
from loadwatch.core.tick import HostProcess, Late, Tick
from loadwatch.session import schema
from loadwatch.session.blob import Encoder

HELD = 300
"""Seconds that are kept in memory while they cannot be written: 16 MB with 100 processes each."""


class Recorder:
    """Records a run from its constructor to `close`; a listener of the bus (`recorder.add`).

    `meta` describes the run (target, plan without secrets, seed): text is stored as it is,
    anything else as JSON. The file is created at once: SessionError if it exists or cannot be.
    While the disk takes nothing (it is full), the last `HELD` seconds wait and are tried again with
    each new one; what waits longer, or can never be written, is counted in `lost`. `on_turn` is
    told, in the recorder's thread, what is wrong with the recording from now on; empty: nothing.
    """

    def __init__(
        self,
        path: Path,
        meta: Mapping[str, object],
        catalogue: Catalogue,
        on_turn: Callable[[str], None] = lambda problem: None,
    ) -> None:
        self.path = path
        self.lost = 0
        self.closed = False
        self._on_turn = on_turn
        self._problem = ""
        about = {
            "format": schema.FORMAT,
            "loadwatch": version("loadwatch"),
            "environment": environment(),
            "state": "running",
        }
        self._writer = _Writer(schema.create(path, _texts({**about, **meta})), catalogue)
        self._kept: dict[str, object] = {}
        self._queue: SimpleQueue[Tick | Mapping[str, object] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._write, name="recorder", daemon=True)
        self._thread.start()

    def add(self, tick: Tick) -> None:
        """Take the next tick; returns at once."""
        self._queue.put(tick)

    def keep(self, **meta: object) -> None:
        """Set entries of `meta` while the run goes on: a crash leaves them. Returns at once."""
        self._queue.put(meta)

    def close(self, result: Mapping[str, object] | None = None, **meta: object) -> None:
        """Write what is left, `result`, `meta`; then the session is one file, marked as ended.

        Only a reader that has the file open at this moment may leave a `-wal` file beside it.
        """
        if self.closed:
            return
        self.closed = True
        self._queue.put(None)
        self._thread.join()
        end: dict[str, object] = {**meta, "state": "ended", "lost": self.lost}
        try:
            self._writer.put_meta(end if result is None else {**end, "result": result})
        except sqlite3.Error as error:
            self._turn(str(error))
        finally:
            self._writer.close()

    def _write(self) -> None:
        waiting: deque[Tick] = deque()
        while (item := self._queue.get()) is not None:
            if isinstance(item, Tick):
                waiting.append(item)
            else:
                self._kept |= item
            self._put(waiting)
            if len(waiting) > HELD:
                waiting.popleft()
                self.lost += 1
        self._put(waiting)
        self.lost += len(waiting)

    def _put(self, waiting: deque[Tick]) -> None:
        """Write what waits, oldest first, until the disk takes no more; then what is to be kept."""
        while waiting:
            try:
                self._writer.put(waiting[0])
            except Exception as error:
                self._writer.forget()
                self._turn(str(error))
                if isinstance(error, sqlite3.OperationalError):
                    return  # a full disk: it may have room later
                self.lost += 1
            else:
                self._turn(f"seconds that are missing: {self.lost}" if self.lost else "")
            waiting.popleft()
        if self._kept:
            try:
                self._writer.put_meta(self._kept)
            except sqlite3.Error as error:
                self._turn(str(error))  # tried again with the next second
            else:
                self._kept = {}

    def _turn(self, problem: str) -> None:
        told = problem and f"recording to {self.path}: {problem}"
        if told != self._problem:
            self._problem = told
            self._on_turn(told)


class _Writer:
    """Puts ticks into the tables, one transaction each; remembers which ids it has given."""

    def __init__(self, db: sqlite3.Connection, catalogue: Catalogue) -> None:
        self._db = db
        self._catalogue = catalogue
        self._encoder = Encoder()
        self._begun = False
        self._metrics: dict[str, int] = {}
        self._identities: dict[str, dict[tuple[object, ...], int]] = {}

    def put_meta(self, meta: Mapping[str, object]) -> None:
        """Set entries of `meta`."""
        with self._db as db:
            db.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", _texts(meta).items())

    def put(self, tick: Tick) -> None:
        """Write one tick, whole or not at all."""
        if not self._begun:
            start = tick.time - tick.second
            iso = datetime.fromtimestamp(start, UTC).isoformat(timespec="milliseconds")
            self.put_meta({"started": iso.replace("+00:00", "Z"), "started_unix": start})
            self._begun = True
        second = tick.second
        with self._db as db:
            db.execute(
                "INSERT INTO tick VALUES (?, ?, ?, ?, ?)",
                (second, tick.time, tick.step, tick.mark, _json(tick.rates)),
            )
            for late in tick.late:
                self._complete(db, late)
            self._put_values(db, second, tick.values)
            db.executemany(
                "INSERT INTO histogram VALUES (?, ?, ?, ?)",
                [
                    (second, scenario, kind, self._encoder.encode(counts))
                    for (scenario, kind), counts in tick.histograms.items()
                    if counts
                ],
            )
            self._put_frames(db, second, tick.processes)
            db.executemany(
                "INSERT INTO event VALUES (?, ?, ?, ?, ?, ?)",
                [
                    (second, place, event.at, event.kind, event.host, event.text)
                    for place, event in enumerate(tick.events)
                ],
            )

    def _complete(self, db: sqlite3.Connection, late: Late) -> None:
        """Add to a recorded second; of two readings of one second the newer one counts."""
        for host in {row.host for row in late.processes}:
            db.execute(
                "DELETE FROM frame WHERE second = ?"
                " AND (SELECT host FROM identity WHERE id = frame.identity) = ?",
                (late.second, host),
            )
        (place,) = db.execute(
            "SELECT ifnull(max(place) + 1, 0) FROM frame WHERE second = ?", (late.second,)
        ).fetchone()
        self._put_values(db, late.second, late.values)
        self._put_frames(db, late.second, late.processes, place)

    def _put_values(self, db: sqlite3.Connection, second: int, values: Mapping[str, float]) -> None:
        db.executemany(
            "INSERT OR REPLACE INTO sample VALUES (?, ?, ?)",
            [
                (second, self._metric(key), float(value))
                for key, value in values.items()
                if value == value  # a NaN would say what an absent key says
            ],
        )

    def forget(self) -> None:
        """Give up the ids given: a transaction that failed has taken some of them back."""
        self._metrics.clear()
        self._identities.clear()

    def close(self) -> None:
        """Fold the write-ahead log into the file and close it."""
        self._db.execute("PRAGMA busy_timeout = 200")
        try:
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            # Out of WAL mode, a reader needs no file of its own beside this one.
            self._db.execute("PRAGMA journal_mode = DELETE")
        except sqlite3.Error:
            pass  # a reader has it open: all is committed, and SQLite reads both files as one
        self._db.close()

    def _metric(self, key: str) -> int:
        known = self._metrics.get(key)
        if known is None:
            metric = self._catalogue.of(key)
            self._db.execute(
                "INSERT OR IGNORE INTO metric (key, unit, label, kind, better, position)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                (
                    key,
                    metric.unit.name.lower(),
                    metric.label,
                    metric.kind,
                    metric.better,
                    self._position(key),
                ),
            )
            row = self._db.execute("SELECT id FROM metric WHERE key = ?", (key,)).fetchone()
            known = self._metrics[key] = int(row[0])
        return known

    def _position(self, key: str) -> int:
        """The key's place among the declared metrics."""
        return next(
            position
            for position, metric in enumerate(self._catalogue)
            if fnmatchcase(key, metric.key) and key.count(".") == metric.key.count(".")
        )

    def _put_frames(
        self,
        db: sqlite3.Connection,
        second: int,
        processes: Iterable[HostProcess],
        first_place: int = 0,
    ) -> None:
        """The rows of `frame`; processes that were not in their host's last frame get an identity.

        Only the last frame is remembered: servers that fork for every request would else fill the
        memory.
        """
        last = self._identities
        hosts = dict.fromkeys(row.host for row in processes)
        self._identities = last | {host: {} for host in hosts}
        rows: list[tuple[object, ...]] = []
        for place, row in enumerate(processes, first_place):
            who = _identity(row)
            known = self._identities[row.host].get(who) or last.get(row.host, {}).get(who)
            if known is None:
                known = db.execute(
                    "INSERT INTO identity (host, pid, user, command, groups)"
                    " VALUES (?, ?, ?, ?, ?)",
                    who,
                ).lastrowid
                assert known is not None
            self._identities[row.host][who] = known
            process = row.process
            rows.append((second, place, known, process.state, process.rss, process.cpu))
        db.executemany("INSERT INTO frame VALUES (?, ?, ?, ?, ?, ?)", rows)


def environment() -> dict[str, object]:
    """The machine that makes the load: two sessions are compared with this in mind."""
    system = os.uname()
    return {
        "host": system.nodename,
        "system": f"{system.sysname} {system.release} {system.machine}",
        "python": platform.python_version(),
        "cpus": os.cpu_count(),
    }


def _texts(meta: Mapping[str, object]) -> dict[str, str]:
    """Values of `meta` as they are stored: text as it is, anything else as JSON."""
    return {key: value if isinstance(value, str) else _json(value) for key, value in meta.items()}


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _identity(row: HostProcess) -> tuple[object, ...]:
    process = row.process
    return row.host, process.pid, process.user, process.command, " ".join(row.groups)
