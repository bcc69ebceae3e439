"""How a server is named: `[user@]host[:port]`, in a plan, on the command line, in a ProxyJump."""

from __future__ import annotations

import re
from dataclasses import dataclass

EXPECTED = "expected [user@]host[:port], an alias of ~/.ssh/config, or local"

_ADDRESS = re.compile(
    r"(?:ssh://)?"
    r"(?:(?P<user>[^\s]+)@)?"
    r"(?:\[(?P<bracketed>[^@\[\]\s]+)\](?::(?P<port6>\d+))?"
    r"|(?P<bare>[^@\[\]\s:]*:[^@\[\]\s]*:[^@\[\]\s]*)"
    r"|(?P<host>[^@\[\]\s:]+)(?::(?P<port>\d+))?)"
)
_UNSAFE_HOST = re.compile(r"""^-|['`"$\\;&<>|(){}\x00-\x1f\x7f]""")
_UNSAFE_USER = re.compile(r"""^-|\\$|['`";&<>|(){}\x00-\x1f\x7f]""")


@dataclass(frozen=True, slots=True)
class Address:
    """A server as written: the host may be an alias; user and port are None if not given."""

    user: str | None
    host: str
    port: int | None


def parse_address(written: str) -> Address:
    """The parts of `written`; ValueError if it is no address.

    Characters that mean something to a shell are refused, since a ProxyCommand is given these names
    (as in OpenSSH's ssh.c, valid_hostname and valid_ruser).
    """
    match = _ADDRESS.fullmatch(written)
    if match is None:
        raise ValueError(f"{EXPECTED}, got {written!r}")
    user, host = match["user"], match["bracketed"] or match["bare"] or match["host"]
    if _UNSAFE_HOST.search(host) or (user is not None and _UNSAFE_USER.search(user)):
        raise ValueError(f"{EXPECTED}, got {written!r}")
    digits = match["port"] or match["port6"]
    if digits is None:
        return Address(user, host, None)
    return Address(user, host, parse_port(digits))


def parse_port(text: str) -> int:
    """A TCP port; ValueError for anything else."""
    if not text.isdecimal() or not text.isascii() or not 0 < int(text[:6]) < 65536:
        raise ValueError(f"no such port: {text}")
    return int(text)
