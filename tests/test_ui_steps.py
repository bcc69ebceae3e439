"""The table of steps: each has statistics of its own, and two are compared."""

from __future__ import annotations

from dataclasses import replace

import pytest

from loadwatch.core.histogram import index_of
from loadwatch.core.tick import Tick
from loadwatch.ui import table
from loadwatch.ui.steps import FIELDS, Step, Steps, compare
from loadwatch.ui.view import View
from tests.ui_fakes import MIB, STATUS, seen, text_of, tick


def second(at: int, step: int, rate: float, **more: float) -> Tick:
    """A second of `rate` requests, all answered in 20 ms × step, on a host that does little."""
    values = {
        "load.offered": rate, "load.completed": rate, "load.in_flight": 0.0,
        "load.response.mean": 0.02 * step, "host.web.cpu.us": 10.0 * step, "host.web.cpu.sy": 5.0,
        "host.web.group.backends.rss": 100.0 * MIB * step, "host.web.group.db.rss": 50.0 * MIB,
        "host.web.swap.in": 0.0, "host.web.swap.out": 1.0 * MIB, **more,
    }  # fmt: skip
    counts = {("home", "response"): {index_of(20_000 * step): int(rate)}}
    return replace(tick(at, values, histograms=counts), step=step, rates={"home": rate})


def two_steps(first: float = 10.0, other: float = 20.0, end: int = 120, **more: float) -> View:
    ticks = [second(at, 1, first) for at in range(60)]
    return seen([*ticks, *(second(at, 2, other, **more) for at in range(60, end))], status=STATUS)


def cells(step: Step) -> dict[str, str]:
    """Name of a column -> what it shows."""
    return {field.name: "".join(text for text, _ in field.show(step)) for field in FIELDS}


def test_each_step_has_statistics_of_its_own() -> None:
    one, other = (cells(step) for step in Steps().of(two_steps(end=100)))
    assert one == {
        "STEP": "1", "FROM": "0:00", "LASTS": "1:00", "TARGET": "10/s", "ACHIEVED": "10/s",
        "ERRORS": "0 %", "p50": "20.0 ms", "p95": "20.0 ms", "p99": "20.0 ms", "STEADY": "✓ yes",
        "CPU": "15 %", "RSS": "150 MiB", "SWAP IN": "0 B/s", "SWAP OUT": "1 MiB/s", "MARK": "",
    }  # fmt: skip
    assert (other["STEP"], other["FROM"], other["TARGET"]) == ("2", "1:00", "20/s")
    assert (other["p50"], other["CPU"], other["RSS"]) == ("40.0 ms", "25 %", "250 MiB")
    assert other["STEADY"] == "– too short"


def test_errors_are_a_share_of_what_was_offered() -> None:
    failing = {"load.status.5xx": 4.0, "load.errors.timeout": 1.0}
    _, other = Steps().of(two_steps(**failing))
    assert other.errors == pytest.approx(0.25)
    assert cells(other)["ERRORS"] == "25 %"


def test_a_closed_loop_has_no_target_and_an_unwatched_host_no_numbers() -> None:
    closed = [replace(tick(at, {"load.offered": 5.0, "load.completed": 5.0}), rates={})
              for at in range(9)]  # fmt: skip
    (step,) = Steps().of(seen(closed))
    shown = cells(step)
    assert shown["TARGET"] == "max"
    assert {shown[name] for name in ("CPU", "RSS", "SWAP IN", "p99")} == {"–"}


def test_a_step_that_is_over_is_worked_out_once() -> None:
    view, steps = two_steps(), Steps()
    first = steps.of(view)
    again = steps.of(view)
    assert again[0] is first[0]
    assert again[1] is not first[1]


def test_a_step_that_is_over_is_looked_back_at_as_it_was() -> None:
    view, steps = two_steps(), Steps()
    steps.of(view)
    (then,) = steps.of(replace(view, end=30, step=view.history.step_until(30)))
    assert (then.summary.seconds, then.steady) == (30, None)
    assert then.summary.count("load.completed") == 300


def test_what_is_not_begun_at_the_end_of_the_view_is_not_listed() -> None:
    view = two_steps()
    assert len(Steps().of(replace(view, end=60))) == 1


def test_a_line_shows_whole_fields_only() -> None:
    (step, _) = Steps().of(two_steps())
    for width in range(8, 200):
        row, head = table.line(FIELDS, step, width), table.head(FIELDS, -1, False, width)
        assert "…" not in "".join(text_of([row, head]))
        assert all(len(line) <= width for line in text_of([row, head]))


def test_at_the_same_target_a_difference_is_better_or_worse() -> None:
    lines = text_of(compare(*Steps().of(two_steps(10.0, 10.0)), 100))
    said = {line[:16].strip(): line[16:].split() for line in lines}
    assert said["response p50"] == ["20.0", "ms", "40.0", "ms", "+100%", "worse"]
    assert said["achieved"] == ["10/s", "10/s", "+0%"]
    assert said["RSS"][-1] == "worse"
    assert said["swap in"] == ["0", "B/s", "0", "B/s"]  # nothing can be said relative to nothing
    better = text_of(compare(*reversed(Steps().of(two_steps(10.0, 10.0))), 100))
    assert any(line.startswith("response p50") and line.endswith("-50% better") for line in better)


def test_of_a_step_that_is_too_short_nothing_is_known_to_be_better_or_worse() -> None:
    lines = text_of(compare(*Steps().of(two_steps(10.0, 10.0, end=110)), 100))
    assert not any("better" in line or "worse" in line for line in lines[:-1])
    assert any(line.startswith("response p50") and line.endswith("+100%") for line in lines)
    assert lines[-1] == "too short to tell what is better or worse"


def test_at_different_targets_nothing_is_better_or_worse() -> None:
    lines = text_of(compare(*Steps().of(two_steps(10.0, 20.0)), 100))
    assert not any(line.endswith(("better", "worse")) for line in lines[:-1])
    assert lines[-1] == "at different targets nothing is better or worse"


def test_what_is_at_least_so_much_differs_by_at_least_that_or_by_nobody_knows_what() -> None:
    one, other = Steps().of(two_steps(10.0, 10.0))
    late = replace(other, times=(0.04, 0.04, 10.0), times_told=("40.0 ms", "40.0 ms", "≥ 10.0 s"))

    def p99(before: Step, after: Step) -> str:
        lines = text_of(compare(before, after, 100))
        return next(line for line in lines if line.startswith("response p99")).strip()

    assert p99(one, late).endswith("≥ +49863% worse")  # 20 ms are read off a histogram
    assert p99(late, one).endswith("20.0 ms")
    longer = replace(one, times=(0.02, 0.02, 12.0), times_told=("20.0 ms", "20.0 ms", "12.0 s"))
    assert p99(longer, late).endswith("≥ 10.0 s")
