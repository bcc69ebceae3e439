"""What the screen may ask about other sessions; who starts it knows where they are."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

Compare = Callable[[str], Awaitable[str]]
"""What differs from the session of that name, as text; LoadwatchError where there is none."""

Ledger = Callable[[], Awaitable[str]]
"""What each configuration takes, as text; LoadwatchError where nothing is known."""


@dataclass(frozen=True, slots=True)
class Others:
    """What is told of other sessions; None where nobody does."""

    compare: Compare | None = None
    ledger: Ledger | None = None


NOBODY = Others()
