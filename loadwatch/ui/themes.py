"""What the roles look like: in the dark, in the light, and without colours.

A theme says what `$role-…` means in `loadwatch.tcss`.
"""

from __future__ import annotations

from textual.theme import Theme

DARK = {
    "good": "#5fd787", "warning": "#ffaf00", "bad": "#ff5f5f", "first": "#5fafff",
    "second": "#d7d75f", "third": "#ff87d7", "fourth": "#5fd7d7",
}  # fmt: skip
LIGHT = {
    "good": "#00875f", "warning": "#af5f00", "bad": "#d70000", "first": "#005fd7",
    "second": "#878700", "third": "#af00af", "fourth": "#008787",
}  # fmt: skip
GREY = {
    "good": "#808080", "warning": "#e4e4e4", "bad": "#ffffff", "first": "#a8a8a8",
    "second": "#c6c6c6", "third": "#d7d7d7", "fourth": "#949494",
}  # fmt: skip
"""Shades apart from each other; what they mean is told by signs and words."""


def colours(roles: dict[str, str]) -> dict[str, str]:
    """The roles as variables of a stylesheet."""
    return {f"role-{role}": colour for role, colour in roles.items()}


THEMES = (
    Theme(
        "loadwatch-dark", primary="#5fafff", accent="#ffa62b", foreground="#e0e4e8",
        background="#0f1216", surface="#171c22", panel="#1b2632", dark=True,
        variables=colours(DARK),
    ),
    Theme(
        "loadwatch-light", primary="#005fd7", accent="#b35c00", foreground="#1c2227",
        background="#fafaf7", surface="#f0f0ea", panel="#e3e8ec", dark=False,
        variables=colours(LIGHT),
    ),
    Theme(
        "loadwatch-mono", primary="#d0d0d0", accent="#ffffff", foreground="#d8d8d8",
        secondary="#b0b0b0", warning="#e4e4e4", error="#ffffff", success="#c0c0c0",
        background="#000000", surface="#101010", panel="#202020", dark=True,
        variables=colours(GREY),
    ),
)  # fmt: skip
"""The first one is what one sees at first, the last one what NO_COLOR asks for."""
