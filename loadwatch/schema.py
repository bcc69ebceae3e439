"""The JSON Schema of a plan, for editors: made of the structs that plans are decoded into."""

from __future__ import annotations

import functools
import inspect
import json
import operator
import types
import typing
from typing import Annotated, Any

import msgspec

from loadwatch.config import WITH_UNIT, spelled
from loadwatch.core.plan import ByteRate, Plan, Seconds, Size

DIALECT = "https://json-schema.org/draft/2020-12/schema"

_EXAMPLES = {Seconds: ["30s", "250ms"], ByteRate: ["1MiB/s"], Size: ["1MiB"]}


def plan_schema() -> dict[str, Any]:
    """A JSON Schema (draft 2020-12) that takes what a plan in TOML may hold, key by key.

    What must hold between keys (names given once, a rate below the ceiling) it cannot say.
    """
    schema = msgspec.json.schema(_as_written(Plan))
    # `\\Z` is Python's: elsewhere `$` is the end, and not also before a last line break.
    plain: dict[str, Any] = json.loads(json.dumps(schema).replace(r"\\Z", "$"))
    return {"$schema": DIALECT, "title": "A plan of loadwatch", **plain}


@functools.cache
def _as_written(kind: Any) -> Any:
    """`kind` with values that have a unit as the strings that they are in TOML."""
    if kind in WITH_UNIT:
        pattern = f"^(?:{WITH_UNIT[kind].pattern})$"
        text = Annotated[str, msgspec.Meta(pattern=pattern, examples=_EXAMPLES.get(kind))]
        return text | Annotated[int, msgspec.Meta(ge=0)] if kind is Size else text
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        fields = [(f.encode_name, _as_written(f.type), _default(f)) for f in _fields(kind)]
        return msgspec.defstruct(
            kind.__name__,
            fields,
            namespace={"__doc__": inspect.getdoc(kind)},
            forbid_unknown_fields=True,
        )
    inner = tuple(map(_as_written, typing.get_args(kind)))
    match typing.get_origin(kind):
        case types.UnionType | typing.Union:
            return functools.reduce(operator.or_, inner)
        case origin if origin in (tuple, dict):
            return origin[inner]
    return kind


def _fields(kind: type[msgspec.Struct]) -> list[msgspec.structs.FieldInfo]:
    """The fields; those without a default first, as a struct wants them."""
    return sorted(msgspec.structs.fields(kind), key=lambda field: not field.required)


def _default(field: msgspec.structs.FieldInfo) -> Any:
    """A field's default as TOML would have it."""
    if isinstance(field.default, Seconds | ByteRate):
        return spelled(field.default)
    if isinstance(field.default, msgspec.Struct):
        return msgspec.field(default_factory=_as_written(type(field.default)))
    if field.default_factory is not msgspec.NODEFAULT:
        return msgspec.field(default_factory=field.default_factory)
    return msgspec.field() if field.required else field.default
