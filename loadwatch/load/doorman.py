"""Users whose sessions have expired: noticed by the answers that they get."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from urllib.parse import urljoin, urlsplit

from loadwatch.load.messages import LoginJob

REDIRECTS = frozenset({301, 302, 303, 307, 308})

_LOCATION = re.compile(rb"\r\nlocation:[ \t]*([^\r\n]*)", re.IGNORECASE)
_SHOWN = {
    "Cookie": re.compile(rb"\r\ncookie: *([^\r\n]*)", re.IGNORECASE),
    "Authorization": re.compile(rb"\r\nauthorization: *([^\r\n]*)", re.IGNORECASE),
}


class Doorman:
    """Knows the `sessions` of all users, by row, and says once whose has expired (`tell`).

    It has where the server redirects to the page of the login, or says 401 where there is none.
    """

    def __init__(self, login: LoginJob, sessions: Sequence[str]) -> None:
        self.tell: Callable[[int], None] = lambda row: None
        self._login = login
        self._shown = _SHOWN[login.header]
        self._told: set[int] = set()
        self._rows: dict[bytes, int | None] = {}
        for row, session in enumerate(sessions):
            self._learn(row, session)

    def is_out(self, request: bytes, status: int, head: bytes) -> bool:
        """Whether an answer to `request` says that its user is not logged in (any more)."""
        if not self._is_refusal(status, head):
            return False
        shown = self._shown.search(request.partition(b"\r\n\r\n")[0])
        parts = self._parts(shown[1]) if shown else []
        row = next((row for part in parts if (row := self._rows.get(part)) is not None), None)
        # One that has been renewed meanwhile is not known any more.
        if row is not None and row not in self._told:
            self._told.add(row)
            self.tell(row)
        return True

    def renewed(self, row: int, session: str) -> None:
        """The user of this row has another session."""
        self._rows = {part: own for part, own in self._rows.items() if own != row}
        self._told.discard(row)
        self._learn(row, session)

    def _is_refusal(self, status: int, head: bytes) -> bool:
        if self._login.path is None:
            return status == 401
        where = _LOCATION.search(head.partition(b"\r\n\r\n")[0]) if status in REDIRECTS else None
        if where is None:
            return False
        url = urljoin(self._login.url, where[1].decode("latin-1"))
        return str(urlsplit(url).path) == self._login.path

    def _learn(self, row: int, session: str) -> None:
        for part in self._parts(session.encode()):
            # What two of them share tells nobody.
            self._rows[part] = row if self._rows.get(part, row) == row else None

    def _parts(self, shown: bytes) -> list[bytes]:
        """A session may stand among other cookies: each of its own tells it."""
        return shown.split(b"; ") if self._login.path is not None else [shown]
