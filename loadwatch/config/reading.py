"""TOML to Plan. Every error is one line: file, key, what was expected, the nearest known key."""

from __future__ import annotations

import tomllib
import typing
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from loadwatch.config.checks import check, split_url
from loadwatch.config.units import from_toml
from loadwatch.config.visits import with_shares, with_think_times
from loadwatch.core.errors import PlanError
from loadwatch.core.expression import did_you_mean
from loadwatch.core.naming import plain_name
from loadwatch.core.plan import Data, Plan, Scenario, Target, Threshold, Upload


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
    """`plan` with the files of its tables found wherever the program is run from."""
    replace = msgspec.structs.replace

    def found(table: Any) -> Any:
        if not isinstance(table, Data | Upload):
            return table
        file = (directory / Path(table.file).expanduser()).absolute()
        return replace(table, file=str(file))

    data = {name: found(table) for name, table in plan.data.items()}

    def with_files(asks: Any) -> Any:
        parts = asks.multipart
        return replace(asks, multipart=parts and {name: found(own) for name, own in parts.items()})

    scenarios = tuple(
        replace(with_files(scenario), steps=tuple(map(with_files, scenario.steps)))
        for scenario in plan.scenarios
    )
    return replace(plan, data=data, scenarios=scenarios)


def plan_for(url: str) -> Plan:
    """A bare URL as a plan: its page is the one scenario."""
    parts = split_url(url, url)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    origin = f"{parts.scheme}://{parts.netloc}"
    scenario = Scenario(name=scenario_name(path), path=path)
    return check(Plan(target=Target(url=origin), scenarios=(scenario,)), url)


def scenario_name(path: str) -> str:
    """What a scenario is called that has no name of its own: by its path, without the query."""
    return plain_name(path.partition("?")[0], "home")


def decode(document: Mapping[str, Any], source: str) -> Plan:
    """A parsed TOML document as a Plan; `source` is named in errors."""
    _reject_unknown(document, Plan, source, ())
    where = ""
    try:
        # msgspec does not say which key of a table it was.
        for key, rule in _table(document, "thresholds"):
            where = f"thresholds.{key}: "
            msgspec.convert(rule, str | Threshold, dec_hook=from_toml)
        for key, table in _table(document, "data"):
            where = f"data.{key}."
            msgspec.convert(table, Data, dec_hook=from_toml)
        where = ""
        plan = msgspec.convert(document, Plan, dec_hook=from_toml)
    except msgspec.ValidationError as error:
        raise PlanError(f"{source}: {where}{_readable(str(error))}") from None
    try:
        plan = with_shares(with_think_times(plan), document)
    except ValueError as error:
        raise PlanError(f"{source}: {error}") from None
    return check(plan, source)


def _table(document: Mapping[str, Any], name: str) -> Iterable[tuple[str, object]]:
    table = document.get(name)
    return table.items() if isinstance(table, Mapping) else ()


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
