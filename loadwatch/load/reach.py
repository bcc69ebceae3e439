"""Whom the load would reach: a target on the open internet takes a word from the user first."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from loadwatch.core.plan import Target

Resolve = Callable[[str], Awaitable[list[str]]]
"""A host name -> its addresses; OSError where there are none."""


async def resolve(host: str) -> list[str]:
    """Asks the system's resolver, in a thread."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


async def public_address(target: Target, resolve: Resolve = resolve) -> str | None:
    """The first public address of a target that its `allow` does not name, else None.

    Loopback, private and link-local addresses need no word, nor does a name without an address:
    nothing can be fired at it.
    """
    host = urlsplit(target.url).hostname or ""
    if host in target.allow:
        return None
    try:
        addresses = await resolve(host)
    except OSError:
        return None
    return next((address for address in addresses if _is_public(address)), None)


def _is_public(text: str) -> bool:
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return not (address.is_private or address.is_loopback or address.is_link_local)
