"""Remote text is data: what comes from a server is disarmed before anything else sees it."""

from __future__ import annotations

from unicodedata import category

HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Unicode categories that steer a terminal or hide: controls (C0, DEL, C1), bidi and zero-width
characters, surrogates, private and unassigned code points, line and paragraph separators."""


def clean(text: str, limit: int) -> str:
    """At most `limit` characters of `text`, every one of a hidden category as U+FFFD."""
    cut = text[:limit]
    if cut.isprintable():  # str.isprintable() is false for every hidden category
        return cut
    return "".join("\ufffd" if category(char) in HIDDEN else char for char in cut)


class Tail:
    """The newest bytes of a diagnostic stream; bounded, whatever comes."""

    def __init__(self, limit: int = 4096) -> None:
        self._limit = limit
        self._bytes = b""

    def add(self, data: bytes) -> None:
        """Take more bytes; the oldest go."""
        self._bytes = (self._bytes + data)[-self._limit :]

    @property
    def lines(self) -> list[str]:
        """The lines that are not blank, disarmed."""
        lines = self._bytes.decode("utf-8", "replace").split("\n")
        return [clean(line.strip(), 200) for line in lines if line.strip()]
