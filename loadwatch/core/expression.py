"""Expressions in a plan's texts: `${user.name}`, `${env:TOKEN}`, `${seq}`, `${random:1:500}` …

`$${` is a plain `${`. What they stand for is filled in by `config` (the environment) and by
`load.template` (all others, for each request).
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass

_SYNTAX = re.compile(r"\$\$\{|\$\{([^{}]*)\}|\$\{")
_RANDOM = re.compile(r"random:(-?\d{1,18}):(-?\d{1,18})")
_COLUMN = re.compile(r"([A-Za-z0-9_-]+)\.(.+)")
_KNOWN = ("seq", "uuid", "random:1:500", "env:NAME")


@dataclass(frozen=True, slots=True)
class Variable:
    """`${env:NAME}`: a variable of the environment."""

    name: str


@dataclass(frozen=True, slots=True)
class Column:
    """`${user.name}`: a column of the table `[data.user]`, in the row that the request takes."""

    table: str
    name: str


@dataclass(frozen=True, slots=True)
class Sequence:
    """`${seq}`: 1, 2, 3 … of the scenario's requests."""


@dataclass(frozen=True, slots=True)
class Uuid:
    """`${uuid}`: a random UUID (RFC 9562 §5.4)."""


@dataclass(frozen=True, slots=True)
class Random:
    """`${random:1:500}`: a whole number from `low` to `high`."""

    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Taken:
    """`${token}`: what an earlier step of the visit took from its answer."""

    name: str


Expression = Variable | Column | Sequence | Uuid | Random | Taken

TAKEN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
"""What may be called so."""


def parse(text: str, taken: Collection[str] = ()) -> list[str | Expression]:
    """`text` cut into what stands there and what is to be filled in.

    `taken` are the names of what earlier steps take. ValueError for an expression that is none,
    with the nearest one there is.
    """
    parts: list[str | Expression] = []
    end = 0
    for match in _SYNTAX.finditer(text):
        parts.append(text[end : match.start()])
        end = match.end()
        if match[0] == "$${":
            parts.append("${")
        elif match[1] is None:
            raise ValueError("`${` without its `}`; a plain one is written `$${`")
        else:
            parts.append(Taken(match[1]) if match[1] in taken else _expression(match[1], taken))
    return [part for part in (*parts, text[end:]) if part != ""]


def plain(text: str) -> str:
    """`text` written so that `parse` takes it for what it says."""
    return text.replace("${", "$${")


def without(text: str) -> str:
    """`text` without its expressions, whether they mean something or not."""
    return _SYNTAX.sub("", text)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A hint: the known name that is nearest, or all of them."""
    known = list(known)
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"did you mean `{near[0]}`?" if near else f"known: {', '.join(known)}"


def _expression(inner: str, taken: Collection[str]) -> Expression:
    if inner == "seq":
        return Sequence()
    if inner == "uuid":
        return Uuid()
    if inner.startswith("env:"):
        return Variable(inner.removeprefix("env:"))
    if match := _RANDOM.fullmatch(inner):
        low, high = int(match[1]), int(match[2])
        if low > high:
            raise ValueError(f"`${{{inner}}}`: {low} is more than {high}")
        return Random(low, high)
    if match := _COLUMN.fullmatch(inner):
        return Column(match[1], match[2])
    raise ValueError(f"unknown expression `${{{inner}}}`; {did_you_mean(inner, (*taken, *_KNOWN))}")
