"""Logins in a plan: one way in, and values of one table."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urljoin, urlsplit

from loadwatch.config.visits import check_take
from loadwatch.core.errors import Wrong
from loadwatch.core.expression import Column, Variable, parse
from loadwatch.core.plan import Data, Login
from loadwatch.core.texts import login_texts

_WAYS = ("form", "basic", "token")


def check_login(login: Login, data: Mapping[str, Data], url: str, wrong: Wrong) -> None:
    """PlanError for a login that makes no sense."""
    ways = [way for way in _WAYS if getattr(login, way) is not None]
    if len(ways) != 1:
        raise wrong("login", f"one way in of {', '.join(_WAYS)}")
    path = login.form or login.token or ""
    ours, theirs = urlsplit(url), urlsplit(urljoin(url, path))
    if (ours.scheme, ours.netloc) != (theirs.scheme, theirs.netloc):
        raise wrong(f"login.{ways[0]}", "it leads away from the target")
    if ways != ["basic"] and not login.fields and not login.json:
        raise wrong("login.fields", "what is filled in, such as a name and a password")
    if login.json is not None and ways != ["token"]:
        raise wrong("login.json", "it belongs to `token`")
    if login.json and login.fields:
        raise wrong("login.json", "a request has one body: fields or json")
    if login.basic is not None and ":" not in login.basic:
        raise wrong("login.basic", "expected `user:password`")
    check_take(login.take, "login.take", wrong)
    tables = set()
    for key, text in login_texts(login):
        try:
            parts = [part for part in parse(text) if not isinstance(part, str)]
        except ValueError as error:
            raise wrong(f"login.{key}", str(error)) from None
        for part in parts:
            if isinstance(part, Column) and part.table in data:
                tables.add(part.table)
            elif not isinstance(part, Variable):
                raise wrong(f"login.{key}", "only ${env:…} and columns of [data.…] can stand here")
    if len(tables) > 1:
        raise wrong("login", f"its users come of one table, not of {' and '.join(sorted(tables))}")
