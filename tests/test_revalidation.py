"""Pages that a user has already are asked for with their entity tag; a 304 counts as such."""

from __future__ import annotations

import asyncio
import itertools
import re
import time
from pathlib import Path

import httpx
import pytest

from benchmarks.peers import nginx
from loadwatch.demo.launch import Site
from loadwatch.load import revalidation
from loadwatch.load.answer import Checked
from loadwatch.load.httpx_engine import HttpxEngine
from loadwatch.load.revalidation import Validators
from loadwatch.load.stream import Stream
from loadwatch.load.wire import Wire
from tests.runs import run
from tests.servers import serving
from tests.sshd import require

ADA = b"GET /wall/1/ HTTP/1.1\r\nHost: x\r\nCookie: id=ada\r\n\r\n"
BEN = ADA.replace(b"ada", b"ben")


def answer(*lines: bytes, status: bytes = b"200 OK") -> bytes:
    return b"\r\n".join([b"HTTP/1.1 " + status, *lines, b"Content-Length: 2", b"", b"ok"])


def asked(validators: Validators, request: bytes = ADA) -> bytes:
    """What goes out for `request` now."""
    return next(validators.conditional(itertools.repeat(request)))


def conditional(request: bytes, tag: bytes) -> bytes:
    return request[:-2] + b"If-None-Match: " + tag + b"\r\n\r\n"


def test_every_user_has_a_browser_of_their_own() -> None:
    validators = Validators()
    assert asked(validators) == ADA
    validators.heard(ADA, 200, answer(b'ETag: "1"'))
    assert asked(validators) == conditional(ADA, b'"1"')
    assert asked(validators, BEN) == BEN
    validators.heard(BEN, 200, answer(b'ETag: "2"'))
    assert asked(validators, BEN) == conditional(BEN, b'"2"')
    assert asked(validators) == conditional(ADA, b'"1"')


def test_what_changes_a_tag_and_what_does_not() -> None:
    validators = Validators()
    validators.heard(ADA, 200, answer(b'ETag: "1"'))
    sent = asked(validators)
    for status in (304, 302, 404, 503):
        validators.heard(sent, status, answer(b'ETag: "no"'))
        assert asked(validators) == sent
    validators.heard(sent, 200, answer(b'etag:W/"2" '))
    assert asked(validators) == conditional(ADA, b'W/"2"')
    validators.heard(asked(validators), 200, answer())
    assert asked(validators) == ADA  # a page without a tag is asked for anew


@pytest.mark.parametrize(
    "lines",
    [
        [b"ETag: 1"],
        [b'ETag: "1'],
        [b'ETag: "a b"'],
        [b'ETag: "1"; x'],
        [b'ETag: "' + b"x" * 300 + b'"'],
        [b'ETag: "1"', b"Cache-Control: private, no-store"],
        [b"Cache-Control: NO-STORE", b'ETag: "1"'],
    ],
)
def test_what_no_browser_would_keep(lines: list[bytes]) -> None:
    validators = Validators()
    validators.heard(ADA, 200, answer(*lines))
    assert asked(validators) == ADA


def test_a_body_says_nothing() -> None:
    validators = Validators()
    validators.heard(ADA, 200, answer() + b'\r\nETag: "1"\r\n\r\n')
    assert asked(validators) == ADA


@pytest.mark.parametrize(
    "request_",
    [
        b"POST /like/ HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
        b'GET / HTTP/1.1\r\nHost: x\r\nif-none-match: "own"\r\nCookie: a\r\n\r\n',
    ],
)
def test_only_pages_of_which_the_plan_says_nothing(request_: bytes) -> None:
    validators = Validators()
    validators.heard(request_, 200, answer(b'ETag: "1"'))
    assert asked(validators, request_) == request_


def test_those_of_the_last_answers_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(revalidation, "MOST", 2)
    validators = Validators()
    users = [ADA, BEN, ADA.replace(b"ada", b"cleo")]
    for user in (ADA, BEN, ADA, users[2]):
        validators.heard(user, 200, answer(b'ETag: "1"'))
    assert [asked(validators, user) == user for user in users] == [False, True, False]


# -- the engines ---------------------------------------------------------------------------------


async def site(head: bytes, writer: asyncio.StreamWriter) -> bool:
    """A page for each user, by their cookie; those with "b" in their name get none with a tag."""
    name = re.search(rb"id=(\w+)", head)
    assert name is not None
    tag = b'ETag: "%b"' % name[1]
    if b'If-None-Match: "%b"' % name[1] in head:
        writer.write(b"HTTP/1.1 304 Not Modified\r\n" + tag + b"\r\n\r\n")
    else:
        writer.write(answer(*([] if b"b" in name[1] else [tag])))
    return True


def users() -> Stream:
    requests = itertools.cycle([ADA, BEN, ADA.replace(b"ada", b"cleo")])
    return Stream("wall", requests, validators=Validators())


async def test_by_the_wire_engine() -> None:
    async with serving(site) as port:
        wire, stream = Wire("127.0.0.1", port, None, 5, 10), users()
        for _ in range(12):
            wire.fire(stream, time.monotonic(), time.monotonic())
            while wire.open:
                await asyncio.sleep(0)
        bucket = stream.take()
        wire.close()
    assert bucket.status == {200: 2 + 4, 304: 6}
    assert bucket.good == 12


async def test_what_is_expected_of_a_page_is_not_of_the_304_that_stands_for_it() -> None:
    requests = [Checked(user, b"ok") for user in (ADA, ADA.replace(b"ada", b"cleo"))]
    async with serving(site) as port:
        wire = Wire("127.0.0.1", port, None, 5, 10)
        stream = Stream(
            "wall", itertools.cycle(requests), statuses=[200], checked=True, validators=Validators()
        )
        for _ in range(6):
            wire.fire(stream, time.monotonic(), time.monotonic())
            while wire.open:
                await asyncio.sleep(0)
        bucket = stream.take()
        wire.close()
    assert bucket.status == {200: 2, 304: 4}
    assert (bucket.good, bucket.errors) == (6, {})


async def test_by_httpx() -> None:
    async def behave(request: httpx.Request) -> httpx.Response:
        name = request.headers["Cookie"].removeprefix("id=")
        if request.headers.get("If-None-Match") == f'"{name}"':
            return httpx.Response(304, stream=httpx.ByteStream(b""))
        return httpx.Response(200, headers={"etag": f'"{name}"'}, stream=httpx.ByteStream(b"ok"))

    engine, stream = HttpxEngine("http://x", httpx.MockTransport(behave), 5, 10), users()
    for _ in range(12):
        engine.fire(stream, time.monotonic(), time.monotonic())
        while engine.open:
            await asyncio.sleep(0)
    bucket = stream.take()
    await engine.aclose()
    assert bucket.status == {200: 3, 304: 9}


def test_a_run_in_which_nginx_knows_the_pages(tmp_path: Path) -> None:
    require("nginx")
    (tmp_path / "users.csv").write_text("name\n" + "\n".join(f"user{n}" for n in range(10)))
    with nginx(body=5000) as url:
        plan = (
            f'[target]\nurl = "{url}"\n[load]\nconnections = 1\nrequests = 50\nrevalidate = true\n'
            '[data.user]\nfile = "users.csv"\n[[scenario]]\nname = "home"\n'
            'headers = { X-User = "${user.name}" }\n'
        )
        result = run(plan, tmp_path)
    assert result["errors"] == {}
    assert result["status"] == {"200": 10, "304": 40}


def test_users_who_visit_again_have_the_pages(tmp_path: Path) -> None:
    """Where something is taken from an answer it comes whole: of a 304 nothing could be."""
    with Site(["--backends", "1"]) as site:
        plan = (
            f'[target]\nurl = "{site.url}"\n[load]\nworkers = 1\narrival = "uniform"\n'
            'revalidate = true\n[[scenario]]\nname = "visit"\nrate = 5\n'
            '[[scenario.step]]\nname = "home"\nexpect = { status = 200, contains = "Hey" }\n'
            '[[scenario.step]]\nname = "again"\ntake.title = { css = "title" }\n'
        )
        visit = run(plan, tmp_path, "--duration", "2s")["scenarios"]["visit"]
    assert visit["errors"] == {}
    assert visit["visits"]["failed"] == 0
    home, again = (visit["steps"][name]["status"] for name in ("home", "again"))
    assert set(home) == {"200", "304"}
    assert set(again) == {"200"}
