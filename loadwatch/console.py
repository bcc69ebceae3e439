"""The headless front end: how it goes on stderr, the result on stdout."""

from __future__ import annotations

import queue
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, TextIO

from loadwatch.analysis.result import format_time
from loadwatch.analysis.verdict import judged
from loadwatch.core.history import History
from loadwatch.core.metric import Unit, format_clock, format_value
from loadwatch.core.summary import Summary
from loadwatch.core.tick import Tick

CLEAR = "\r\x1b[K"
"""Back to the beginning of a terminal's line, and empty it."""


class _Line(NamedTuple):
    text: str
    stays: bool


def _columns() -> int:
    return shutil.get_terminal_size().columns


class Narrator:
    """Listens to a bus and says how it goes, in a thread of its own.

    In a log that is a line per second. On a terminal it is one line that changes, under the events,
    which stay. Whoever reads the lines may stop reading: past a thousand that wait, the rest is
    left out.
    """

    def __init__(self, out: TextIO, columns: Callable[[], int] = _columns) -> None:
        self._out = out
        self._columns = columns
        self._is_terminal = out.isatty()
        self._progress = ""
        self._lines: queue.Queue[_Line | None] = queue.Queue(1000)
        self._thread = threading.Thread(target=self._write, name="narrator", daemon=True)
        self._thread.start()

    def __call__(self, tick: Tick) -> None:
        """Write what happened, and what the second came to."""
        for event in tick.events:
            who = f"{event.host}: " if event.host else ""
            self._put(f"{format_clock(event.at)}  {event.kind}: {who}{event.text}", stays=True)
        if "load.offered" in tick.values:
            parts = "  ".join(_load_parts(tick.values))
            self._put(f"{format_clock(tick.second)}  {parts}", stays=not self._is_terminal)

    def close(self) -> None:
        """Write what waits, for a second at most."""
        try:
            self._lines.put_nowait(None)
        except queue.Full:
            pass
        self._thread.join(1.0)

    def _put(self, text: str, stays: bool) -> None:
        try:
            self._lines.put_nowait(_Line(text, stays))
        except queue.Full:
            pass

    def _write(self) -> None:
        try:
            while (line := self._lines.get()) is not None:
                self._out.write(self._shown(line))
                self._out.flush()
            if self._progress:
                print(file=self._out, flush=True)
        except (OSError, ValueError):
            return  # nobody listens; the run goes on

    def _shown(self, line: _Line) -> str:
        """What to write: over the progress line, where there is one, and that again below."""
        if not self._is_terminal:
            return f"{line.text}\n"
        if not line.stays:
            self._progress = f"{CLEAR}{line.text[: self._columns() - 1]}"
            return self._progress
        return f"{CLEAR}{line.text}\n{self._progress}"


def _load_parts(values: Mapping[str, float]) -> list[str]:
    parts = [
        f"offered {format_value(values['load.offered'], Unit.PER_SECOND)}",
        f"completed {format_value(values['load.completed'], Unit.PER_SECOND)}",
    ]
    parts += [
        f"{key.rpartition('.')[2]} {value:.0f}"
        for key, value in values.items()
        if key.startswith(("load.status.", "load.errors.")) and value and not key.endswith("xx")
    ]
    if values["load.dropped"]:
        parts.append(f"dropped {values['load.dropped']:.0f}")
    if "load.response.p50" in values:
        for name in ("p50", "p99"):
            parts.append(f"{name} {format_value(values[f'load.response.{name}'], Unit.SECONDS)}")
    for key, value in values.items():
        if key.startswith("host.") and key.endswith((".cpu.id", ".swap.in", ".swap.out")):
            host, _, what = key.removeprefix("host.").partition(".")
            if what == "cpu.id":
                parts.append(f"{host} cpu {100 - value:.0f} %")
            elif value:
                parts.append(f"{host} {what} {format_value(value, Unit.BYTES_PER_SECOND)}")
    return parts


def summary(result: Mapping[str, Any], history: History) -> str:
    """A result (`run --json`) for people: totals, steps, the verdict, the session."""
    times = result["response_ms"]
    lines = [
        f"{result['completed']} of {result['offered']} requests completed in"
        f" {result['duration_s']:.1f} s: {result['rate']:.1f}/s",
        "status " + (_pairs(result["status"]) or "none")
        + (f"; errors {_pairs(result['errors'])}" if result["errors"] else "")
        + (f"; dropped {result['dropped']}" if result["dropped"] else ""),
        "response time "
        + ", ".join(f"{name} {format_time(times[name])}" for name in ("p50", "p95", "p99", "max")),
    ]  # fmt: skip
    for name, part in result["scenarios"].items():
        lines += _answers(name, part)
    if len(history.steps) > 1:
        lines.append("steps")
        lines += [f"  {_step_line(index, history)}" for index in range(len(history.steps))]
    verdict = result["verdict"]
    also = f" (also {', '.join(verdict['also'])})" if verdict["also"] else ""
    evidence = verdict["evidence"]
    if evidence:
        also += f": {evidence if isinstance(evidence, str) else '; '.join(evidence)}"
    told = judged(history.steps, history.total)
    step = f" on step {told.step}" if len(history.steps) > 1 and told.step else ""
    lines.append(f"verdict{step}: {verdict['name']}{also}")
    if verdict["advice"]:
        lines.append(f"  {verdict['advice']}")
    if not result["generator"]["healthy"]:
        lines.append("INVALID, the generator was the limit: "
                     + "; ".join(result["generator"]["reasons"]))  # fmt: skip
    lines += [f"generator: {warning}" for warning in result["generator"]["warnings"]]
    for name, host in result["hosts"].items():
        gaps = [f"{host['gaps']} gaps"] if host["gaps"] else []
        more = [*host["probes"], *gaps, *filter(None, [host["detail"]])]
        lines.append(f"host {name}: {host['state']}" + (f" ({', '.join(more)})" if more else ""))
    lines.append(f"session {result['session']}")
    return "\n".join(lines)


def _answers(scenario: str, part: Mapping[str, Any]) -> Iterator[str]:
    """What a scenario's answers told of the server's work, and what compression saved."""
    server, size = part.get("server"), part.get("body_bytes")
    if server:
        told = [f"{name} {format_time(own['mean'])}" for name, own in server["times_ms"].items()]
        told += [f"{name} {own['mean']:g}" for name, own in server["numbers"].items()]
        yield f"server timing of {scenario}, means: {', '.join(told) or 'none that can be read'}"
    if size and size["compressed"] != size["decompressed"]:
        came, whole = (format_value(size[name], Unit.BYTES) for name in size)
        yield f"bodies of {scenario}: {came}, decompressed {whole}"


def _pairs(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items())


def _step_line(index: int, history: History) -> str:
    step = history.steps[index]
    rates = ", ".join(_asked(name, step) for name in step.rates) or "closed loop"
    response = step.histogram("response")
    times = []
    for name, share in (("p50", 0.5), ("p95", 0.95)):
        value = response.percentile(share) if response.is_known(share) else None
        sign = "≥ " if response.is_censored(share) else ""
        times.append(f"{name} {sign}{format_value(value, Unit.SECONDS)}")
    errors = step.count("load.status.5xx") + sum(step.counts("load.errors").values())
    mark = f" [{step.mark}]" if step.mark else ""
    return (
        f"{index + 1}{mark} {rates}: {step.seconds} s, completed"
        f" {format_value(step.rate('load.completed'), Unit.PER_SECOND)}, "
        f"errors {errors}, {', '.join(times)}"
    )


def _asked(scenario: str, step: Summary) -> str:
    """The rate asked for in a step; on a ramp those of its first and of its last second."""
    first, last = step.rates[scenario], step.rates_at_end.get(scenario, 0.0)
    return f"{scenario} {first:g}/s" if first == last else f"{scenario} {first:g}–{last:g}/s"
