"""The terminal under the dashboard, which may go at any time."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, cast

from textual.drivers.linux_driver import LinuxDriver


class Unbreakable:
    """`file`, where what cannot be written any more is lost without a word."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def write(self, text: str) -> None:
        """Write, if there still is somebody to read."""
        with suppress(OSError):
            self._file.write(text)

    def flush(self) -> None:
        """Hand over what was written, if there still is somebody to read."""
        with suppress(OSError):
            self._file.flush()

    def fileno(self) -> int:
        """The file's descriptor."""
        return cast(int, self._file.fileno())


class TerminalDriver(LinuxDriver):
    """Textual's own driver, which lives on when the terminal does not.

    Textual writes in a thread behind a short queue. If that thread died of a write that fails, the
    queue would fill up and the next write would hold up the whole application for good.
    """

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._file = Unbreakable(self._file)  # type: ignore[assignment]
        self._is_suspended = False

    def suspend_application_mode(self) -> None:
        """Give the terminal back for a while."""
        self._is_suspended = True
        super().suspend_application_mode()

    def resume_application_mode(self) -> None:
        """Take the terminal again, if it was given back.

        SIGCONT may come without that, as the kernel sends it when a terminal goes.
        """
        if self._is_suspended:
            self._is_suspended = False
            super().resume_application_mode()
