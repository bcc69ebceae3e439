"""Names that the site shows: of its processes in `top`, so that a process group can match them,
and of a header."""

from __future__ import annotations

from pathlib import Path

FRONT = "heywall-front"
WORKER = "heywall-worker"

QUERIES = "X-Query-Count"
"""The header that says how many database queries a page took."""


def set_title(name: str) -> None:
    """Name this process, in at most 15 bytes (proc(5), `comm`); does nothing but on Linux."""
    try:
        Path("/proc/self/comm").write_text(name, encoding="ascii")
    except OSError:
        pass
