"""Whether a server's key is the one that known_hosts promises (sshd(8), SSH_KNOWN_HOSTS FORMAT).

Read line by line: a line that cannot be read costs that line only. Keys are compared as bytes.
Nothing is ever written.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from loadwatch.remote.patterns import listed

Verdict = Literal["known", "unknown", "changed", "revoked"]
"""known: the very key; unknown: no key under that name; changed: others under it, not this one;
revoked: marked as never to be accepted."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line that concerns a name: the key's type, the key, and where it stands."""

    kind: str
    key: bytes
    revoked: bool
    place: str


class KnownHosts:
    """The lines of some known_hosts files that concern one server."""

    def __init__(self, files: Iterable[Path], name: str) -> None:
        self.name = name
        self.entries = [entry for file in files for entry in _entries(file, name)]

    def check(self, key: bytes) -> Verdict:
        """What the files say about `key` (wire format), presented under this name."""
        if any(entry.key == key for entry in self.entries if entry.revoked):
            return "revoked"
        promised = [entry.key for entry in self.entries if not entry.revoked]
        if key in promised:
            return "known"
        return "changed" if promised else "unknown"

    @property
    def kinds(self) -> list[str]:
        """The types of the keys promised, to be asked for first."""
        return list(dict.fromkeys(entry.kind for entry in self.entries if not entry.revoked))

    @property
    def places(self) -> str:
        """Where the promises stand, as `file:line`."""
        return ", ".join(entry.place for entry in self.entries if not entry.revoked)


def fingerprint(key: bytes) -> str:
    """The key's SHA256 fingerprint as ssh prints it."""
    digest = base64.b64encode(hashlib.sha256(key).digest()).decode()
    return "SHA256:" + digest.rstrip("=")


def _entries(file: Path, name: str) -> list[Entry]:
    try:
        lines = file.read_text("utf-8", "replace").split("\n")
    except OSError:
        return []
    found: list[Entry] = []
    for number, line in enumerate(lines, 1):
        fields = line.split()
        marker = fields.pop(0) if fields and fields[0].startswith("@") else ""
        # Certificate authorities are not supported: a host that has only one counts as unknown.
        if len(fields) < 3 or fields[0].startswith("#") or marker not in ("", "@revoked"):
            continue
        try:
            if _concerns(fields[0], name):
                key = base64.b64decode(fields[2], validate=True)
                found.append(Entry(fields[1], key, bool(marker), f"{file}:{number}"))
        except ValueError:
            continue
    return found


def _concerns(patterns: str, name: str) -> bool:
    """Whether a line's first field means `name`; ValueError for a broken hash."""
    if patterns.startswith("|"):
        _, version, salt, digest = patterns.split("|")
        own = hmac.new(base64.b64decode(salt, validate=True), name.encode(), hashlib.sha1).digest()
        return version == "1" and hmac.compare_digest(own, base64.b64decode(digest, validate=True))
    return listed(name.lower(), patterns.lower().split(","))
