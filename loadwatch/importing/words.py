"""A command line as it was copied, taken apart as a shell and getopt(3) would."""

from __future__ import annotations

import getopt
import re
import shlex
from collections.abc import Sequence

from loadwatch.core.errors import PlanError

_PIECE = re.compile(
    r"""'[^']*' | "(?:[^"\\]|\\.)*" | \$'((?:[^'\\]|\\.)*)' | (\\\r?\n) | \\. | ([^'"\\$]+) | \$""",
    re.DOTALL | re.VERBOSE,
)
_SEPARATOR = re.compile(r";(?=\s|$)|(?<!\S)(?:&&?|\|\|?)(?!\S)")
_END = "\0"
_ESCAPE = re.compile(
    r"\\(?:u([0-9A-Fa-f]{1,4})|U([0-9A-Fa-f]{1,8})|x([0-9A-Fa-f]{1,2})|([0-7]{1,3})|(.))",
    re.DOTALL,
)
_NAMED = dict(zip("abefnrtv", "\a\b\x1b\f\n\r\t\v", strict=True))


def names(text: str) -> frozenset[str]:
    """The words of `text`, as a set."""
    return frozenset(text.split())


def commands(line: str) -> list[list[str]]:
    """The words of each command in `line`, quotes resolved as bash does, `$'…'` among them.

    Variables stay as they are written, and so does a `&` within a word. PlanError for a quote that
    is not closed.
    """
    found: list[list[str]] = [[]]
    try:
        words = shlex.split(_PIECE.sub(_for_shlex, line.replace(_END, "")))
    except ValueError as error:
        hint = '; "Copy as cURL (bash)" is read, not that for cmd' if '^"' in line else ""
        raise PlanError(f"the command line: {str(error).lower()}{hint}") from None
    for word in words:
        if word == _END:
            found.append([])
        else:
            found[-1].append(word)
    return [command for command in found if command]


def _for_shlex(match: re.Match[str]) -> str:
    """`$'…'` as plain quotes, a continued line as one, and ends of commands as words."""
    if match[1] is not None:
        return shlex.quote(_ESCAPE.sub(_unescaped, match[1]))
    if match[2] is not None:
        return ""
    return match[0] if match[3] is None else _SEPARATOR.sub(f" {_END} ", match[3])


def _unescaped(match: re.Match[str]) -> str:
    for group, base in ((1, 16), (2, 16), (3, 16), (4, 8)):
        if match[group] is not None:
            code = int(match[group], base)
            is_char = code < 0xD800 or 0xE000 <= code < 0x110000
            return chr(code) if is_char else "\ufffd"
    return _NAMED.get(match[5], match[5])


def options(
    words: Sequence[str], short: str, long: Sequence[str] = (), names: dict[str, str] | None = None
) -> tuple[list[tuple[str, str]], list[str]]:
    """(option, value) in their order, and what are no options; `short` and `long` as for getopt(3).

    Options go without dashes, short ones by `names` where they have a long name. PlanError for one
    that is not known.
    """
    try:
        found, rest = getopt.gnu_getopt(list(words[1:]), short, long)
    except getopt.GetoptError as error:
        raise PlanError(f"{words[0]}: {error}") from None
    names = names or {}
    bare = ((option.lstrip("-"), value) for option, value in found)
    return [(names.get(option, option), value) for option, value in bare], rest
