"""The reading side of session files."""

from __future__ import annotations

import json
import sqlite3
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from loadwatch.core.errors import SessionError
from loadwatch.core.metric import Metric, Unit
from loadwatch.core.reading import Process
from loadwatch.core.tick import Event, HostProcess, Kind, Tick
from loadwatch.session import schema
from loadwatch.session.blob import decode

MAGIC = b"SQLite format 3\0"
"""How every SQLite database begins."""


@dataclass(frozen=True, slots=True)
class Step:
    """A step of a session: its number, first second, length in seconds, mark and rates."""

    number: int
    first: int
    seconds: int
    mark: str
    rates: Mapping[str, float]


class Session:
    """A session file as it was when it was opened, also while a run is writing it.

    `meta`: what was said about the run, as text (JSON where it is not a plain word). `metrics`:
    every key that has a value, as declared, in the order of their declaration. `scenarios`: their
    names in the plan's order; `hosts`: those that were heard of, by name. `start`: wall clock of
    second 0 (Unix seconds), 0 where nothing is recorded.
    """

    def __init__(self, path: Path, db: sqlite3.Connection) -> None:
        self.path = path
        self._db = db
        self.meta: Mapping[str, str] = dict(db.execute("SELECT key, value FROM meta"))
        self._keys: dict[int, str] = dict(db.execute("SELECT id, key FROM metric ORDER BY id"))
        self.metrics: Mapping[str, Metric] = {
            key: Metric(key, Unit[unit.upper()], label, kind, better)
            for key, unit, label, kind, better in db.execute(
                "SELECT key, unit, label, kind, better FROM metric ORDER BY position, key"
            )
        }
        owners = (key.split(".") for key in self._keys.values() if key.startswith("scenario."))
        self.scenarios = tuple(dict.fromkeys(owner[1] for owner in owners))
        seen = {key.split(".")[1] for key in self._keys.values() if key.startswith("host.")}
        self.hosts = tuple(sorted(seen))
        self.start = float(self.meta.get("started_unix", 0))

    @property
    def name(self) -> str:
        """What it is called: as the user said, else its file's name without the suffix."""
        return self.meta.get("name") or self.path.stem

    @property
    def about(self) -> dict[str, Any]:
        """`meta` with its values decoded."""
        with _one_line(self.path):
            return {
                key: value if key in schema.TEXTS else json.loads(value)
                for key, value in self.meta.items()
            }

    @property
    def end(self) -> int:
        """The second after the last one that is recorded; 0 where none is."""
        (last,) = self._db.execute("SELECT max(second) FROM tick").fetchone()
        return 0 if last is None else int(last) + 1

    @property
    def steps(self) -> list[Step]:
        """The steps so far, in order."""
        with _one_line(self.path):
            rows = self._db.execute(
                "SELECT step, first, seconds, mark, rates FROM step ORDER BY first"
            )
            return [
                Step(number, first, seconds, mark, json.loads(rates))
                for number, first, seconds, mark, rates in rows
            ]

    def ticks(self, first: int = 0, end: int | None = None) -> Iterator[Tick]:
        """The recorded ticks from second `first` up to, not including, `end`, in order.

        SessionError where the file is broken.
        """
        with _one_line(self.path):
            rows = self._db.execute(
                "SELECT second, time, step, mark, rates FROM tick"
                " WHERE second >= ? AND second < ? ORDER BY second",
                (first, sys.maxsize if end is None else end),
            )
            for second, time, step, mark, rates in rows:
                yield Tick(
                    second=second,
                    time=time,
                    step=step,
                    mark=mark,
                    rates=json.loads(rates),
                    values=self._values(second),
                    histograms=self._histograms(second),
                    processes=self._processes(second),
                    events=self._events(second),
                )

    def values(self, keys: str, first: int, end: int) -> dict[str, float]:
        """What the keys that match `keys` (with `*`) come to from second `first` up to, not
        including, `end`: maxima by the largest, all others by the mean of the seconds that know
        them. Percentiles cannot be had so."""
        with _one_line(self.path):
            return dict(
                self._db.execute(
                    "SELECT key, iif(kind = 'maximum', max(value), avg(value))"
                    " FROM sample JOIN metric ON metric.id = sample.metric"
                    " WHERE second >= ? AND second < ? AND key GLOB ? GROUP BY key",
                    (first, end, keys),
                ).fetchall()
            )

    def _values(self, second: int) -> dict[str, float]:
        rows = self._db.execute("SELECT metric, value FROM sample WHERE second = ?", (second,))
        return {self._keys[metric]: value for metric, value in rows}

    def _histograms(self, second: int) -> dict[tuple[str, Kind], Mapping[int, int]]:
        rows = self._db.execute(
            "SELECT scenario, kind, counts FROM histogram WHERE second = ?", (second,)
        )
        return {(scenario, kind): decode(counts) for scenario, kind, counts in rows}

    def _processes(self, second: int) -> tuple[HostProcess, ...]:
        rows = self._db.execute(
            "SELECT host, pid, user, rss, cpu, state, command, groups FROM process"
            " WHERE second = ? ORDER BY place",
            (second,),
        )
        return tuple(
            HostProcess(host, Process(*process), tuple(groups.split()))
            for host, *process, groups in rows
        )

    def _events(self, second: int) -> tuple[Event, ...]:
        rows = self._db.execute(
            "SELECT at, kind, text, host FROM event WHERE second = ? ORDER BY place", (second,)
        )
        return tuple(Event(*row) for row in rows)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def open_session(path: Path) -> Session:
    """A session file, for reading only; SessionError for one that is missing, foreign or newer."""
    if not path.is_file():
        raise SessionError(f"{path}: no such session")
    with _one_line(path):
        uri = f"{path.absolute().as_uri()}?mode=ro"
        db = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
        try:
            (owner,) = db.execute("PRAGMA application_id").fetchone()
            (version,) = db.execute("PRAGMA user_version").fetchone()
            if owner != schema.APPLICATION_ID:
                raise SessionError(f"{path}: not a loadwatch session")
            if version > schema.FORMAT:
                raise SessionError(
                    f"{path}: written by a newer loadwatch"
                    f" (format {version}; this one reads {schema.FORMAT})"
                )
            db.executescript(schema.EARLIER.get(version, ""))
            db.execute("BEGIN")  # one snapshot of all tables, whatever a run adds meanwhile
            return Session(path, db)
        except BaseException:
            db.close()
            raise


def is_session(path: Path) -> bool:
    """Whether the file at `path` is a database at all, by its first bytes."""
    with path.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC


@contextmanager
def _one_line(path: Path) -> Iterator[None]:
    """What SQLite or a broken row says, as a SessionError."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        foreign = "not a database" in str(error)
        what = "not a loadwatch session" if foreign else f"cannot be read: {error}"
        raise SessionError(f"{path}: {what}") from None
    except (ValueError, KeyError, TypeError) as error:
        raise SessionError(f"{path}: broken: {error}") from None
