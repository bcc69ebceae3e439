"""Making connections: to the first of the target's addresses that answers, secured where asked."""

from __future__ import annotations

import asyncio
import socket
import ssl

from loadwatch.load.tls import Plain, TlsChannel


class Dialer:
    """Connects protocols to `host`:`port`; `timeout` (s) is what all addresses may take together.

    The name is resolved once; the address that answered last is the first to be tried.
    """

    def __init__(self, host: str, port: int, tls: ssl.SSLContext | None, timeout: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._host = host
        self._port = port
        self._tls = tls
        self._timeout = timeout
        self._addresses: list[str] = []
        self._proved = False

    async def dial(self, protocol: Plain) -> None:
        """Connect `protocol`; OSError or UnicodeError (a name that is none) if it cannot be."""
        failure: OSError | None = None
        for address in tuple(self._addresses) or await self._resolve():
            try:
                if self._proved:
                    await self._open(address, protocol)
                else:  # an address that swallows everything must leave time for the others
                    async with asyncio.timeout(self._timeout / len(self._addresses)):
                        await self._open(address, protocol)
            except ssl.SSLError:
                raise
            except OSError as error:
                failure = failure or error
            else:
                self._prefer(address)
                return
        assert failure is not None
        raise failure

    async def _resolve(self) -> list[str]:
        found = await self._loop.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
        self._addresses = [str(address[0]) for _, _, _, _, address in found]
        return self._addresses

    def _prefer(self, address: str) -> None:
        self._proved = True
        if address != self._addresses[0]:
            self._addresses.remove(address)
            self._addresses.insert(0, address)

    async def _open(self, address: str, protocol: Plain) -> None:
        if self._tls is None:
            await self._loop.create_connection(lambda: protocol, address, self._port)
            return
        channel = TlsChannel(protocol, self._tls, self._host)
        try:
            await self._loop.create_connection(lambda: channel, address, self._port)
            await channel.ready
        except asyncio.CancelledError:
            channel.abort()
            raise
