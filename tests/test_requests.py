"""What a plan's request may be, and what it may expect: as sent, as answered, on both engines."""

from __future__ import annotations

import asyncio
import gzip
import itertools
import json
import time
import tomllib
import zlib
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadwatch import config
from loadwatch.core.bucket import ScenarioBucket
from loadwatch.core.errors import PlanError
from loadwatch.core.histogram import Histogram
from loadwatch.core.plan import Plan, Size
from loadwatch.load import answer, messages
from loadwatch.load.answer import Answer, Body, Checked
from loadwatch.load.engine import Engine
from loadwatch.load.fleet import share_out
from loadwatch.load.request import read
from loadwatch.load.template import all_requests
from loadwatch.load.worker import Task
from loadwatch.preview import first_requests
from tests.servers import OK, Behaviour, answering, hanging, serving

USERS = 'name,pin\nada,1\n"bö""b&c",2\n'


def planned(
    tmp_path: Path, scenario: str, url: str = "http://host.example", load: str = ""
) -> Plan:
    (tmp_path / "users.csv").write_text(USERS, encoding="utf-8")
    (tmp_path / "photo.png").write_bytes(b"\x89PNG\x00\xff")
    path = tmp_path / "plan.toml"
    path.write_text(
        f'[target]\nurl = "{url}"\n[load]\nworkers = 1\n{load}\n[data.user]\nfile = "users.csv"\n'
        f'[[scenario]]\nname = "home"\n{scenario}\n',
        encoding="utf-8",
    )
    return config.load_plan(path)


def sent(tmp_path: Path, scenario: str, times: int = 2) -> list[httpx.Request]:
    """The first requests of the one scenario, as a server would read them."""
    plan = planned(tmp_path, scenario)
    requests = all_requests(share_out(plan)[0])["home"]
    return [read(one, plan.target.url) for one in itertools.islice(requests, times)]


# -- what is sent ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scenario", "path"),
    [
        ('query = { q = "a b&c", page = 2, all = true }', b"/?q=a+b%26c&page=2&all=true"),
        ('path = "/x?a=1#top"\nquery = { tag = ["a", "b"] }', b"/x?a=1&tag=a&tag=b"),
        ('query = { q = "${user.name}/" }', b"/?q=b%C3%B6%22b%26c%2F"),
        # In a path its own value keeps its meaning, in a query's field it is one value.
        ('path = "/${user.name}"\nquery = { n = "${user.name}" }',
         b"/b%C3%B6%22b&c?n=b%C3%B6%22b%26c"),
    ],
)  # fmt: skip
def test_a_query_goes_behind_the_path(tmp_path: Path, scenario: str, path: bytes) -> None:
    assert sent(tmp_path, scenario)[1].url.raw_path == path


@pytest.mark.parametrize(
    ("scenario", "kind", "bodies"),
    [
        ('json = { a = 1, b = "${user.name}", c = [true, { d = "\\"é" }] }', "application/json",
         ['{"a":1,"b":"ada","c":[true,{"d":"\\"é"}]}',
          '{"a":1,"b":"bö\\"b&c","c":[true,{"d":"\\"é"}]}']),
        ('json = ["${seq}"]', "application/json", ['["1"]', '["2"]']),
        ('json = 2026-11-25', "application/json", ['"2026-11-25"'] * 2),
        ('form = { who = "${user.name}", tag = ["a b", "${user.pin}"], n = 1.5 }',
         "application/x-www-form-urlencoded",
         ["who=ada&tag=a+b&tag=1&n=1.5", "who=b%C3%B6%22b%26c&tag=a+b&tag=2&n=1.5"]),
        ('body = "<a>${user.name}</a>"\nheaders = { Content-Type = "text/xml" }', "text/xml",
         ["<a>ada</a>", '<a>bö"b&c</a>']),
        ("form = {}", "application/x-www-form-urlencoded", [""] * 2),
    ],
)  # fmt: skip
def test_a_body_is_of_its_kind(tmp_path: Path, scenario: str, kind: str, bodies: list[str]) -> None:
    for request, body in zip(sent(tmp_path, f'method = "POST"\n{scenario}'), bodies, strict=True):
        if body:
            assert request.headers["Content-Type"] == kind
        assert request.content.decode() == body
        assert int(request.headers["Content-Length"]) == len(request.content)


def test_a_multipart_body_has_fields_and_files(tmp_path: Path) -> None:
    request = sent(
        tmp_path,
        'method = "POST"\nmultipart = { title = "${user.name}", tag = ["a", 2],'
        ' photo = { file = "photo.png" }, raw = { file = "photo.png", type = "x/y" } }',
    )[1]
    head = b"Content-Type: %s\r\n\r\n" % request.headers["Content-Type"].encode()
    parts = message_from_bytes(head + request.content, policy=policy.HTTP).iter_parts()
    seen = [
        (part.get_param("name", header="content-disposition"), part.get_filename(),
         part["Content-Type"], part.get_payload(decode=True))
        for part in parts
    ]  # fmt: skip
    assert seen == [
        ("title", None, None, 'bö"b&c'.encode()),
        ("tag", None, None, b"a"),
        ("tag", None, None, b"2"),
        ("photo", "photo.png", "image/png", b"\x89PNG\x00\xff"),
        ("raw", "photo.png", "x/y", b"\x89PNG\x00\xff"),
    ]
    assert int(request.headers["Content-Length"]) == len(request.content)


@pytest.mark.parametrize("place", ["json", "form", "query"])
@given(value=st.text(st.characters(exclude_categories=["Cs"])))
def test_any_value_comes_out_as_it_went_in(place: str, value: str) -> None:
    scenario: dict[str, Any] = {"name": "home", "method": "POST", place: {"a": "${user.v}"}}
    plan = config.decode(
        {"target": {"url": "http://a.example"}, "scenario": [scenario], "load": {"workers": 1},
         "data": {"user": {"file": "x.csv"}}}, "x",
    )  # fmt: skip
    bare = msgspec.structs.replace(plan, data={})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("loadwatch.load.fleet.tables", lambda *_: [_table(value)])
        request = read(next(all_requests(share_out(bare)[0])["home"]), plan.target.url)
    match place:
        case "json":
            assert json.loads(request.content) == {"a": value}
        case "form":
            assert dict(httpx.QueryParams(request.content.decode())) == ({"a": value})
        case "query":
            assert request.url.params["a"] == value


def _table(value: str) -> Any:
    from loadwatch.load.messages import Table

    return Table("user", "in order", ["v"], [[value]])


@pytest.mark.parametrize(
    ("scenario", "message"),
    [
        ('body = "x"\nform = { a = "b" }', "scenario.home: a request has one body: body or form"),
        ('json = { a = 1 }', 'scenario.home.method: GET carries no json: "POST"?'),
        ('method = "HEAD"\nexpect.contains = "x"',
         "scenario.home.expect.contains: the answer to HEAD has no body"),
        ('timeout = "2h"', "scenario.home.timeout: at most 1h"),
        ('timeout = 2', "scenario[0].timeout: expected a duration such as `30s`"),
        ('query = { q = "${sequ}" }', "scenario.home.query.q: unknown expression `${sequ}`"),
        ('method = "POST"\njson = { a = ["${users.x}"] }',
         "scenario.home.json.a[0]: there is no [data.users]; did you mean `user.x`?"),
        ('expect.contains = "${nothing}"', "scenario.home.expect.contains: unknown expression"),
        ('expect.contain = "x"', "scenario[0].expect.contain: unknown key; did you mean"),
        ('expect.max_bytes = "1M"', "scenario[0].expect.max_bytes: expected bytes such as `1MiB`"),
        ('expect.max_bytes = -1', "scenario[0].expect.max_bytes: expected bytes such as `1MiB`"),
        ('expect.status = 99', "scenario[0].expect.status: "),
        ('method = "POST"\nmultipart = { a = { files = "x" } }',
         "scenario[0].multipart.a.files: unknown key; did you mean `file`?"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_one_line(tmp_path: Path, scenario: str, message: str) -> None:
    with pytest.raises(PlanError) as caught:
        planned(tmp_path, scenario)
    assert str(caught.value).partition("plan.toml: ")[2].startswith(message)


def test_a_column_that_is_missing_is_an_error_wherever_it_is_named(tmp_path: Path) -> None:
    plan = planned(tmp_path, 'method = "POST"\nform = { a = "${user.nam}" }')
    with pytest.raises(PlanError, match="no column `nam`; did you mean `name`"):
        share_out(plan)


def test_a_file_that_is_missing_is_an_error_before_the_start(tmp_path: Path) -> None:
    plan = planned(tmp_path, 'method = "POST"\nmultipart = { a = { file = "none.png" } }')
    with pytest.raises(PlanError, match=r"scenario\.home\.multipart\.a: cannot read .*none\.png"):
        share_out(plan)


@pytest.mark.parametrize(
    ("written", "size"), [("1048576", 1 << 20), ('"1MiB"', 1 << 20), ('"0.5KiB"', 512)]
)
def test_sizes_with_and_without_a_unit(tmp_path: Path, written: str, size: int) -> None:
    plan = planned(tmp_path, f"expect.max_bytes = {written}")
    assert plan.scenarios[0].expect.max_bytes == Size(size)


def test_secrets_in_fields_are_not_recorded(tmp_path: Path) -> None:
    plan = planned(
        tmp_path,
        'method = "POST"\nquery = { token = "canary-1", q = "${env:Q}" }\n'
        'form = { password = "@canary-2", pin = "${user.pin}", name = "x",'
        ' token = "${user.pin}", key = ["canary-3", "${env:KEY}"] }',
    )
    record = json.dumps(config.redact(plan))
    assert "canary" not in record and record.count(config.REDACTED) == 3
    assert config.variables(plan) == ["Q", "KEY"]
    shown = next(first_requests(plan)).request
    assert b"canary" not in shown and b"q=Q" in shown and b"name=x&token=pin&" in shown
    filled = config.fill_in(plan, {"Q": "a ${seq}", "KEY": "k"})
    assert next(all_requests(share_out(filled)[0])["home"]).endswith(
        b"password=%40canary-2&pin=1&name=x&token=1&key=canary-3&key=k"
    )


# -- what is expected ------------------------------------------------------------------------------


def page(body: bytes, *fields: str, status: str = "200 OK") -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *fields, "", ""]
    return "\r\n".join(lines).encode() + body


CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nWelc\r\n8\r\nome, ada\r\n0\r\n\r\n"
)
WELCOME = b"<p>Welcome, ada</p>"
CODED = {
    "gzip": gzip.compress(WELCOME),
    "deflate": zlib.compress(WELCOME),
    "identity": WELCOME,
}


async def outcome(
    tmp_path: Path, behaviour: Behaviour, scenario: str, kind: str, times: int = 3
) -> ScenarioBucket:
    """What `times` requests of a scenario came to, on one of the engines."""
    async with serving(behaviour) as port:
        plan = planned(tmp_path, scenario, f"http://127.0.0.1:{port}", f'engine = "{kind}"')
        task = Task(share_out(plan)[0])
        (stream,) = task.streams
        for _ in range(times):
            now = time.monotonic()
            task.engine.fire(stream, now, now)
            while task.engine.open:
                await asyncio.sleep(0.002)
        await closed(task.engine)
    return stream.bucket


async def closed(own: Engine) -> None:
    close: Any = getattr(own, "aclose", None)
    if close is None:
        own.close()  # type: ignore[attr-defined]
        await asyncio.sleep(0.01)
    else:
        await close()


CONTAINS = 'expect.contains = "Welcome, ada"'
EXPECTED: list[tuple[bytes, str, bool, int]] = [
    # What comes, what is expected, whether it is good, errors of kind `content`.
    (page(WELCOME), CONTAINS, True, 0),
    (page(b"<p>Welcome, bob</p>"), CONTAINS, False, 3),
    (page(b""), CONTAINS, False, 3),
    (CHUNKED, CONTAINS, True, 0),
    (page(b"", "X: Welcome, ada"), CONTAINS, False, 3),  # only the body counts
    *((page(body, f"Content-Encoding: {coding}"), CONTAINS, True, 0)
      for coding, body in CODED.items()),
    (page(b"broken", "Content-Encoding: gzip"), CONTAINS, False, 3),
    (page(WELCOME, "Content-Encoding: of-nobody"), CONTAINS, True, 0),  # as it is
    (page(WELCOME, status="500 No"), CONTAINS, False, 0),  # an error anyway
    (page(WELCOME, status="404 No"), CONTAINS, False, 0),
    (page(b"", status="404 No"), CONTAINS, False, 3),
    (OK, "expect.status = 200", True, 0),
    (OK, "expect.status = [201, 200]", True, 0),
    (OK, "expect.status = 201", False, 3),
    (page(b"x", status="404 No"), "expect.status = 200", False, 3),
    (page(b"x", status="404 No"), "expect.status = 404", True, 0),
    (page(b"x", status="503 No"), "expect.status = 200", False, 0),
    (page(b"x", "Location: /login", status="302 Found"), "expect.status = 200", False, 3),
    (b"HTTP/1.1 304 Not Modified\r\n\r\n", "expect.status = [200, 304]", True, 0),
    (OK, "expect.max_bytes = 2", True, 0),
    (OK, "expect.max_bytes = 1", False, 3),
    (CHUNKED, "expect.max_bytes = 12", True, 0),
    (CHUNKED, "expect.max_bytes = 11", False, 3),
    (page(CODED["gzip"], "Content-Encoding: gzip"),
     f"expect.max_bytes = {len(CODED['gzip'])}", True, 0),
    (page(WELCOME), f'{CONTAINS}\nexpect.status = 201', False, 3),  # counted once
    (OK, "method = \"HEAD\"\nexpect.max_bytes = 0", True, 0),
    (page(WELCOME), 'expect.contains = ""', True, 0),
]  # fmt: skip


@pytest.mark.parametrize("kind", ["wire", "httpx"])
@pytest.mark.parametrize(("response", "scenario", "good", "wrong"), EXPECTED)
async def test_an_answer_that_is_not_as_expected_is_an_error(
    tmp_path: Path, kind: str, response: bytes, scenario: str, good: bool, wrong: int
) -> None:
    if "HEAD" in scenario:
        response = response.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
    bucket = await outcome(tmp_path, answering(response), scenario, kind)
    assert bucket.completed == sum(bucket.status.values()) == 3
    assert bucket.good == 3 * good
    assert bucket.errors == ({"content": wrong} if wrong else {})
    assert sum(bucket.response.values()) == 3  # they were answered: their times count


@pytest.mark.parametrize("kind", ["wire", "httpx"])
async def test_each_user_expects_their_own_page(tmp_path: Path, kind: str) -> None:
    seen = itertools.count()

    async def greeting(head: bytes, writer: asyncio.StreamWriter) -> bool:
        # Only the first user finds their name.
        writer.write(page(b"Hello, ada" if next(seen) % 2 == 0 else b"Hello, eve"))
        return True

    scenario = 'expect.contains = "Hello, ${user.name}"\nheaders = { X = "${user.pin}" }'
    bucket = await outcome(tmp_path, greeting, scenario, kind, 4)
    assert (bucket.completed, bucket.good, bucket.errors) == (4, 2, {"content": 2})


@pytest.mark.parametrize("cut", [1, 7, 40])
async def test_a_text_is_found_however_its_page_is_cut(tmp_path: Path, cut: int) -> None:
    whole = page(WELCOME) if cut != 7 else CHUNKED
    parts = [whole[at : at + cut] for at in range(0, len(whole), cut)]
    bucket = await outcome(tmp_path, answering(*parts, pause=0.0005), CONTAINS, "wire", 2)
    assert (bucket.good, bucket.errors) == (2, {})


async def test_a_page_that_ends_with_its_connection_is_looked_at(tmp_path: Path) -> None:
    behaviour = answering(b"HTTP/1.1 200 OK\r\n\r\n" + WELCOME, keep=False)
    bucket = await outcome(tmp_path, behaviour, CONTAINS, "wire")
    assert (bucket.good, bucket.errors) == (3, {})


def test_no_body_is_held_beyond_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answer, "HELD", 10)
    body = Body()
    for _ in range(100):
        body.add(b"abcd")
    taken = body.take(b"")
    assert (taken.body, taken.size) == (b"abcdabcdab", 400)
    assert body.take(b"x") == Answer(b"x", b"", 0)
    bomb = gzip.compress(bytes(10_000_000))
    coded = Answer(b"HTTP/1.1 200\r\nContent-Encoding: gzip", bomb, len(bomb))
    assert coded.content == bytes(10)


async def test_scenarios_give_up_after_their_own_timeouts(tmp_path: Path) -> None:
    """On the same connections: the one due later gives up first."""
    scenarios = 'timeout = "600ms"\n[[scenario]]\nname = "quick"\ntimeout = "100ms"'
    for kind in ("wire", "httpx"):
        async with serving(hanging) as port:
            plan = planned(tmp_path, scenarios, f"http://127.0.0.1:{port}", f'engine = "{kind}"')
            task = Task(share_out(plan)[0])
            slow, quick = task.streams
            for stream in (slow, quick, slow, quick):
                now = time.monotonic()
                task.engine.fire(stream, now, now)
            while quick.open:
                await asyncio.sleep(0.002)
            assert len(slow.open) == task.engine.open == 2
            assert slow.oldest < time.monotonic() < float("inf") == quick.oldest
            while task.engine.open:
                await asyncio.sleep(0.002)
            await closed(task.engine)
        for stream, timeout in ((slow, 0.6), (quick, 0.1)):
            times = Histogram(stream.bucket.response)
            assert (times.total, stream.bucket.errors) == (2, {"timeout": 2})
            assert timeout <= times.percentiles((0.01,))[0] < timeout + 0.4  # type: ignore[operator]


def test_a_worker_gets_all_that_the_plan_says(tmp_path: Path) -> None:
    plan = planned(
        tmp_path,
        'method = "POST"\nquery = { a = 1 }\njson = { at = 2026-11-25, n = [1, 2.5, true] }\n'
        'timeout = "2s"\nexpect = { status = [200], contains = "x", max_bytes = "1KiB" }\n'
        '[[scenario]]\nname = "other"\nmethod = "POST"\n'
        'multipart = { a = "b", photo = { file = "photo.png" } }',
    )
    (job,) = share_out(plan)
    assert messages.decode_command(messages.encode(job)[messages.HEADER :]) == job
    # Without a timeout of its own it is the target's.
    assert [scenario.timeout for scenario in job.scenarios] == [2.0, 10.0]


def test_checked_requests_are_their_bytes() -> None:
    checked = Checked(b"GET", b"x", 3)
    assert checked == b"GET" and (checked.contains, checked.max_bytes) == (b"x", 3)


def test_the_documented_plan_loads(tmp_path: Path) -> None:
    text = (Path(__file__).parent.parent / "docs/scenarios.md").read_text(encoding="utf-8")
    for block in text.split("```toml\n")[1:]:
        document = tomllib.loads(block.partition("```")[0])
        document.setdefault("target", {"url": "http://a.example"})
        document.setdefault("data", {"user": {"file": "users.csv"}})
        config.decode(document, "docs/scenarios.md")
