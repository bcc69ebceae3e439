"""What to try, where the numbers tell it: how many workers fit into the memory."""

from __future__ import annotations

from loadwatch.analysis.evidence import Group, Stretch
from loadwatch.core.metric import Unit, format_value


def for_memory(stretch: Stretch) -> str:
    """How many workers of the largest group fit, else in general."""
    groups = sorted(stretch.groups, key=lambda group: group.mean("rss") or 0.0)
    told = _fit(groups[-1]) if groups else ""
    return told or "fewer or smaller worker processes, or more memory"


def for_workers(stretch: Stretch) -> str:
    """How many more workers there is memory for, else in general."""
    groups = sorted(stretch.groups, key=lambda group: group.mean("rss") or 0.0)
    more = _room(groups[-1]) if groups else None
    if more is None:
        return "more workers if the memory allows, or shorter waits on databases and other services"
    group, size = groups[-1], _size(groups[-1])
    if more < 1:
        return f"no memory for more {group.name} of {size}: shorter waits on databases and services"
    count = round(group.mean("count") or 0.0)
    return (
        f"try {count + min(more, count)} {group.name} instead of {count}: there is memory for "
        f"{more} more of {size}; or shorter waits on databases and other services"
    )


def _fit(group: Group) -> str:
    """`10 backends × 41 MiB do not fit in 256 MiB: go back to 5`; empty where that is not known."""
    count, total = group.mean("count"), _total(group)
    if not count or total is None:
        return ""
    each = ((group.mean("rss") or 0.0) + _swapped(group)) / count
    others = _taken_by_others(group)
    fits = int((total - others) / each) if each else 0
    if fits >= count:
        return ""
    need = f"{count:.0f} {group.name} × {format_value(each, Unit.BYTES)}"
    room = f"{format_value(total, Unit.BYTES)}" + (
        f" beside {format_value(others, Unit.BYTES)} of others" if others else ""
    )
    return f"{need} do not fit in {room}: go back to {max(fits, 1)}"


def _room(group: Group) -> int | None:
    """How many more of its workers there is memory for; None where that is not known."""
    count, rss = group.mean("count"), group.mean("rss")
    used, limit = group.mean("cgroup.memory.used"), group.mean("cgroup.memory.limit")
    free = group.server.mean("memory.available")
    if used is not None and limit is not None:
        free = min(limit - used, limit if free is None else free)
    if not count or not rss or free is None:
        return None
    return int(max(free, 0.0) / (rss / count))


def _size(group: Group) -> str:
    return format_value((group.mean("rss") or 0.0) / (group.mean("count") or 1.0), Unit.BYTES)


def _total(group: Group) -> float | None:
    """The memory that the group has: its control group's, else the machine's."""
    limit, total = group.mean("cgroup.memory.limit"), group.server.mean("memory.total")
    known = [value for value in (limit, total) if value is not None]
    return min(known, default=None)


def _swapped(group: Group) -> float:
    """Bytes of the group that are swapped out: of nobody else, as far as anyone can tell."""
    return group.server.amount("swap.used")


def _taken_by_others(group: Group) -> float:
    """Bytes of memory that are not the group's; under a limit of its own nobody else counts."""
    server = group.server
    total, available = server.mean("memory.total"), server.mean("memory.available")
    if group.mean("cgroup.memory.limit") is not None or total is None or available is None:
        return 0.0
    return max(0.0, total - available - (group.mean("rss") or 0.0))
