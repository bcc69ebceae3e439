"""The name under which `top` shows a process, so that a process group can match it."""

from __future__ import annotations

from pathlib import Path

FRONT = "heywall-front"
WORKER = "heywall-worker"


def set_title(name: str) -> None:
    """Name this process, in at most 15 bytes (proc(5), `comm`); does nothing but on Linux."""
    try:
        Path("/proc/self/comm").write_text(name, encoding="ascii")
    except OSError:
        pass
