"""A result as JUnit XML: a test case per threshold, host and what else has to hold.

The format has no home; this is what Jenkins' xUnit plugin takes (its junit-10.xsd), and with it
GitLab, Azure and what reads GitHub's test reports.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from loadwatch.reports.standing import threshold

_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What no XML 1.0 document may hold."""


def as_junit(result: Mapping[str, Any], problem: str = "") -> str:
    """The XML document; `problem` is a fault of the program's own, such as a full disk."""
    cases = list(_cases(result, problem))
    suite = Element(
        "testsuite",
        name="loadwatch",
        tests=str(len(cases)),
        failures=str(sum(found is not None for *_, found in cases)),
        errors="0",
        time=f"{result['duration_s']:.3f}",
    )
    for group, name, found in cases:
        case = SubElement(suite, "testcase", classname=f"loadwatch.{group}", name=_legal(name))
        if found is not None:
            failure = SubElement(case, "failure", message=_legal(found), type=group)
            failure.text = _legal(found)
    indent(suite)
    return tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def _cases(result: Mapping[str, Any], problem: str) -> Iterator[tuple[str, str, str | None]]:
    """Group, name, and what was found if it does not hold."""
    for outcome in result["thresholds"]:
        yield "thresholds", threshold(outcome), None if outcome["passed"] else outcome["found"]
    generator = result["generator"]
    reasons = None if generator["healthy"] else "; ".join(generator["reasons"])
    yield "generator", "the load generator kept up", reasons
    for name, host in result["hosts"].items():
        lost = host["state"] in ("lost", "failed")
        yield "hosts", f"{name} was watched to the end", host["state"] if lost else None
    yield "session", "the session was recorded", problem or None


def _legal(text: str) -> str:
    return _ILLEGAL.sub("\ufffd", text)
