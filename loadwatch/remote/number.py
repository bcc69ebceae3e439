"""Numbers as procps, BusyBox, toybox and the BSDs print them. ValueError for anything else."""

from __future__ import annotations

import re

_NUMBER = re.compile(r"([0-9]{1,15}(?:[.,][0-9]{1,6})?)([kKmMgGtTpPeE]?)")
LARGEST = 2.0**48
"""Amounts above 256 TiB are no amounts, and sums of them would not fit an integer column."""

_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5, "e": 6}


def number(text: str) -> float:
    """A plain number; point or comma; a percent sign is ignored."""
    return size(text.removesuffix("%"), 1.0)


def size(text: str, unit: float = 1024.0) -> float:
    """An amount: without a suffix in `unit`s (KiB unless told), else in powers of 1024."""
    if text.isdecimal() and len(text) < 16:  # most are; a frame has hundreds
        value = int(text) * unit
    elif match := _NUMBER.fullmatch(text):
        power = _POWERS[match[2].lower()]
        value = float(match[1].replace(",", ".")) * (1024.0**power if power else unit)
    else:
        raise ValueError(f"not a number: {text[:40]!r}")
    if value > LARGEST:
        raise ValueError(f"not a number that can be: {text}")
    return value


def counter(text: str) -> int:
    """A counter of the kernel, up to 64 bits."""
    if not text.isdecimal() or len(text) > 20:
        raise ValueError(f"not a counter: {text[:40]!r}")
    return int(text)
