"""What `user@host:port` or an alias of ~/.ssh/config means (ssh_config(5)).

Honoured: HostName, User, Port, IdentityFile, IdentitiesOnly, HostKeyAlias, UserKnownHostsFile,
GlobalKnownHostsFile; Include, Host, and Match by all, host, originalhost, user and localuser. A
Match block with any other criterion is left out, and so is a line that cannot be read.

paramiko's own SSHConfig is not used: one odd line costs it the whole file, it ignores Include,
applies a Match that it does not know to every host, and looks up names in the DNS meanwhile.
"""

from __future__ import annotations

import getpass
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from loadwatch.core.errors import HostError, PlanError
from loadwatch.remote.patterns import listed

GLOBAL_KNOWN_HOSTS = ("/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2")
USER_KNOWN_HOSTS = ("~/.ssh/known_hosts", "~/.ssh/known_hosts2")
DEFAULT_KEYS = ("~/.ssh/id_rsa", "~/.ssh/id_ecdsa", "~/.ssh/id_ed25519")
"""ssh's own order (IdentityFile in ssh_config(5)), of the types that can be read."""

_ADDRESS = re.compile(
    r"(?:(?P<user>[^@\s]+)@)?"
    r"(?:\[(?P<bracketed>[^\[\]\s]+)\](?::(?P<port6>\d+))?"
    r"|(?P<bare>[^@\[\]\s:]*:[^@\[\]\s]*:[^@\[\]\s]*)"
    r"|(?P<host>[^@\[\]\s:]+)(?::(?P<port>\d+))?)"
)
_SETTING = re.compile(r"(\w+)(?:\s*=\s*|\s+|$)(.*)")
_HONOURED = {
    "hostname",
    "user",
    "port",
    "identitiesonly",
    "hostkeyalias",
    "userknownhostsfile",
    "globalknownhostsfile",
    "proxyjump",
    "proxycommand",
}
_NESTING = 16


@dataclass(frozen=True, slots=True)
class Login:
    """Where to connect to, as whom, and by which files.

    `command` is how to do so by hand. `explicit` tells whether the key files were configured, or
    are ssh's defaults. `key_name` is what known_hosts calls the server.
    """

    hostname: str
    port: int
    user: str
    command: str
    key_files: tuple[Path, ...]
    explicit: bool
    identities_only: bool
    key_name: str
    known_hosts: tuple[Path, ...]

    def __str__(self) -> str:
        """The login as known to the user: `user@host`, the port where it is not 22."""
        host = self.hostname if self.port == 22 else f"{self.hostname}:{self.port}"
        return f"{self.user}@{host}"


def resolve(written: str) -> Login:
    """The login behind `[user@]host[:port]` or an alias.

    PlanError if it is neither, HostError if its configuration asks for what is not supported.
    """
    match = _ADDRESS.fullmatch(written)
    if match is None or written.startswith("-"):
        raise PlanError(f"ssh = {written!r}: expected [user@]host[:port], an alias, or local")
    alias = match["bracketed"] or match["bare"] or match["host"]
    given_port = match["port"] or match["port6"]
    lookup = _Lookup(alias, match["user"])
    lookup.read(Path("~/.ssh/config").expanduser())
    for key in ("ProxyJump", "ProxyCommand"):
        if lookup.first(key, "none") != "none":
            raise HostError(f"~/.ssh/config asks for {key} to reach {alias}: not supported")
    user = match["user"] or lookup.first("User", getpass.getuser())
    hostname = lookup.hostname
    port = _port(given_port or lookup.first("Port", "22"), written)
    tokens = {"h": hostname, "n": alias, "p": str(port), "r": user, "u": getpass.getuser()}
    known_hosts = [
        *lookup.settings.get("userknownhostsfile", USER_KNOWN_HOSTS),
        *lookup.settings.get("globalknownhostsfile", GLOBAL_KNOWN_HOSTS),
    ]
    target = f"{match['user']}@{alias}" if match["user"] else alias
    return Login(
        hostname=hostname,
        port=port,
        user=user,
        command=shlex.join(["ssh", *(["-p", given_port] if given_port else []), target]),
        key_files=_paths(lookup.key_files or DEFAULT_KEYS, tokens),
        explicit=bool(lookup.key_files),
        identities_only=lookup.first("IdentitiesOnly", "no").lower() == "yes",
        key_name=lookup.first("HostKeyAlias", _key_name(hostname, port)),
        known_hosts=_paths(known_hosts, tokens),
    )


class _Lookup:
    """Collects the settings that apply to one alias: the first value of each, all key files."""

    def __init__(self, alias: str, user: str | None) -> None:
        self.settings: dict[str, list[str]] = {}
        self.key_files: list[str] = []
        self._alias = alias
        self._user = user

    def read(self, path: Path, depth: int = 0) -> None:
        """Read a file, and those that it includes; one that cannot be read has nothing to say."""
        applies = True
        for key, value in _settings(path):
            if key == "host":
                applies = listed(self._alias, _words(value))
            elif key == "match":
                applies = self._matches(_words(value))
            elif not applies:
                continue
            elif key == "include" and depth < _NESTING:
                for included in _included(value):
                    self.read(included, depth + 1)
            elif key == "identityfile":
                self.key_files += _words(value)
            elif key in _HONOURED and (words := _words(value)):
                self.settings.setdefault(key, words)

    def first(self, key: str, default: str) -> str:
        """The first word of a setting."""
        return self.settings.get(key.lower(), [default])[0]

    @property
    def hostname(self) -> str:
        """The host's real name, so far."""
        return _expand(self.first("HostName", self._alias), {"h": self._alias})

    def _matches(self, words: list[str]) -> bool:
        local = getpass.getuser()
        subjects = {
            "host": self.hostname,
            "originalhost": self._alias,
            "user": self._user or self.first("User", local),
            "localuser": local,
        }
        if [word.lower() for word in words] == ["all"]:
            return True
        criteria = list(zip(words[::2], words[1::2], strict=False))
        return (
            bool(words)
            and len(words) % 2 == 0
            and all(_satisfies(subjects, criterion, patterns) for criterion, patterns in criteria)
        )


def _satisfies(subjects: Mapping[str, str], criterion: str, patterns: str) -> bool:
    subject = subjects.get(criterion.removeprefix("!").lower())
    if subject is None:
        return False
    return listed(subject, patterns.split(",")) != criterion.startswith("!")


def _settings(path: Path) -> Iterator[tuple[str, str]]:
    try:
        text = path.read_text("utf-8", "replace")
    except OSError:
        return
    for line in text.split("\n"):
        match = _SETTING.fullmatch(line.strip())
        if match is not None:
            yield match[1].lower(), match[2]


def _words(text: str) -> list[str]:
    """The arguments of a line: quotes group, a comment may follow."""
    try:
        words = shlex.split(text)
    except ValueError:  # an unbalanced quote
        words = text.split()
    return list(takewhile(lambda word: not word.startswith("#"), words))


def _included(value: str) -> list[Path]:
    """The files of an Include: relative to ~/.ssh, with wildcards."""
    found: list[Path] = []
    for word in _words(value):
        path = Path("~/.ssh").expanduser() / _user_path(word)
        found += sorted(Path(path.anchor).glob(str(path.relative_to(path.anchor))))
    return found


def _paths(files: Iterable[str], tokens: Mapping[str, str]) -> tuple[Path, ...]:
    home = {"d": str(Path("~").expanduser())}
    return tuple(_user_path(_expand(file, {**tokens, **home})) for file in files if file != "none")


def _user_path(text: str) -> Path:
    path = Path(text)
    try:
        return path.expanduser()
    except RuntimeError:  # the home of a user who does not exist
        return path


def _expand(text: str, tokens: Mapping[str, str]) -> str:
    """`text` with its %-tokens (TOKENS in ssh_config(5)); unknown ones stay."""
    return re.sub(r"%(.)", lambda found: {"%": "%", **tokens}.get(found[1], found[0]), text)


def _port(text: str, written: str) -> int:
    port = int(text) if text.isdecimal() and len(text) < 6 else 0
    if not 0 < port < 65536:
        raise PlanError(f"ssh = {written!r}: no such port: {text}")
    return port


def _key_name(hostname: str, port: int) -> str:
    return hostname.lower() if port == 22 else f"[{hostname.lower()}]:{port}"
