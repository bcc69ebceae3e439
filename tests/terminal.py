"""A real terminal for the real program: a pty, and the screen that it would show."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Sequence

import pexpect
import pyte


class Terminal:
    """A program in a pty of `columns` × `rows`; `text` is what the screen shows."""

    def __init__(
        self, command: Sequence[str], columns: int, rows: int, env: dict[str, str] | None = None
    ) -> None:
        self._screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self._screen)
        self.process = pexpect.spawn(
            command[0],
            list(command[1:]),
            dimensions=(rows, columns),
            env={**os.environ, "TERM": "xterm-256color", **(env or {})},
            timeout=30,
        )
        self.raw = b""

    @property
    def text(self) -> str:
        """The screen's lines as of now."""
        self._read()
        return "\n".join(self._screen.display)

    def _read(self) -> None:
        with contextlib.suppress(pexpect.TIMEOUT, pexpect.EOF):
            while True:
                data = self.process.read_nonblocking(65536, timeout=0.05)
                self.raw += data
                self._stream.feed(data)

    def wait_for(self, what: str | Callable[[str], bool], seconds: float = 30) -> str:
        """The screen once it shows `what`; AssertionError with the screen if it never does."""
        holds = (lambda text: what in text) if isinstance(what, str) else what
        deadline = time.monotonic() + seconds
        while not holds(text := self.text):
            assert time.monotonic() < deadline, f"never came: {what!r}\n{text}"
            assert self.process.isalive() or holds(self.text), f"ended before: {what!r}\n{text}"
        return text

    def press(self, keys: str) -> None:
        """Type `keys`."""
        self.process.send(keys)

    def resize(self, columns: int, rows: int) -> None:
        """Another size, as a window manager would give it."""
        self._screen.resize(rows, columns)
        self.process.setwinsize(rows, columns)

    def end(self, seconds: float = 20) -> tuple[int | None, str]:
        """Wait for the end: exit code, and all that was written outside the screen and in it."""
        deadline = time.monotonic() + seconds
        while self.process.isalive():
            assert time.monotonic() < deadline, self.text
            self._read()
        self._read()
        self.process.close()
        return self.process.exitstatus, self.raw.decode(errors="replace")


@contextlib.contextmanager
def terminal(
    *command: str, columns: int = 160, rows: int = 45, env: dict[str, str] | None = None
) -> Iterator[Terminal]:
    """A program in a terminal of its own, gone with all it started when the block ends."""
    shown = Terminal(command, columns, rows, env)
    try:
        yield shown
    finally:
        try:
            shown.process.close(force=True)
        except pexpect.ExceptionPexpect:  # it is killed by then; a busy machine takes its time
            shown.process.wait()
            shown.process.close(force=True)
