"""What a visit takes from an answer: by header, cookie, JSON Pointer, CSS selector or regex."""

from __future__ import annotations

import re
from collections.abc import Callable

import msgspec

from loadwatch.core.errors import PlanError
from loadwatch.load.answer import Answer
from loadwatch.load.cookies import Jar
from loadwatch.load.messages import TakeJob

Taker = Callable[[Answer, Jar], str | None]
"""Finds its value in an answer, or among the visit's cookies; None where it is not there."""


def taker(take: TakeJob) -> Taker:
    """How `take` finds its value. PlanError for a selector that is none."""
    match take.source:
        case "header":
            return lambda answer, jar: answer.header(take.what)
        case "cookie":
            return lambda answer, jar: jar.value(take.what)
        case "json":
            return lambda answer, jar: pointed_at(answer.content, take.what)
        case "css":
            return _selecting(take)
        case "regex":
            return _matching(re.compile(take.what))


def _selecting(take: TakeJob) -> Taker:
    from selectolax.lexbor import LexborHTMLParser, SelectolaxError

    try:
        LexborHTMLParser("").css_first(take.what)
    except SelectolaxError:
        raise PlanError(f"take.{take.name}.css: no selector: {take.what!r}") from None

    def select(answer: Answer, jar: Jar) -> str | None:
        element = LexborHTMLParser(answer.content).css_first(take.what)
        if element is None:
            return None
        if take.attribute is None:
            return element.text().strip()
        value = element.attributes.get(take.attribute)
        # An attribute without a value, such as `checked`, is there all the same.
        return value if value is not None or take.attribute not in element.attributes else ""

    return select


def _matching(pattern: re.Pattern[str]) -> Taker:
    def match(answer: Answer, jar: Jar) -> str | None:
        found = pattern.search(answer.content.decode(errors="replace"))
        return found and (found[1] if pattern.groups else found[0])

    return match


def pointed_at(content: bytes, pointer: str) -> str | None:
    """The value in a JSON text that a JSON Pointer (RFC 6901) points at, as text; None if none."""
    try:
        value = msgspec.json.decode(content)
        for part in pointer.split("/")[1:]:
            key = part.replace("~1", "/").replace("~0", "~")
            value = value[int(key)] if isinstance(value, list) else value[key]
    except (msgspec.DecodeError, LookupError, TypeError, ValueError):
        return None
    if value is None:
        return None
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
