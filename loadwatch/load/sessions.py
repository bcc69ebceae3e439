"""What came of logins, and how requests bring it along: as one more column of the users' rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal
from urllib.parse import urljoin, urlsplit

import msgspec

from loadwatch.core.expression import Column, parse
from loadwatch.core.plan import Login, Plan, Scenario, Step
from loadwatch.core.texts import login_texts
from loadwatch.load.data import EVERYBODY, SESSION
from loadwatch.load.messages import LoginJob

Progress = Callable[[int, int], None]
"""Told how many users have logged in, and how many there are."""


def ignored(done: int, users: int) -> None:
    """Progress that nobody follows."""


def table_of(login: Login) -> str | None:
    """The table that its users come of; None if it is always the same one."""
    for _, text in login_texts(login):
        for part in parse(text):
            if isinstance(part, Column):
                return part.table
    return None


def login_job(plan: Plan) -> LoginJob | None:
    """What workers need to know to notice that a session has expired."""
    login = plan.login
    if login is None or login.basic is not None:
        return None
    path = None if login.form is None else urlsplit(urljoin(plan.target.url, login.form)).path
    return LoginJob(table_of(login) or EVERYBODY, _header(login), plan.target.url, path)


def _header(login: Login) -> Literal["Cookie", "Authorization"]:
    return "Cookie" if login.form is not None else "Authorization"


def acting(plan: Plan) -> Plan:
    """`plan` whose scenarios bring along what came of the logins: a row's session each."""
    login = plan.login
    if login is None:
        return plan
    table = table_of(login) or EVERYBODY
    header = _header(login)
    value = f"${{{table}.{SESSION}}}"
    replace = msgspec.structs.replace

    def carrying(asks: Scenario | Step) -> dict[str, str]:
        own = next((name for name in asks.headers if name.lower() == header.lower()), None)
        if own is None:
            return {**asks.headers, header: value} if isinstance(asks, Scenario) else asks.headers
        if header == "Authorization":
            return asks.headers
        return {**asks.headers, own: f"{asks.headers[own]}; {value}"}

    scenarios = tuple(
        replace(
            scenario,
            headers=carrying(scenario),
            steps=tuple(replace(step, headers=carrying(step)) for step in scenario.steps),
        )
        if scenario.login
        else scenario
        for scenario in plan.scenarios
    )
    return replace(plan, scenarios=scenarios)
