"""Tables of text: fields of fixed width, a head that says by which one they are sorted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Generic, TypeVar

from loadwatch.ui.canvas import Row, crop, fit, length

T = TypeVar("T")

REST = 0
"""The width of a field that takes what is left."""

LEAST = 8
"""Cells below which what is left is not worth it."""


@dataclass(frozen=True, slots=True)
class Field(Generic[T]):
    """A column: its name, its cells, what it shows of an item and what it is sorted by.

    Numbers stand `right` and are sorted with the largest first, text the other way round.
    """

    name: str
    width: int
    show: Callable[[T], Row]
    order: Callable[[T], Any]
    right: bool = True


def head(fields: Sequence[Field[Any]], by: int, reverse: bool, width: int) -> Row:
    """The names of the fields that have room; the one that sorts has an arrow."""
    row: Row = [("  ", "")]
    for number, field in enumerate(_fitting(fields, width)):
        is_down = field.right != reverse
        arrow = ("▾" if is_down else "▴") if number == by else ""
        name = arrow + field.name if field.right else field.name + arrow
        row += _filled(field, [(name, "strong" if number == by else "quiet")], width - length(row))
    return crop(row, width)


def line(
    fields: Sequence[Field[T]], item: T, width: int, sign: tuple[str, str] = (" ", ""),
    tint: str = "",
) -> Row:  # fmt: skip
    """An item, with a sign (and its role) before it; `tint` is the role of a last field without."""
    row: Row = [(fit(sign[0], 2), sign[1])]
    for field in _fitting(fields, width):
        shown = field.show(item)
        if field is fields[-1]:
            shown = [(text, own or tint) for text, own in shown]
        row += _filled(field, shown, width - length(row))
    return crop(row, width)


def fit_into(fields: Sequence[Field[Any]], width: int) -> bool:
    """Whether `width` has room for all of them."""
    return len(_fitting(fields, width)) == len(fields)


def _fitting(fields: Sequence[Field[T]], width: int) -> Sequence[Field[T]]:
    """The first fields that `width` has room for: none is shown in part."""
    ends = accumulate((field.width + 1 for field in fields), initial=2)
    return [
        field
        for field, end in zip(fields, ends, strict=False)
        if end + (field.width or LEAST) <= width
    ]


def sort(fields: Sequence[Field[T]], items: Sequence[T], by: int, reverse: bool) -> list[T]:
    """`items` by one field; those that are alike in it keep their order."""
    field = fields[by]
    return sorted(items, key=field.order, reverse=field.right != reverse)


def field_at(fields: Sequence[Field[Any]], x: int) -> int:
    """The field in which cell `x` of a line is."""
    end = 2
    for number, field in enumerate(fields):
        end += field.width + 1
        if x < end:
            return number
    return len(fields) - 1


def _filled(field: Field[Any], shown: Row, room: int) -> Row:
    """What a field shows, in its width and a blank behind it."""
    width = field.width or max(room, 0)
    kept = crop(shown, width)
    blank = (" " * (width - length(kept)), "")
    row = [blank, *kept] if field.right else [*kept, blank]
    return row if field.width == REST else [*row, (" ", "")]
