"""Sources that know visits: their steps, the pauses between them, and how many there are."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadwatch.core.plan import Scenario, Think
from loadwatch.importing import accesslog, har, httperf
from loadwatch.importing.accesslog import Hit, sample
from loadwatch.importing.words import commands
from tests.requests_seen import written

EXAMPLES = Path(__file__).parent.parent / "docs/examples/import"

SESSIONS = """\
# Comment lines start with a hash

# the first session
/foo.html think=2.0
\t/pict1.gif
     /pict2.gif
/foo2.html method=POST contents='Post data'
    /pict3.gif


# the second
/foo3.html method=POST contents="Multiline\\ndata"
/foo4.html method=HEAD
"""
"""All that httperf.1 says of such files."""


def thinks(scenario: Scenario) -> list[float | None]:
    pauses = [step.think for step in scenario.steps]
    return [float(p.least or 0) if isinstance(p, Think) else None for p in pauses]


def test_a_file_of_sessions_is_one_visit_each(tmp_path: Path) -> None:
    file = tmp_path / "sessions.log"
    file.write_text(SESSIONS, encoding="utf-8")
    line = f"httperf --server web.example --rate 3 --wsesslog=5,1.5,{file}"
    draft = httperf.read(*commands(line))
    plan = written(draft)
    first, second = plan.scenarios
    assert (first.rate, second.rate) == (1.5, 1.5)
    assert [step.path for step in first.steps] == [
        "/foo.html", "/pict1.gif", "/pict2.gif", "/foo2.html", "/pict3.gif",
    ]  # fmt: skip
    assert thinks(first) == [None, None, None, 2, None]
    assert [(step.method, step.body) for step in second.steps] == [
        ("POST", "Multiline\ndata"), ("HEAD", None),
    ]  # fmt: skip
    assert thinks(second) == [None, 1.5]
    assert plan.load.requests == 3 * 5 + 2 * 2  # in turn, until there were five
    assert httperf.BURSTS in draft.left_out


@pytest.mark.parametrize(("burst", "pauses"), [(1, [None, 2, 2, 2]), (2, [None, None, 2, None])])
def test_sessions_of_one_page(burst: int, pauses: list[float | None]) -> None:
    line = f"httperf --wsess=10,4,2 --burst-length={burst} --rate 1 --timeout 5 --uri /a"
    plan = written(httperf.read(*commands(line)))
    assert thinks(plan.scenarios[0]) == pauses
    assert (plan.load.requests, plan.scenarios[0].rate) == (40, 1)


def test_a_recording_is_a_visit_with_its_pauses_and_a_jar() -> None:
    """The recorder waited for 1.5, 2 and 1 s before it clicked; a redirect follows at once."""
    draft = har.read((EXAMPLES / "visit.har").read_bytes(), "visit.har", rate=4)
    (visit,) = written(draft).scenarios
    assert visit.rate == 4
    assert [step.name for step in visit.steps] == [
        "home", "accounts-login", "accounts-login-2", "wall-42", "api-like",
    ]  # fmt: skip
    first, form, post, wall, like = thinks(visit)
    assert (first, wall) == (None, None)
    assert 1.5 <= (form or 0) < 2
    assert 2 <= (post or 0) < 2.5
    assert 1 <= (like or 0) < 1.5
    assert not any("Cookie" in step.headers for step in visit.steps)


def test_visits_of_a_log_stand_for_all_of_them() -> None:
    lines = (EXAMPLES / "access.log").read_text(encoding="utf-8").splitlines()
    draft = accesslog.read(lines, "log", "http://a.example", rate=2, sampled=10)
    plan = written(draft)
    assert sum(scenario.rate for scenario in plan.scenarios) == pytest.approx(2)
    steps = sum(scenario.rate / 2 * max(1, len(scenario.steps)) for scenario in plan.scenarios)
    assert steps == pytest.approx(3.49, rel=0.1)  # as the log has it


@given(st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=9), min_size=1), st.integers(1, 9))
def test_a_sample_is_in_order_and_from_the_log(drawn: list[list[int]], number: int) -> None:
    found = [[Hit(at, "a", f"/{at}") for at in visit] for visit in drawn]
    chosen = sample(found, number)
    assert len(chosen) == min(number, len(found))
    assert all(visit in found for visit in chosen)
    assert all(len(a) <= len(b) for a, b in pairwise(chosen))
