"""Reports of sessions: one file that needs nothing else, and says what the session says."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from loadwatch.analysis.result import result
from loadwatch.analysis.thresholds import Outcome
from loadwatch.config import redact
from loadwatch.core.plan import Load, Plan, Scenario, Target
from loadwatch.core.reading import HostStatus
from loadwatch.core.summary import Summary
from loadwatch.core.tick import Event, Tick
from loadwatch.reports import charts, searches
from loadwatch.reports.charts import as_data
from loadwatch.reports.digest import Digest, digest
from loadwatch.reports.html import as_html
from loadwatch.reports.markdown import as_markdown, fenced
from loadwatch.session import open_session
from tests import ticks, ui_fakes
from tests.ledgers import Measured, as_found
from tests.recordings import record
from tests.ticks import tick

PLAN = Plan(Target("http://heywall.example"), Load(seed=7), (Scenario("home"), Scenario("wall")))
META = {"target": PLAN.target.url, "plan": redact(PLAN), "seed": 7, "arrival": "poisson"}


def came_to(made: Iterable[Tick], **more: Any) -> dict[str, Any]:
    summary = Summary()
    for one in made:
        summary.add(one)
    given: dict[str, Any] = {"hosts": [HostStatus("web", "live")], "reasons": (), **more}
    return result(summary, duration=summary.firing, closed=False, session="", **given)


def recorded(
    path: Path,
    made: Iterable[Tick],
    meta: Mapping[str, object] = META,
    came: Mapping[str, object] | None = None,
) -> Path:
    return record(path, made, meta, came, ui_fakes.CATALOGUE)


def read(path: Path) -> Digest:
    with open_session(path) as session:
        return digest(session)


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five minutes of a server that is asked for too much."""
    directory = tmp_path_factory.mktemp("report")
    made = list(ui_fakes.story(300))
    failed = Outcome("load.response.p95", "< 500ms", 0.7, False, "700 ms")
    return recorded(directory / "a.loadwatch", made, META, came_to(made, outcomes=[failed]))


class Page(HTMLParser):
    """What a browser would find: text, data, elements, and all that it would fetch."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.data = ""
        self.fetched: list[str] = []
        self.ids: list[str] = []
        self.tags: list[str] = []
        self.policy = ""
        self._open: list[tuple[str, str]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.tags.append(tag)
        self.fetched += [given[name] for name in ("src", "href", "action") if name in given]
        self.ids += [given["id"]] if "id" in given else []
        if given.get("http-equiv") == "Content-Security-Policy":
            self.policy = given["content"]
        if tag in ("script", "style", "title"):
            self._open.append((tag, given.get("id", "")))

    def handle_endtag(self, tag: str) -> None:
        if self._open and self._open[-1][0] == tag:
            self._open.pop()

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] == ("script", "data"):
            self.data += data
        elif not self._open:
            self.words.append(data)

    @property
    def text(self) -> str:
        return "\n".join(self.words)


# -- HTML ----------------------------------------------------------------------------------------


def test_a_page_fetches_nothing(session: Path) -> None:
    page = Page(as_html(read(session)))
    assert page.fetched == []
    assert page.policy.startswith("default-src 'none';")
    assert not {"link", "img", "iframe", "object"} & set(page.tags)


def test_a_page_says_what_the_session_says(session: Path) -> None:
    page = Page(as_html(read(session)))
    for words in (
        "heywall.example", "FAILED", "load.response.p95 < 500ms", "700 ms", "unknown",
        "Limit: 38/s held, 56/s did not: swapping", "home 20/s, wall 4/s", "10 backends",
        "not saturated", "swapping", "poisson", '"seed": 7', "web (live, 0 gaps)",
    ):  # fmt: skip
        assert words in page.text, words
    titles = [chart["title"] for chart in json.loads(page.data)["charts"]]
    assert titles == [
        "Requests per second", "Failures per second", "Response time", "web: CPU",
        "web: memory of processes (RSS)", "web: swap",
    ]  # fmt: skip
    assert [i for i in page.ids if i.startswith("chart-")] == [f"chart-{n}" for n in range(6)]


HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>&\"'`|*_"


def test_no_text_becomes_markup(tmp_path: Path) -> None:
    made = [
        replace(one, events=(Event(1.0, "host", HOSTILE, HOSTILE),), mark=HOSTILE if second else "",
                step=1 + bool(second))
        for second, one in enumerate(ticks.run(10))
    ]  # fmt: skip
    path = record(tmp_path / "a.lw", made, {**META, "name": HOSTILE, "target": HOSTILE})
    page = Page(as_html(read(path)))
    assert page.fetched == []
    assert page.tags.count("script") == 3
    assert "img" not in page.tags
    assert HOSTILE in page.text
    assert json.loads(page.data)["steps"][0]["mark"] == HOSTILE
    said = as_markdown(read(path)).split("<details>")[0]
    assert not [line for line in said.splitlines() if "<img" in line.replace("\\<", "")]
    assert "`" not in said.replace("\\`", "")


# -- charts --------------------------------------------------------------------------------------


def chart_of(data: dict[str, Any], title: str) -> dict[str, list[float | None]]:
    (chart,) = [chart for chart in data["charts"] if chart["title"] == title]
    return {one["label"]: one["values"] for one in chart["series"]}


def test_charts_share_one_time(session: Path) -> None:
    data = as_data(read(session))
    assert data["time"] == list(range(300))
    assert {len(one["values"]) for chart in data["charts"] for one in chart["series"]} == {300}
    assert data["steps"] == [
        {"at": 60, "mark": ""}, {"at": 120, "mark": "10 backends"}, {"at": 180, "mark": ""},
        {"at": 240, "mark": ""},
    ]  # fmt: skip


def test_a_gap_is_a_gap_and_what_did_not_occur_is_zero(tmp_path: Path) -> None:
    made = [
        tick(0, {"load.offered": 4.0, "load.response.p50": 0.012, "host.web.swap.in": 2.0**21}),
        tick(1, {"load.offered": 4.0, "load.errors.timeout": 3.0}),
        tick(2, {}),
    ]
    data = as_data(read(recorded(tmp_path / "a.lw", made, META)))
    assert chart_of(data, "Failures per second")["timeout"] == [0.0, 3.0, None]
    assert chart_of(data, "Response time")["p50"] == [12.0, None, None]
    assert chart_of(data, "web: swap")["in"] == [2.0, None, None]


def test_long_runs_are_thinned_out_without_losing_a_spike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(charts, "POINTS", 4)
    made = [
        tick(n, {"load.offered": float(n), "load.in_flight": 0.0,
                 "load.response.p99": 1.0 if n == 5 else 0.1})
        for n in range(10)
    ]  # fmt: skip
    data = as_data(read(recorded(tmp_path / "a.lw", made, META)))
    assert (data["stride"], data["time"]) == (3, [0, 3, 6, 9])
    assert chart_of(data, "Requests per second")["offered"] == [1.0, 4.0, 7.0, 9.0]
    assert chart_of(data, "Response time")["p99"] == [100.0, 1000.0, 100.0, 100.0]


# -- limit, Markdown -----------------------------------------------------------------------------


def test_the_steps_of_a_calm_run_tell_no_upper_bound(tmp_path: Path) -> None:
    made = list(ui_fakes.story(100))
    assert read(recorded(tmp_path / "a.lw", made, META)).limit == "24/s held"
    closed = [replace(one, rates={}) for one in made]
    assert read(recorded(tmp_path / "b.lw", closed, META)).limit == "the steps do not tell"


def test_limits_that_were_found_are_told(tmp_path: Path) -> None:
    made = list(ui_fakes.story(100))
    searched = [as_found(Measured("5 backends", "", 17, 18, p95=1.2), 0)]
    found = read(recorded(tmp_path / "a.lw", made, META, came_to(made, limits=searched)))
    assert found.limit == "home 83 %, wall 17 % 17–18/s"
    row = "| 5 backends | 17–18/s | 1.20 s | 10 ms |"
    assert row in as_markdown(found)
    page = Page(as_html(found))
    assert "Limits" in page.text and "sustains 8, fails at 8.4" in page.text
    assert "5 backends: 17–18/s: worker queue" in page.text
    assert "search-0" in page.ids
    (search,) = json.loads(page.data)["searches"]
    assert (search["rates"], search["answered"], search["p95"]) == ([17, 18], [17, 18], [1200, 9e3])
    assert search["marks"] == [{"at": 17, "text": "sustains"}, {"at": 18, "text": "fails"}]


def test_of_trials_at_one_rate_the_last_counts_and_spoilt_ones_do_not() -> None:
    search = as_found(Measured("", "home", 10, 20), 0)
    fails, passes = search["trials"]
    search["trials"] = [
        passes | {"p95_ms": 1.0}, fails, passes | {"p95_ms": None},
        fails | {"rate": 40, "verdict": "INVALID", "reason": "send lag"},
    ]  # fmt: skip
    (drawn,) = searches.as_data([search])
    assert (drawn["rates"], drawn["p95"]) == ([10, 20], [None, 9e3])
    rows = searches.trial_rows(search)
    assert [row[:2] for row in rows] == [
        ["10/s", "PASS"], ["20/s", "FAIL"], ["10/s", "PASS"], ["40/s", "INVALID"],
    ]  # fmt: skip
    assert rows[2][4] == "–" and rows[3][-1] == "send lag"


def test_of_an_invalid_run_nothing_is_claimed(tmp_path: Path) -> None:
    made = list(ui_fakes.story(100))
    came = came_to(made, reasons=["send lag p99 300 ms"])
    found = read(recorded(tmp_path / "a.lw", made, META, came))
    assert {verdict.name for verdict in found.verdicts} == {"client-limited"}
    assert "held" not in found.limit
    assert "INVALID" in Page(as_html(found)).text


def test_markdown_for_a_pull_request(session: Path) -> None:
    lines = as_markdown(read(session)).splitlines()
    assert lines[0] == "## a: FAILED"
    assert "Limit: 38/s held, 56/s did not: swapping." in lines
    (step,) = [line for line in lines if line.startswith("| 5 |")]
    assert "home 50/s, wall 32/s" in step
    assert step.endswith("| swapping |")
    assert "| load.response.p95 \\< 500ms | 700 ms | **FAILED** |" in lines


def test_a_block_of_code_ends_where_it_ends() -> None:
    assert fenced("a") == "```\na\n```"
    assert fenced("a ```` b") == "`````\na ```` b\n`````"


# -- the verb ------------------------------------------------------------------------------------


def report(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "loadwatch", "report", *arguments],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_the_suffix_says_which(session: Path, tmp_path: Path) -> None:
    for name in ("report.html", "report.md"):
        done = report(str(session), "-o", str(tmp_path / name))
        assert (done.returncode, done.stdout) == (0, f"{tmp_path / name}\n")
    assert (tmp_path / "report.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    piped = report(str(session), "-o", "-")
    assert piped.stdout == (tmp_path / "report.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("output", "message"),
    [("report.pdf", "report.pdf: a report is .html or .md"),
     ("none/report.html", "cannot be written: No such file or directory")],
)  # fmt: skip
def test_what_cannot_be_is_one_line(
    session: Path, tmp_path: Path, output: str, message: str
) -> None:
    done = report(str(session), "-o", str(tmp_path / output))
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.soak
def test_a_browser_draws_every_chart(session: Path, tmp_path: Path) -> None:
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("needs chromium")
    page = tmp_path / "report.html"
    page.write_text(as_html(read(session)), encoding="utf-8")
    done = subprocess.run(
        [chromium, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom", page.as_uri()],
        capture_output=True, text=True, timeout=100, check=True,
    )  # fmt: skip
    assert done.stdout.count("<canvas") == 6
    assert done.stdout.count('class="u-legend') == 6
