"""Names made from what people wrote: of letters that a name has, and different from others."""

from __future__ import annotations

import re
from collections.abc import Collection


def plain_name(text: str, otherwise: str) -> str:
    """`text` with `-` for all that a name cannot have; `otherwise` where nothing is left."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", text).strip("-") or otherwise


def unique(name: str, taken: Collection[str], joint: str = "-") -> str:
    """`name`, or `name-2` and so on where it is taken."""
    candidate, number = name, 2
    while candidate in taken:
        candidate, number = f"{name}{joint}{number}", number + 1
    return candidate
