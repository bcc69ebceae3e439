"""Files that are there whole, or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from loadwatch.core.errors import SessionError


@contextmanager
def replacing(path: Path) -> Iterator[TextIO]:
    """A new file that takes the place of `path` once it is written."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with draft.open("w", encoding="utf-8", newline="") as file:
            yield file
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


@contextmanager
def exporting_to(directory: Path) -> Iterator[Path]:
    """`directory`, made if need be; SessionError for what cannot be written there."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        yield directory
    except OSError as error:
        raise SessionError(f"{directory}: cannot export here: {error.strerror}") from None
