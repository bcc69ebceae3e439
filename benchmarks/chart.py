"""What a chart costs in plotext, and whether it is drawn right: the installed major, 5 or 6.

Three series of 76 points on 76 × 12 cells without frame, one figure after the other in one process,
each built to the string of its cells. Run it once per major (`pip install --target` puts another
one beside the environment). Under 6 it also measures the dashboard's own charts, with gutter, time
axis and everything, from five minutes of seconds.
"""

from __future__ import annotations

import argparse
import math
import re
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import plotext

from benchmarks.peers import table

WIDTH, HEIGHT, POINTS = 76, 12, 76
SIX = int(plotext.__version__.split(".")[0]) >= 6
MARKERS = ("braille", "hd", "dot")
Points = Sequence[tuple[float, float]]


class Five:
    """plotext 5: one global figure behind module functions."""

    def __init__(self, low: float, high: float) -> None:
        plotext.clear_figure()
        plotext.limit_size(False, False)
        plotext.plot_size(WIDTH, HEIGHT)
        plotext.frame(False)
        plotext.xticks([])
        plotext.yticks([])
        plotext.xlim(0, POINTS - 1)
        plotext.ylim(low, high)

    def line(self, runs: Sequence[Points], marker: str, color: int) -> None:
        for run in runs:
            x, y = zip(*run, strict=True)
            plotext.plot(x, y, marker=marker, color=color)

    def fill(self, points: Points, marker: str, color: int) -> None:
        x, y = zip(*points, strict=True)
        plotext.scatter(x, y, marker=marker, color=color, fillx=True)

    def bars(self, layers: Sequence[Sequence[float]]) -> None:
        plotext.stacked_bar(list(range(POINTS)), [list(row) for row in layers], width=1)

    def build(self) -> str:
        return str(plotext.build())


class Six:
    """plotext 6: a figure object with a compiled kernel; the master figure is global as well."""

    def __init__(self, low: float, high: float) -> None:
        self.figure = plotext.figure
        plotext.terminal.limit(False, False)
        self.figure.clear()
        self.figure.plot_size(WIDTH, HEIGHT)
        self.figure.canvas("default")
        self.figure.axes(False, axis="both", side="both")
        rulers = self.figure.ruler("both", "both")
        rulers.ticks([], [])
        rulers.alignment(lim="edge")
        self.figure.legend(False)
        self.figure.ruler("x").lim(-0.5, POINTS - 0.5)
        self.figure.ruler("y").lim(low, high * 1.001)

    def line(self, runs: Sequence[Points], marker: str, color: int) -> None:
        points = [point for run in runs for point in run]
        signal = self._signal(points, marker, color).lines(True)
        for start in (len(run) for run in runs[:-1]):
            signal.line(start, False)
        self.figure.draw(signal)

    def fill(self, points: Points, marker: str, color: int) -> None:
        self.figure.draw(self._signal(points, marker, color).fillx())

    def bars(self, layers: Sequence[Sequence[float]]) -> None:
        self.figure.draw(
            self.figure.bar(list(range(POINTS)), [list(row) for row in zip(*layers, strict=True)],
                            stacked=True, width=1)
        )  # fmt: skip

    def build(self) -> str:
        return str(self.figure.build().string())

    def _signal(self, points: Points, marker: str, color: int) -> Any:
        x, y = zip(*points, strict=True)
        return self.figure.signal(x, y, marker=plotext.marker(marker, plotext.pixel(color)))


Figure = Six if SIX else Five


def wave(series: int) -> list[float]:
    return [50 + 30 * math.sin(x / 9 + series) + (x * 7919 % 11) for x in range(POINTS)]


def lines(marker: str) -> str:
    figure = Figure(0, 100)
    for series in range(3):
        figure.line([list(enumerate(wave(series)))], marker, series + 1)
    return figure.build()


def steps(marker: str) -> str:
    figure = Figure(0, 100)
    for series in range(3):
        path, before = [], 0.0
        for x in range(POINTS):
            value = 20.0 * (1 + (x // 15 + series) % 4)
            path += [(x, before), (x, value)] if x and value != before else [(x, value)]
            before = value
        figure.line([path], marker, series + 1)
    return figure.build()


def two_sided(marker: str) -> str:
    figure = Figure(-100, 100)
    figure.fill(list(enumerate(wave(0))), marker, 1)
    figure.fill([(x, -y) for x, y in enumerate(wave(2))], marker, 2)
    return figure.build()


def stacked(marker: str) -> str:
    figure = Figure(0, 300)
    tops = [0.0] * POINTS
    layers = []
    for series in range(3):
        tops = [top + value for top, value in zip(tops, wave(series), strict=True)]
        layers.append(list(enumerate(tops)))
    for series, layer in reversed(list(enumerate(layers))):
        figure.fill(layer, marker, series + 1)
    return figure.build()


def stacked_bars(_: str) -> str:
    figure = Figure(0, 300)
    figure.bars([wave(series) for series in range(3)])
    return figure.build()


def plain(drawn: str) -> list[str]:
    rows = [row for row in re.sub(r"\x1b\[[\d;]*m", "", drawn).split("\n") if row]
    return [row.ljust(WIDTH) for row in rows]


def faults(marker: str) -> list[str]:
    """What is drawn wrong with this marker."""
    found = []
    figure = Figure(0, 100)
    figure.line([[(x, 50) for x in range(20)], [(x, 50) for x in range(50, 70)]], marker, 1)
    middle = "".join(row[22:49] for row in plain(figure.build()))
    if middle.strip(" \u2800"):
        found.append("gap bridged")
    figure = Figure(0, 100)
    figure.line([[(x, 100 if x == 40 else 0) for x in range(POINTS)]], marker, 1)
    rows = plain(figure.build())
    if len(rows) != HEIGHT or any(len(row) != WIDTH for row in rows):
        found.append(f"size {max(map(len, rows))}×{len(rows)}")
    elif not rows[-1][:38].strip(" \u2800") or not rows[0].strip(" \u2800"):
        found.append("zero or spike missing")
    figure = Figure(0, 100)
    figure.fill([(x, 100) for x in range(POINTS)], marker, 1)
    figure.fill([(x, 97) for x in range(POINTS)], marker, 2)
    if "\x1b[38;5;1m" not in figure.build():
        found.append("layer of 3 % lost")
    return found


def measure(draw: Callable[[str], str], marker: str, rounds: int) -> float:
    """Median CPU milliseconds of one chart."""
    draw(marker)
    costs = []
    for _ in range(rounds):
        begin = time.process_time()
        draw(marker)
        costs.append(time.process_time() - begin)
    return statistics.median(costs) * 1000


def main() -> None:
    """Print one row per kind of chart."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=30)
    given = parser.parse_args()
    print(f"plotext {plotext.__version__}, median CPU ms per chart of {WIDTH}×{HEIGHT} cells\n")
    kinds = (lines, steps, two_sided, stacked, stacked_bars)
    rows = [
        (marker, *(f"{measure(kind, marker, given.rounds):.1f}" for kind in kinds),
         ", ".join(faults(marker)) or "right")
        for marker in MARKERS
    ]  # fmt: skip
    heads = ("marker", "3 lines", "3 steps", "two-sided", "3 stacked", "stacked bars", "drawn")
    print(table(heads, rows))
    if SIX:
        print(f"\nThe dashboard's charts: {dashboard(given.rounds)}")


def dashboard(rounds: int) -> str:
    """Median CPU milliseconds of a chart of three lines and of three stacked layers."""
    from loadwatch.core.metric import Unit
    from loadwatch.ui import chart

    frame = chart.Frame(WIDTH, HEIGHT, 300, 300)
    data = [(wave(series) * 4)[:300] for series in range(3)]
    series = [chart.Series(role, values) for role, values in zip("abc", data, strict=True)]
    three = measure(lambda _: str(chart.lines(frame, Unit.COUNT, series)), "", rounds)
    stack = measure(lambda _: str(chart.columns(frame, Unit.COUNT, series)), "", rounds)
    return f"3 lines {three:.1f} ms, 3 stacked {stack:.1f} ms"


if __name__ == "__main__":
    main()
