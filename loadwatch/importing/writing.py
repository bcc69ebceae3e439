"""A draft as a commented TOML plan: any `Plan`, field by field, but for what is the default."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any
from unicodedata import category

import msgspec
import tomlkit
from tomlkit.items import AoT, Item, Table

from loadwatch.config import spelled
from loadwatch.core.plan import ByteRate, Seconds
from loadwatch.importing.draft import Draft
from loadwatch.remote.text import HIDDEN, clean

WIDTH = 100
"""Columns that a line may have before its comment goes above it."""


def as_toml(draft: Draft) -> str:
    """The plan as TOML, with what it was made from, what is missing and what it needs as comments.

    Keys that have a comment are written even where their value is the default.
    """
    document = tomlkit.document()
    for paragraph in _head(draft):
        lines = textwrap.wrap(
            clean(draft.secrets.everywhere(paragraph), 2000), WIDTH - 2, subsequent_indent="  "
        )
        for line in lines or [""]:
            document.add(tomlkit.comment(line) if line else tomlkit.nl())
    document.add(tomlkit.nl())
    for key, item in _table(draft.plan, "", draft).items():
        document.add(key, item)
    return "".join(map(_visible, tomlkit.dumps(document).rstrip())) + "\n"


def _visible(char: str) -> str:
    """A character that hides or steers as TOML's escape; outside of strings there is none."""
    return f"\\U{ord(char):08x}" if char != "\n" and category(char) in HIDDEN else char


def _head(draft: Draft) -> list[str]:
    lines = [f"Made of {draft.source}. Turn rates with care: the site may be somebody's."]
    if draft.told:
        lines += ["", *draft.told]
    if draft.left_out:
        lines += ["", "Not carried over:", *(f"- {what}" for what in draft.left_out)]
    if draft.secrets.meanings:
        lines += ["", "To be set in the environment:"]
        lines += [f"- {name}: {meaning}" for name, meaning in draft.secrets.meanings.items()]
    return lines


def _table(struct: msgspec.Struct, path: str, draft: Draft) -> Table:
    """One struct; plain values before tables, as TOML wants it."""
    table = tomlkit.table()
    nested: dict[str, Item] = {}
    for field in msgspec.structs.fields(type(struct)):
        value = getattr(struct, field.name)
        key = field.encode_name
        where = f"{path}.{key}".lstrip(".")
        comment = draft.comments.get(where, "")
        if not comment and _is_default(field, value):
            continue
        item = _item(value, where, draft)
        if isinstance(item, (Table, AoT)):
            nested[key] = item
        else:
            _add(table, key, item, comment)
    for key, item in nested.items():
        table.add(key, item)
    return table


def _is_default(field: msgspec.structs.FieldInfo, value: Any) -> bool:
    if field.default_factory is not msgspec.NODEFAULT:
        return bool(value == field.default_factory())
    return bool(value == field.default)


def _item(value: Any, where: str, draft: Draft) -> Item:
    if isinstance(value, msgspec.Struct):
        return _table(value, where, draft)
    if isinstance(value, Mapping):
        table = tomlkit.table()
        for key, inner in value.items():
            table.add(key, _item(inner, f"{where}.{key}", draft))
        return table
    if isinstance(value, tuple) and value and isinstance(value[0], msgspec.Struct):
        tables = tomlkit.aot()
        for number, inner in enumerate(value):
            tables.append(_table(inner, f"{where}.{getattr(inner, 'name', number)}", draft))
        return tables
    if isinstance(value, Seconds | ByteRate):
        return tomlkit.item(spelled(value))
    if isinstance(value, float) and value.is_integer():
        return tomlkit.item(int(value))
    return tomlkit.item(draft.secrets.everywhere(value) if isinstance(value, str) else value)


def _add(table: Table, key: str, item: Item, comment: str) -> None:
    told = clean(comment, 500)
    if told and len(key) + len(item.as_string()) + len(told) + 6 <= WIDTH:
        item.comment(told)
    else:
        for line in textwrap.wrap(told, WIDTH - 2):
            table.add(tomlkit.comment(line))
    table.add(key, item)
