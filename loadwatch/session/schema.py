"""The session file as SQL: one SQLite database per session, described in docs/session-format.md."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Mapping
from pathlib import Path

from loadwatch.core.errors import SessionError

APPLICATION_ID = int.from_bytes(b"ldwt", "big")
"""SQLite's mark of whose file it is."""

FORMAT = 1
"""The version of the tables below (SQLite's user_version)."""

TEXTS = frozenset({"name", "target", "arrival", "state", "started", "loadwatch"})
"""The keys of `meta` whose values are text as it is; those of all others are JSON."""

EARLIER: dict[int, str] = {}
"""Earlier format -> SQL that makes it look like today's on a connection that only reads: views in
SQLite's `temp` schema, which shadow the file's own tables. The file itself is never changed.
Whoever raises `FORMAT` writes them, and keeps `tests/fixtures/session-<format>` as it is."""

TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

CREATE TABLE metric (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    unit TEXT NOT NULL,
    label TEXT NOT NULL,
    kind TEXT NOT NULL,
    better TEXT NOT NULL,
    position INTEGER NOT NULL
);

CREATE TABLE tick (
    second INTEGER PRIMARY KEY,
    time REAL NOT NULL,
    step INTEGER NOT NULL,
    mark TEXT NOT NULL,
    rates TEXT NOT NULL
);

CREATE TABLE sample (
    second INTEGER NOT NULL,
    metric INTEGER NOT NULL REFERENCES metric,
    value REAL NOT NULL,
    PRIMARY KEY (second, metric)
) WITHOUT ROWID;

CREATE TABLE histogram (
    second INTEGER NOT NULL,
    scenario TEXT NOT NULL,
    kind TEXT NOT NULL,
    counts BLOB NOT NULL,
    PRIMARY KEY (second, scenario, kind)
) WITHOUT ROWID;

CREATE TABLE identity (
    id INTEGER PRIMARY KEY,
    host TEXT NOT NULL,
    pid INTEGER NOT NULL,
    user TEXT NOT NULL,
    command TEXT NOT NULL,
    groups TEXT NOT NULL
);

CREATE TABLE frame (
    second INTEGER NOT NULL,
    place INTEGER NOT NULL,
    identity INTEGER NOT NULL REFERENCES identity,
    state TEXT NOT NULL,
    rss INTEGER NOT NULL,
    cpu REAL NOT NULL,
    PRIMARY KEY (second, place)
) WITHOUT ROWID;

CREATE TABLE event (
    second INTEGER NOT NULL,
    place INTEGER NOT NULL,
    at REAL NOT NULL,
    kind TEXT NOT NULL,
    host TEXT NOT NULL,
    text TEXT NOT NULL,
    PRIMARY KEY (second, place)
) WITHOUT ROWID;

CREATE VIEW process AS
    SELECT second, place, host, pid, user, command, groups, state, rss, cpu
    FROM frame JOIN identity ON identity.id = frame.identity;

CREATE VIEW step AS
    SELECT step, min(second) AS first, count(*) AS seconds, mark, rates FROM tick GROUP BY step;
"""


def create(path: Path, meta: Mapping[str, str]) -> sqlite3.Connection:
    """A new session file that holds `meta`, for its owner only; SessionError if it cannot be.

    The connection may be handed to another thread, but not be used by two at once.
    """
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        raise SessionError(f"{path}: exists already") from None
    except OSError as error:
        raise SessionError(f"{path}: cannot record here: {error.strerror}") from None
    db = sqlite3.connect(path, check_same_thread=False)
    try:
        db.execute("PRAGMA journal_mode = WAL")
        # Each second is on the disk when its transaction ends: once a second, in a thread of its
        # own, that costs nothing, and a machine that loses power loses nothing before.
        db.execute("PRAGMA synchronous = FULL")
        db.execute("PRAGMA fullfsync = 1")
        db.executescript(
            f"BEGIN; PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {FORMAT};"
            f"{TABLES}"
        )
        db.executemany("INSERT INTO meta VALUES (?, ?)", meta.items())
        db.commit()
    except sqlite3.Error as error:
        db.close()
        path.unlink(missing_ok=True)
        raise SessionError(f"{path}: cannot record here: {error}") from None
    return db
