"""TOML to Plan. Every error is one line: file, key, what was expected, the nearest known key.

Secrets stay as written (`${env:NAME}`, `@file`) in the Plan that is shown and recorded; `fill_in`
makes the copy that only the load workers see.
"""

from __future__ import annotations

import os
import re
import tomllib
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urljoin, urlsplit

import msgspec

from loadwatch.core.address import parse_address
from loadwatch.core.errors import PlanError
from loadwatch.core.expression import Column, did_you_mean, parse, plain, without
from loadwatch.core.plan import (
    NAME,
    Access,
    ByteRate,
    Data,
    Group,
    Host,
    Load,
    Plan,
    Scenario,
    Seconds,
    Target,
    Threshold,
)

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")
_UNIT_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_BYTE_RATE = re.compile(r"(\d+(?:\.\d+)?)(B|KiB|MiB|GiB)/s")
_SIZES = {"B": 1.0, "KiB": 1024.0, "MiB": 1024.0**2, "GiB": 1024.0**3}
WITH_UNIT = {Seconds: _DURATION, ByteRate: _BYTE_RATE}
"""What stands in TOML as a string with its unit."""
_ENVIRONMENT = re.compile(r"(?<!\$)\$\{env:([^}]*)\}")
_SECRET_HEADER = re.compile(r"auth|cookie|token|key|secret|session|password|csrf", re.IGNORECASE)
HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_NAMES = re.compile(r"[A-Za-z-]*|[^=]+=")
REDACTED = "(redacted)"


def duration(text: str) -> Seconds:
    """Seconds of `250ms`, `30s`, `5m`, `1h`; ValueError for anything else, and for zero."""
    match = _DURATION.fullmatch(text.strip())
    if match is None or not float(match[1]):
        raise ValueError(f"expected a duration such as `30s` or `250ms`, got {text!r}")
    return Seconds(float(match[1]) * _UNIT_SECONDS[match[2]])


def spelled(value: Seconds | ByteRate) -> str:
    """A value as it stands in TOML: `30s`, `250ms`, `1MiB/s`."""
    if isinstance(value, Seconds):
        return f"{value:g}s" if value >= 1 else f"{value * 1000:g}ms"
    unit, size = next((u, s) for u, s in reversed(_SIZES.items()) if value >= s or s == 1)
    return f"{value / size:g}{unit}/s"


def load_plan(path: Path) -> Plan:
    """The plan in a TOML file; PlanError for whatever is wrong with it."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise PlanError(f"{path}: no such file") from None
    except OSError as error:
        raise PlanError(f"{path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise PlanError(f"{path}: not TOML: {error}") from None
    return _from_directory(decode(document, str(path)), path.parent)


def _from_directory(plan: Plan, directory: Path) -> Plan:
    """`plan` with its data files found wherever the program is run from."""
    data = {
        name: msgspec.structs.replace(
            table, file=str((directory / Path(table.file).expanduser()).absolute())
        )
        for name, table in plan.data.items()
    }
    return msgspec.structs.replace(plan, data=data)


def plan_for(url: str) -> Plan:
    """A bare URL as a plan: its page is the one scenario."""
    parts = _split(url, url)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    origin = f"{parts.scheme}://{parts.netloc}"
    scenario = Scenario(name=scenario_name(path), path=path)
    return check(Plan(target=Target(url=origin), scenarios=(scenario,)), url)


def scenario_name(path: str) -> str:
    """What a scenario is called that has no name of its own: by its path, without the query."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", path.partition("?")[0]).strip("-") or "home"


def decode(document: Mapping[str, Any], source: str) -> Plan:
    """A parsed TOML document as a Plan; `source` is named in errors."""
    _reject_unknown(document, Plan, source, ())
    thresholds = document.get("thresholds")
    where = ""
    try:
        for key, rule in thresholds.items() if isinstance(thresholds, Mapping) else ():
            where = f"thresholds.{key}: "  # msgspec does not say which key of a table it was
            msgspec.convert(rule, str | Threshold, dec_hook=_custom)
        where = ""
        plan = msgspec.convert(document, Plan, dec_hook=_custom)
    except msgspec.ValidationError as error:
        raise PlanError(f"{source}: {where}{_readable(str(error))}") from None
    return check(plan, source)


def _split(url: str, where: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError as error:
        raise PlanError(f"{where}: {error}") from None


def check(plan: Plan, source: str) -> Plan:
    """`plan` if it makes sense as a whole, else PlanError."""

    def wrong(where: str, what: str) -> PlanError:
        return PlanError(f"{source}: {where}: {what}")

    target = _split(plan.target.url, f"{source}: target.url")
    if target.scheme not in ("http", "https") or not target.hostname:
        raise wrong("target.url", f"expected http(s)://host…, got {plan.target.url!r}")
    try:
        if target.port == 0:
            raise ValueError("port 0 is no port")
    except ValueError as error:
        raise wrong("target.url", str(error)) from None
    if target.username is not None or target.password is not None:
        raise wrong("target.url", "put credentials into a header, not into the URL")
    if not 0 <= plan.load.seed < 2**63:
        raise wrong("load.seed", "expected a whole number from 0 to 2**63 - 1")
    if plan.target.timeout > 3600:
        raise wrong("target.timeout", "at most 1h")
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
        _check_scenario(scenario, plan.target.url, wrong)
        _check_expressions(scenario, plan.data, wrong)
    for host in plan.hosts:
        _check_access(host, wrong)
        check_groups(host, source)
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
    return plan


def _check_engine(load: Load, wrong: Callable[[str, str], PlanError]) -> None:
    if load.engine == "wire":
        for name in ("http2", "proxy"):
            if getattr(load, name):
                raise wrong(f"load.{name}", 'only the other engine can: engine = "httpx"')
    if load.proxy is not None:
        proxy = _split(load.proxy, "load.proxy")
        if proxy.scheme not in ("http", "https") or not proxy.hostname:
            raise wrong("load.proxy", "expected http(s)://host:port")


def _check_scenario(scenario: Scenario, url: str, wrong: Callable[[str, str], PlanError]) -> None:
    where = f"scenario.{scenario.name}"
    if scenario.method == "CONNECT":
        raise wrong(f"{where}.method", "CONNECT opens a tunnel; `load.proxy` uses one")
    ours, theirs = urlsplit(url), urlsplit(urljoin(url, scenario.path))
    if (ours.scheme, ours.netloc) != (theirs.scheme, theirs.netloc):
        raise wrong(f"{where}.path", "it leads away from the target")
    for name, value in scenario.headers.items():
        if not HEADER_NAME.fullmatch(name):
            raise wrong(f"{where}.headers", f"{name!r} is no header name")
        if any(ord(char) < 32 or ord(char) == 127 for char in value):
            raise wrong(f"{where}.headers", f"the value of {name!r} holds a control character")


def _check_expressions(
    scenario: Scenario, data: Mapping[str, Data], wrong: Callable[[str, str], PlanError]
) -> None:
    """Columns are looked for when the file is read; here only whether there is such a table."""
    where = f"scenario.{scenario.name}"
    texts = {f"{where}.headers.{name}": value for name, value in scenario.headers.items()}
    texts |= {f"{where}.path": scenario.path, f"{where}.body": scenario.body or ""}
    for key, text in texts.items():
        try:
            columns = [part for part in parse(text) if isinstance(part, Column)]
        except ValueError as error:
            raise wrong(key, str(error)) from None
        for column in columns:
            if column.table not in data:
                known = [f"{name}.{column.name}" for name in data]
                hint = did_you_mean(f"{column.table}.{column.name}", [*known, "seq", "uuid"])
                raise wrong(key, f"there is no [data.{column.table}]; {hint}")


def _check_access(host: Host, wrong: Callable[[str, str], PlanError]) -> None:
    try:
        parse_address(host.access.to)
    except ValueError as error:
        to = ".to" if isinstance(host.ssh, Access) else ""
        raise wrong(f"host.{host.name}.ssh{to}", str(error)) from None


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


def variables(plan: Plan) -> list[str]:
    """The names of the environment's variables that a plan needs, each once."""
    return list(dict.fromkeys(_ENVIRONMENT.findall(str(msgspec.to_builtins(plan, enc_hook=float)))))


def fill_in(plan: Plan, environ: Mapping[str, str] = os.environ) -> Plan:
    """`plan` with its secrets in place: `${env:NAME}` in URLs, paths, headers and bodies, `@file`
    as a header's value or a body (whose bytes that are not UTF-8 become surrogates, PEP 383).
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
        where = f"scenario.{written.name}"
        return msgspec.structs.replace(
            written,
            path=fill(written.path, f"{where}.path"),
            headers={
                name: content(value, f"{where}.headers.{name}").strip()
                for name, value in written.headers.items()
            },
            body=None if written.body is None else content(written.body, f"{where}.body"),
        )

    target = msgspec.structs.replace(plan.target, url=fill(plan.target.url, "target.url"))
    proxy = plan.load.proxy and fill(plan.load.proxy, "load.proxy")
    filled = msgspec.structs.replace(
        plan,
        target=target,
        load=msgspec.structs.replace(plan.load, proxy=proxy),
        scenarios=tuple(map(scenario, plan.scenarios)),
    )
    return check(filled, "after filling in secrets")


def redact(plan: Plan) -> dict[str, Any]:
    """The plan as plain data for records and reports: literal secrets in headers are blanked."""
    scenarios = tuple(
        msgspec.structs.replace(
            scenario,
            headers={
                name: REDACTED if is_literal_secret(name, value) else value
                for name, value in scenario.headers.items()
            },
        )
        for scenario in plan.scenarios
    )
    load = msgspec.structs.replace(plan.load, proxy=plan.load.proxy and _bare(plan.load.proxy))
    shown = msgspec.structs.replace(plan, load=load, scenarios=scenarios)
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
    """Whether a header or a column of this name is likely to hold a credential."""
    return _SECRET_HEADER.search(name) is not None


def is_literal_secret(header: str, value: str) -> bool:
    """Whether a header carries a credential in clear, instead of by `${env:…}` or `@file`.

    Beside `${env:…}` there may be names and schemes (`sessionid=`, `Bearer`), but no values.
    """
    if not sounds_secret(header) or value.startswith("@"):
        return False
    bare = without(value)
    return bare == value or not all(map(_NAMES.fullmatch, re.split(r"[;,\s]+", bare)))


def _custom(kind: type, value: object) -> object:
    if kind is Seconds:
        if not isinstance(value, str):
            raise ValueError(f"expected a duration such as `30s`, got {value!r}")
        return duration(value)
    if kind is ByteRate:
        match = _BYTE_RATE.fullmatch(value) if isinstance(value, str) else None
        if match is None:
            raise ValueError(f"expected bytes per second such as `1MiB/s`, got {value!r}")
        return ByteRate(float(match[1]) * _SIZES[match[2]])
    raise NotImplementedError(kind)


def _readable(message: str) -> str:
    """msgspec's `… - at `$.load.seed`` as `load.seed: …`."""
    what, _, path = message.partition(" - at `")
    key = path.rstrip("`").removeprefix("$").lstrip(".").replace("[...]", "")
    return f"{key}: {what}" if key else what


def _reject_unknown(node: object, kind: Any, source: str, path: tuple[str, ...]) -> None:
    """PlanError for the first key that no field has, with the nearest one that exists."""
    if isinstance(node, Mapping) and isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        fields = {field.encode_name: field.type for field in msgspec.structs.fields(kind)}
        for key, value in node.items():
            if key not in fields:
                where = ".".join((*path, str(key)))
                hint = did_you_mean(str(key), fields)
                raise PlanError(f"{source}: {where}: unknown key; {hint}")
            _reject_unknown(value, fields[key], source, (*path, str(key)))
    elif isinstance(node, list):
        for index, value in enumerate(node):
            for inner in typing.get_args(kind):
                _reject_unknown(value, inner, source, (*path[:-1], f"{path[-1]}[{index}]"))
    elif isinstance(node, Mapping) and typing.get_origin(kind) is dict:
        for key, value in node.items():
            _reject_unknown(value, typing.get_args(kind)[1], source, (*path, str(key)))
    elif isinstance(node, Mapping):
        for either in typing.get_args(kind):
            _reject_unknown(node, either, source, path)
