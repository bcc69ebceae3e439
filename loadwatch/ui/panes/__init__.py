"""The panes of the dashboard, found by looking into this folder."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from loadwatch.ui.pane import Pane


def all_panes() -> list[type[Pane]]:
    """Every pane, in the order of the screen."""
    modules = [import_module(f"{__name__}.{info.name}") for info in iter_modules(__path__)]
    found = {
        thing
        for module in modules
        for thing in vars(module).values()
        if isinstance(thing, type) and issubclass(thing, Pane) and hasattr(thing, "TITLE")
    }
    return sorted(found, key=lambda pane: pane.ORDER)
