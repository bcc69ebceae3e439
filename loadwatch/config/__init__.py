"""Plans: read from TOML, checked as a whole, with their secrets kept out of what is recorded."""

from loadwatch.config.checks import HEADER_NAME, check, check_groups, regrouped
from loadwatch.config.reading import decode, load_plan, plan_for, scenario_name
from loadwatch.config.secrets import (
    REDACTED,
    fill_in,
    is_literal_secret,
    recorded,
    redact,
    sounds_secret,
    variables,
)
from loadwatch.config.units import WITH_UNIT, duration, spelled

__all__ = [
    "HEADER_NAME",
    "REDACTED",
    "WITH_UNIT",
    "check",
    "check_groups",
    "decode",
    "duration",
    "fill_in",
    "is_literal_secret",
    "load_plan",
    "plan_for",
    "recorded",
    "redact",
    "regrouped",
    "scenario_name",
    "sounds_secret",
    "spelled",
    "variables",
]
