"""TLS inside the protocol: an SSLObject over two memory buffers.

An event loop's own TLS transport costs a multiple per request; `benchmarks/closed_loop.py --tls`
shows where this one stands.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import cast

from loadwatch.load.outlet import Outlet

_READ = 16 * 1024
"""What a TLS record holds at most (RFC 8446 §5.1)."""


class Plain(asyncio.Protocol):
    """What a `TlsChannel` serves: a protocol that wants to know what crossed the wire."""

    __slots__ = ()

    def encrypted(self, size: int) -> None:
        """So many bytes of TLS have arrived."""


class TlsChannel(asyncio.Protocol):
    """Stands between a TCP transport and a protocol, to which it is the transport.

    `ready` is done when the handshake is; it holds an SSLError, or a ConnectionError if the server
    hangs up before. `inner` sees its connection from then on.
    """

    socket = -1
    """As an `Outlet`'s: nothing may be written directly, since it must be encrypted."""

    def __init__(self, inner: Plain, context: ssl.SSLContext, host: str) -> None:
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._inner = inner
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)
        self._transport: asyncio.Transport | None = None
        self._out: Outlet
        self._up = False

    # -- to TCP ------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio: TCP stands; the handshake begins."""
        self._transport = cast(asyncio.Transport, transport)
        self._out = Outlet(self._transport)
        self._shake_hands()

    def data_received(self, data: bytes) -> None:
        """asyncio: records, or a part of one."""
        self._incoming.write(data)
        self._inner.encrypted(len(data))
        if not self._up:
            self._shake_hands()
            if not self._up:
                return
        try:
            while self._incoming.pending or self._tls.pending():
                plain = self._tls.read(_READ)
                if not plain:  # the server says goodbye
                    self.close()
                    break
                self._inner.data_received(plain)
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError:
            self.abort()
        if self._outgoing.pending:  # a key update, an alert
            self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncio: TCP is gone."""
        if self._up:
            self._inner.connection_lost(exc)
        elif not self.ready.done():
            self.ready.set_exception(ConnectionAbortedError("hung up during the handshake"))

    def _shake_hands(self) -> None:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
        except ssl.SSLError as error:
            self._flush()  # the alert that tells the server why
            self.close()
            if not self.ready.done():
                self.ready.set_exception(error)
        else:
            self._flush()
            self._up = True
            self._inner.connection_made(self)  # type: ignore[arg-type]  # a transport by shape
            if not self.ready.done():
                self.ready.set_result(None)

    def _flush(self) -> None:
        self._out.write(self._outgoing.read())

    # -- to the protocol ---------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """Send `data`."""
        try:
            self._tls.write(data)
        except ssl.SSLError:
            self.abort()
        else:
            self._flush()

    @property
    def free(self) -> bool:
        """Whether all is sent."""
        return self._out.free

    def close(self) -> None:
        """End the connection when all is sent."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """End the connection at once."""
        if self._transport is not None:
            self._transport.abort()
