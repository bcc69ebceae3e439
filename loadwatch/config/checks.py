"""Whether a plan makes sense as a whole, beyond what its types say."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from urllib.parse import SplitResult, urljoin, urlsplit

import msgspec

from loadwatch.config.login import check_login
from loadwatch.config.visits import check_visit
from loadwatch.core.action import PLACE, awaited, shell_line
from loadwatch.core.address import parse_address
from loadwatch.core.errors import PlanError, Wrong
from loadwatch.core.expression import Column, did_you_mean, parse
from loadwatch.core.plan import (
    LONGEST_INTERVAL,
    NAME,
    SHORTEST_INTERVAL,
    Access,
    Action,
    Data,
    Group,
    Host,
    Load,
    Plan,
    Scenario,
    Step,
    Target,
)
from loadwatch.core.texts import requests_of, taken_before, texts

LONGEST_TIMEOUT = 3600
HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def split_url(url: str, where: str) -> SplitResult:
    """The parts of `url`; PlanError if it has none."""
    try:
        return urlsplit(url)
    except ValueError as error:
        raise PlanError(f"{where}: {error}") from None


def check(plan: Plan, source: str) -> Plan:
    """`plan` if it makes sense as a whole, else PlanError."""

    def wrong(where: str, what: str) -> PlanError:
        return PlanError(f"{source}: {where}: {what}")

    _check_target(plan.target, source, wrong)
    if not 0 <= plan.load.seed < 2**63:
        raise wrong("load.seed", "expected a whole number from 0 to 2**63 - 1")
    _check_engine(plan.load, wrong)
    if not plan.scenarios:
        raise wrong("scenario", "at least one [[scenario]] is needed")
    for kind, names in (
        ("scenario", [scenario.name for scenario in plan.scenarios]),
        ("host", [host.name for host in plan.hosts]),
    ):
        for name in names:
            if names.count(name) > 1:
                raise wrong(kind, f"the name {name!r} is given twice")
    for name, table in plan.data.items():
        if not table.file.endswith((".csv", ".jsonl")):
            raise wrong(f"data.{name}.file", f"expected a .csv or .jsonl file, got {table.file!r}")
    for scenario in plan.scenarios:
        where = f"scenario.{scenario.name}"
        for request in requests_of(scenario):
            own = where if request is scenario else f"{where}.step.{request.name}"
            _check_request(request, own, plan.target.url, wrong)
        check_visit(scenario, plan.load, wrong)
        _check_expressions(scenario, plan.data, wrong)
    if plan.login is not None:
        check_login(plan.login, plan.data, plan.target.url, wrong)
    for host in plan.hosts:
        _check_access(host, wrong)
        _check_intervals(host, wrong)
        check_groups(host, source)
    _check_actions([action for host in plan.hosts for action in host.actions], wrong)
    _check_ceiling(plan, wrong)
    return plan


def _check_target(target: Target, source: str, wrong: Wrong) -> None:
    url = split_url(target.url, f"{source}: target.url")
    if url.scheme not in ("http", "https") or not url.hostname:
        raise wrong("target.url", f"expected http(s)://host…, got {target.url!r}")
    try:
        if url.port == 0:
            raise ValueError("port 0 is no port")
    except ValueError as error:
        raise wrong("target.url", str(error)) from None
    if url.username is not None or url.password is not None:
        raise wrong("target.url", "put credentials into a header, not into the URL")
    if target.timeout > LONGEST_TIMEOUT:
        raise wrong("target.timeout", "at most 1h")


def _check_ceiling(plan: Plan, wrong: Wrong) -> None:
    """No stage may ask for more than the plan's own ceiling."""
    total = sum(scenario.rate for scenario in plan.scenarios)
    if plan.load.max_rate is not None:
        if plan.load.connections:
            raise wrong("load.max_rate", "a closed loop has no rate that could keep below it")
        for scale in [1.0, *(stage.scale for stage in plan.stages)]:
            if total * scale > plan.load.max_rate + 1e-9:
                raise wrong(
                    "load.max_rate", f"the rates sum to {total * scale:g}/s, above the ceiling of "
                    f"{plan.load.max_rate:g}/s"
                )  # fmt: skip


def _check_engine(load: Load, wrong: Wrong) -> None:
    if load.engine == "wire":
        for name in ("http2", "proxy"):
            if getattr(load, name):
                raise wrong(f"load.{name}", 'only the other engine can: engine = "httpx"')
    if load.proxy is not None:
        proxy = split_url(load.proxy, "load.proxy")
        if proxy.scheme not in ("http", "https") or not proxy.hostname:
            raise wrong("load.proxy", "expected http(s)://host:port")


def _check_request(scenario: Scenario | Step, where: str, url: str, wrong: Wrong) -> None:
    if scenario.method == "CONNECT":
        raise wrong(f"{where}.method", "CONNECT opens a tunnel; `load.proxy` uses one")
    ours, theirs = urlsplit(url), urlsplit(urljoin(url, scenario.path))
    if (ours.scheme, ours.netloc) != (theirs.scheme, theirs.netloc):
        raise wrong(f"{where}.path", "it leads away from the target")
    _check_body(scenario, where, wrong)
    if scenario.timeout is not None and scenario.timeout > LONGEST_TIMEOUT:
        raise wrong(f"{where}.timeout", "at most 1h")
    for name, value in scenario.headers.items():
        if not HEADER_NAME.fullmatch(name):
            raise wrong(f"{where}.headers", f"{name!r} is no header name")
        if any(ord(char) < 32 or ord(char) == 127 for char in value):
            raise wrong(f"{where}.headers", f"the value of {name!r} holds a control character")


def _check_body(scenario: Scenario | Step, where: str, wrong: Wrong) -> None:
    bodies = [
        name for name in ("body", "json", "form", "multipart")
        if getattr(scenario, name) is not None
    ]  # fmt: skip
    if len(bodies) > 1:
        raise wrong(where, f"a request has one body: {' or '.join(bodies)}")
    if bodies and bodies != ["body"] and scenario.method in ("GET", "HEAD"):
        raise wrong(f"{where}.method", f'{scenario.method} carries no {bodies[0]}: "POST"?')
    if scenario.method == "HEAD" and scenario.expect.contains is not None:
        raise wrong(f"{where}.expect.contains", "the answer to HEAD has no body")


def _check_expressions(scenario: Scenario, data: Mapping[str, Data], wrong: Wrong) -> None:
    """Columns are looked for when the file is read; here only whether there is such a table."""
    where = f"scenario.{scenario.name}"
    for place, text in texts(scenario):
        key = f"{where}.{place}"
        taken = taken_before(scenario, place.step) if place.step else ()
        try:
            columns = [part for part in parse(text, taken) if isinstance(part, Column)]
        except ValueError as error:
            raise wrong(key, str(error)) from None
        for column in columns:
            if column.table not in data:
                known = [f"{name}.{column.name}" for name in data]
                hint = did_you_mean(f"{column.table}.{column.name}", [*known, "seq", "uuid"])
                raise wrong(key, f"there is no [data.{column.table}]; {hint}")


def _check_access(host: Host, wrong: Wrong) -> None:
    try:
        parse_address(host.access.to)
    except ValueError as error:
        to = ".to" if isinstance(host.ssh, Access) else ""
        raise wrong(f"host.{host.name}.ssh{to}", str(error)) from None


def _check_intervals(host: Host, wrong: Wrong) -> None:
    for name, every in (("interval", host.interval), ("top_interval", host.top_interval)):
        if every is not None and not SHORTEST_INTERVAL <= every <= LONGEST_INTERVAL:
            raise wrong(f"host.{host.name}.{name}", "between 100ms and 1h")


def _check_actions(actions: Sequence[Action], wrong: Wrong) -> None:
    names = [action.name for action in actions]
    for action in actions:
        where = f"host.action.{action.name}"
        if names.count(action.name) > 1:
            raise wrong("host.action", f"the name {action.name!r} is given twice")
        if not action.values or PLACE not in action.command:
            raise wrong(where, f"it takes values, and {PLACE} in its command")
        try:
            for value in action.values:
                shell_line(action, value)
        except ValueError as error:
            raise wrong(f"{where}.command", str(error)) from None
        try:
            awaited(action.wait or "http 200 on /")
        except ValueError as error:
            raise wrong(f"{where}.wait", str(error)) from None


def check_groups(host: Host, source: str) -> None:
    """PlanError if a process group of `host` makes no sense."""
    names = [group.name for group in host.groups]
    for group in host.groups:
        where = f"{source}: host.{host.name}.group"
        if names.count(group.name) > 1:
            raise PlanError(f"{where}: the name {group.name!r} is given twice")
        where += f".{group.name}"
        if not NAME.fullmatch(group.name):
            raise PlanError(f"{where}: a name is made of letters, digits, `_` and `-`")
        if group.user is None and group.command is None and group.pids is None:
            raise PlanError(f"{where}: give user, command or pids")
        try:
            re.compile(group.command or "")
        except re.error as error:
            raise PlanError(f"{where}.command: not a regular expression: {error}") from None


def regrouped(plan: Plan, host: str, groups: tuple[Group, ...]) -> Plan:
    """`plan` with other process groups on `host`; PlanError if one of them makes no sense."""
    if host not in (own.name for own in plan.hosts):
        raise PlanError(f"no host {host!r}")
    replace = msgspec.structs.replace
    hosts = tuple(replace(own, groups=groups) if own.name == host else own for own in plan.hosts)
    for own in hosts:
        check_groups(own, "process groups")
    return replace(plan, hosts=hosts)
