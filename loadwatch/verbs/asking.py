"""What a login asks for, on the terminal: before a run without a screen fires anything."""

from __future__ import annotations

import getpass
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from loadwatch.core.asking import Asker, Field, Question

TERMINAL = Path("/dev/tty")


@contextmanager
def on_terminal() -> Iterator[Asker | None]:
    """Somebody to ask, for as long as the context lasts; None without a terminal.

    A question may still be open at its end: then its thread goes on waiting, but the terminal is as
    it was.
    """
    if not sys.stdin.isatty():
        yield None
        return
    left = False

    def ask(question: Question) -> tuple[str, ...] | None:
        if left:
            return None
        try:
            with TERMINAL.open("w") as terminal:
                print(question.title, *question.text, sep="\n", file=terminal)
            return tuple(_read(field) for field in question.fields)
        except (EOFError, OSError):
            return None

    before = termios.tcgetattr(sys.stdin)
    try:
        yield ask
    finally:
        left = True
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


def _read(field: Field) -> str:
    """One answer; EOFError on Ctrl-D."""
    if not field.echo:
        return getpass.getpass(f"{field.label.rstrip(':')}: ")
    with TERMINAL.open("w") as terminal:
        print(f"{field.label.rstrip(':')}: ", end="", file=terminal, flush=True)
    with TERMINAL.open() as terminal:
        line = terminal.readline()
    if not line:
        raise EOFError
    return line.rstrip("\n")
