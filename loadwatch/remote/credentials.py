"""The keys there are to log in with, found without connecting: the agent's, and those in files."""

from __future__ import annotations

import base64
import socket
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from loadwatch.remote.sshconfig import Login
from loadwatch.remote.text import clean

if TYPE_CHECKING:
    from paramiko import PKey
    from paramiko.agent import AgentSSH
    from paramiko.pkey import PublicBlob

MOST_KEYS = 5
"""Keys that are offered: sshd hangs up after six attempts, and one is left for a password."""

AGENT_SECONDS = 30.0
"""For the agent's answers: it may ask its owner for a touch or a word."""


@dataclass(frozen=True, slots=True)
class Key:
    """A key that can sign now, alone or with a certificate; `label` says which for people."""

    label: str
    key: PKey
    certificate: PublicBlob | None = None


@dataclass(frozen=True, slots=True)
class Credentials:
    """The keys that can sign, best first, and the files that a passphrase would open."""

    keys: tuple[Key, ...]
    locked: tuple[Path, ...]


@contextmanager
def gather(login: Login) -> Iterator[Credentials]:
    """The credentials for `login`; the agent's keys sign until the context ends."""
    with ExitStack() as stack:
        proofs = login.proofs
        held = _from_agent(_connect_agent(proofs.agent, stack), login)
        files: list[Key] = []
        locked: list[Path] = []
        for path in proofs.key_files:
            key, is_locked = load(path, None)
            if key is not None:
                files.append(Key(str(path), key))
            if is_locked:
                locked.append(path)
        unique: dict[bytes, Key] = {}
        for found in files + held if proofs.explicit else held + files:
            unique.setdefault(found.key.asbytes(), found)
        yield Credentials(
            keys=tuple(offer for key in unique.values() for offer in offers(key, login)),
            locked=tuple(path for path in locked if _public(path) not in unique),
        )


def offers(key: Key, login: Login) -> list[Key]:
    """The key with every certificate that was made for it, and alone."""
    from paramiko.pkey import PublicBlob

    public = key.key.asbytes()
    certified = [
        replace(key, label=f"{key.label} with {path}", certificate=PublicBlob.from_file(str(path)))
        for path in _certificates(login)
        if _certified(path) == public
    ]
    return [*certified, key]


def load(path: Path, passphrase: str | None) -> tuple[PKey | None, bool]:
    """A key file's key; whether it has one that the passphrase, or its lack, does not open."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from paramiko import PKey, SSHException
    from paramiko.pkey import UnknownKeyType

    # paramiko hands the passphrase to `cryptography`, which takes bytes, reports a missing one as
    # TypeError, and a wrong one, like garbage, as ValueError.
    given = None if passphrase is None else passphrase.encode()
    try:
        return PKey.from_path(path, given), False  # type: ignore[arg-type]
    except TypeError:
        return None, True
    except ValueError:
        return None, passphrase is not None
    except (OSError, SSHException, UnknownKeyType, UnsupportedAlgorithm):
        return None, False


def _connect_agent(place: Path | None, stack: ExitStack) -> AgentSSH | None:
    """The agent at a socket, if one listens and speaks sense; it is left when the stack ends."""
    from paramiko import SSHException
    from paramiko.agent import AgentSSH

    if place is None:
        return None
    connection = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
    connection.settimeout(AGENT_SECONDS)
    agent = AgentSSH()
    try:
        connection.connect(str(place))
        # Its Agent does the same, with the socket that the environment names.
        agent._connect(connection)  # type: ignore[attr-defined]
    except (OSError, SSHException):
        return None
    return agent


def _from_agent(agent: AgentSSH | None, login: Login) -> list[Key]:
    """The agent's keys; under IdentitiesOnly those whose public half is among the files."""
    held = agent.get_keys() if agent is not None else ()
    if login.proofs.identities_only:
        files = (*login.proofs.key_files, *_certificates(login))
        allowed = {_public(path) for path in files}
        held = tuple(key for key in held if key.asbytes() in allowed)
    return [Key(f"agent key {clean(key.comment, 60)}", key) for key in held]


def _certificates(login: Login) -> Iterable[Path]:
    """The files that may hold certificates: those that are named, and those beside key files."""
    proofs = login.proofs
    beside = [path.with_name(f"{path.name}-cert.pub") for path in proofs.key_files]
    return dict.fromkeys((*proofs.certificates, *beside))


def _certified(path: Path) -> bytes | None:
    """The public key that the certificate in a file is for."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization

    try:
        certificate = serialization.load_ssh_public_identity(path.read_bytes())
        if not isinstance(certificate, serialization.SSHCertificate):
            return None
        line = certificate.public_key().public_bytes(
            serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
        )
    except (OSError, ValueError, UnsupportedAlgorithm):
        return None
    return base64.b64decode(line.split()[1])


def _public(path: Path) -> bytes | None:
    """The public half beside a key file, or the file itself if it is one."""
    file = path if path.suffix == ".pub" else path.with_name(path.name + ".pub")
    try:
        return base64.b64decode(file.read_text("utf-8").split()[1], validate=True)
    except (OSError, ValueError, IndexError):
        return None
