"""How a key is declared: what it does, in words, and whether it stands in the footer."""

from __future__ import annotations

from textual.binding import Binding


def shown(
    key: str, action: str, name: str, does: str, group: Binding.Group | None = None
) -> Binding:
    """A key of the footer; what it does is said in the help."""
    return Binding(key, action, name, tooltip=does, group=group)


def quiet(key: str, action: str, does: str, name: str = "") -> Binding:
    """A key of the help only; of a pane, its `name` stands in the edge of the pane too."""
    return Binding(key, action, name, tooltip=does, show=False)
