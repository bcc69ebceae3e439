"""Reads ssh_config(5) files: which settings apply to one server, by Host, Match and Include.

paramiko's own SSHConfig is not used: one odd line costs it the whole file, it ignores Include,
applies a Match that it does not know to every host, and looks up names in the DNS meanwhile.
"""

from __future__ import annotations

import os
import re
import stat
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from loadwatch.core.address import Address
from loadwatch.core.errors import HostError
from loadwatch.remote.patterns import listed

USER_CONFIG = Path("~/.ssh/config")
SYSTEM_CONFIG = Path("/etc/ssh/ssh_config")

LISTS = frozenset({"identityfile", "certificatefile"})
"""Settings of which every line counts; of all others the first one does."""

_COMMANDS = frozenset({"proxycommand", "knownhostscommand", "localcommand", "remotecommand"})
_SETTING = re.compile(r"(\w+)(?:\s*=\s*|\s+|$)(.*)")
_DOUBLE, _SINGLE = r'"((?:[^"\\]|\\.)*)"', r"'([^']*)'"
_WORD = re.compile(rf"""(?:{_DOUBLE}|{_SINGLE}|\\["'\\ ]|[^\s"'])+""")
_PIECE = re.compile(rf"""{_DOUBLE}|{_SINGLE}|\\(["'\\ ])""")
_NESTING = 16
_EXEC_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Line:
    """A setting as it stands: its name in lower case, its value, and where it was read."""

    key: str
    value: str
    place: str


class Settings:
    """The settings that apply to one address.

    `notes` are lines for people: what was left out, and why.
    """

    def __init__(self, address: Address, local_user: str) -> None:
        self.notes: list[str] = []
        self._address = address
        self._local_user = local_user
        self._words: dict[str, list[str]] = {}
        self._places: dict[str, str] = {}
        self._host = address.host
        self._final = False
        self._wants_final = False
        self._read_all()
        if self._wants_final:
            self._host, self._final = self.hostname, True
            self._read_all()

    def _read_all(self) -> None:
        user = USER_CONFIG.expanduser()
        self._read(user, user.parent)
        self._read(SYSTEM_CONFIG, SYSTEM_CONFIG.parent)

    def words(self, key: str) -> list[str] | None:
        """The words of a setting, or of all its lines (`LISTS`); None if it is not set."""
        return self._words.get(key.lower())

    def first(self, key: str, default: str) -> str:
        """The first word of a setting."""
        return self._words.get(key.lower(), [default])[0]

    def is_yes(self, key: str) -> bool:
        """Whether a setting that is off by default is on."""
        return self.first(key, "no").lower() in ("yes", "true")

    def place(self, key: str) -> str:
        """Where a setting was read, as `file:line`."""
        return self._places.get(key.lower(), str(USER_CONFIG))

    @property
    def hostname(self) -> str:
        """The server's real name, so far."""
        return expand(self.first("HostName", self._address.host), {"h": self._address.host})

    def _read(self, path: Path, base: Path, depth: int = 0) -> None:
        """Read a file, and those that it includes; one that cannot be read has nothing to say."""
        applies = True
        for line in _lines(path, is_system=base == SYSTEM_CONFIG.parent):
            if line.key == "host":
                applies = listed(self._host, split(line.value))
            elif line.key == "match":
                applies = self._matches(split(line.value), line.place)
            elif not applies:
                continue
            elif line.key == "include" and depth < _NESTING:
                for included in _included(line.value, base):
                    self._read(included, base, depth + 1)
            else:
                self._set(line)

    def _set(self, line: Line) -> None:
        words = [line.value] if line.key in _COMMANDS else split(line.value)
        if not words or not words[0]:
            return
        key = line.key
        if key in LISTS:
            known = self._words.setdefault(key, [])
            known += [word for word in words if word not in known]
        elif key in ("proxycommand", "proxyjump"):
            # Whichever comes first prevents later instances of the other.
            if not {"proxycommand", "proxyjump"} & self._words.keys():
                self._words[key] = words
        else:
            self._words.setdefault(key, words)
        self._places.setdefault(key, line.place)

    def _matches(self, words: list[str], place: str) -> bool:
        """Whether every criterion of a Match line holds; a line not understood never does."""
        holds = bool(words)
        rest = iter([part for word in words for part in _criterion(word)])
        for word in rest:
            name = word.removeprefix("!").lower()
            if name == "all":
                met = True
            elif name in ("canonical", "final"):
                self._wants_final = self._wants_final or name == "final"
                met = self._final
            else:
                test = self._criteria.get(name)
                argument = next(rest, None)
                if test is None or argument is None:
                    self._note(f"{place}: the Match block is left out: {name} is not understood")
                    return False
                met = holds and test(argument)
            holds = holds and met != word.startswith("!")
        return holds

    @property
    def _criteria(self) -> Mapping[str, Callable[[str], bool]]:
        host = self._host if self._final else self.hostname
        return {
            "host": lambda patterns: listed(host, patterns.split(",")),
            "originalhost": lambda patterns: listed(self._address.host, patterns.split(",")),
            "user": lambda patterns: listed(self._user, patterns.split(",")),
            "localuser": lambda patterns: listed(self._local_user, patterns.split(",")),
            "exec": self._succeeds,
        }

    @property
    def _user(self) -> str:
        return self._address.user or self.first("User", self._local_user)

    def _succeeds(self, command: str) -> bool:
        """Whether a command of the user's own configuration exits with 0."""
        tokens = {
            "h": self.hostname,
            "n": self._address.host,
            "p": str(self._address.port or self.first("Port", "22")),
            "r": self._user,
            **local_tokens(self._local_user),
        }
        try:
            done = subprocess.run(
                ["/bin/sh", "-c", expand(command, tokens)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=_EXEC_SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired):
            self._note(f"Match exec has not ended within {_EXEC_SECONDS:.0f} s: {command}")
            return False
        return done.returncode == 0

    def _note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)


def _criterion(word: str) -> list[str]:
    """`host=web` is `host web`."""
    name, equals, argument = word.partition("=")
    return [name, argument] if equals and name.lstrip("!").isalpha() else [word]


def _lines(path: Path, is_system: bool) -> Iterator[Line]:
    """The settings in a file. HostError if it is the user's and others may write to it, since it
    can name commands.
    """
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            status = os.fstat(file.fileno())
            text = file.read()
    except OSError:
        return
    if not stat.S_ISREG(status.st_mode):
        return
    foreign = status.st_uid not in (0, os.geteuid())
    group = status.st_mode & stat.S_IWGRP and status.st_gid != os.getgid()
    if not is_system and (foreign or group or status.st_mode & stat.S_IWOTH):
        raise HostError(f"others may write to {path}, which can name commands: chmod go-w {path}")
    for number, line in enumerate(text.split("\n"), 1):
        match = _SETTING.fullmatch(line.strip())
        if match is not None:
            yield Line(match[1].lower(), match[2], f"{path}:{number}")


def _included(value: str, base: Path) -> list[Path]:
    """The files of an Include: relative to `base`, with wildcards."""
    found: list[Path] = []
    for word in split(value):
        path = base / user_path(word)
        found += sorted(Path(path.anchor).glob(str(path.relative_to(path.anchor))))
    return found


def split(text: str) -> list[str]:
    """The arguments of a line: quotes group, a backslash escapes quotes only, a comment may follow
    (argv_split in OpenSSH's misc.c).
    """
    if _WORD.sub("", text).strip():
        return text.split()  # a quote is not closed
    words: list[str] = []
    for match in _WORD.finditer(text):
        if match[0].startswith("#"):
            break
        words.append(_PIECE.sub(_unquoted, match[0]))
    return words


def _unquoted(match: re.Match[str]) -> str:
    if match[1] is not None:
        return re.sub(r'\\(["\\])', r"\1", match[1])
    return match[2] if match[2] is not None else match[3]


def expand(text: str, tokens: Mapping[str, str]) -> str:
    """`text` with its %-tokens (TOKENS in ssh_config(5)); unknown ones stay."""
    return re.sub(r"%(.)", lambda found: {"%": "%", **tokens}.get(found[1], found[0]), text)


def local_tokens(user: str) -> dict[str, str]:
    """The %-tokens that say something of this machine."""
    name = os.uname().nodename
    home = str(Path("~").expanduser())
    return {"d": home, "i": str(os.geteuid()), "l": name, "L": name.split(".")[0], "u": user}


def user_path(text: str) -> Path:
    """`text` as a path: `~` is a home, `${NAME}` a variable of the environment."""
    filled = re.sub(r"\$\{(\w+)\}", lambda found: os.environ.get(found[1], ""), text)
    path = Path(filled)
    try:
        return path.expanduser()
    except RuntimeError:  # the home of a user who does not exist
        return path
