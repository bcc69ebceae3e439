"""The links to all hosts: how each stands, what is read there, and what that costs the server."""

from __future__ import annotations

from statistics import fmean
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Static

from loadwatch.core.metric import Unit, format_value
from loadwatch.core.reading import HostStatus
from loadwatch.ui.canvas import plain
from loadwatch.ui.pane import STATES
from loadwatch.ui.screens.dialog import Dialog
from loadwatch.ui.view import View

MINUTE = 60
"""Seconds over which the cost is averaged: it is told every few seconds only."""

COSTS = (
    ("cost.cpu", "our tools", Unit.PERCENT),
    ("cost.sshd", "their sshd", Unit.PERCENT),
    ("cost.bytes", "on the wire", Unit.BYTES_PER_SECOND),
)


class HostsScreen(Dialog[None]):
    """The hosts as they were when this was opened."""

    LOOK, SCROLLS = "-broad", True
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,H,q", "dismiss(None)", "Close", tooltip="Back to the dashboard")
    ]

    def __init__(self, view: View) -> None:
        super().__init__("Watched hosts", "Esc closes")
        self._view = view

    def body(self) -> ComposeResult:
        """A block of lines for each host."""
        blocks = (_block(self._view, host) for host in self._view.status.hosts)
        yield Static("\n\n".join("\n".join(lines) for lines in blocks), markup=False)


def _block(view: View, host: HostStatus) -> list[str]:
    sign, _ = STATES[host.state]
    clock = "not told"
    if host.offset is not None and host.error is not None:
        sense = "behind" if host.offset < 0 else "ahead of"
        apart, error = (format_value(abs(t), Unit.SECONDS) for t in (host.offset, host.error))
        clock = f"{apart} {sense} ours, give or take {error}"
    groups = ", ".join(group.name for group in view.status.groups.get(host.host, ()))
    told = {
        "": plain(host.detail),
        "reads": ", ".join(host.probes) or "nothing yet",
        "clock": clock,
        "gaps": f"{host.gaps}; {host.skipped} rows that could not be read",
        "costs": _cost(view, host.host),
        "groups": groups or "none (G chooses some)",
    }
    return [
        f"{host.host}  {sign} {host.state}",
        *(f"  {name:8}{text}" for name, text in told.items() if text),
    ]


def _cost(view: View, host: str) -> str:
    """What watching costs that server, on average over the last minute."""
    found = []
    for key, what, unit in COSTS:
        values = view.values(f"host.{host}.{key}", MINUTE)
        if known := [value for value in values if value == value]:
            found.append(f"{what} {format_value(fmean(known), unit)}")
    return ", ".join(found) + " (CPU of one core)" if found else "not measured yet"
