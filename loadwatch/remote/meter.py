"""Counts what goes over a connection's wire: encrypted and compressed, as the network sees it."""

from __future__ import annotations

from typing import Any, Protocol


class Wire(Protocol):
    """What a socket and a channel through a jump host have in common, as far as it is counted."""

    def send(self, data: bytes, /) -> int:
        """Send some of `data`; how many bytes it was."""
        ...

    def recv(self, size: int, /) -> bytes:
        """At most `size` bytes."""
        ...


class Meter:
    """Stands for `wire`, and counts the bytes that it sends and receives."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._sent = 0  # sender and receiver are two threads
        self._received = 0

    @property
    def total(self) -> int:
        """Bytes so far, both ways."""
        return self._sent + self._received

    def send(self, data: bytes) -> int:
        """Send some of `data`; how many bytes it was."""
        sent = self._wire.send(data)
        self._sent += sent
        return sent

    def recv(self, size: int) -> bytes:
        """At most `size` bytes."""
        data = self._wire.recv(size)
        self._received += len(data)
        return data

    def __getattr__(self, name: str) -> Any:
        return getattr(self._wire, name)
