"""Server timing: where the server's time goes, as its own answers tell it."""

from __future__ import annotations

from loadwatch.core.metric import Unit
from loadwatch.ui import chart
from loadwatch.ui.canvas import Row, crop
from loadwatch.ui.pane import Pane, notice
from loadwatch.ui.view import SILENCE, View

ROLES = ("first", "second", "third", "fourth")
"""Of the entries that take the most time, which are drawn; the others are only told."""


class ServerPane(Pane):
    """Mean times of the chosen scenario as lines, the longest first; shown once there are any."""

    TITLE, JUMP, ORDER, SIDE = "Server timing", "V", 4, "load"

    def __init__(self, place: int = 0) -> None:
        super().__init__(place)
        self._told = False
        self.add_class("-hidden")

    def look(self, view: View) -> None:
        """Come up with the first answer that tells anything."""
        if not self._told and any(k.endswith(".server.sampled") for k in view.history.keys):
            self._told = True
            self.remove_class("-hidden")
        super().look(view)

    def headline(self, view: View) -> list[Row]:
        """The scenario, and the mean of each of its entries."""
        means = [view.item(name, f"{key}.mean", role, SILENCE) for name, key, role in _times(view)]
        return [[(view.scenario, "quiet")], *means]

    def draw(self, view: View, width: int, height: int) -> list[Row]:
        """The p95 of each entry, and the chart of the means."""
        if not view.knows(f"scenario.{view.scenario}.server.sampled"):
            text = f"no answer of {view.scenario} has told yet: Server-Timing (docs/load.md)"
            return notice(text, "quiet", width)[:height]
        drawn = [entry for entry in _times(view) if entry[2] in ROLES]
        series = [view.series(role, f"{key}.mean") for _, key, role in reversed(drawn)]
        picture = chart.lines(view.frame(width, height - 1), Unit.SECONDS, series)
        return [crop(_legend(view), width), *picture][:height]


def _times(view: View) -> list[tuple[str, str, str]]:
    """Name, key and role of the scenario's entries, the longest times of the step first."""
    keys = _told(view, "server")
    keys.sort(key=lambda key: -(view.step.mean(f"{key}.mean") or 0.0))
    roles = [*ROLES, *["quiet"] * len(keys)]
    return [(key.rpartition(".")[2], key, role) for key, role in zip(keys, roles, strict=False)]


def _told(view: View, what: str) -> list[str]:
    """The keys of what the scenario's answers tell, without the statistic."""
    found = view.keys_below(f"scenario.{view.scenario}.{what}.")
    return [key.removesuffix(".mean") for key in found if key.endswith(".mean")]


def _legend(view: View) -> Row:
    """The numbers, every p95, and how many answers were read for it."""
    row: Row = []
    for key in _told(view, "header"):
        name = key.rpartition(".")[2]
        row += [*view.item(name, f"{key}.mean", "quiet", SILENCE), ("  ", "")]
    row.append(("p95", "quiet"))
    for name, key, role in _times(view):
        row += [("  ", ""), *view.item(name, f"{key}.p95", role, SILENCE)]
    owner = f"scenario.{view.scenario}"
    read = f"  {view.text(f'{owner}.server.sampled')} of {view.text(f'{owner}.completed')} read"
    row.append((read, "quiet"))
    if view.last(f"{owner}.server.unreadable"):
        row += [("  ", ""), *view.item("unreadable", f"{owner}.server.unreadable", "warning")]
    return row
