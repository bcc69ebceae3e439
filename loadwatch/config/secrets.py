"""Secrets: by name in the plan that is shown and recorded, in place in the load workers' copy."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from loadwatch.config.checks import check
from loadwatch.core.errors import PlanError
from loadwatch.core.expression import plain, without
from loadwatch.core.plan import Plan, Scenario
from loadwatch.core.texts import Place, rewrite, rewrite_login

_ENVIRONMENT = re.compile(r"(?<!\$)\$\{env:([^}]*)\}")
_SECRET = re.compile(r"auth|cookie|token|key|secret|session|password|csrf", re.IGNORECASE)
_NAMES = re.compile(r"[A-Za-z-]*|[^=]+=")
REDACTED = "(redacted)"


def variables(plan: Plan) -> list[str]:
    """The names of the environment's variables that a plan needs, each once."""
    return list(dict.fromkeys(_ENVIRONMENT.findall(str(msgspec.to_builtins(plan, enc_hook=float)))))


def fill_in(plan: Plan, environ: Mapping[str, str] = os.environ) -> Plan:
    """`plan` with its secrets in place: `${env:NAME}` in URLs and a request's texts, `@file` as a
    header's value or a body (whose bytes that are not UTF-8 become surrogates, PEP 383).
    What is filled in is no expression. PlanError for a variable that is not set or a file that
    cannot be read.
    """

    def fill(text: str, where: str) -> str:
        def variable(match: re.Match[str]) -> str:
            value = environ.get(match[1])
            if value is None:
                raise PlanError(f"{where}: the environment has no {match[1]}")
            return plain(value)

        return _ENVIRONMENT.sub(variable, text)

    def content(text: str, where: str) -> str:
        if not text.startswith("@"):
            return fill(text, where)
        try:
            data = Path(text[1:]).expanduser().read_bytes()
        except OSError as error:
            raise PlanError(f"{where}: cannot read {text[1:]}: {error.strerror}") from None
        return plain(data.decode(errors="surrogateescape"))

    def scenario(written: Scenario) -> Scenario:
        def change(place: Place, text: str) -> str:
            where = f"scenario.{written.name}.{place}"
            if place.field == "headers":
                return content(text, where).strip()
            return content(text, where) if place.field == "body" else fill(text, where)

        return rewrite(written, change)

    login = plan.login and rewrite_login(plan.login, lambda key, text: fill(text, f"login.{key}"))
    target = msgspec.structs.replace(plan.target, url=fill(plan.target.url, "target.url"))
    proxy = plan.load.proxy and fill(plan.load.proxy, "load.proxy")
    filled = msgspec.structs.replace(
        plan,
        target=target,
        load=msgspec.structs.replace(plan.load, proxy=proxy),
        scenarios=tuple(map(scenario, plan.scenarios)),
        login=login,
    )
    return check(filled, "after filling in secrets")


def redact(plan: Plan) -> dict[str, Any]:
    """The plan as plain data for records and reports: literal secrets in headers, and in fields
    whose names say so, are blanked.
    """

    def blanked(place: Place, text: str) -> str:
        is_secret = is_literal_secret if place.field == "headers" else _is_in_clear
        return REDACTED if place.field != "expect" and is_secret(place.name, text) else text

    def blanked_login(key: str, text: str) -> str:
        name = key.replace("basic", "password")
        return REDACTED if _is_in_clear(name, text) else text

    scenarios = tuple(rewrite(scenario, blanked) for scenario in plan.scenarios)
    login = plan.login and rewrite_login(plan.login, blanked_login)
    load = msgspec.structs.replace(plan.load, proxy=plan.load.proxy and _bare(plan.load.proxy))
    shown = msgspec.structs.replace(plan, load=load, scenarios=scenarios, login=login)
    builtins: dict[str, Any] = msgspec.to_builtins(shown, enc_hook=float)
    return builtins


def _bare(url: str) -> str:
    """`url` without its user and password."""
    begin, at, end = url.partition("@")
    return f"{begin.partition('://')[0]}://{REDACTED}@{end}" if at else url


def recorded(document: Mapping[str, Any], source: str) -> Plan:
    """A plan as `redact` left it in a session; `source` is named in errors."""
    try:
        return msgspec.convert(document, Plan, dec_hook=lambda kind, value: kind(value))
    except (msgspec.ValidationError, ValueError) as error:
        raise PlanError(f"{source}: plan: {error}") from None


def sounds_secret(name: str) -> bool:
    """Whether a header, field or column of this name is likely to hold a credential."""
    return _SECRET.search(name) is not None


def is_literal_secret(header: str, value: str) -> bool:
    """Whether a header carries a credential in clear, instead of by `${env:…}` or `@file`."""
    return not value.startswith("@") and _is_in_clear(header, value)


def _is_in_clear(name: str, value: str) -> bool:
    """Whether a header or field carries a credential in clear.

    Beside `${env:…}` there may be names and schemes (`sessionid=`, `Bearer`), but no values.
    """
    if not sounds_secret(name):
        return False
    bare = without(value)
    return bare == value or not all(map(_NAMES.fullmatch, re.split(r"[;,\s]+", bare)))
