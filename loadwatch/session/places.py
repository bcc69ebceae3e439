"""Where session files are by default."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

from loadwatch.core.errors import SessionError

SUFFIX = ".loadwatch"


def sessions_directory(environ: Mapping[str, str] = os.environ) -> Path:
    """`$XDG_DATA_HOME/loadwatch/sessions` (XDG Base Directory Specification 0.8)."""
    home = environ.get("XDG_DATA_HOME", "")
    base = Path(home) if Path(home).is_absolute() else Path("~/.local/share").expanduser()
    return base / "loadwatch" / "sessions"


def default_path(target: str, now: Callable[[], datetime] = datetime.now) -> Path:
    """A free path for a new session against the URL `target`, named by time and host.

    Makes the directory, for its owner only; SessionError where that fails.
    """
    directory = sessions_directory()
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise SessionError(f"{directory}: cannot be made: {error.strerror}") from None
    host = re.sub(r"[^A-Za-z0-9_.-]+", "-", urlsplit(target).hostname or "session").strip("-.")
    stem = f"{now():%Y-%m-%dT%H-%M-%S}-{host}"
    path, number = directory / (stem + SUFFIX), 2
    while path.exists():
        path, number = directory / f"{stem}-{number}{SUFFIX}", number + 1
    return path
