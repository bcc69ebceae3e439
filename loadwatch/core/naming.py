"""Names that must differ from others."""

from __future__ import annotations

from collections.abc import Collection


def unique(name: str, taken: Collection[str], joint: str = "-") -> str:
    """`name`, or `name-2` and so on where it is taken."""
    candidate, number = name, 2
    while candidate in taken:
        candidate, number = f"{name}{joint}{number}", number + 1
    return candidate
