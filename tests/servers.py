"""Small web servers that answer, or misbehave, in one known way each; on loopback only."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable

Behaviour = Callable[[bytes, asyncio.StreamWriter], Awaitable[bool]]
"""Answers one request head; False closes the connection."""


@contextlib.asynccontextmanager
async def serving(
    behaviour: Behaviour, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1",
    window: int = 0,
) -> AsyncIterator[int]:  # fmt: skip
    """A server on a free port; yields the port, and leaves no connection open.

    With a `window` its system takes so many bytes that it has not read, and not more and more.
    """
    tasks: set[asyncio.Task[None]] = set()

    async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            while await behaviour(await reader.readuntil(b"\r\n\r\n"), writer):
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError,
                asyncio.CancelledError):  # fmt: skip
            pass
        finally:
            tasks.discard(task)
            writer.transport.abort() if writer.is_closing() else writer.close()

    server = await asyncio.start_server(connection, host, 0, ssl=tls)
    if window:
        server.sockets[0].setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tuple(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)


def answering(*responses: bytes, keep: bool = True, pause: float = 0.0) -> Behaviour:
    """Writes the parts of one response, with `pause` seconds between them."""

    async def behave(head: bytes, writer: asyncio.StreamWriter) -> bool:
        for part in responses:
            writer.write(part)
            if pause:
                await writer.drain()
                await asyncio.sleep(pause)
        return keep

    return behave


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


async def hanging(head: bytes, writer: asyncio.StreamWriter) -> bool:
    """Takes the request and never says a word."""
    await asyncio.sleep(3600)
    return False


async def endless(head: bytes, writer: asyncio.StreamWriter) -> bool:
    """A body that has no end, as fast as it is taken."""
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        writer.write(b"10000\r\n" + bytes(65536) + b"\r\n")
        await writer.drain()


async def resetting(head: bytes, writer: asyncio.StreamWriter) -> bool:
    """Cuts the connection without an answer."""
    writer.transport.abort()
    return False
