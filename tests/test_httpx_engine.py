"""The httpx engine: the same outcomes as the wire engine's, and what only httpx can do."""

from __future__ import annotations

import asyncio
import ssl
import time
from pathlib import Path

import pytest

from benchmarks.peers import nginx
from loadwatch.core.bucket import ScenarioBucket
from loadwatch.core.histogram import Histogram
from loadwatch.load.generator import ClosedLoop
from loadwatch.load.httpx_engine import HttpxEngine, transport
from loadwatch.load.stream import Stream
from tests.certificates import make_certificate
from tests.servers import OK, Behaviour, answering, endless, hanging, resetting, serving
from tests.sshd import require

TIMEOUT = 0.5

REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


def engine_for(
    url: str, tls: ssl.SSLContext | None = None, *, http2: bool = False, proxy: str | None = None,
    limit: int = 100, keep_alive: bool = True, timeout: float = TIMEOUT,
) -> HttpxEngine:  # fmt: skip
    return HttpxEngine(url, transport(tls, keep_alive, http2, proxy), timeout, limit)


async def fire(engine: HttpxEngine, times: int = 1, together: bool = False) -> ScenarioBucket:
    stream = Stream("home", REQUEST)
    for number in range(times):
        now = time.monotonic()
        engine.fire(stream, now, now)
        while engine.open and (not together or number == times - 1):
            await asyncio.sleep(0.002)
    return stream.bucket


@pytest.mark.parametrize(
    ("behaviour", "status", "errors"),
    [
        (answering(OK), {200: 2}, {}),
        (answering(b"HTTP/1.1 302 Found\r\nLocation: /login\r\nContent-Length: 0\r\n\r\n"),
         {302: 2}, {}),
        (answering(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"), {503: 2}, {}),
        # Compressed by nobody: what comes is counted, not decoded.
        (answering(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nbad"),
         {200: 2}, {}),
        (answering(b"HTTP/1.1 200 OK\r\n\r\nuntil the end", keep=False), {200: 2}, {}),
        (answering(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok", keep=False),
         {}, {"protocol": 2}),
        (resetting, {}, {"reset": 2}),
        (answering(keep=False), {}, {"reset": 2}),
        (answering(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"), {}, {"protocol": 2}),
        (hanging, {}, {"timeout": 2}),
        (endless, {}, {"timeout": 2}),
    ],
)  # fmt: skip
async def test_what_becomes_of_a_request(
    behaviour: Behaviour, status: dict[int, int], errors: dict[str, int]
) -> None:
    async with serving(behaviour) as port:
        engine = engine_for(f"http://127.0.0.1:{port}")
        bucket = await fire(engine, 2)
        await engine.aclose()
    assert bucket.status == status
    assert bucket.errors == errors
    assert bucket.offered == bucket.sent == 2
    if "timeout" in errors:
        assert Histogram(bucket.response).total == 2


async def test_connections_are_kept_unless_told_otherwise() -> None:
    for keep_alive, connected in ((True, 1), (False, 3)):
        async with serving(answering(OK)) as port:
            engine = engine_for(f"http://127.0.0.1:{port}", keep_alive=keep_alive)
            bucket = await fire(engine, 3)
            await engine.aclose()
        assert (bucket.connected, bucket.status) == (connected, {200: 3})
        assert bucket.received == 3 * len(b"ok")


async def test_targets_that_cannot_be_reached(tmp_path: Path) -> None:
    server_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_tls.load_cert_chain(*make_certificate(tmp_path, "127.0.0.1"))
    verifying = ssl.create_default_context()
    async with serving(answering(OK), tls=server_tls) as port:
        for url, kind in (
            (f"https://127.0.0.1:{port}", "tls"),
            ("http://127.0.0.1:1", "connect"),
            ("http://no.such.name.invalid", "dns"),
        ):
            engine = engine_for(url, verifying if kind == "tls" else None, timeout=10)
            assert (await fire(engine)).errors == {kind: 1}
            await engine.aclose()


async def test_past_the_limit_requests_are_dropped_and_counted() -> None:
    async with serving(hanging) as port:
        engine = engine_for(f"http://127.0.0.1:{port}", limit=2)
        bucket = await fire(engine, 5, together=True)
        await engine.aclose()
    assert (bucket.offered, bucket.dropped, bucket.errors) == (5, 3, {"timeout": 2})


async def test_each_request_is_its_own_and_none_is_made_up() -> None:
    seen: list[bytes] = []

    async def watching(head: bytes, writer: asyncio.StreamWriter) -> bool:
        seen.append(head.split(b" ")[1])
        return await answering(OK)(head, writer)

    async with serving(watching) as port:
        engine = engine_for(f"http://127.0.0.1:{port}")
        paths = (REQUEST.replace(b"GET /", b"GET " + path) for path in (b"/a?b=%20", b"/%2F?"))
        stream = Stream("home", paths)
        for _ in range(3):
            now = time.monotonic()
            engine.fire(stream, now, now)
            while engine.open:
                await asyncio.sleep(0.002)
        await engine.aclose()
    assert seen == [b"/a?b=%20", b"/%2F?"]
    bucket = stream.bucket
    assert (bucket.offered, bucket.sent, bucket.completed, bucket.dropped) == (3, 2, 2, 1)


async def test_the_oldest_open_request_is_known() -> None:
    async with serving(hanging) as port:
        engine = engine_for(f"http://127.0.0.1:{port}")
        stream = Stream("home", REQUEST)
        assert stream.oldest == float("inf")
        now = time.monotonic()
        engine.fire(stream, now - 0.1, now)
        engine.fire(stream, now, now)
        assert (stream.oldest, len(stream.open)) == (now - 0.1, 2)
        await engine.aclose()
        assert engine.open == 0


async def test_a_closed_loop_goes_through_it() -> None:
    async with serving(answering(OK)) as port:
        engine = engine_for(f"http://127.0.0.1:{port}")
        stream = Stream("home", REQUEST)
        loop = ClosedLoop([stream], [1], engine, time.monotonic, connections=3, requests=30)
        engine.freed = loop.freed
        loop.begin()
        while not loop.over or engine.open:
            await asyncio.sleep(0.002)
        await engine.aclose()
    assert stream.bucket.status == {200: 30}
    assert stream.bucket.connected <= 3


@pytest.mark.parametrize("tls", [True, False])
async def test_http2_takes_one_connection_for_all(tls: bool) -> None:
    """Negotiated where there is TLS; without, nginx answers to what is spoken at once."""
    require("nginx")
    insecure = ssl.create_default_context()
    insecure.check_hostname, insecure.verify_mode = False, ssl.CERT_NONE
    with nginx(tls=tls, http2=True) as url:
        engine = engine_for(url, insecure if tls else None, http2=True, timeout=5)
        first = await fire(engine, 1)
        bucket = await fire(engine, 20, together=True)
        await engine.aclose()
    assert (first.connected, first.status) == (1, {200: 1})
    assert (bucket.connected, bucket.status, bucket.errors) == (0, {200: 20}, {})


async def test_a_proxy_is_asked_for_the_whole_url() -> None:
    heads = []

    async def proxying(head: bytes, writer: asyncio.StreamWriter) -> bool:
        heads.append(head.split(b"\r\n")[0])
        return await answering(OK)(head, writer)

    async with serving(proxying) as port:
        engine = engine_for("http://heywall.example", proxy=f"http://127.0.0.1:{port}")
        bucket = await fire(engine, 1)
        await engine.aclose()
    assert heads == [b"GET http://heywall.example/ HTTP/1.1"]
    assert (bucket.status, bucket.sent) == ({200: 1}, 1)
