"""What was found before a run: something that is well, or not, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["ok", "warning", "failure", "unknown"]
"""failure: a run could not do its work; warning: it could, and would miss something."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: `name` of `subject`; `advice` is empty where all is well."""

    subject: str
    name: str
    verdict: Verdict
    text: str
    advice: str = ""
