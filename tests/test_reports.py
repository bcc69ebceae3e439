"""Results as JUnit XML and Markdown, and the progress of a headless run."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import xmlschema
from hypothesis import given, settings
from hypothesis import strategies as st

from loadwatch.analysis.result import result
from loadwatch.analysis.thresholds import Outcome
from loadwatch.console import CLEAR, Narrator
from loadwatch.core.reading import HostStatus
from loadwatch.core.summary import Summary
from loadwatch.core.tick import Event
from loadwatch.reports.junit import as_junit
from loadwatch.reports.markdown import result_as_markdown, table, text
from loadwatch.reports.standing import standing
from tests import ticks
from tests.ticks import tick

SCHEMA = xmlschema.XMLSchema(Path(__file__).parent / "fixtures" / "junit-10.xsd")

GOOD = Outcome("load.response.p50", "< 500ms", 0.03, True, "30.0 ms")
BAD = Outcome("load.errors.timeout", "< 1/s", 12.0, False, "12.0/s from 0:03 to 0:08", 5)


def made(
    outcomes: Sequence[Outcome] = (GOOD, BAD),
    reasons: Sequence[str] = (),
    hosts: Sequence[HostStatus] = (HostStatus("web", "live"),),
) -> dict[str, Any]:
    summary = Summary()
    for one in ticks.run(30):
        summary.add(one)
    return result(
        summary, duration=30.0, hosts=hosts, reasons=reasons, closed=False,
        session="a.loadwatch", outcomes=outcomes,
    )  # fmt: skip


# -- JUnit ---------------------------------------------------------------------------------------


def test_junit_has_a_case_for_all_that_has_to_hold() -> None:
    xml = as_junit(made())
    SCHEMA.validate(xml)
    suite = ElementTree.fromstring(xml)
    assert (suite.get("tests"), suite.get("failures"), suite.get("time")) == ("5", "1", "30.000")
    cases = {case.get("name"): case.find("failure") for case in suite}
    failure = cases.pop("load.errors.timeout < 1/s within 5 s")
    assert failure is not None
    assert failure.get("message") == "12.0/s from 0:03 to 0:08"
    assert set(cases.values()) == {None}
    assert "load.response.p50 < 500ms" in cases


def test_junit_names_every_failure_of_ours() -> None:
    lost = HostStatus("web", "lost", "connection reset")
    xml = as_junit(made((), ["send lag p99 300 ms", "workers died"], [lost]), "disk is full")
    SCHEMA.validate(xml)
    failures = [case.find("failure") for case in ElementTree.fromstring(xml)]
    messages = [failure.get("message") for failure in failures if failure is not None]
    assert messages == ["send lag p99 300 ms; workers died", "lost", "disk is full"]


@settings(max_examples=50, deadline=None)
@given(st.text(), st.text())
def test_no_text_breaks_the_xml(found: str, problem: str) -> None:
    outcome = Outcome("load.offered", found, None, False, found)
    xml = as_junit(made_once() | {"thresholds": as_result(outcome)}, problem)
    SCHEMA.validate(xml)


def as_result(outcome: Outcome) -> list[dict[str, Any]]:
    return [{"key": outcome.key, "rule": outcome.rule, "window_s": None, "passed": outcome.passed,
             "found": outcome.reason}]  # fmt: skip


_MADE: dict[str, Any] = {}


def made_once() -> dict[str, Any]:
    if not _MADE:
        _MADE.update(made(()))
    return dict(_MADE)


# -- Markdown ------------------------------------------------------------------------------------


def test_markdown_says_how_it_ended() -> None:
    lines = result_as_markdown(made()).splitlines()
    assert lines[0] == "### loadwatch: FAILED"
    assert (
        "| load.errors.timeout \\< 1/s within 5 s | 12.0/s from 0:03 to 0:08 | **FAILED** |"
        in lines
    )
    (home,) = [line for line in lines if line.startswith("| home |")]
    assert home.startswith("| home | 300 | 300 | 10.0/s | ")
    (both,) = [line for line in lines if line.startswith("| all |")]
    assert both.startswith("| all | 360 | 360 | 12.0/s | ")
    assert lines[-1].startswith("Verdict: **")


@pytest.mark.parametrize(
    ("outcomes", "reasons", "word"),
    [((GOOD,), (), "passed"), ((), (), "passed"), ((GOOD, BAD), (), "FAILED"),
     ((BAD,), ("too slow",), "INVALID")],
)  # fmt: skip
def test_how_a_run_ended_in_a_word(outcomes: Any, reasons: Any, word: str) -> None:
    assert standing(made(outcomes, reasons)) == word


def test_no_text_is_a_sign_of_markdown() -> None:
    hostile = "<img src=x>|`a`*b*[c](d)\n# e & f"
    assert text(hostile) == r"\<img src=x\>\|\`a\`\*b\*\[c\](d) \# e \& f"
    lines = table(["a", "b"], [[text("x|y"), "z"]]).splitlines()
    assert lines == ["| a | b |", "| --- | --- |", r"| x\|y | z |"]


def test_an_invalid_result_says_why() -> None:
    said = result_as_markdown(made((), ["send lag p99 300 ms"]), "the disk is full")
    assert "### loadwatch: INVALID" in said
    assert "The load generator was the limit: send lag p99 300 ms" in said
    assert "**the disk is full**" in said


# -- progress ------------------------------------------------------------------------------------


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


LOAD = {"load.offered": 12.0, "load.completed": 11.0, "load.dropped": 0.0, "load.status.200": 11.0}


def narrated(out: io.StringIO, columns: int = 80) -> str:
    narrator = Narrator(out, lambda: columns)
    narrator(tick(0, LOAD, events=(Event(0.0, "start", "firing"),)))
    narrator(tick(1, LOAD))
    narrator(tick(2, LOAD, events=(Event(1.5, "gap", "silent", "web"),)))
    narrator.close()
    return out.getvalue()


def test_a_log_has_a_line_per_second_and_no_codes() -> None:
    assert narrated(io.StringIO()).splitlines() == [
        "0:00  start: firing",
        "0:00  offered 12/s  completed 11/s  200 11",
        "0:01  offered 12/s  completed 11/s  200 11",
        "0:01  gap: web: silent",
        "0:02  offered 12/s  completed 11/s  200 11",
    ]


def test_on_a_terminal_one_line_changes_and_events_stay() -> None:
    first = "0:00  offered 12/s  completed 11/s  200 11"
    assert narrated(Screen()) == "".join(
        [
            f"{CLEAR}0:00  start: firing\n",
            CLEAR + first,
            CLEAR + first.replace("0:00", "0:01"),
            f"{CLEAR}0:01  gap: web: silent\n{CLEAR}" + first.replace("0:00", "0:01"),
            CLEAR + first.replace("0:00", "0:02") + "\n",
        ]
    )


def test_a_progress_line_never_wraps() -> None:
    lines = narrated(Screen(), 20).replace(CLEAR, "\n").splitlines()
    assert max(len(line) for line in lines if "offered" in line) == 19


def test_a_reader_that_is_gone_ends_nothing() -> None:
    out = io.StringIO()
    narrator = Narrator(out)
    out.close()
    narrator(tick(0, LOAD))
    narrator.close()
