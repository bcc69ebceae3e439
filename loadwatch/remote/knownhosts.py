"""Whether a server's key is the one that known_hosts promises (sshd(8), SSH_KNOWN_HOSTS FORMAT).

Read line by line: a line that cannot be read costs that line only. Keys are compared as bytes.
A new key is appended as one line; what is there already is never touched.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from loadwatch.remote.patterns import listed

Verdict = Literal["known", "unknown", "changed", "revoked"]
"""known: the very key; unknown: no key under that name; changed: others under it, not this one;
revoked: marked as never to be accepted."""

REVOKED, AUTHORITY = "@revoked", "@cert-authority"
MARKERS = ("", REVOKED, AUTHORITY)


@dataclass(frozen=True, slots=True)
class Entry:
    """One line that concerns a name: its marker if any, the key's type, the key, the place."""

    marker: str
    kind: str
    key: bytes
    place: str


class KnownHosts:
    """The lines of some known_hosts files that concern one server."""

    def __init__(self, files: Iterable[Path], name: str) -> None:
        self.name = name
        self.entries = [entry for file in files for entry in _entries(file, name)]

    def check(self, key: bytes) -> Verdict:
        """What the files say about `key` (wire format), presented under this name."""
        if any(entry.key == key for entry in self._marked(REVOKED)):
            return "revoked"
        promised = [entry.key for entry in self._marked("")]
        if key in promised:
            return "known"
        return "changed" if promised else "unknown"

    @property
    def kinds(self) -> list[str]:
        """The types of the keys promised, to be asked for first."""
        return list(dict.fromkeys(entry.kind for entry in self._marked("")))

    @property
    def places(self) -> str:
        """Where the promises stand, as `file:line`."""
        return ", ".join(entry.place for entry in self._marked(""))

    @property
    def authorities(self) -> str:
        """Where certificate authorities stand that vouch for this name; they are not honoured."""
        return ", ".join(entry.place for entry in self._marked(AUTHORITY))

    def _marked(self, marker: str) -> list[Entry]:
        return [entry for entry in self.entries if entry.marker == marker]


def remember(file: Path, name: str, kind: str, key: bytes, hashed: bool) -> None:
    """Append the line that promises `key` under `name`; OSError if that cannot be."""
    line = f"{_hashed(name) if hashed else name} {kind} {base64.b64encode(key).decode()}\n".encode()
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(file, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        size = os.fstat(descriptor).st_size
        if size and os.pread(descriptor, 1, size - 1) != b"\n":
            line = b"\n" + line
        os.write(descriptor, line)
    finally:
        os.close(descriptor)


def _hashed(name: str) -> str:
    salt = os.urandom(20)
    digest = hmac.new(salt, name.encode(), hashlib.sha1).digest()
    return f"|1|{base64.b64encode(salt).decode()}|{base64.b64encode(digest).decode()}"


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
        if len(fields) < 3 or fields[0].startswith("#") or marker not in MARKERS:
            continue
        try:
            if _concerns(fields[0], name):
                key = base64.b64decode(fields[2], validate=True)
                found.append(Entry(marker, fields[1], key, f"{file}:{number}"))
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
