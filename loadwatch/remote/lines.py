"""Bytes in any chunking to lines, with the instant at which each line began to arrive."""

from __future__ import annotations

LINE_LIMIT = 8192
"""Bytes of a line that are kept: a server cannot make us hold more than that."""


class Lines:
    """Splits on the newline byte only: process names may hold every other separator."""

    def __init__(self) -> None:
        self._rest = b""
        self._at = 0.0

    @property
    def rest(self) -> str:
        """The line that is still open, so far."""
        return self._rest.decode("utf-8", "replace")

    def finish(self) -> None:
        """Take the open line as done: what comes next begins another."""
        self._rest = b""

    def feed(self, data: bytes, at: float) -> list[tuple[str, float]]:
        """The lines that `data` completes, each with the `at` of its first byte."""
        head, *more = data.split(b"\n")
        if not self._rest:
            self._at = at
        self._rest = (self._rest + head)[:LINE_LIMIT]
        found: list[tuple[str, float]] = []
        for piece in more:
            found.append((self._rest.decode("utf-8", "replace").rstrip("\r"), self._at))
            self._rest, self._at = piece[:LINE_LIMIT], at
        return found
