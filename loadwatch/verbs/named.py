"""Sessions on the command line: named in several ways, and completed by the shell."""

from __future__ import annotations

import argparse
from collections.abc import Awaitable, Callable
from pathlib import Path


def add_session(
    command: argparse.ArgumentParser, name: str = "session", metavar: str = "SESSION", **more: str
) -> None:
    """An argument that names a session: its name or the beginning of it, number or path."""
    more.setdefault("help", "a session: name, the beginning of one, number, or path")
    argument = command.add_argument(name, metavar=metavar, **more)  # type: ignore[arg-type]
    argument.completer = session_names  # type: ignore[attr-defined]


def session_names(prefix: str, **_: object) -> list[str]:
    """What a shell offers: the names that begin with `prefix`, and files."""
    from argcomplete.completers import FilesCompleter

    from loadwatch.session.library import entries

    names = [entry.name for entry in entries() if entry.name.startswith(prefix)]
    return [*names, *FilesCompleter()(prefix)]


def comparing(candidate: Path) -> Callable[[str], Awaitable[str]]:
    """What compares the session file `candidate` to another one that the user names."""
    import asyncio

    from loadwatch.reports.comparison import compared
    from loadwatch.session import resolve

    def compare(base: str) -> str:
        return compared(resolve(base), candidate)

    return lambda base: asyncio.to_thread(compare, base)
