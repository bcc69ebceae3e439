"""The probes: every module of this folder that declares a `PROBE` is one."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from loadwatch.core.metric import Metric
from loadwatch.remote.probe import Probe


@cache
def all_probes() -> tuple[Probe, ...]:
    """Every probe, by name."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    modules = (importlib.import_module(f"{__name__}.{name}") for name in names)
    return tuple(module.PROBE for module in modules)


def host_metrics() -> tuple[Metric, ...]:
    """What the probes measure, keyed relative to a host."""
    return tuple(metric for probe in all_probes() for metric in probe.metrics)
