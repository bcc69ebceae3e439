"""Proves to a server who we are: by keys first, then by what a person is asked for.

The server says after each attempt what it would take next (RFC 4252); more than one proof may be
wanted, as in a key and a code. Nothing is tried twice, and no one-time code is used again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from loadwatch.core.asking import Field, Question
from loadwatch.core.errors import HostError
from loadwatch.remote.answers import Answers
from loadwatch.remote.credentials import MOST_KEYS, Credentials, Key, gather, load, offers
from loadwatch.remote.link import LinkError, LoginDropError
from loadwatch.remote.sshconfig import Login
from loadwatch.remote.text import clean

if TYPE_CHECKING:
    from paramiko import Transport

ATTEMPT = 30.0
"""Seconds for each attempt to log in: a server may look into directories."""

DIALOGUE = 300.0
"""Seconds for an attempt in which a person is asked; a server allows less (LoginGraceTime)."""

MOST_ROUNDS = 10
MOST_PROMPTS = 10

WRONG = ("That was not it.",)

_PASSWORD = re.compile(r"passw|passphrase|\bpin\b", re.IGNORECASE)
_ONE_TIME = re.compile(r"one.?time|otp|token|code|verif|factor|new|again|retype", re.IGNORECASE)


class Attempt(NamedTuple):
    """A proof to send; `send` returns what else the server wants."""

    label: str
    send: Callable[[], list[str]]
    patience: float = ATTEMPT


class Authentication:
    """Logs in to `login` over `transport`; `note` takes what the server says meanwhile."""

    def __init__(
        self, transport: Transport, login: Login, answers: Answers, note: Callable[[str], None]
    ) -> None:
        self._transport = transport
        self._login = login
        self._answers = answers
        self._note = note
        self._asked = answers.asked
        self._tried: list[str] = []
        self._wanted = list(login.proofs.methods)

    def run(self) -> None:
        """Log in.

        HostError names what was refused; LinkError if the connection went meanwhile, which also is
        how a server may refuse the last of the proofs that it looks at.
        """
        nothing = Attempt("", partial(self._transport.auth_none, self._login.user))
        with gather(self._login) as credentials:
            proofs = {
                "publickey": islice(self._keys(credentials), MOST_KEYS),
                "keyboard-interactive": self._dialogues(),
                "password": self._passwords(),
            }
            self._send(nothing)
            while not self._transport.is_authenticated():
                methods = [m for m in self._login.proofs.methods if m in self._wanted]
                attempt = next(chain.from_iterable(proofs[method] for method in methods), None)
                if attempt is None:
                    raise HostError(self._refusal(credentials))
                self._send(attempt)

    def _send(self, attempt: Attempt) -> None:
        """Try one proof; `_wanted` is then what the server takes next."""
        from paramiko import AuthenticationException, BadAuthenticationType, SSHException

        self._transport.auth_timeout = attempt.patience
        outcome = ""
        try:
            self._wanted = attempt.send()
            outcome = " (accepted, but not enough)"
        except BadAuthenticationType as failure:
            self._wanted = failure.allowed_types
        except (SSHException, OSError) as failure:
            if not self._transport.is_active():
                raise self._dropped(attempt.label) from failure
            if not isinstance(failure, AuthenticationException):
                outcome = f" ({clean(str(failure), 100)})"
        if attempt.label:
            self._tried.append(attempt.label + outcome)

    def _dropped(self, label: str) -> LinkError:
        text = f"{self._login}: hung up on while trying {label or 'to ask how to log in'}"
        if self._answers.asked != self._asked:
            return LinkError(f"{text}: the server may not wait that long for an answer")
        if self._tried:
            text = f"{text}; {self._refusal(None)}"
        return LoginDropError(text)

    def _refusal(self, credentials: Credentials | None) -> str:
        tried = ", ".join(dict.fromkeys(self._tried))
        parts = [f"{self._login}: login refused", f"tried {tried}" if tried else "no key to try"]
        parts.append(f"the server takes {clean(', '.join(self._wanted), 100)}")
        if credentials is not None and credentials.locked:
            files = ", ".join(str(path) for path in credentials.locked)
            parts.append(f"locked by a passphrase: {files}")
        if not self._answers.can_ask:
            parts.append("there is no terminal to ask for a password or passphrase on")
        return "; ".join(parts)

    def _keys(self, credentials: Credentials) -> Iterator[Attempt]:
        """The keys that can sign, then those of files that a person unlocks."""
        unlocked = (
            offer for path in credentials.locked for key in self._unlock(path)
            for offer in offers(key, self._login)
        )  # fmt: skip
        for key in chain(credentials.keys, unlocked):
            yield Attempt(key.label, partial(self._sign, key))

    def _sign(self, key: Key) -> list[str]:
        key.key.public_blob = key.certificate
        return self._transport.auth_publickey(self._login.user, key.key)

    def _unlock(self, path: Path) -> Iterator[Key]:
        """The key in a locked file, if a person knows the passphrase."""
        field = Field("Passphrase", lasting=True)
        question = Question(f"Key {path}", (field,), (f"It may open {self._login}.",))
        for _ in range(self._login.proofs.prompts):
            given = self._answers.answer(question)
            if given is None:
                return
            key, _ = load(path, given[0])
            if key is not None:
                yield Key(str(path), key)
                return
            self._answers.forget(question, given)
            question = replace(question, text=WRONG)

    def _passwords(self) -> Iterator[Attempt]:
        question = Question(str(self._login), (Field("Password", lasting=True),))
        for _ in range(self._login.proofs.prompts):
            given = self._answers.answer(question)
            if given is None:
                return
            user = self._login.user
            yield Attempt(
                "password", partial(self._transport.auth_password, user, given[0], fallback=False)
            )
            self._answers.forget(question, given)
            question = replace(question, text=WRONG)

    def _dialogues(self) -> Iterator[Attempt]:
        for _ in range(self._login.proofs.prompts):
            dialogue = Dialogue(self._login, self._answers, self._note)
            user = self._login.user
            send = partial(self._transport.auth_interactive, user, dialogue.reply)
            yield Attempt("keyboard-interactive", send, DIALOGUE)
            if not dialogue.exchanges:
                return  # nothing was asked: it would be the same again
            dialogue.forget()


class Dialogue:
    """One keyboard-interactive attempt (RFC 4256): the server asks, in as many rounds as it likes.

    paramiko calls `reply` in the transport's thread; what it raises ends the connection.
    """

    def __init__(self, login: Login, answers: Answers, note: Callable[[str], None]) -> None:
        self.exchanges: list[tuple[Question, tuple[str, ...]]] = []
        self._login = login
        self._answers = answers
        self._note = note
        self._rounds = 0

    def reply(
        self, title: str, instructions: str, prompts: Sequence[tuple[str, bool]]
    ) -> list[str]:
        """The answers to a round of prompts (text, echo); HostError if there are none."""
        self._rounds += 1
        if self._rounds > MOST_ROUNDS or len(prompts) > MOST_PROMPTS:
            raise HostError(f"{self._login}: the server asks too much to log in")
        text = tuple(line for part in (title, instructions) for line in _lines(part))
        if not prompts:
            for line in text:
                self._note(f"{self._login} says: {line}")
            return []
        fields = tuple(_field(prompt, echo) for prompt, echo in prompts)
        question = Question(str(self._login), fields, text)
        given = self._answers.answer(question)
        if given is None:
            asks = " ".join(field.label for field in fields)
            why = "not answered" if self._answers.can_ask else "there is no terminal to ask on"
            raise HostError(f"{self._login}: to log in, the server asks “{asks}”: {why}")
        self.exchanges.append((question, given))
        return list(given)

    def forget(self) -> None:
        """None of the answers was right, as far as we know."""
        for question, given in self.exchanges:
            self._answers.forget(question, given)


def _field(prompt: str, echo: bool) -> Field:
    """A prompt as a field; what reads like a password holds the next time too."""
    lasting = _PASSWORD.search(prompt) is not None and _ONE_TIME.search(prompt) is None
    return Field(clean(prompt.strip(), 200) or "Answer", echo, lasting)


def _lines(text: str) -> list[str]:
    return [clean(line.strip(), 200) for line in text.split("\n")[:20] if line.strip()]
