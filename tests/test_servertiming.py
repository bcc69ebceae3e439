"""What a server tells of its own work, from the bytes of a head to metrics; also hostile text."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from csv import DictReader
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadwatch import config, console
from loadwatch.analysis.result import _told, result
from loadwatch.core.bucket import Bucket, ScenarioBucket, add
from loadwatch.core.errors import PlanError
from loadwatch.core.histogram import Histogram
from loadwatch.core.history import History
from loadwatch.core.plan import NAME
from loadwatch.core.summary import Summary
from loadwatch.core.tick import Tick, step_owner
from loadwatch.core.ticker import Ticker
from loadwatch.demo.launch import Site
from loadwatch.load.fleet import share_out
from loadwatch.load.httpx_engine import HttpxEngine
from loadwatch.load.servertiming import ENTRIES, LONGEST, NAMES, SAMPLE, Sample, durations
from loadwatch.load.stream import Stream
from loadwatch.load.wire import Wire
from loadwatch.session import Excerpt, open_session
from loadwatch.session.exporters import csv, hlog
from loadwatch.watching import catalogue
from tests.runs import run
from tests.servers import Behaviour, answering, serving

HEADERS = ("Server-Timing", "X-Query-Count")


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (b"db;dur=53.2", [("db", 0.0532)]),
        (b'db;dur=53;desc="12 queries", app;dur=47.2', [("db", 0.053), ("app", 0.0472)]),
        # The order of parameters, blanks and capitals do not matter; the first duration counts.
        (b'  app ;\tdesc="a" ; DUR = 4 ;dur=5', [("app", 0.004)]),
        (b'db;dur="1.5"', [("db", 0.0015)]),
        (b"db;dur=.5,e;dur=1e-1", [("db", 0.0005), ("e", 0.0001)]),
        # A comma or a semicolon in a string is text; so is what looks like a duration there.
        (b'cache;desc="a, b;dur=9";dur=2', [("cache", 0.002)]),
        (rb'cache;desc="a \" b, c;dur=9";dur=2', [("cache", 0.002)]),
        # What has no duration says no number, and is not broken: as Fastly and Cloudflare send it.
        (b'HIT, cfL4;desc="?proto=TCP&rtt=1", cfEdge;dur=7', [("cfEdge", 0.007)]),
        (b"", []),
        (b" , ,", []),
        # A name becomes a segment of a key: as Rails sends it.
        (b"sql.active_record;dur=1", [("sql_active_record", 0.001)]),
        (b"a`|~#;dur=1", [("a____", 0.001)]),
        # As browsers do, what stands between parameters is passed over.
        (b"db;desc=My SQL;dur=5", [("db", 0.005)]),
        # Broken, one by one.
        (b"db;dur", [None]),
        (b"db;dur=", [None]),
        (b"db;dur=fast, app;dur=1", [None, ("app", 0.001)]),
        (b"db;dur=-1", [None]),
        (b"db;dur=nan,db;dur=inf,db;dur=1_0,db;dur=0x1", [None] * 4),
        (b'=1, ;dur=1, "db";dur=2, two words;dur=3', [None] * 4),
        (b'db;desc="no end;dur=1, app;dur=2', []),
        (b"\xc3\xa4;dur=1", [None]),
        (b"[red];dur=1, \x1b[31m;dur=1, ${env:A};dur=1", [None] * 3),
        (b"a" * 41 + b";dur=1", [None]),
        (b"a;x=" + b"b" * LONGEST + b";dur=1", [None]),
        (b",".join([b"a;dur=1"] * (ENTRIES + 2)), [("a", 0.001)] * ENTRIES + [None] * 2),
    ],
)
def test_entries(value: bytes, told: list[tuple[str, float] | None]) -> None:
    found = list(durations(value))
    assert [entry and entry[0] for entry in found] == [entry and entry[0] for entry in told]
    assert [e[1] for e in found if e] == pytest.approx([e[1] for e in told if e])


@given(st.one_of(st.binary(), st.text('db";,=\\ dur1.', max_size=200).map(str.encode)))
def test_whatever_it_says_is_a_name_and_a_time_or_broken(value: bytes) -> None:
    for entry in durations(value):
        if entry is not None:
            name, seconds = entry
            assert NAME.fullmatch(name)
            assert seconds >= 0


@pytest.mark.parametrize(
    "part", [b'"', rb"\"", b'"\\', b"a;", b";=", b"a;dur=", b" ", b'a="', b","]
)
def test_no_text_takes_long_to_be_refused(part: bytes) -> None:
    """Were it quadratic, two hundred of them would take longer than a test may."""
    for _ in range(200):
        list(durations(part * (LONGEST // len(part))))


def head(*lines: bytes, status: bytes = b"200 OK") -> bytes:
    return b"\r\n".join([b"HTTP/1.1 " + status, *lines, b"Content-Length: 2", b"", b"ok"])


def sampled(*answers: bytes, headers: tuple[str, ...] = HEADERS) -> ScenarioBucket:
    sample, bucket = Sample(headers), ScenarioBucket()
    sample.begin(bucket)
    for answer in answers:
        sample.read(answer)
    return bucket


def values(bucket: ScenarioBucket, kind: str) -> list[float]:
    """Every recorded value, in microseconds or as a number, in order."""
    found = Histogram(bucket.told[kind])
    shares = tuple((n + 1) / found.total for n in range(found.total))
    return [round((value or 0) * 1e6) for value in found.percentiles(shares)]


def test_the_times_and_numbers_of_a_head() -> None:
    answer = head(b"server-TIMING: db;dur=1.5, app;dur=2", b"x-query-count:  81 ")
    bucket = sampled(answer, head())
    assert set(bucket.told) == {"server.db", "server.app", "header.x-query-count"}
    assert values(bucket, "server.db") == [1500]
    assert values(bucket, "header.x-query-count") == [81]
    assert (bucket.sampled, bucket.unreadable) == (2, 0)


def test_entries_of_one_name_in_one_answer_add_up() -> None:
    bucket = sampled(head(b"Server-Timing: db;dur=1, db;dur=0.5", b"Server-Timing: db;dur=0.25"))
    assert values(bucket, "server.db") == [1750]


def test_the_body_tells_nothing() -> None:
    bucket = sampled(head()[:-2] + b"\r\nServer-Timing: db;dur=1\r\n\r\n")
    assert bucket.told == {}


@pytest.mark.parametrize("count", [b"", b"many", b"-1", b"1.5", b"81 82", b"99999999999", b"1e9"])
def test_a_header_that_holds_no_whole_number_is_counted(count: bytes) -> None:
    bucket = sampled(head(b"X-Query-Count: " + count))
    assert (bucket.told, bucket.unreadable) == ({}, 1)


def test_what_takes_over_an_hour_is_no_time() -> None:
    bucket = sampled(head(b"Server-Timing: db;dur=3600001, app;dur=1e999, x;dur=3600000"))
    assert (set(bucket.told), bucket.unreadable) == ({"server.x"}, 2)


def test_there_is_an_end_to_the_names() -> None:
    """The first ones are kept, in later seconds too; of others it is said that there were some."""
    sample = Sample(HEADERS)
    kept = {f"server.n{number}" for number in range(NAMES)}
    for second in range(3):
        bucket = ScenarioBucket()
        sample.begin(bucket)
        names = [b"n%d;dur=1" % number for number in range(20 * second, 20 * second + 20)]
        sample.read(head(b"Server-Timing: " + b", ".join(names), b"X-Query-Count: 1"))
        sample.read(head(b"Server-Timing: n3;dur=1"))
        assert set(bucket.told) <= kept | {"header.x-query-count"}
        assert bucket.unreadable == (20 - NAMES if second == 0 else 20)
        assert "server.n3" in bucket.told


def test_only_what_the_plan_names_is_read() -> None:
    answer = head(b"Server-Timing: db;dur=1", b"X-Query-Count: 3", b"X-Other: 4")
    assert set(sampled(answer, headers=("x-other",)).told) == {"header.x-other"}
    assert set(sampled(answer, headers=("Server-Timing",)).told) == {"server.db"}
    nothing = Sample(())
    nothing.begin(ScenarioBucket())
    assert nothing.left == 0


def test_the_plan_says_which_headers() -> None:
    def plan(headers: object) -> config.Plan:
        target = {"url": "http://x", "server_timing": headers}
        return config.decode({"target": target, "scenario": [{"name": "home"}]}, "plan")

    assert share_out(plan(["X-Runtime"]))[0].server_timing == ["X-Runtime"]
    default = config.plan_for("http://x/")
    assert share_out(default)[0].server_timing == ["Server-Timing"]
    for wrong in (["X Y"], ["A: b"], [""], ["a"] * 9, "Server-Timing"):
        with pytest.raises(PlanError, match="server_timing"):
            plan(wrong)


# -- the engines ---------------------------------------------------------------------------------

TOLD = head(b"Date: Mon, 23 Nov 2026 21:03:15 GMT", b"Server-Timing: db;dur=2", b"X-Query-Count: 7")


async def fire(wire: Wire, stream: Stream, times: int) -> None:
    for _ in range(times):
        now = time.monotonic()
        wire.fire(stream, now, now)
        while wire.open:
            await asyncio.sleep(0)


async def test_of_like_answers_the_first_of_a_second_are_read_and_the_rest_are_not() -> None:
    """What is known to be alike is not parsed for that: it takes one lesson, however long."""
    async with serving(answering(TOLD)) as port:
        wire = Wire("127.0.0.1", port, None, 5, 10)
        stream = Stream("home", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", sample=Sample(HEADERS))
        for _ in range(3):
            await fire(wire, stream, SAMPLE + 20)
            assert stream.known == TOLD
            bucket = stream.take()
            assert bucket.completed == SAMPLE + 20
            assert bucket.sampled == SAMPLE
            assert values(bucket, "server.db") == [2000] * SAMPLE
            assert values(bucket, "header.x-query-count") == [7] * SAMPLE
        assert stream.lessons == Stream.LESSONS - 1
        wire.close()


async def test_answers_that_differ_are_sampled_too() -> None:
    number = 0

    async def behave(request: bytes, writer: asyncio.StreamWriter) -> bool:
        nonlocal number
        number += 1
        writer.write(head(b"Server-Timing: db;dur=%d" % number))
        return True

    async with serving(behave) as port:
        wire = Wire("127.0.0.1", port, None, 5, 10)
        stream = Stream("home", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", sample=Sample(HEADERS))
        await fire(wire, stream, SAMPLE + 20)
        bucket = stream.take()
        wire.close()
    assert bucket.completed == SAMPLE + 20
    assert Histogram(bucket.told["server.db"]).total == SAMPLE
    assert Histogram(bucket.told["server.db"]).max == pytest.approx(SAMPLE / 1000, rel=0.001)


def parts(answer: bytes, size: int) -> Iterator[bytes]:
    return (answer[at : at + size] for at in range(0, len(answer), size))


@pytest.mark.parametrize(
    ("behaviour", "bodiless"),
    [
        (answering(*parts(TOLD, 7), pause=0.0001), False),
        (answering(b"HTTP/1.1 103 Early Hints\r\nServer-Timing: no;dur=1\r\n\r\n" + TOLD), False),
        (answering(TOLD[:-2]), True),
        (answering(TOLD.replace(b"Content-Length: 2", b"Connection: close"), keep=False), False),
        (answering(TOLD.replace(b"200 OK", b"503 Busy")), False),
    ],
)
async def test_however_an_answer_comes(behaviour: Behaviour, bodiless: bool) -> None:
    async with serving(behaviour) as port:
        wire = Wire("127.0.0.1", port, None, 5, 10)
        stream = Stream(
            "home", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", bodiless=bodiless, sample=Sample(HEADERS)
        )
        await fire(wire, stream, 2)
        bucket = stream.take()
        wire.close()
    assert bucket.completed == 2
    assert values(bucket, "server.db") == [2000, 2000]
    assert "server.no" not in bucket.told


async def test_by_httpx() -> None:
    async def behave(request: httpx.Request) -> httpx.Response:
        told = [("Server-Timing", "db;dur=2"), ("Server-Timing", "x"), ("x-query-count", "7")]
        return httpx.Response(200, headers=told, stream=httpx.ByteStream(b"ok"))

    engine = HttpxEngine("http://x", httpx.MockTransport(behave), 5, 10)
    request = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    stream = Stream("home", request, sample=Sample(HEADERS))
    for _ in range(SAMPLE + 5):
        engine.fire(stream, time.monotonic(), time.monotonic())
        while engine.open:
            await asyncio.sleep(0)
    bucket = stream.take()
    await engine.aclose()
    assert bucket.completed == SAMPLE + 5
    assert values(bucket, "server.db") == [2000] * SAMPLE
    assert values(bucket, "header.x-query-count") == [7] * SAMPLE


# -- metrics -------------------------------------------------------------------------------------


def ticks(*seconds: list[tuple[float, int]]) -> Iterator[Tick]:
    """Seconds of a wall whose answers told of database times (ms) and queries; two workers."""
    ticker = Ticker(["home", "wall"], (), lambda values: {})
    for second, told in enumerate(seconds):
        for worker, own in enumerate((told[::2], told[1::2])):
            lines = (b"Server-Timing: db;dur=%f\r\nX-Query-Count: %d" % one for one in own)
            wall = sampled(*(head(line) for line in lines))
            wall.offered = len(own)
            ticker.bucket(Bucket(worker, second, [ScenarioBucket(offered=1), wall]))
        yield ticker.close()


def test_a_second_has_means_and_percentiles_and_says_of_how_many() -> None:
    (tick,) = ticks([(1, 80), (2, 80), (3, 80), (10, 81)])
    assert tick.values["scenario.wall.server.db.mean"] == pytest.approx(0.004, rel=0.001)
    assert tick.values["scenario.wall.server.db.p95"] == pytest.approx(0.010, rel=0.001)
    assert tick.values["scenario.wall.header.x-query-count.mean"] == 80.25
    assert tick.values["scenario.wall.header.x-query-count.p95"] == 81
    assert tick.values["scenario.wall.server.sampled"] == 4
    assert tick.values["scenario.wall.server.unreadable"] == 0
    # Samples of several scenarios do not mix; and what told nothing has no value.
    assert not [key for key in tick.values if key.startswith("load.server")]
    assert not [key for key in tick.values if key.startswith("scenario.home.server")]


def test_a_stretch_merges_what_was_told() -> None:
    summary = Summary()
    for tick in ticks([(1.0, 2)] * 90, [(9.0, 2)] * 10, []):
        summary.add(tick)
    of = catalogue().of
    mean = summary.value(of("scenario.wall.server.db.mean"))
    assert mean == pytest.approx(0.0018, rel=0.001)  # and not 5, the mean of the means
    assert summary.value(of("scenario.wall.server.db.p95")) == pytest.approx(0.009, rel=0.001)
    assert summary.value(of("scenario.wall.header.x-query-count.p95")) == 2
    assert not summary.is_at_least(of("scenario.wall.server.db.p95"))
    few = Summary()
    for tick in ticks([(1.0, 2)] * 20):
        few.add(tick)
    assert few.value(of("scenario.wall.server.db.p95")) is None  # too few to know it


def test_timeouts_are_none_of_the_servers_times() -> None:
    (tick,) = ticks([(1.0, 2)] * 100)
    values = {**tick.values, "scenario.wall.errors.timeout": 50.0}
    summary = Summary()
    summary.add(Tick(0, 0.0, 1, "", {}, values, tick.histograms))
    assert not summary.is_at_least(catalogue().of("scenario.wall.server.db.p95"))


def test_every_key_is_declared() -> None:
    history = History()
    for tick in ticks([(1, 80)] * 3):
        history.add(tick)
    told = [key for key in history.keys if ".server." in key or ".header." in key]
    assert len(told) == 6
    suffixes = {catalogue().of(key).unit.suffix for key in told}
    assert suffixes == {"ms", "per_s", ""}


def test_a_run_against_a_site_that_tells_and_its_exports(tmp_path: Path) -> None:
    with Site(["--backends", "1"]) as site:
        plan = (
            f'[target]\nurl = "{site.url}"\nserver_timing = ["Server-Timing", "X-Query-Count"]\n'
            '[load]\narrival = "uniform"\nworkers = 1\n'
            f'[[scenario]]\nname = "home"\nrate = {3 * SAMPLE}\n'
            '[[scenario]]\nname = "wall"\npath = "/wall/42/"\nrate = 10\n'
            'headers = { Cookie = "${env:WALL}" }\n'
            '[thresholds]\n"scenario.wall.header.x-query-count.mean" = "== 80"\n'
            '"scenario.*.server.db.mean" = { rule = "< 10s", window = "2s" }\n'
        )
        found = run(plan, tmp_path, "--duration", "3s", WALL=site.cookie)
    assert all(outcome["passed"] for outcome in found["thresholds"]), found["thresholds"]
    assert len(found["thresholds"]) == 3
    home, wall = (found["scenarios"][name]["server"] for name in ("home", "wall"))
    assert SAMPLE < home["sampled"] < found["scenarios"]["home"]["completed"]
    assert wall["sampled"] == found["scenarios"]["wall"]["completed"]
    assert wall["unreadable"] == 0
    assert set(wall["times_ms"]) == {"queue", "app", "db", "render"}
    assert wall["times_ms"]["app"]["mean"] > wall["times_ms"]["db"]["mean"] > 0
    assert wall["times_ms"]["db"]["p95"] is None  # of 30 answers
    assert home["times_ms"]["db"]["p95"] > 0
    assert wall["numbers"] == {"x-query-count": {"mean": 80, "p95": None}}
    with open_session(tmp_path / "s.loadwatch") as recorded:
        csv.export(Excerpt(recorded), tmp_path)
        files = hlog.export(Excerpt(recorded), tmp_path)
    assert "wall.server.db.hlog" in {path.name for path in files}
    with (tmp_path / "timeline.csv").open() as file:
        rows = list(DictReader(file))
    assert max(float(row["scenario.home.server.sampled_per_s"]) for row in rows) == SAMPLE
    assert all(row["scenario.wall.header.x-query-count.mean"] in ("80", "") for row in rows)
    assert any(float(row["scenario.wall.server.db.p95_ms"] or 0) > 0 for row in rows)
    with (tmp_path / "steps.csv").open() as file:
        (step,) = DictReader(file)
    known = step["scenario.home.server.db.p95_ms"]
    assert float(known) == pytest.approx(home["times_ms"]["db"]["p95"])
    assert "scenario.home.server.db.at_least" not in step


def test_steps_of_visits_tell_on_their_own() -> None:
    """And all of them together are the scenario's."""
    ticker = Ticker(["visit"], (), lambda values: {})
    parts = {
        name: sampled(*[head(b"Server-Timing: db;dur=%d" % time)] * 100)
        for name, time in (("form", 1), ("wall", 9))
    }
    visit = ScenarioBucket(offered=200, steps=parts)
    for part in parts.values():
        add(visit, part)
    ticker.bucket(Bucket(0, 0, [visit]))
    summary = Summary()
    summary.add(tick := ticker.close())
    told = _told(summary, "visit"), _told(summary, step_owner("visit", "wall"))
    for key, mean in (("scenario.visit", 5), ("scenario.visit.step.form", 1),
                      ("scenario.visit.step.wall", 9)):  # fmt: skip
        assert tick.values[f"{key}.server.db.mean"] == pytest.approx(mean / 1000, rel=0.001)
        metric = catalogue().of(f"{key}.server.db.mean")
        assert summary.value(metric) == pytest.approx(mean / 1000, rel=0.001)
    assert [round(own["server"]["times_ms"]["db"]["mean"]) for own in told] == [5, 9]


def test_the_summary_for_people_says_the_means() -> None:
    history = History()
    for tick in ticks([(0.5, 80)] * 40, [(1.5, 82)] * 40):
        history.add(tick)
    found = result(
        history.total, duration=2, hosts=(), reasons=(), closed=False, session="s"
    )  # fmt: skip
    said = console.summary(found, history).splitlines()
    assert "server timing of wall, means: db 1 ms, x-query-count 81" in said
    assert not [line for line in said if "home" in line]
