"""Writing at once, instead of at the end of the event loop's turn as transports do."""

from __future__ import annotations

import asyncio
import os

_write = os.write


class Outlet:
    """Writes to the socket of `transport`, so that the server can begin while we go on.

    What the kernel does not take at once goes through the transport, and so does all that follows,
    which keeps the order; `socket` is -1 then.
    """

    __slots__ = ("_transport", "socket")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self.socket: int = transport.get_extra_info("socket").fileno()

    def write(self, data: bytes) -> None:
        """Send `data`."""
        if self.socket >= 0:
            try:
                written = _write(self.socket, data)
            except OSError:
                written = 0
            if written == len(data):
                return
            self.socket = -1
            data = data[written:]
        self._transport.write(data)

    @property
    def free(self) -> bool:
        """Whether all is sent."""
        return self.socket >= 0 or not self._transport.get_write_buffer_size()
