"""What `user@host:port` or an alias of ~/.ssh/config means: where to connect to, as whom, and how.

docs/ssh.md lists what of ssh_config(5) is honoured.
"""

from __future__ import annotations

import getpass
import os
import re
import shlex
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from loadwatch.core.address import Address, parse_address, parse_port
from loadwatch.core.errors import HostError, PlanError
from loadwatch.remote.sshfile import Settings, expand, local_tokens, user_path

GLOBAL_KNOWN_HOSTS = ["/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2"]
USER_KNOWN_HOSTS = ["~/.ssh/known_hosts", "~/.ssh/known_hosts2"]
DEFAULT_KEYS = ["~/.ssh/id_rsa", "~/.ssh/id_ecdsa", "~/.ssh/id_ed25519"]
"""ssh's own order (IdentityFile in ssh_config(5)), of the types that can be read."""

METHODS = {
    "publickey": ("PubkeyAuthentication",),
    "keyboard-interactive": ("KbdInteractiveAuthentication", "ChallengeResponseAuthentication"),
    "password": ("PasswordAuthentication",),
}
"""The ways to log in, in ssh's own order, with the settings that can forbid each."""

CONNECT = 10.0
"""Seconds for TCP, unless ConnectTimeout says another."""

MOST_HOPS = 8

_FAMILIES = {"inet": socket.AF_INET, "inet6": socket.AF_INET6}
_NOT_HONOURED = ("CanonicalizeHostname", "RevokedHostKeys", "KnownHostsCommand", "BindInterface",
                 "ProxyUseFdpass", "PKCS11Provider")  # fmt: skip
"""What changes who is met or trusted, and is not done here: said, where it is set."""

Strictness = Literal["yes", "ask", "accept-new"]


@dataclass(frozen=True, slots=True)
class Route:
    """How the server is reached: through a `jump`, a `proxy` command, or by TCP (`family`, `bind`).

    `timeout` is in seconds, for all addresses together.
    """

    jump: Login | None
    proxy: str | None
    timeout: float
    family: socket.AddressFamily
    bind: str | None


@dataclass(frozen=True, slots=True)
class HostKeyRules:
    """Which host key is expected: `name` in `files`, the user's own (new keys go there) apart.

    `plain_name` is the name without its port, which vouches too, as it does for ssh.
    """

    name: str
    plain_name: str
    files: tuple[Path, ...]
    user_file: Path | None
    strictness: Strictness
    hashed: bool


@dataclass(frozen=True, slots=True)
class Proofs:
    """What to log in with: `methods` in order, key files, their certificates, the agent's socket.

    `explicit` tells whether the key files were configured, or are ssh's defaults. `prompts` is how
    often a person is asked for the same.
    """

    methods: tuple[str, ...]
    key_files: tuple[Path, ...]
    certificates: tuple[Path, ...]
    explicit: bool
    identities_only: bool
    agent: Path | None
    prompts: int


@dataclass(frozen=True, slots=True)
class Login:
    """A server and an account on it.

    `command` is how to log in by hand; `notes` are lines for people on what is not honoured.
    """

    hostname: str
    port: int
    user: str
    command: str
    route: Route
    host_key: HostKeyRules
    proofs: Proofs
    notes: tuple[str, ...]

    def __str__(self) -> str:
        """The login as known to the user: `user@host`, the port where it is not 22."""
        host = self.hostname if self.port == 22 else f"{self.hostname}:{self.port}"
        return f"{self.user}@{host}"


def resolve(written: str) -> Login:
    """The login behind `[user@]host[:port]` or an alias.

    PlanError if it is neither, HostError if its configuration makes no sense.
    """
    try:
        address = parse_address(written)
    except ValueError as error:
        raise PlanError(f"ssh = {written!r}: {error}") from None
    return _login(address, None, 0)


def _login(address: Address, jump: str | None, depth: int) -> Login:
    """The login at `address`; `jump`, if given, goes before the configuration's own proxies."""
    account = getpass.getuser()
    settings = Settings(address, account)
    user = address.user or settings.first("User", account)
    port = address.port or _port(settings)
    hostname = settings.hostname
    tokens = {"h": hostname, "n": address.host, "p": str(port), "r": user, **local_tokens(account)}
    command = ["ssh", *(["-p", str(address.port)] if address.port else [])]
    command.append(f"{address.user}@{address.host}" if address.user else address.host)
    silent = settings.is_yes("BatchMode")
    return Login(
        hostname=hostname,
        port=port,
        user=user,
        command=shlex.join(command),
        route=_route(settings, tokens, jump, depth),
        host_key=_host_key_rules(settings, tokens, hostname, port, silent),
        proofs=_proofs(settings, tokens, silent),
        notes=(*settings.notes, *_not_honoured(settings)),
    )


def _port(settings: Settings) -> int:
    try:
        return parse_port(settings.first("Port", "22"))
    except ValueError as error:
        raise HostError(f"{settings.place('Port')}: {error}") from None


def _route(settings: Settings, tokens: Mapping[str, str], jump: str | None, depth: int) -> Route:
    through = jump or settings.first("ProxyJump", "none")
    proxy = "none" if jump else settings.first("ProxyCommand", "none")
    family = settings.first("AddressFamily", "any").lower()
    return Route(
        jump=_jump(through, tokens, settings.place("ProxyJump"), depth),
        proxy=None if proxy == "none" else expand(proxy, tokens),
        timeout=_seconds(settings.first("ConnectTimeout", "none")) or CONNECT,
        family=_FAMILIES.get(family, socket.AF_UNSPEC),
        bind=settings.first("BindAddress", "") or None,
    )


def _jump(through: str, tokens: Mapping[str, str], place: str, depth: int) -> Login | None:
    """The last of the hops; the ones before it are its own way, as `ssh -J` has it."""
    if through == "none":
        return None
    before, _, last = expand(through, tokens).rpartition(",")
    if depth == MOST_HOPS:
        raise HostError(f"{place}: ProxyJump {through}: more than {MOST_HOPS} hops, or a loop")
    try:
        return _login(parse_address(last.strip()), before or None, depth + 1)
    except ValueError as error:
        raise HostError(f"{place}: ProxyJump: {error}") from None


def _host_key_rules(
    settings: Settings, tokens: Mapping[str, str], hostname: str, port: int, silent: bool
) -> HostKeyRules:
    plain = hostname.lower()
    name = settings.first("HostKeyAlias", plain if port == 22 else f"[{plain}]:{port}")
    user_files = _paths(settings.words("UserKnownHostsFile") or USER_KNOWN_HOSTS, tokens)
    global_files = _paths(settings.words("GlobalKnownHostsFile") or GLOBAL_KNOWN_HOSTS, tokens)
    strictness: Strictness
    match settings.first("StrictHostKeyChecking", "ask").lower():
        case "yes" | "true":
            strictness = "yes"
        case "accept-new" | "no" | "off" | "false":
            strictness = "accept-new"
        case _:
            strictness = "yes" if silent else "ask"
    return HostKeyRules(
        name=name,
        plain_name=name if settings.words("HostKeyAlias") else plain,
        files=(*user_files, *global_files),
        user_file=next(iter(user_files), None),
        strictness=strictness,
        hashed=settings.is_yes("HashKnownHosts"),
    )


def _proofs(settings: Settings, tokens: Mapping[str, str], silent: bool) -> Proofs:
    preferred = settings.first("PreferredAuthentications", ",".join(METHODS)).split(",")
    prompts = settings.first("NumberOfPasswordPrompts", "3")
    files = settings.words("IdentityFile")
    return Proofs(
        methods=tuple(
            method
            for method in preferred
            if method in METHODS
            and all(settings.first(key, "yes").lower() != "no" for key in METHODS[method])
        ),
        key_files=_paths(files or DEFAULT_KEYS, tokens),
        certificates=_paths(settings.words("CertificateFile") or [], tokens),
        explicit=files is not None,
        identities_only=settings.is_yes("IdentitiesOnly"),
        agent=_agent(settings.first("IdentityAgent", "SSH_AUTH_SOCK"), tokens),
        prompts=0 if silent else int(prompts) if prompts.isdecimal() else 3,
    )


def _agent(value: str, tokens: Mapping[str, str]) -> Path | None:
    """The socket that IdentityAgent names: a path, a variable of the environment, or none."""
    if value == "none":
        return None
    if value != "SSH_AUTH_SOCK" and not re.fullmatch(r"\$\w+", value):
        return user_path(expand(value, tokens))
    place = os.environ.get(value.removeprefix("$"))
    return Path(place) if place else None


def _seconds(text: str) -> float | None:
    """Seconds of `10`, `1m30s` (TIME FORMATS in sshd_config(5)); None for anything else, and 0."""
    if not re.fullmatch(r"(\d{1,6}[smhdwSMHDW]?)+", text):
        return None
    units = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
    parts = re.findall(r"(\d+)([a-z]?)", text.lower())
    return float(sum(int(number) * units[unit] for number, unit in parts)) or None


def _paths(files: Iterable[str], tokens: Mapping[str, str]) -> tuple[Path, ...]:
    return tuple(user_path(expand(file, tokens)) for file in files if file != "none")


def _not_honoured(settings: Settings) -> list[str]:
    return [
        f"{settings.place(key)}: {key} is not honoured"
        for key in _NOT_HONOURED
        if settings.first(key, "no").lower() not in ("no", "none")
    ]
