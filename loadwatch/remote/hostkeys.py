"""Lets only a server pass whose key is the expected one; a new one only if a person says so.

A changed or revoked key never passes, whatever is configured.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from loadwatch.core.asking import Field, Question
from loadwatch.core.errors import HostError
from loadwatch.remote.answers import Answers
from loadwatch.remote.knownhosts import KnownHosts, fingerprint, remember
from loadwatch.remote.sshconfig import Login

if TYPE_CHECKING:
    from paramiko import PKey

TRIES = 3
"""Times that an answer may be neither yes nor no."""

_writing = threading.Lock()


def verify(
    key: PKey, known: KnownHosts, login: Login, answers: Answers, note: Callable[[str], None]
) -> None:
    """Return if `key` is the host's own; HostError says what to do about any other.

    A key that is new and accepted is appended to known_hosts.
    """
    blob, what = key.asbytes(), _described(key)
    verdict = known.check(blob)
    rules = login.host_key
    if verdict == "unknown":
        plain = KnownHosts(rules.files, rules.plain_name).check(blob)
        verdict = plain if plain in ("known", "revoked") else verdict
    if verdict == "known":
        return
    if verdict == "revoked":
        raise HostError(f"revoked host key of {known.name}: {what}; refused")
    if verdict == "changed":
        raise HostError(
            f"CHANGED host key of {known.name}: {what}; another one is promised in {known.places}. "
            f"Someone may be listening in. If the server was set up anew: `ssh-keygen -R "
            f"'{known.name}'`, then `{login.command}`"
        )
    if rules.strictness == "ask":
        _ask(key, known, login, answers)
    elif rules.strictness == "yes":
        raise HostError(f"{_unknown(what, known)}; StrictHostKeyChecking wants it in known_hosts")
    _remember(key, login, note)


def _ask(key: PKey, known: KnownHosts, login: Login, answers: Answers) -> None:
    """Let a person compare the fingerprint; HostError unless they trust it."""
    what, print_of_key = _described(key), fingerprint(key.asbytes())
    if not answers.can_ask:
        raise HostError(
            f"{_unknown(what, known)}; compare it with the server's own, "
            f"then connect once with `{login.command}` to accept it"
        )
    text: tuple[str, ...] = (
        f"{known.name} is not known yet. Its key is",
        what,
        "Compare it with the server's own: ssh-keygen -lf /etc/ssh/ssh_host_…_key.pub",
    )
    if known.authorities:
        text += (f"A certificate authority would vouch ({known.authorities}): not honoured here.",)
    # The key is part of what is answered: a yes holds for no other.
    choice = Field(f"Trust {print_of_key}? yes, no, or the fingerprint", echo=True, lasting=True)
    question = Question(f"First contact with {login}", (choice,), text)
    for _ in range(TRIES):
        given = answers.answer(question)
        if given is None or given == ("no",):
            break
        if given[0] in ("yes", print_of_key):
            return
        answers.forget(question, given)
    raise HostError(f"{_unknown(what, known)}; it was not accepted")


def _described(key: PKey) -> str:
    return f"{key.get_name()} {fingerprint(key.asbytes())}"


def _unknown(what: str, known: KnownHosts) -> str:
    vouched = f" (a certificate authority in {known.authorities} is not honoured)"
    return f"unknown host key of {known.name}: {what}" + (vouched if known.authorities else "")


def _remember(key: PKey, login: Login, note: Callable[[str], None]) -> None:
    """Append the key, unless another host of the run has just done so."""
    rules = login.host_key
    blob = key.asbytes()
    if rules.user_file is None:
        return
    with _writing:
        if KnownHosts(rules.files, rules.name).check(blob) == "known":
            return
        try:
            remember(rules.user_file, rules.name, key.get_name(), blob, rules.hashed)
        except OSError as failure:
            raise HostError(f"{rules.user_file}: {failure.strerror}; host key not kept") from None
    note(f"{login}: {_described(key)} is now in {rules.user_file}")
