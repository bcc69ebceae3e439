"""A way to a host: opens streams of commands. SSH and the local shell are two; tests have a third.

Streams are read by one thread and written and closed by another.
"""

from __future__ import annotations

from typing import Protocol

from loadwatch.core.errors import HostError


class LinkError(HostError):
    """The connection could not be made, or is gone; trying again may help.

    Any other HostError means that trying again would not.
    """


class LoginDropError(LinkError):
    """The connection broke while logging in: perhaps the server's way to refuse.

    Trying again makes sense only where the same login has worked before.
    """


class Stream(Protocol):
    """A running command: its output, its standard input, the end of what it complained about."""

    def read(self, timeout: float) -> bytes | None:
        """The next output; None after `timeout` seconds without any, b"" when there will be none.

        LinkError if the connection went away under it.
        """
        ...

    def write(self, data: bytes) -> None:
        """Send to standard input; OSError or LinkError if that is gone."""
        ...

    @property
    def complaints(self) -> list[str]:
        """The newest lines on standard error, disarmed."""
        ...

    def close(self) -> None:
        """End the command; `read` soon returns b"" or raises."""
        ...


class Link(Protocol):
    """A connection to a host."""

    @property
    def traffic(self) -> int | None:
        """Bytes on the wire so far, both ways; None where they cannot be counted."""
        ...

    def open(self, command: str) -> Stream:
        """Start `command` in the login's shell; LinkError, or HostError if it is not allowed."""
        ...

    def close(self) -> None:
        """Drop the connection and all its streams."""
        ...
