"""What there is to log in with, found without connecting: the agent's keys, key files, a secret.

Secrets stay in memory, and only here and in the connection that uses them.
"""

from __future__ import annotations

import base64
import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from loadwatch.core.plan import Host
from loadwatch.remote.sshconfig import Login, resolve
from loadwatch.remote.text import clean

if TYPE_CHECKING:
    from paramiko import Agent, PKey

LOCAL = "local"
"""What `ssh` of a host says for this machine."""

MOST_KEYS = 5
"""Keys that are offered: sshd hangs up after six attempts, and one is left for a password."""


@dataclass(frozen=True, slots=True)
class Key:
    """A key that can sign now; `label` says which for people."""

    label: str
    key: PKey


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a login can be tried with: the first keys that can sign, the files that are locked.

    `password` is the secret, unless it opened a key file: then it is that file's passphrase, and
    is never sent anywhere.
    """

    keys: tuple[Key, ...]
    locked: tuple[Path, ...]
    password: str | None


def needs_secret(host: Host, ask: bool = False) -> str | None:
    """The prompt for the secret that logging in to `host` takes, or None if it takes none.

    Looks at the agent and the key files only. `ask` wants a prompt in any case, except for this
    machine. PlanError or HostError if what the host says of SSH makes no sense.
    """
    if host.ssh == LOCAL:
        return None
    login = resolve(host.ssh)
    with gather(login) as found:
        if found.keys and not ask:
            return None
        if found.locked and not found.keys:
            files = " or ".join(str(path) for path in found.locked)
            return f"Passphrase of {files}, or password of {login}"
    return f"Password of {login}"


@contextmanager
def gather(login: Login, secret: str | None = None) -> Iterator[Credentials]:
    """The credentials for `login`; the agent's keys sign until the context ends."""
    with ExitStack() as stack:
        agent = _connect_agent()
        if agent is not None:
            stack.callback(agent.close)
        files, locked, opened = _from_files(login, secret)
        held = _from_agent(agent, login)
        ordered = files + held if login.explicit else held + files
        unique: dict[bytes, Key] = {}
        for key in ordered:
            unique.setdefault(key.key.asbytes(), key)
        yield Credentials(
            keys=tuple(unique.values())[:MOST_KEYS],
            locked=tuple(path for path in locked if _public(path) not in unique),
            password=None if opened else secret,
        )


def _from_files(login: Login, secret: str | None) -> tuple[list[Key], list[Path], bool]:
    """Keys of files that can be read, files that stay locked, whether the secret opened any."""
    keys: list[Key] = []
    locked: list[Path] = []
    opened = False
    for path in login.key_files:
        key, is_locked = _load(path, None)
        if is_locked and secret is not None:
            key, is_locked = _load(path, secret)
            opened = opened or key is not None
        if key is not None:
            keys.append(Key(str(path), key))
        if is_locked:
            locked.append(path)
    return keys, locked, opened


def _load(path: Path, passphrase: str | None) -> tuple[PKey | None, bool]:
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


def _connect_agent() -> Agent | None:
    """The agent, if one listens and speaks sense."""
    from paramiko import Agent, SSHException

    try:
        # Tried first: paramiko leaks its socket where none listens.
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as trial:
            trial.settimeout(1.0)
            trial.connect(os.environ["SSH_AUTH_SOCK"])
        return Agent()
    except (KeyError, OSError, SSHException):
        return None


def _from_agent(agent: Agent | None, login: Login) -> list[Key]:
    """The agent's keys; under IdentitiesOnly those whose public half is among the key files."""
    held = agent.get_keys() if agent is not None else ()
    if login.identities_only:
        allowed = {_public(path) for path in login.key_files}
        held = tuple(key for key in held if key.asbytes() in allowed)
    return [Key(f"agent key {clean(key.comment, 60)}", key) for key in held]


def _public(path: Path) -> bytes | None:
    """The public half beside a key file, or the file itself if it is one."""
    file = path if path.suffix == ".pub" else path.with_name(path.name + ".pub")
    try:
        return base64.b64decode(file.read_text("utf-8").split()[1], validate=True)
    except (OSError, ValueError, IndexError):
        return None
