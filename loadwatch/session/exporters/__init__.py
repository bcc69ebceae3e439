"""The exporters: every module of this folder is one; its name is what `export --to` takes.

It offers `export(session, directory)`, which writes files and returns their paths. SessionError
where they cannot be written.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from pathlib import Path

from loadwatch.session.store import Session

Exporter = Callable[[Session, Path], list[Path]]


def exporters() -> dict[str, Exporter]:
    """Every exporter by its name."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    return {name: importlib.import_module(f"{__name__}.{name}").export for name in names}
