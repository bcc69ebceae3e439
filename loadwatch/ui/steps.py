"""The steps of a run as rows of a table, and two of them side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from loadwatch.analysis.steady import is_steady
from loadwatch.core.metric import Better, Unit, format_value
from loadwatch.core.summary import Summary
from loadwatch.ui import table
from loadwatch.ui.canvas import Row, crop, fit, plain
from loadwatch.ui.scale import clock
from loadwatch.ui.table import Field
from loadwatch.ui.view import AT_LEAST, SHARES, View, percentiles

STEADY: dict[bool | None, tuple[str, str]] = {
    True: ("✓ yes", "good"), False: ("▲ not yet", "warning"), None: ("– too short", "quiet"),
}  # fmt: skip

SAME = 0.02
"""A relative difference that is none worth a colour."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step with its statistics, in core units; None where unknown.

    `target` is None for a closed loop. `errors` is a share of what was offered. CPU (us + sy + st),
    RSS (of all groups) and swap are those of one host, by their means.
    """

    summary: Summary
    target: float | None
    achieved: float
    errors: float | None
    times: tuple[float | None, ...]
    times_told: tuple[str, ...]
    cpu: float | None
    rss: float | None
    swap_in: float | None
    swap_out: float | None
    steady: bool | None


class Steps:
    """Works out the steps of a view; those that are over only once for each host."""

    def __init__(self) -> None:
        self._over: dict[tuple[int, str], Step] = {}

    def of(self, view: View) -> list[Step]:
        """Every step up to the end of the view, oldest first."""
        found = []
        for summary in view.history.steps:
            if summary.first >= view.end:
                break
            if summary.step == view.step.step:  # after an earlier time it may have gone on
                found.append(_step(view, view.step))
                break
            key = (summary.step, view.host)
            if key not in self._over:
                self._over[key] = _step(view, summary)
            found.append(self._over[key])
        return found


def _step(view: View, summary: Summary) -> Step:
    times = summary.histogram("response")
    offered = summary.count("load.offered")
    failed = summary.count("load.status.5xx") + sum(summary.counts("load.errors").values())
    known = zip(SHARES, times.percentiles(SHARES), strict=True)

    def mean(key: str) -> float | None:
        return summary.mean(view.on_host(key))

    return Step(
        summary,
        target=sum(summary.rates.values()) if summary.rates else None,
        achieved=summary.rate("load.completed"),
        errors=failed / offered if offered else None,
        times=tuple(value if times.is_known(share) else None for share, value in known),
        times_told=tuple(percentiles(times, SHARES)),
        cpu=_total([mean(f"cpu.{part}") for part in ("us", "sy", "st")]),
        rss=_total([mean(f"group.{group.name}.rss") for group in view.groups]),
        swap_in=mean("swap.in"),
        swap_out=mean("swap.out"),
        steady=is_steady(view.history, summary),
    )


def _total(parts: Sequence[float | None]) -> float | None:
    known = [part for part in parts if part is not None]
    return sum(known) if known else None


def _text(name: str, width: int, text: Callable[[Step], str]) -> Field[Step]:
    return Field(name, width, lambda step: [(text(step), "")], lambda step: step.summary.first)


def _errors(step: Step) -> Row:
    return [(format_value(step.errors, Unit.SHARE), "bad" if step.errors else "")]


FIELDS: tuple[Field[Step], ...] = (
    _text("STEP", 4, lambda step: str(step.summary.step)),
    _text("FROM", 7, lambda step: clock(step.summary.first)),
    _text("LASTS", 7, lambda step: clock(step.summary.seconds)),
    _text("TARGET", 8, lambda step: "max" if step.target is None
          else format_value(step.target, Unit.PER_SECOND)),
    _text("ACHIEVED", 9, lambda step: format_value(step.achieved, Unit.PER_SECOND)),
    Field("ERRORS", 6, _errors, lambda step: step.errors or 0),
    _text("p50", 9, lambda step: step.times_told[0]),
    _text("p95", 9, lambda step: step.times_told[1]),
    _text("p99", 9, lambda step: step.times_told[2]),
    Field("STEADY", 11, lambda step: [STEADY[step.steady]], lambda step: step.steady, right=False),
    _text("CPU", 6, lambda step: format_value(step.cpu, Unit.PERCENT)),
    _text("RSS", 9, lambda step: format_value(step.rss, Unit.BYTES)),
    _text("SWAP IN", 11, lambda step: format_value(step.swap_in, Unit.BYTES_PER_SECOND)),
    _text("SWAP OUT", 11, lambda step: format_value(step.swap_out, Unit.BYTES_PER_SECOND)),
    Field("MARK", table.REST, lambda step: [(plain(step.summary.mark), "mark")],
          lambda step: step.summary.mark, right=False),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Compared:
    """A number of two steps: its value, and what is said of it, which may be `≥ 10.0 s`."""

    name: str
    better: Better
    value: Callable[[Step], float | None]
    tell: Callable[[Step], str]


def _number(
    name: str, unit: Unit, better: Better, value: Callable[[Step], float | None]
) -> _Compared:
    return _Compared(name, better, value, lambda step: format_value(value(step), unit))


def _response(at: int) -> _Compared:
    name = f"response p{SHARES[at] * 100:.0f}"
    return _Compared(name, "lower", lambda step: step.times[at], lambda step: step.times_told[at])


COMPARED = (
    _number("target", Unit.PER_SECOND, "neither", lambda step: step.target),
    _number("achieved", Unit.PER_SECOND, "higher", lambda step: step.achieved),
    _number("errors", Unit.SHARE, "lower", lambda step: step.errors),
    *(_response(at) for at in range(len(SHARES))),
    _number("CPU", Unit.PERCENT, "lower", lambda step: step.cpu),
    _number("RSS", Unit.BYTES, "lower", lambda step: step.rss),
    _number("swap in", Unit.BYTES_PER_SECOND, "lower", lambda step: step.swap_in),
    _number("swap out", Unit.BYTES_PER_SECOND, "lower", lambda step: step.swap_out),
)


def compare(one: Step, other: Step, width: int) -> list[Row]:
    """Two steps side by side: what each came to, and how far the second is from the first.

    Only at the same target is a difference better or worse, and only where both steps are long
    enough to tell.
    """
    is_fair = one.target is None or other.target is None or _alike(one.target, other.target)
    is_long = one.steady is not None and other.steady is not None
    names = [
        f"step {step.summary.step} {plain(step.summary.mark)}".strip() for step in (one, other)
    ]
    title: Row = [(fit("", 16), ""), *((fit(name, 18, True) + "  ", "strong") for name in names)]
    rows = [title]
    for compared in COMPARED:
        told = [compared.tell(step) for step in (one, other)]
        better = compared.better if is_fair and is_long else "neither"
        change = _change(compared.value(one), compared.value(other), better, told)
        cells = ((fit(text, 18, True) + "  ", "") for text in told)
        rows.append([(fit(compared.name, 16), "quiet"), *cells, change])
    if not is_fair:
        rows.append([("at different targets nothing is better or worse", "quiet")])
    elif not is_long:
        rows.append([("too short to tell what is better or worse", "quiet")])
    return [crop(row, width) for row in rows]


def _change(
    before: float | None, after: float | None, better: Better, told: Sequence[str]
) -> tuple[str, str]:
    """The difference in percent, and whether that is better, in words and in colour.

    What is only known to be at least so much differs by at least so much, or by nobody knows what.
    """
    starts = [text.startswith(AT_LEAST) for text in told]
    if not before or after is None or starts[0] or (starts[1] and after <= before):
        return ("", "")
    at_least = AT_LEAST if starts[1] else ""
    change = after / before - 1
    if better == "neither" or _alike(before, after):
        return (f"{at_least}{change:+.0%}", "quiet")
    is_better = (change > 0) == (better == "higher")
    word, role = ("better", "good") if is_better else ("worse", "bad")
    return (f"{at_least}{change:+.0%} {word}", role)


def _alike(before: float, after: float) -> bool:
    return abs(after - before) <= SAME * abs(before)
