"""The hot path against servers that answer and servers that misbehave."""

from __future__ import annotations

import asyncio
import itertools
import ssl
import time
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadwatch.core.bucket import ScenarioBucket
from loadwatch.core.errors import PlanError
from loadwatch.core.histogram import Histogram
from loadwatch.load import messages
from loadwatch.load.answer import Checked
from loadwatch.load.connection import Connection
from loadwatch.load.engine import tls_context
from loadwatch.load.generator import ClosedLoop
from loadwatch.load.request import build, render
from loadwatch.load.stream import Stream
from loadwatch.load.wire import Wire
from tests.certificates import make_certificate
from tests.servers import OK, Behaviour, answering, endless, hanging, resetting, serving

TIMEOUT = 0.4


async def fire(
    port: int, times: int = 1, *, timeout: float = TIMEOUT, keep_alive: bool = True,
    limit: int = 100, tls: ssl.SSLContext | None = None, together: bool = False,
) -> tuple[ScenarioBucket, int]:  # fmt: skip
    """Fire one after the other (or all together); the bucket, and how many connections are idle."""
    wire = Wire("127.0.0.1", port, tls, timeout, limit, keep_alive)
    scheme = "https" if tls else "http"
    request = render(build(f"{scheme}://127.0.0.1:{port}", "/", {}, keep_alive))
    stream = Stream("home", request)
    for number in range(times):
        now = time.monotonic()
        wire.fire(stream, now, now)
        while wire.open and (not together or number == times - 1):
            await asyncio.sleep(0.002)
    idle = len(wire._idle)
    wire.close()
    await asyncio.sleep(0.01)
    return stream.bucket, idle


CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Trailer: 1\r\n\r\n"
)


@pytest.mark.parametrize(
    ("behaviour", "status", "errors", "idle"),
    [
        (answering(OK), {200: 3}, {}, 1),
        (answering(CHUNKED), {200: 3}, {}, 1),
        (answering(*(bytes([b]) for b in CHUNKED), pause=0.0001), {200: 3}, {}, 1),
        # An interim response is passed over.
        (answering(b"HTTP/1.1 100 Continue\r\n\r\n" + OK), {200: 3}, {}, 1),
        # … and does not make an answer of what breaks off after it.
        (answering(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n",
                   b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc", keep=False, pause=0.001),
         {}, {"reset": 3}, 0),
        (answering(b"HTTP/1.1 100 Continue\r\n\r\n", keep=False), {}, {"reset": 3}, 0),
        (answering(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\nend", keep=False),
         {200: 3}, {}, 0),
        (answering(b"HTTP/1.1 204 No Content\r\n\r\n"), {204: 3}, {}, 1),
        (answering(b"HTTP/1.1 304 Not Modified\r\nETag: x\r\n\r\n"), {304: 3}, {}, 1),
        # A redirect is what it is.
        (answering(b"HTTP/1.1 302 Found\r\nLocation: /login\r\nContent-Length: 0\r\n\r\n"),
         {302: 3}, {}, 1),
        (answering(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"), {503: 3}, {}, 1),
        # The server says that it closes; the body ends with the connection.
        (answering(OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"), keep=False),
         {200: 3}, {}, 0),
        (answering(b"HTTP/1.1 200 OK\r\n\r\nuntil the end", keep=False), {200: 3}, {}, 0),
        (answering(b"HTTP/1.0 200 OK\r\n", b"\r\nuntil", b" the end", keep=False, pause=0.001),
         {200: 3}, {}, 0),
        # Cut short: not a success.
        (answering(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok", keep=False),
         {}, {"reset": 3}, 0),
        (answering(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n", keep=False),
         {}, {"reset": 3}, 0),
        (answering(b"HTTP/1.1 200 OK\r\nContent-Le", keep=False), {}, {"reset": 3}, 0),
        (resetting, {}, {"reset": 3}, 0),
        (answering(keep=False), {}, {"reset": 3}, 0),
        (answering(b"SSH-2.0-OpenSSH_9.2\r\n"), {}, {"protocol": 3}, 0),
        (answering(bytes(range(256)) * 40), {}, {"protocol": 3}, 0),
        (answering(b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"),
         {}, {"protocol": 3}, 0),
        (hanging, {}, {"timeout": 3}, 0),
        (endless, {}, {"timeout": 3}, 0),
    ],
)  # fmt: skip
async def test_what_becomes_of_a_request(
    behaviour: Behaviour, status: dict[int, int], errors: dict[str, int], idle: int
) -> None:
    async with serving(behaviour) as port:
        bucket, left = await fire(port, 3)
    assert bucket.status == status
    assert bucket.errors == errors
    assert left == idle
    assert bucket.offered == bucket.sent == 3
    assert bucket.completed == sum(status.values())
    assert bucket.good == sum(count for code, count in status.items() if code < 400)


async def test_a_timeout_stays_in_the_distribution_with_its_time() -> None:
    async with serving(hanging) as port:
        bucket, _ = await fire(port, 5, together=True)
    response = Histogram(bucket.response)
    assert response.total == 5
    assert TIMEOUT <= (response.percentile(0.01) or 0) < TIMEOUT + 0.3


async def test_refused_and_unresolvable_targets_are_counted() -> None:
    async with serving(answering(OK)) as port:
        pass  # nobody listens there any more
    bucket, _ = await fire(port, 4, together=True)
    assert bucket.errors == {"connect": 4}
    assert bucket.response == {}  # a refusal takes no time that a user would have felt

    wire = Wire("no-such-host.invalid", 80, None, 5, 10)
    stream = Stream("home", b"")
    wire.fire(stream, time.monotonic(), time.monotonic())
    while wire.open:
        await asyncio.sleep(0.01)
    wire.close()
    assert stream.bucket.errors == {"dns": 1}


async def test_past_the_limit_requests_are_dropped_and_counted() -> None:
    async with serving(hanging) as port:
        bucket, _ = await fire(port, 10, limit=4, together=True)
    assert (bucket.offered, bucket.dropped, bucket.errors) == (10, 6, {"timeout": 4})


async def test_without_keep_alive_every_request_has_its_connection() -> None:
    heads: list[bytes] = []

    async def behave(head: bytes, writer: asyncio.StreamWriter) -> bool:
        heads.append(head)
        writer.write(OK)
        return True

    async with serving(behave) as port:
        bucket, idle = await fire(port, 3, keep_alive=False)
    assert (bucket.status, idle) == ({200: 3}, 0)
    assert all(b"Connection: close\r\n" in head for head in heads)


async def test_a_stale_connection_is_retried_once_and_counted() -> None:
    """The server closes a kept connection upon the second request that it gets on it."""
    served: dict[asyncio.StreamWriter, int] = {}

    async def behave(head: bytes, writer: asyncio.StreamWriter) -> bool:
        served[writer] = served.get(writer, 0) + 1
        if served[writer] == 2:
            return False
        writer.write(OK)
        return True

    async with serving(behave) as port:
        bucket, _ = await fire(port, 4)
    assert (bucket.status, bucket.errors, bucket.retried) == ({200: 4}, {}, 3)
    assert bucket.sent == bucket.offered == 4


async def test_bytes_nobody_asked_for_close_the_connection() -> None:
    async def behave(head: bytes, writer: asyncio.StreamWriter) -> bool:
        writer.write(OK)
        await asyncio.sleep(0.01)
        writer.write(b"HTTP/1.1 408 Request Timeout\r\n\r\n")
        return True

    async with serving(behave) as port:
        wire = Wire("127.0.0.1", port, None, 5, 10)
        stream = Stream("home", render(build(f"http://127.0.0.1:{port}", "/", {}, True)))
        wire.fire(stream, time.monotonic(), time.monotonic())
        while wire.open or wire._idle:
            await asyncio.sleep(0.005)
        wire.close()
    assert stream.bucket.status == {200: 1}


async def test_tls_is_verified_unless_told_otherwise(tmp_path: Path) -> None:
    certificate, key = make_certificate(tmp_path, "127.0.0.1")
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate, key)
    trusting = ssl.create_default_context(cafile=certificate)
    async with serving(answering(OK), tls=server) as port:
        refused, _ = await fire(port, 2, tls=ssl.create_default_context())
        accepted, idle = await fire(port, 3, tls=trusting)
    assert refused.errors == {"tls": 2}
    assert (accepted.status, idle) == ({200: 3}, 1)
    assert accepted.received > 3 * len(OK) + 500  # on the wire: with handshake and records
    async with serving(answering(b"not TLS at all")) as port:
        garbled, _ = await fire(port, 1, tls=trusting)
    assert sum(garbled.errors.values()) == 1


def test_the_authorities_are_the_systems_or_a_files(tmp_path: Path) -> None:
    certificate, key = make_certificate(tmp_path, "127.0.0.1")

    def context(**given: object) -> ssl.SSLContext | None:
        job = messages.Job(0, 1, "https://127.0.0.1", 5, True, "uniform", 1, 10, True, [])
        return tls_context(msgspec.structs.replace(job, **given))

    assert context(url="http://127.0.0.1") is None
    for changes, mode, issuer in (
        ({}, ssl.CERT_REQUIRED, False),
        ({"verify": False, "ca": certificate}, ssl.CERT_NONE, False),
        ({"ca": certificate}, ssl.CERT_REQUIRED, True),
    ):
        tls = context(**changes)
        assert tls is not None and tls.verify_mode == mode
        names = [dict(pair for part in ca["subject"] for pair in part) for ca in tls.get_ca_certs()]
        assert ({"commonName": "loadwatch test"} in names) == issuer
    with pytest.raises(PlanError, match=r"target.ca: no certificates \(PEM\) in .*key.pem"):
        context(ca=key)
    with pytest.raises(PlanError, match=r"target.ca: cannot read .*none.pem: No such file"):
        context(ca=str(tmp_path / "none.pem"))


async def test_the_server_is_told_the_name_that_is_asked_for(tmp_path: Path) -> None:
    names: list[str | None] = []
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(*make_certificate(tmp_path, "127.0.0.1"))
    server.sni_callback = lambda _, name, __: names.append(name)
    trusting = ssl.create_default_context(cafile=str(tmp_path / "certificate.pem"))
    async with serving(answering(OK), tls=server) as port:
        wire = Wire("localhost", port, trusting, 5, 10)
        stream = Stream("home", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await ended(wire, stream)
        wire.close()
    assert names == ["localhost"]
    assert stream.bucket.errors == {"tls": 1}  # the certificate is another's


async def ended(wire: Wire, stream: Stream, times: int = 1) -> None:
    """Fire one request after the other, and wait for each to end."""
    for _ in range(times):
        wire.fire(stream, time.monotonic(), time.monotonic())
        while wire.open:
            await asyncio.sleep(0.002)


async def test_ipv6() -> None:
    async with serving(answering(OK), host="::1") as port:
        request = render(build(f"http://[::1]:{port}", "/", {}, True))
        assert f"Host: [::1]:{port}".encode() in request
        wire, stream = Wire("::1", port, None, 5, 10), Stream("home", request)
        await ended(wire, stream, 3)
        wire.close()
    assert (stream.bucket.status, stream.bucket.connected) == ({200: 3}, 1)


@pytest.mark.parametrize(
    ("answer", "idle"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", 1),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 1),
        (b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", 1),
        # A server that sends the body all the same: the connection is of no use any more.
        (b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody", 0),
    ],
)
async def test_the_answer_to_a_head_request_ends_with_its_head(answer: bytes, idle: int) -> None:
    async with serving(answering(answer)) as port:
        request = render(build(f"http://127.0.0.1:{port}", "/", {}, True, "HEAD"))
        wire = Wire("127.0.0.1", port, None, TIMEOUT, 10)
        stream = Stream("home", request, bodiless=True)
        await ended(wire, stream, 3)
        assert len(wire._idle) == idle
        wire.close()
    assert (stream.bucket.status, stream.bucket.errors) == ({200: 3}, {})


async def test_a_body_goes_with_the_request() -> None:
    bodies = []

    async def behave(head: bytes, writer: asyncio.StreamWriter) -> bool:
        bodies.append(head)
        writer.write(OK)
        return False

    # Without the blank line that ends a head in it, so that the server below sees head and body.
    body = bytes(range(256))
    async with serving(behave) as port:
        request = render(build(f"http://127.0.0.1:{port}", "/", {}, True, "PUT", body))
        wire, stream = Wire("127.0.0.1", port, None, 5, 10), Stream("home", request)
        await ended(wire, stream)
        wire.close()
    assert request.startswith(b"PUT / HTTP/1.1\r\n") and request.endswith(b"\r\n\r\n" + body)
    assert b"Content-Length: 256\r\n" in bodies[0]


async def test_an_answer_before_the_request_is_sent_whole() -> None:
    """413 upon the head: it counts, and the connection with its half-sent request is not kept."""
    refusal = OK.replace(b"200 OK", b"413 Too Large")
    async with serving(answering(refusal), window=65536) as port:
        body = bytes(16 * 1024 * 1024)
        request = render(build(f"http://127.0.0.1:{port}", "/", {}, True, "POST", body))
        wire, stream = Wire("127.0.0.1", port, None, 5, 10), Stream("home", request)
        await ended(wire, stream, 2)
        assert wire._idle == []
        wire.close()
    assert (stream.bucket.status, stream.bucket.connected) == ({413: 2}, 2)


async def test_a_half_closed_connection_is_not_used_again() -> None:
    async def behave(head: bytes, writer: asyncio.StreamWriter) -> bool:
        writer.write(OK)
        writer.write_eof()
        await asyncio.sleep(3600)
        return False

    async with serving(behave) as port:
        wire = Wire("127.0.0.1", port, None, 5, 10)
        stream = Stream("home", render(build(f"http://127.0.0.1:{port}", "/", {}, True)))
        for _ in range(3):
            await ended(wire, stream)
            while wire._idle:  # until the end has come
                await asyncio.sleep(0.002)
        wire.close()
    bucket = stream.bucket
    assert (bucket.status, bucket.errors, bucket.connected) == ({200: 3}, {}, 3)


async def test_an_endless_body_is_not_held() -> None:
    async with serving(endless) as port:
        wire = Wire("127.0.0.1", port, None, 1.0, 10)
        stream = Stream("home", render(build(f"http://127.0.0.1:{port}", "/", {}, True)))
        wire.fire(stream, time.monotonic(), time.monotonic())
        (connection,) = stream.open
        while wire.open:
            await asyncio.sleep(0.01)
            assert len(connection.head or b"") <= 512 * 1024
        wire.close()
    assert stream.bucket.errors == {"timeout": 1}
    assert stream.bucket.received > 1024 * 1024


async def test_a_closed_loop_keeps_its_connections_busy_and_takes_turns() -> None:
    async with serving(answering(OK)) as port:
        wire = Wire("127.0.0.1", port, None, 5, 4)
        request = render(build(f"http://127.0.0.1:{port}", "/", {}, True))
        streams = [Stream("home", request), Stream("wall", request)]
        loop = ClosedLoop(streams, [3, 1], wire, time.monotonic, 4, requests=80)
        wire.freed = loop.freed
        loop.begin()
        while not loop.over or wire.open:
            assert wire.open <= 4
            await asyncio.sleep(0.001)
        wire.close()
    assert [stream.bucket.completed for stream in streams] == [60, 20]
    assert [stream.bucket.lag for stream in streams] == [{}, {}]


async def test_a_closed_loop_fires_nothing_before_it_begins_and_ends_with_the_last_answer() -> None:
    async with serving(answering(b"", OK, pause=0.1)) as port:
        wire = Wire("127.0.0.1", port, None, 5, 4)
        stream = Stream("home", render(build(f"http://127.0.0.1:{port}", "/", {}, True)))
        loop = ClosedLoop([stream], [1], wire, time.monotonic, 4, requests=4)
        wire.freed = loop.freed
        loop.set_rates(0, [1])
        assert stream.bucket.offered == 0
        begin = time.monotonic()
        loop.begin()
        while wire.open:
            await asyncio.sleep(0.001)
        wire.close()
    assert stream.bucket.completed == 4
    assert loop.until >= begin + 0.1


async def test_a_closed_loop_holds_and_goes_on() -> None:
    async with serving(answering(OK)) as port:
        wire = Wire("127.0.0.1", port, None, 5, 2)
        stream = Stream("home", render(build(f"http://127.0.0.1:{port}", "/", {}, True)))
        loop = ClosedLoop([stream], [1], wire, time.monotonic, 2)
        wire.freed = loop.freed
        loop.begin()
        await asyncio.sleep(0.05)
        loop.set_rates(0, [0])
        while wire.open:
            await asyncio.sleep(0.001)
        held = stream.bucket.offered
        await asyncio.sleep(0.05)
        assert stream.bucket.offered == held > 0
        loop.set_rates(0, [1])
        await asyncio.sleep(0.05)
        assert stream.bucket.offered > held
        loop.finish(time.monotonic())
        while wire.open:
            await asyncio.sleep(0.001)
        wire.close()


class SilentTransport(asyncio.Transport):
    """Takes what is written and goes nowhere."""

    def __init__(self) -> None:
        super().__init__()
        self.aborted = False

    def get_extra_info(self, name: str, default: object = None) -> object:
        return _NoSocket  # so that nothing is written to a descriptor

    def get_write_buffer_size(self) -> int:
        return 0

    def write(self, data: object) -> None:
        pass

    def abort(self) -> None:
        self.aborted = True


class _NoSocket:
    @staticmethod
    def fileno() -> int:
        return -1


RESPONSES = st.sampled_from(
    [OK, CHUNKED, b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.0 200 K\r\n\r\n"]
)


@settings(deadline=None)
@given(
    st.lists(RESPONSES | st.binary(max_size=60), max_size=6).map(b"".join),
    st.lists(st.integers(0, 400), max_size=12),
    st.booleans(),
)
def test_no_bytes_in_any_cut_raise_or_lose_a_request(
    data: bytes, cuts: list[int], checked: bool
) -> None:
    """Whatever a server sends: each request ends once, or is still open for its timeout."""

    async def feed() -> None:
        wire = Wire("127.0.0.1", 80, None, 5, 10)
        stream = Stream("home", Checked(b"GET / HTTP/1.1\r\n\r\n"), checked=checked)
        edges = sorted({min(cut, len(data)) for cut in cuts} | {0, len(data)})
        connection = Connection(wire, stream, b"", 0.0, 0.0)
        connection.stream = None
        connection.transport = transport = SilentTransport()
        assert connection.outlet.free
        wire._idle = [connection]
        fired = 0
        for begin, end in itertools.pairwise(edges):
            if wire._idle:
                wire.fire(stream, 0.0, time.monotonic())
                fired += 1
            if not transport.aborted:
                connection.data_received(data[begin:end])
        connection.connection_lost(None)
        for other in stream.open:
            assert other is not connection  # the connection is gone: its request ended, or retried
        bucket = stream.bucket
        ended = bucket.completed + sum(bucket.errors.values())
        assert ended + wire.open == fired == bucket.offered
        assert len(stream.open) == wire.open
        assert fired > 0 or not data
        wire.close()

    asyncio.run(feed())


async def test_a_request_without_a_row_left_is_dropped() -> None:
    async with serving(answering(OK)) as port:
        wire = Wire("127.0.0.1", port, None, 5, 10)
        stream = Stream("home", iter([b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"]))
        await ended(wire, stream, 2)
        wire.close()
    bucket = stream.bucket
    assert (bucket.offered, bucket.sent, bucket.completed, bucket.dropped) == (2, 1, 1, 1)


async def test_a_retried_request_is_the_same_once_more() -> None:
    """The server hangs up on the second of requests that differ: it comes again, not the third."""
    seen: list[bytes] = []

    async def hanging_up(head: bytes, writer: asyncio.StreamWriter) -> bool:
        seen.append(head.split(b" ")[1])
        return len(seen) != 2 and await answering(OK)(head, writer)

    async with serving(hanging_up) as port:
        wire = Wire("127.0.0.1", port, None, 5, 10)
        requests = (b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n" % n for n in itertools.count(1))
        stream = Stream("home", requests)
        await ended(wire, stream, 3)
        wire.close()
    assert seen == [b"/1", b"/2", b"/2", b"/3"]
    assert stream.bucket.retried == 1
