"""The cookies of one visit (RFC 6265), for the one server that it visits."""

from __future__ import annotations

import math
import re
from email.utils import parsedate_to_datetime
from http.cookies import CookieError, Morsel, SimpleCookie

from loadwatch.load.answer import Answer

_COOKIE = re.compile(rb"(?i)\r\ncookie: [^\r\n]*")
_TARGET = re.compile(rb"\S+ ([^\s?#]*)")


class Jar:
    """Keeps cookies for `host`; `secure` says whether it is spoken to over TLS.

    They go back by their path and as long as they are to be kept; a domain other than the host's
    own or one above it is refused. Instants are those of one monotonic clock, in seconds.
    """

    __slots__ = ("_host", "_kept", "_secure")

    def __init__(self, host: str, secure: bool) -> None:
        self._host = host
        self._secure = secure
        self._kept: dict[tuple[str, str], tuple[str, float]] = {}

    def take(self, answer: Answer, request: bytes, now: float) -> None:
        """Keep what an answer to `request` sets, and forget what it ends."""
        for text in answer.headers("Set-Cookie"):
            # SimpleCookie reads a Cookie header: attributes that it does not know would be cookies.
            pair, _, attributes = text.partition(";")
            name, equals, value = pair.strip().partition("=")
            if not equals or not name:
                continue
            morsel = _attributes(attributes)
            domain = morsel["domain"].lstrip(".").lower()
            if domain and self._host != domain and not self._host.endswith(f".{domain}"):
                continue
            if morsel["secure"] and not self._secure:
                continue
            path = morsel["path"] if morsel["path"].startswith("/") else _directory(request)
            ends = now + _lifetime(morsel, answer)
            if ends > now:
                self._kept[name, path] = value, ends
            else:
                self._kept.pop((name, path), None)

    def value(self, name: str) -> str | None:
        """What the cookie `name` holds, of any path."""
        return next((value for (own, _), (value, _) in self._kept.items() if own == name), None)

    def put(self, request: bytes, now: float) -> bytes:
        """`request` with the cookies that belong to its path, beside those that it has."""
        if not self._kept:
            return request
        target = _TARGET.match(request)
        path = target[1].decode("latin-1") if target else "/"
        fitting = sorted(
            (
                (own, name, value)
                for (name, own), (value, ends) in self._kept.items()
                if ends > now and _matches(path, own)
            ),
            key=lambda cookie: -len(cookie[0]),
        )
        if not fitting:
            return request
        cookies = "; ".join(f"{name}={value}" for _, name, value in fitting).encode("latin-1")
        head, end, body = request.partition(b"\r\n\r\n")
        if (given := _COOKIE.search(head)) is not None:
            head = head[: given.end()] + b"; " + cookies + head[given.end() :]
        else:
            head += b"\r\nCookie: " + cookies
        return head + end + body


def _attributes(text: str) -> Morsel[str]:
    cookies: SimpleCookie = SimpleCookie()
    try:
        cookies.load(f"x=x;{text}")
    except CookieError:
        pass
    return cookies.get("x") or Morsel()


def _directory(request: bytes) -> str:
    """The path that a cookie has which says none (RFC 6265 §5.1.4)."""
    target = _TARGET.match(request)
    path = target[1].decode("latin-1") if target else "/"
    return path.rpartition("/")[0] or "/"


def _matches(path: str, own: str) -> bool:
    """RFC 6265 §5.1.4."""
    return path == own or (path.startswith(own) and (own.endswith("/") or path[len(own)] == "/"))


def _lifetime(morsel: Morsel[str], answer: Answer) -> float:
    """Seconds that a cookie is to be kept; a date counts from the answer's own."""
    age = morsel["max-age"].strip()
    if age.lstrip("-").isdecimal():
        return float(age)
    try:
        until = parsedate_to_datetime(morsel["expires"])
        return (until - parsedate_to_datetime(answer.header("Date") or "")).total_seconds()
    except (ValueError, TypeError):  # no date, or an answer without one
        return math.inf
