"""This machine as a host: the same guard and probes through a local shell, without SSH."""

from __future__ import annotations

from loadwatch.remote.link import LinkError
from loadwatch.remote.process import ProcessStream


class LocalLink:
    """The link to this machine: always there."""

    traffic: int | None = None
    """There is no wire."""

    def open(self, command: str) -> ProcessStream:
        """Start `command` under `/bin/sh`; LinkError if there is no room for it."""
        try:
            return ProcessStream(["/bin/sh", "-c", command])
        except OSError as failure:
            raise LinkError(f"cannot start a shell: {failure.strerror}") from None

    def close(self) -> None:
        """Nothing: every stream is closed on its own."""
