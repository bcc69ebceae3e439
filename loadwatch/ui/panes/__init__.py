"""The panes of the dashboard, found by looking into this folder."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from importlib import import_module
from pkgutil import iter_modules

from loadwatch.core.errors import PlanError
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


def named_panes(names: Sequence[str]) -> list[type[Pane]]:
    """The panes that a plan names, in its order; all where it names none.

    PlanError for one that does not exist.
    """
    known = {pane.word(): pane for pane in all_panes()}
    for name in names:
        if name not in known:
            near = get_close_matches(name, known, 1, cutoff=0)[0]
            raise PlanError(f"ui.panes: no pane `{name}`; did you mean `{near}`?")
    return [known[name] for name in dict.fromkeys(names)] or all_panes()
