"""The site's data: users who write on each other's walls, in SQLite, in memory.

Each worker fills its own database from the same seed: all show the same pages, and nothing is left
behind. `comment` has no index on its item, as in many a young site: to count an item's comments is
to scan them all.
"""

from __future__ import annotations

import random
import sqlite3
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, NamedTuple

USERS = 60
ITEMS_PER_WALL = 60
FRIENDS = 27
"""How many users write on one wall, taking turns."""

COMMENTS = 4000
SHOWN = 50
"""Items on a page of a wall."""

NEWEST = 25
"""Items on the home page."""

_FIRST_NAMES = "Ada Ben Cleo Dan Eva Finn Gwen Hugo Ines Jon Kira Leo Mia Noah Olga"
_LAST_NAMES = "Adler Brook Castle Dale"
_WORDS = (
    "hey you we they nobody just never really saw found lost built broke fixed painted missed the "
    "a this that another new old tiny famous wall bridge photo song server train garden river "
    "window party summer morning yesterday tomorrow tonight again & <3 :) ... at near behind with"
)

_SCHEMA = """
CREATE TABLE user (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
CREATE TABLE session (key TEXT PRIMARY KEY, user INTEGER NOT NULL);
CREATE TABLE item (
    id INTEGER PRIMARY KEY, wall INTEGER NOT NULL, author INTEGER NOT NULL,
    posted TEXT NOT NULL, text TEXT NOT NULL
);
CREATE INDEX item_wall ON item (wall, id);
CREATE TABLE comment (id INTEGER PRIMARY KEY, item INTEGER NOT NULL, text TEXT NOT NULL);
"""


class Item(NamedTuple):
    """Something that `author` wrote on a wall, and how many comments it got."""

    author: str
    posted: str
    text: str
    comments: int


class Database:
    """The data of one worker. Counts its queries, and how long they took (seconds)."""

    def __init__(self, session: str) -> None:
        self.session = session
        self.queries = 0
        self.seconds = 0.0
        self._connection = sqlite3.connect(":memory:")
        self._connection.executescript(_SCHEMA)
        _fill(self._connection, session)

    def has_session(self, key: str) -> bool:
        """Whether someone is logged in under `key`."""
        return bool(self._all("SELECT user FROM session WHERE key = ?", key))

    def users(self) -> list[tuple[int, str]]:
        """Id and name of everyone."""
        return self._all("SELECT id, name FROM user ORDER BY id")

    def name(self, user: int) -> str | None:
        """The name of `user`; None where there is no such user."""
        rows = self._all("SELECT name FROM user WHERE id = ?", user)
        return rows[0][0] if rows else None

    def newest(self) -> list[tuple[str, str, str]]:
        """Author, date and text of what was last written on any wall."""
        return self._all(
            "SELECT user.name, posted, text FROM item JOIN user ON user.id = author"
            " ORDER BY item.id DESC LIMIT ?",
            NEWEST,
        )

    def wall(self, owner: int) -> list[Item]:
        """The newest items on the wall of `owner`, written as an object mapper tempts one to.

        One query lists the items, then each asks for what it lacks: its author (once per author)
        and the number of its comments.
        """
        authors: dict[int, str | None] = {}
        items = []
        for number, author, posted, text in self._all(
            "SELECT id, author, posted, text FROM item WHERE wall = ? ORDER BY id DESC LIMIT ?",
            owner,
            SHOWN,
        ):
            if author not in authors:
                authors[author] = self.name(author)
            ((comments,),) = self._all("SELECT count(*) FROM comment WHERE item = ?", number)
            items.append(Item(authors[author] or "", posted, text, comments))
        return items

    def wall_joined(self, owner: int) -> list[Item]:
        """The same as `wall` in a single query, which scans the comments once."""
        rows = self._all(
            "WITH shown AS (SELECT * FROM item WHERE wall = ? ORDER BY id DESC LIMIT ?),"
            " counted AS (SELECT item, count(*) AS comments FROM comment"
            " WHERE item IN (SELECT id FROM shown) GROUP BY item)"
            " SELECT name, posted, text, coalesce(comments, 0) FROM shown"
            " JOIN user ON user.id = author LEFT JOIN counted ON item = shown.id"
            " ORDER BY shown.id DESC",
            owner,
            SHOWN,
        )
        return [Item(*row) for row in rows]

    def _all(self, sql: str, *parameters: object) -> list[Any]:
        begin = time.perf_counter()
        rows = self._connection.execute(sql, parameters).fetchall()
        self.seconds += time.perf_counter() - begin
        self.queries += 1
        return rows


def _fill(connection: sqlite3.Connection, session: str) -> None:
    rng = random.Random(2008)
    names = [f"{first} {last}" for last in _LAST_NAMES.split() for first in _FIRST_NAMES.split()]
    said = [" ".join(rng.choices(_WORDS.split(), k=20)) for _ in range(500)]
    connection.executemany("INSERT INTO user (name) VALUES (?)", ((name,) for name in names))
    connection.execute("INSERT INTO session VALUES (?, 1)", (session,))
    connection.executemany(
        "INSERT INTO item (wall, author, posted, text) VALUES (?, ?, ?, ?)", _items(rng, said)
    )
    connection.executemany(
        "INSERT INTO comment (item, text) VALUES (?, ?)",
        zip(
            rng.choices(range(1, USERS * ITEMS_PER_WALL + 1), k=COMMENTS),
            rng.choices(said, k=COMMENTS),
            strict=True,
        ),
    )
    connection.commit()


def _items(rng: random.Random, said: list[str]) -> Iterator[tuple[int, int, str, str]]:
    """Wall, author, date, text: by turns on every wall, by turns from each of its friends."""
    posted = datetime(2008, 5, 1, 8, 0)
    for turn in range(ITEMS_PER_WALL):
        for wall in range(1, USERS + 1):
            posted += timedelta(minutes=5)
            author = (wall + turn % FRIENDS) % USERS + 1
            yield wall, author, posted.isoformat(" ", "minutes"), rng.choice(said)
