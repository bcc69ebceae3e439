"""The sessions in the default place: listed, found by what a user calls them, renamed, tagged."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loadwatch.core.errors import SessionError
from loadwatch.session.places import SUFFIX, sessions_directory
from loadwatch.session.store import Session, Step, open_session

TAG = re.compile(r"[A-Za-z0-9_.-]+")
"""What a tag looks like."""

STALE = 10.0
"""Seconds without a new one after which a run that never ended has crashed."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A session of the library.

    `number` is its place, the oldest is 1; `started` (Unix seconds, 0 where nothing is recorded),
    `seconds` how long it is; `result` what it came to, None while it runs or where it crashed;
    `has_ended` whether it came to a clean end; `problem` why it cannot be read, the rest is then
    empty.
    """

    number: int
    path: Path
    name: str
    started: float = 0.0
    seconds: int = 0
    target: str = ""
    tags: tuple[str, ...] = ()
    steps: Sequence[Step] = ()
    result: dict[str, Any] | None = None
    has_ended: bool = False
    problem: str = ""

    @property
    def marks(self) -> tuple[str, ...]:
        """The user's notes on its timeline, in order."""
        return tuple(dict.fromkeys(step.mark for step in self.steps if step.mark))

    def state(self, now: float) -> str:
        """`ended`, `running`, `crashed` or `broken` at `now` (Unix seconds)."""
        if self.problem:
            return "broken"
        if self.has_ended:
            return "ended"
        return "running" if now < self.started + self.seconds + STALE else "crashed"


def entries() -> Iterator[Entry]:
    """The sessions in the default place, oldest first."""
    for number, path in enumerate(_files(), 1):
        try:
            with open_session(path) as session:
                yield _entry(number, session)
        except SessionError as error:
            yield Entry(number, path, path.stem, problem=str(error))


def _entry(number: int, session: Session) -> Entry:
    about, steps = session.about, session.steps
    return Entry(
        number,
        session.path,
        session.name,
        session.start,
        session.end,
        about.get("target", ""),
        tuple(about.get("tags", ())),
        steps,
        about.get("result"),
        about["state"] == "ended",
    )


def resolve(name: str) -> Path:
    """The session that a user means: a path, a number, a name or the beginning of one.

    SessionError where several begin so; a path that may not exist where none does.
    """
    path = Path(name)
    if path.exists() or path.name != name:
        return path
    files = _files()
    if name.isdecimal() and 1 <= int(name) <= len(files):
        return files[int(name) - 1]
    called = {path: {path.name, path.stem} for path in files}
    for entry in entries():
        called[entry.path].add(entry.name)
    exact = [path for path, names in called.items() if name in names]
    found = exact or [p for p, names in called.items() if any(n.startswith(name) for n in names)]
    if len(found) > 1:
        some = ", ".join(path.stem for path in found[:5])
        raise SessionError(f"{name}: {len(found)} sessions begin so: {some}")
    return found[0] if found else path


def rename(path: Path, name: str) -> None:
    """Call the session at `path` so; SessionError for a name that is none, or is another's."""
    if not name.strip() or not name.isprintable() or name.isdecimal() or "/" in name:
        raise SessionError(f"{name!r} is no name for a session")
    for entry in entries():
        if entry.path != path.absolute() and name in (entry.name, entry.path.stem):
            raise SessionError(f"{name}: {entry.path} is called so already")
    _put(path, "name", name)


def tag(path: Path, add: Sequence[str], remove: Sequence[str] = ()) -> tuple[str, ...]:
    """Add and remove tags of the session at `path`; returns those that it then has."""
    for one in (*add, *remove):
        if not TAG.fullmatch(one):
            raise SessionError(f"{one!r} is no tag: letters, digits, `_`, `.` and `-`")
    with open_session(path) as session:
        had = session.about.get("tags", [])
    tags = [one for one in dict.fromkeys((*had, *add)) if one not in remove]
    _put(path, "tags", json.dumps(tags))
    return tuple(tags)


def delete(path: Path) -> None:
    """Remove the session at `path`; SessionError for none, and while it is in use."""
    open_session(path).close()
    try:
        with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as db:
            # Leaving WAL mode takes the file for oneself.
            db.execute("PRAGMA journal_mode = DELETE")
        path.unlink()
    except sqlite3.OperationalError:
        raise SessionError(f"{path}: is in use: a run records it, or somebody reads it") from None
    except OSError as error:
        raise SessionError(f"{path}: cannot be deleted: {error.strerror}") from None


def _put(path: Path, key: str, value: str) -> None:
    """Set one entry of `meta`, also while a run writes the file."""
    open_session(path).close()
    try:
        with closing(sqlite3.connect(path)) as db, db:
            db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))
    except sqlite3.Error as error:
        raise SessionError(f"{path}: cannot be changed: {error}") from None


def _files() -> list[Path]:
    """The session files in the default place, oldest first: their names begin with the time."""
    return sorted(sessions_directory().glob(f"*{SUFFIX}"))
