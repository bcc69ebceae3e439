"""Visits: steps with think time, cookies and values of answers, on a virtual clock and for real."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from loadwatch import config
from loadwatch.core.bucket import Bucket
from loadwatch.core.errors import PlanError
from loadwatch.core.histogram import Histogram
from loadwatch.core.plan import Plan, Think
from loadwatch.core.summary import Summary
from loadwatch.core.ticker import Ticker
from loadwatch.load import messages
from loadwatch.load.answer import Answer, Checked
from loadwatch.load.arrivals import Arrivals, uniform_phases
from loadwatch.load.cookies import Jar
from loadwatch.load.fleet import share_out
from loadwatch.load.generator import OpenLoop
from loadwatch.load.messages import TakeJob
from loadwatch.load.stream import Stream
from loadwatch.load.taking import pointed_at, taker
from loadwatch.load.template import Rows
from loadwatch.load.visits import Visits
from loadwatch.load.worker import Task
from loadwatch.preview import first_requests
from tests.servers import serving
from tests.test_cli import loadwatch, result_of
from tests.test_generator import VirtualTime
from tests.test_requests import closed

SHOP = """
[[scenario]]
name = "shop"
rate = 10
think = "2s"
[[scenario.step]]
name = "login"
path = "/login?user=${user.name}"
take.token = { css = "input[name=csrf]", attribute = "value" }
[[scenario.step]]
name = "post"
path = "/post"
method = "POST"
think = "500ms"
form = { csrf = "${token}", user = "${user.name}", id = "${seq}" }
expect.status = 302
take.next = { header = "Location" }
[[scenario.step]]
name = "read"
path = "${next}"
expect.contains = "Hello ${user.name}"
"""


def planned(tmp_path: Path, text: str = SHOP, url: str = "http://a", load: str = "") -> Plan:
    (tmp_path / "users.csv").write_text("name\nada\nbob\n", encoding="utf-8")
    path = tmp_path / "plan.toml"
    path.write_text(
        f'[target]\nurl = "{url}"\n[load]\nworkers = 1\narrival = "uniform"\n{load}\n'
        f'[data.user]\nfile = "users.csv"\n{text}',
        encoding="utf-8",
    )
    return config.load_plan(path)


def visits_of(plan: Plan, clock: Callable[[], float]) -> Visits:
    (job,) = share_out(plan)
    return Visits(job, job.scenarios[0], Rows(job), clock)


# -- on a virtual clock ----------------------------------------------------------------------------


class AnsweringWire:
    """Answers each request after `takes` seconds by what `serve` makes of it; `limit` at once."""

    def __init__(
        self, time: VirtualTime, serve: Callable[[bytes], bytes], takes: float = 0.1,
        limit: float = math.inf,
    ) -> None:  # fmt: skip
        self.time, self.serve, self.takes, self.limit = time, serve, takes, limit
        self.fired: list[tuple[float, str, bytes]] = []
        self.answers: list[tuple[float, int, Stream, bytes, float]] = []

    def fire(self, stream: Stream, due: float, now: float) -> bool:
        stream.offered += 1
        if len(self.answers) >= self.limit:
            stream.dropped += 1
            return False
        try:
            request = stream.next_request()
        except StopIteration:
            stream.dropped += 1
            return False
        self.fired.append((due, stream.name, bytes(request)))
        heapq.heappush(self.answers, (now + self.takes, len(self.fired), stream, request, due))
        return True

    def run(self, until: float, lateness: float = 0.0) -> None:
        """Let time pass; answers come in between, wake-ups `lateness` seconds late."""
        while True:
            at = self.answers[0][0] if self.answers else math.inf
            wake = self.time.deadline + lateness
            if min(at, wake) >= until:
                break
            if wake <= at:
                self.time.run(wake + 2e-9, lateness)
                continue
            _, _, stream, request, due = heapq.heappop(self.answers)
            self.time.now = max(self.time.now, at)
            assert isinstance(request, Checked)
            whole = self.serve(request)
            head, _, body = whole.partition(b"\r\n\r\n")
            met = request.look(Answer(head, body, len(body)))
            request.ended(stream.answered(int(head[9:12]), at - due, at - due, met))
        self.time.now = until


def page(body: str, *fields: str, status: str = "200 OK") -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", *fields, "", body]).encode()


def shop(request: bytes) -> bytes:
    """A small site that is strict about what a visit has to bring along."""
    first, _, _ = request.partition(b"\r\n")
    user = b"ada" if b"ada" in request else b"bob"
    if b"/login" in first:
        form = f'<input name=csrf value="t&amp;{user.decode()}">'
        return page(form, f"Set-Cookie: who={user.decode()}; Path=/; HttpOnly")
    if b"\r\nCookie: who=" + user not in request:
        return page("no cookie", status="403 No")
    if b"/post" in first:
        good = b"csrf=t%26" + user in request
        where = f"Location: /read/{user.decode()}"
        return page("", where, status="302 Found" if good else "403 No")
    return page(f"Hello {first.split(b'/')[2].split(b' ')[0].decode()}")


def open_loop(
    visits: Visits, wire: AnsweringWire, rate: float, requests: int | None = None
) -> OpenLoop:
    time = wire.time
    visits.streams[0].arrivals = Arrivals(uniform_phases(), 0.0, rate)
    loop = OpenLoop(visits.streams, wire, time, requests)
    loop.timer, time.loop = time, loop
    loop.begin()
    return loop


def counts(visits: Visits) -> tuple[int, int, int, int]:
    bucket = visits.take({stream.name: stream.take() for stream in visits.streams})
    assert bucket.offered == sum(step.offered for step in bucket.steps.values())
    return (
        bucket.visits_offered, bucket.visits_completed, bucket.visits_failed, bucket.visits_active
    )  # fmt: skip


def test_a_step_is_due_when_its_visitor_has_thought(tmp_path: Path) -> None:
    time = VirtualTime()
    visits, wire = visits_of(planned(tmp_path), time), AnsweringWire(time, shop)
    open_loop(visits, wire, rate=1.0)
    wire.run(10.0)
    first = [(round(due, 6), name) for due, name, _ in wire.fired if b"ada" in _]
    # 0.1 s for each answer, then 0.5 s and 2 s of thought; the next visit of hers begins 2 s later.
    begins = itertools.count(0.0, 2.0)
    wanted = sorted(
        (round(begin + offset, 6), name)
        for begin in itertools.islice(begins, 5)
        for offset, name in ((0.0, "login"), (0.6, "post"), (2.7, "read"))
        if begin + offset < 10.0
    )
    assert first == wanted
    # Of the ten that began, those of the first seven seconds are through.
    assert counts(visits) == (10, 8, 0, 2)
    for stream in visits.streams:
        assert Histogram(stream.bucket.response).total == 0  # handed over


def test_think_time_is_no_response_time(tmp_path: Path) -> None:
    time = VirtualTime()
    visits, wire = visits_of(planned(tmp_path), time), AnsweringWire(time, shop)
    open_loop(visits, wire, rate=5.0)
    wire.run(20.0)
    bucket = visits.take({stream.name: stream.take() for stream in visits.streams})
    for part in (bucket, *bucket.steps.values()):
        times = Histogram(part.response)
        assert times.total == part.completed > 80
        assert times.max == pytest.approx(0.1, rel=1e-3)
        assert (Histogram(part.lag).max or 0) < 1e-5
    assert list(bucket.steps) == ["login", "post", "read"]
    assert bucket.errors == {} and bucket.good == bucket.completed


def test_late_wake_ups_are_send_lag_of_every_step(tmp_path: Path) -> None:
    time = VirtualTime()
    visits, wire = visits_of(planned(tmp_path), time), AnsweringWire(time, shop)
    open_loop(visits, wire, rate=1.0)
    wire.run(20.0, lateness=0.02)
    for stream in visits.streams:
        assert Histogram(stream.bucket.lag).percentiles((0.5,))[0] == pytest.approx(0.02, rel=0.01)


def test_an_error_ends_the_visit(tmp_path: Path) -> None:
    def forgetful(request: bytes) -> bytes:
        return page("no form") if b"/login?user=bob" in request else shop(request)

    time = VirtualTime()
    visits, wire = visits_of(planned(tmp_path), time), AnsweringWire(time, forgetful)
    open_loop(visits, wire, rate=1.0, requests=4)
    wire.run(20.0)
    parts = {stream.name: stream.take() for stream in visits.streams}
    assert parts["login"].errors == {"content": 2}  # nothing to take where a form should be
    assert [part.offered for part in parts.values()] == [4, 2, 2]
    assert counts(visits)[1:] == (2, 2, 0)


def test_a_run_that_ends_cuts_visits_and_calls_them_neither(tmp_path: Path) -> None:
    time = VirtualTime()
    visits, wire = visits_of(planned(tmp_path), time), AnsweringWire(time, shop)
    loop = open_loop(visits, wire, rate=1.0)
    wire.run(3.05)
    loop.finish(3.2)
    wire.run(30.0)
    assert max(due for due, _, _ in wire.fired) < 3.2
    # Begun at 0, 1, 2, 3: only the first came to its end (at 2.8).
    assert counts(visits) == (4, 1, 0, 0)


def test_a_number_of_visits_run_to_their_end(tmp_path: Path) -> None:
    time = VirtualTime()
    visits, wire = visits_of(planned(tmp_path), time), AnsweringWire(time, shop)
    loop = open_loop(visits, wire, rate=10.0, requests=3)
    wire.run(0.5)
    assert loop.over and loop.until == pytest.approx(0.3) and visits.active == 3
    wire.run(30.0)
    assert counts(visits) == (3, 3, 0, 0)


def test_what_is_dropped_breaks_its_visit_off(tmp_path: Path) -> None:
    time = VirtualTime()
    visits = visits_of(planned(tmp_path), time)
    wire = AnsweringWire(time, shop, takes=1.0, limit=2)
    open_loop(visits, wire, rate=10.0, requests=5)
    wire.run(2.0)
    parts = {stream.name: stream.bucket for stream in visits.streams}
    assert parts["login"].dropped == 3
    wire.limit = 0
    wire.run(10.0)
    assert parts["post"].dropped == visits.streams[1].bucket.dropped
    assert counts(visits) == (5, 0, 5, 0)


@pytest.mark.parametrize(
    ("think", "mean", "low", "high"),
    [
        ('"3s"', 3.0, 3.0, 3.0),
        ('{ mean = "3s" }', 3.0, 0.0, 60.0),
        ('{ from = "1s", to = "5s" }', 3.0, 1.0, 5.0),
    ],
)
def test_think_times(tmp_path: Path, think: str, mean: float, low: float, high: float) -> None:
    plan = planned(tmp_path, SHOP.replace('"2s"', think).replace('think = "500ms"\n', ""))
    drawn = [visits_of(plan, float).steps[1].think() for _ in range(1)]
    think_of = visits_of(plan, float).steps[1].think
    drawn += [think_of() for _ in range(4000)]
    assert sum(drawn) / len(drawn) == pytest.approx(mean, rel=0.06)
    assert low <= min(drawn) <= max(drawn) <= high
    assert visits_of(plan, float).steps[1].think() == drawn[0]  # by the seed


# -- for real --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["wire", "httpx"])
async def test_visits_on_real_connections(tmp_path: Path, kind: str) -> None:
    async def serve(head: bytes, writer: asyncio.StreamWriter) -> bool:
        body = b""
        if b"content-length" in head.lower():  # what the reader has not given out yet
            reader: Any = writer.transport.get_protocol()._stream_reader  # type: ignore[attr-defined]
            size = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            body = await reader.readexactly(size)
        answer = shop(head + body)
        start, end, rest = answer.partition(b"\r\n\r\n")
        writer.write(start + b"\r\nContent-Length: %d" % len(rest) + end + rest)
        return True

    text = SHOP.replace('"2s"', '"20ms"').replace('"500ms"', '"10ms"')
    async with serving(serve) as port:
        plan = planned(tmp_path, text, f"http://127.0.0.1:{port}", f'engine = "{kind}"')
        (job,) = share_out(plan)
        assert messages.decode_command(messages.encode(job)[messages.HEADER :]) == job
        task = Task(job)
        (visits,) = task.scenarios
        assert isinstance(visits, Visits)
        start = time.monotonic()
        visits.streams[0].arrivals = Arrivals(uniform_phases(), start, 200.0)
        loop = OpenLoop(task.streams, task.engine, time.monotonic, 20)
        async with asyncio.timeout(20):
            while not loop.over or visits.active or task.engine.open:
                loop.wake()
                await asyncio.sleep(0.002)
        await closed(task.engine)
    bucket = visits.take({stream.name: stream.take() for stream in visits.streams})
    assert bucket.errors == {} and bucket.status == {200: 40, 302: 20}
    assert (bucket.visits_offered, bucket.visits_completed, bucket.visits_failed) == (20, 20, 0)


def test_a_run_tells_visits_steps_and_requests_apart(tmp_path: Path) -> None:
    from tests.test_cli import a_site

    text = """
[[scenario]]
name = "home"
rate = 10
[[scenario]]
name = "visit"
rate = 5
[[scenario.step]]
name = "first"
[[scenario.step]]
name = "second"
think = "100ms"
path = "/busy"
[[scenario.step]]
name = "third"
[thresholds]
"scenario.visit.step.first.response.p50" = "< 5s"
"load.visits.failed" = "> 0/s"
"""
    with a_site() as url:
        planned(tmp_path, text, url)
        done = loadwatch(
            "run", str(tmp_path / "plan.toml"), "--duration", "3s", "--json",
            "--session", str(tmp_path / "s"),
        )  # fmt: skip
    assert done.returncode in (0, 4), done.stderr
    result = result_of(done)
    assert [one["passed"] for one in result["thresholds"]] == [True, True]
    visit = result["scenarios"]["visit"]
    assert visit["visits"] == result["visits"] == {"offered": 15, "completed": 0, "failed": 15}
    assert (visit["offered"], visit["status"]) == (30, {"200": 15, "503": 15})
    assert {name: step["offered"] for name, step in visit["steps"].items()} == {
        "first": 15, "second": 15, "third": 0,
    }  # fmt: skip
    assert visit["steps"]["first"]["response_ms"]["p50"] is not None
    assert result["offered"] == 60 and "steps" not in result["scenarios"]["home"]
    assert "visits" not in result["scenarios"]["home"]


# -- the numbers -----------------------------------------------------------------------------------


def test_a_tick_has_the_numbers_of_visits_and_of_steps() -> None:
    def bucket(worker: int, second: int, active: int) -> Bucket:
        from loadwatch.core.bucket import ScenarioBucket, add

        steps = {
            "a": ScenarioBucket(offered=3, completed=3, response={1000: 3}),
            "b": ScenarioBucket(offered=1, response={2000: 1}, errors={"timeout": 1}),
        }
        whole = ScenarioBucket(
            steps=steps, visits_offered=3, visits_completed=1, visits_failed=1, visits_active=active
        )
        for step in steps.values():
            add(whole, step)
        plain = ScenarioBucket(offered=1, completed=1, response={500: 1})
        return Bucket(worker, second, [whole, plain])

    ticker = Ticker(["visit", "home"], [], lambda _: {})
    for worker, second, active in ((0, 0, 9), (0, 1, 4), (1, 1, 5)):
        ticker.bucket(bucket(worker, second, active))
    ticker.close()
    tick = ticker.close()
    values = tick.values
    assert values["load.offered"] == 10 and values["scenario.visit.offered"] == 8
    assert values["scenario.visit.step.a.completed"] == 6
    assert values["scenario.visit.visits.active"] == values["load.visits.active"] == 9
    assert values["load.visits.offered"] == 6 and "scenario.home.visits.offered" not in values
    summary = Summary()
    summary.add(tick)
    assert summary.histogram("response").total == 10
    assert summary.histogram("response", "visit").total == 8
    assert summary.histogram("response", "visit").censored == 2
    assert summary.histogram("response", "visit.step.a").total == 6
    assert summary.histogram("response", "visit.step.b").is_censored(0.5)


# -- what is taken ---------------------------------------------------------------------------------

HTML = b"""<form><input name="csrf" value="a&amp;b"><input type=checkbox checked>
<p id=x>Hello <b>you</b></p><a href="/next?a=1">n</a></form>"""


@pytest.mark.parametrize(
    ("source", "what", "attribute", "found"),
    [
        ("header", "x-next", None, "/a b"),
        ("header", "x-none", None, None),
        ("cookie", "sid", None, "1=2"),
        ("cookie", "none", None, None),
        ("css", "input[name=csrf]", "value", "a&b"),
        ("css", "#x", None, "Hello you"),
        ("css", "input[type=checkbox]", "checked", ""),
        ("css", "input", "none", None),
        ("css", "table", None, None),
        ("regex", r'href="([^"]+)"', None, "/next?a=1"),
        ("regex", r"Hello \S+", None, "Hello <b>you</b></p><a"),
        ("regex", "none", None, None),
    ],
)
def test_what_is_taken_from_a_page(
    source: Any, what: str, attribute: str | None, found: str | None
) -> None:
    head = b"HTTP/1.1 200 OK\r\nX-Next: /a b\r\nSet-Cookie: sid=1=2\r\n\r\n"
    answer, jar = Answer(head, HTML, len(HTML)), Jar("a", False)
    jar.take(answer, b"GET / HTTP/1.1", 0.0)
    assert taker(TakeJob("t", source, what, attribute))(answer, jar) == found


@pytest.mark.parametrize(
    ("pointer", "found"),
    [
        ("/user/0/name", "ada"), ("/user/0/id", "7"), ("/ok", "true"), ("/a~1b", "x"),
        ("/m~0n", "y"), ("", None), ("/user/2", None), ("/none", None), ("/null", None),
        ("/user/name", None), ("/user/0", '{"name":"ada","id":7}'),
    ],
)  # fmt: skip
def test_json_pointers(pointer: str, found: str | None) -> None:
    text = b'{"user":[{"name":"ada","id":7}],"ok":true,"a/b":"x","m~n":"y","null":null}'
    assert pointed_at(text, pointer) == (text.decode() if pointer == "" else found)
    assert pointed_at(b"no json", pointer) is None


def test_a_value_that_no_header_takes_is_an_error_of_its_answer(tmp_path: Path) -> None:
    text = """
[[scenario]]
name = "v"
[[scenario.step]]
name = "a"
take.t = { regex = "(?s)x(.*)x" }
[[scenario.step]]
name = "b"
headers = { X = "${t}" }
"""
    visits = visits_of(planned(tmp_path, text), lambda: 0.0)
    request = visits.begin()
    assert isinstance(request, Checked)
    assert not request.look(Answer(b"HTTP/1.1 200 OK", b"xa\r\nEvil: 1x", 12))
    assert request.look(Answer(b"HTTP/1.1 200 OK", b"xax", 3))


# -- cookies ---------------------------------------------------------------------------------------

DATE = "Date: Wed, 21 Oct 2015 07:28:00 GMT"


@pytest.mark.parametrize(
    ("fields", "path", "at", "cookies"),
    [
        (["Set-Cookie: a=1"], "/x", 0, "a=1"),
        (["Set-Cookie: a=1", "set-cookie: b=2; HttpOnly; SameSite=Lax"], "/", 0, "a=1; b=2"),
        (["Set-Cookie: a=1", "Set-Cookie: a=2"], "/", 0, "a=2"),
        (['Set-Cookie: a="q;r"'], "/", 0, 'a="q'),
        (["Set-Cookie: a=x=y"], "/", 0, "a=x=y"),
        (["Set-Cookie: a="], "/", 0, "a="),
        (["Set-Cookie: nothing"], "/", 0, None),
        (["Set-Cookie: a=1; Path=/shop"], "/shop", 0, "a=1"),
        (["Set-Cookie: a=1; Path=/shop"], "/shop/1?q", 0, "a=1"),
        (["Set-Cookie: a=1; Path=/shop"], "/shopping", 0, None),
        (["Set-Cookie: a=1; Path=/", "Set-Cookie: a=2; Path=/shop"], "/shop", 0, "a=2; a=1"),
        (["Set-Cookie: a=1; Max-Age=10"], "/", 9, "a=1"),
        (["Set-Cookie: a=1; Max-Age=10"], "/", 10, None),
        (["Set-Cookie: a=1", "Set-Cookie: a=1; Max-Age=0"], "/", 0, None),
        ([DATE, "Set-Cookie: a=1; Expires=Wed, 21 Oct 2015 07:29:00 GMT"], "/", 59, "a=1"),
        ([DATE, "Set-Cookie: a=1; Expires=Wed, 21 Oct 2015 07:29:00 GMT"], "/", 61, None),
        ([DATE, "Set-Cookie: a=1; expires=Thu, 01 Jan 1970 00:00:00 GMT"], "/", 0, None),
        (["Set-Cookie: a=1; Domain=example"], "/", 0, "a=1"),
        (["Set-Cookie: a=1; Domain=.a.example"], "/", 0, "a=1"),
        (["Set-Cookie: a=1; Domain=b.example"], "/", 0, None),
        (["Set-Cookie: a=1; Secure"], "/", 0, None),
    ],
)
def test_cookies(fields: list[str], path: str, at: float, cookies: str | None) -> None:
    jar = Jar("a.example", secure=False)
    jar.take(Answer(page("", *fields), b"", 0), b"GET /login HTTP/1.1\r\n", 0.0)
    request = f"GET {path} HTTP/1.1\r\nHost: a.example\r\n\r\nbody".encode()
    wanted = request if cookies is None else request.replace(
        b"\r\n\r\n", f"\r\nCookie: {cookies}\r\n\r\n".encode()
    )  # fmt: skip
    assert jar.put(request, at) == wanted


def test_a_cookie_without_a_path_is_for_its_directory() -> None:
    jar = Jar("a.example", secure=True)
    answer = Answer(page("", "Set-Cookie: a=1; Secure"), b"", 0)
    jar.take(answer, b"GET /shop/cart?x=/y/ HTTP/1.1\r\n", 0.0)
    assert b"Cookie" in jar.put(b"GET /shop/pay HTTP/1.1\r\n\r\n", 0.0)
    assert b"Cookie" not in jar.put(b"GET / HTTP/1.1\r\n\r\n", 0.0)


def test_cookies_of_the_plan_and_of_the_site_are_one_header() -> None:
    jar = Jar("a.example", secure=False)
    jar.take(Answer(page("", "Set-Cookie: a=1"), b"", 0), b"GET / HTTP/1.1\r\n", 0.0)
    made = jar.put(b"GET / HTTP/1.1\r\ncookie: own=x\r\nX: y\r\n\r\nCookie: z", 0.0)
    assert made == b"GET / HTTP/1.1\r\ncookie: own=x; a=1\r\nX: y\r\n\r\nCookie: z"


# -- in the plan -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (('name = "post"', 'name = "login"'), "scenario.shop.step: the name 'login' is"),
        (('"${token}"', '"${tokem}"'),
         "scenario.shop.step.post.form.csrf: unknown expression `${tokem}`; did you mean `token`?"),
        # Only what came before can be there.
        (('${user.name}"\ntake', '${token}"\ntake'),
         "scenario.shop.step.login.path: unknown expression `${token}`"),
        (('rate = 10', 'rate = 10\npath = "/x"'), "scenario.shop.path: a visit says it in"),
        (('rate = 10', 'rate = 10\nmethod = "POST"'), "scenario.shop.method: a visit says it in"),
        (('path = "/post"', 'path = "http://b.example/"'),
         "scenario.shop.step.post.path: it leads away from the target"),
        (('css = "input[name=csrf]", attribute = "value"', 'attribute = "value"'),
         "scenario.shop.step.login.take.token: it is taken from one of header, cookie, json, css,"),
        (('css = "input[name=csrf]"', 'json = "/a", css = "b"'),
         "scenario.shop.step.login.take.token: it is taken from one of"),
        (('css = "input[name=csrf]"', 'json = "/a"'),
         "scenario.shop.step.login.take.token.attribute: it is one of an element"),
        (('css = "input[name=csrf]", attribute = "value"', 'regex = "("'),
         "scenario.shop.step.login.take.token.regex: not a regular expression"),
        (('css = "input[name=csrf]", attribute = "value"', 'json = "a"'),
         "scenario.shop.step.login.take.token.json: a JSON Pointer such as"),
        (("take.token", "take.seq"), "scenario.shop.step.login.take.seq: a name is made of"),
        (('think = "2s"', 'think = { mean = "2s", to = "3s" }'),
         "scenario.shop.think: expected `3s`, { mean = … } or { from = …, to = … }"),
        (('think = "2s"', 'think = { from = "4s", to = "3s" }'),
         "scenario.shop.think: `from` is more than `to`"),
        (('think = "2s"', 'think = "0s"'), "expected a duration such as `30s`"),
        (('name = "login"', 'name = "login"\nthink = "1s"'),
         "scenario.shop.step.login.think: a visit begins with its first step"),
        (('form = { csrf', 'body = "x"\nform = { csrf'),
         "scenario.shop.step.post: a request has one body: body or form"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_one_line(
    tmp_path: Path, change: tuple[str, str], message: str
) -> None:
    assert change[0] in SHOP
    with pytest.raises(PlanError) as caught:
        planned(tmp_path, SHOP.replace(*change, 1))
    assert str(caught.value).partition("plan.toml: ")[2].startswith(message)


def test_what_else_makes_no_sense(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="a closed loop knows no visits"):
        planned(tmp_path, load="connections = 3")
    with pytest.raises(PlanError, match="no steps to think between"):
        planned(tmp_path, '[[scenario]]\nname = "a"\nthink = "1s"\n')
    plan = planned(tmp_path, SHOP.replace("input[name=csrf]", "a[["))
    with pytest.raises(PlanError, match=r"take\.token\.css: no selector: 'a\[\['"):
        list(first_requests(plan))
    with pytest.raises(PlanError, match=r"scenario\.shop\.step\.login\.take\.token\.css"):
        visits_of(plan, float)


def test_a_plan_shows_every_step(tmp_path: Path) -> None:
    plan = planned(tmp_path)
    assert plan.scenarios[0].think == Think(least=2.0, most=2.0)  # type: ignore[arg-type]
    shown = [(one.step, one.request.split(b" HTTP")[0]) for one in first_requests(plan)]
    assert shown == [
        ("login", b"GET /login?user=ada"), ("post", b"POST /post"), ("read", b"GET /next"),
    ]  # fmt: skip


def test_headers_of_a_visit_are_those_of_its_steps(tmp_path: Path) -> None:
    text = SHOP.replace("rate = 10", 'rate = 10\nheaders = { X = "a", Y = "b" }').replace(
        'path = "/post"', 'path = "/post"\nheaders = { Y = "c" }'
    )
    login, post, _ = first_requests(planned(tmp_path, text))
    assert b"\r\nX: a\r\nY: b\r\n" in login.request and b"\r\nX: a\r\nY: c\r\n" in post.request


def test_a_rate_is_shared_out_by_weights(tmp_path: Path) -> None:
    scenarios = [("a", "weight = 3"), ("b", ""), ("c", "weight = 0.5")]
    text = "".join(f'[[scenario]]\nname = "{name}"\n{weight}\n' for name, weight in scenarios)
    plan = planned(tmp_path, text, load="rate = 45")
    assert [scenario.rate for scenario in plan.scenarios] == [30.0, 10.0, 5.0]
    with pytest.raises(PlanError, match=r"scenario\.a\.weight: it is a share of `load\.rate`"):
        planned(tmp_path, text)
    with pytest.raises(PlanError, match=r"scenario\.b\.rate: with `load\.rate` it has a `weight`"):
        planned(tmp_path, text.replace('name = "b"', 'name = "b"\nrate = 1'), load="rate = 45")
