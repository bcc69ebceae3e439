"""The exporters: every module of this folder is one; its name is what `export --format` takes.

It offers `export(excerpt, directory)`, which writes files and returns their paths, and, where the
format has tables, `write(excerpt, table, out)`. SessionError where files cannot be written.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from loadwatch.session.excerpt import Excerpt


@dataclass(frozen=True, slots=True)
class Exporter:
    """How to write an excerpt in one format; `write` is None for one without tables."""

    export: Callable[[Excerpt, Path], list[Path]]
    write: Callable[[Excerpt, str, TextIO], None] | None


def exporters() -> dict[str, Exporter]:
    """Every exporter by its name."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    modules = {name: importlib.import_module(f"{__name__}.{name}") for name in names}
    return {
        name: Exporter(module.export, getattr(module, "write", None))
        for name, module in modules.items()
    }
