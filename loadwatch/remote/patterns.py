"""Pattern lists of ssh: `*.example.org,!old.example.org` (PATTERNS in ssh_config(5))."""

from __future__ import annotations

import re
from collections.abc import Iterable


def listed(subject: str, patterns: Iterable[str]) -> bool:
    """Whether a pattern of the list matches `subject`, and none that is negated does.

    Not fnmatch: brackets stand for themselves, as in `[host]:2222`.
    """
    found = False
    for pattern in patterns:
        wanted = pattern.removeprefix("!")
        if re.fullmatch(re.escape(wanted).replace(r"\*", ".*").replace(r"\?", "."), subject):
            if wanted != pattern:
                return False
            found = True
    return found
