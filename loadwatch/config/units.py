"""How times and byte rates are written in TOML."""

from __future__ import annotations

import re

from loadwatch.core.plan import ByteRate, Seconds, Size

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")
_UNIT_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)(B|KiB|MiB|GiB)")
_BYTE_RATE = re.compile(_SIZE.pattern + "/s")
_SIZES = {"B": 1.0, "KiB": 1024.0, "MiB": 1024.0**2, "GiB": 1024.0**3}
WITH_UNIT = {Seconds: _DURATION, ByteRate: _BYTE_RATE, Size: _SIZE}
"""What stands in TOML as a string with its unit."""


def duration(text: str) -> Seconds:
    """Seconds of `250ms`, `30s`, `5m`, `1h`; ValueError for anything else, and for zero."""
    match = _DURATION.fullmatch(text.strip())
    if match is None or not float(match[1]):
        raise ValueError(f"expected a duration such as `30s` or `250ms`, got {text!r}")
    return Seconds(float(match[1]) * _UNIT_SECONDS[match[2]])


def spelled(value: Seconds | ByteRate) -> str:
    """A value as it stands in TOML: `30s`, `250ms`, `1MiB/s`."""
    if isinstance(value, Seconds):
        return f"{value:g}s" if value >= 1 else f"{value * 1000:g}ms"
    unit, size = next((u, s) for u, s in reversed(_SIZES.items()) if value >= s or s == 1)
    return f"{value / size:g}{unit}/s"


def from_toml(kind: type, value: object) -> object:
    """A value of `kind` that stands in TOML as a string; for msgspec as `dec_hook`."""
    if kind is Seconds:
        if not isinstance(value, str):
            raise ValueError(f"expected a duration such as `30s`, got {value!r}")
        return duration(value)
    if kind is ByteRate:
        match = _BYTE_RATE.fullmatch(value) if isinstance(value, str) else None
        if match is None:
            raise ValueError(f"expected bytes per second such as `1MiB/s`, got {value!r}")
        return ByteRate(float(match[1]) * _SIZES[match[2]])
    if kind is Size:
        match = _SIZE.fullmatch(value) if isinstance(value, str) else None
        if match is not None:
            return Size(float(match[1]) * _SIZES[match[2]])
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise ValueError(f"expected bytes such as `1MiB` or 1048576, got {value!r}")
        return Size(value)
    raise NotImplementedError(kind)
