"""What is accepted, and how large bodies are as they come and without their coding."""

from __future__ import annotations

import asyncio
import gzip
import itertools
import random
import time
import zlib
from functools import partial
from pathlib import Path
from typing import Any

import brotli
import httpx
import pytest
import zstandard

from loadwatch import config
from loadwatch.core.bucket import ScenarioBucket
from loadwatch.demo.launch import Site
from loadwatch.load.answer import Answer
from loadwatch.load.fleet import share_out
from loadwatch.load.httpx_engine import HttpxEngine
from loadwatch.load.stream import Stream
from loadwatch.load.template import all_requests
from loadwatch.load.weighing import HEAVIEST
from loadwatch.load.wire import Wire
from loadwatch.session import open_session
from tests.runs import run
from tests.servers import answering, serving


@pytest.mark.parametrize(
    ("url", "load", "headers", "accepted"),
    [
        ("http://x", {}, {}, "gzip, deflate"),
        ("https://x", {}, {}, "gzip, deflate, br, zstd"),
        ("https://x", {"compression": True}, {}, "gzip, deflate, br, zstd"),
        ("https://x", {"compression": False}, {}, "identity"),
        # What a scenario says itself counts.
        ("http://x", {}, {"accept-encoding": "br"}, "br"),
        ("http://x", {"compression": False}, {"Accept-Encoding": "gzip"}, "gzip"),
    ],
)
def test_what_is_accepted(
    url: str, load: dict[str, Any], headers: dict[str, str], accepted: str
) -> None:
    document = {
        "target": {"url": url}, "load": load, "scenario": [{"name": "home", "headers": headers}],
    }  # fmt: skip
    plan = config.decode(document, "plan")
    head = next(all_requests(share_out(plan)[0])["home"]).decode()
    lines = [line for line in head.split("\r\n") if line.lower().startswith("accept-encoding:")]
    assert [line.partition(": ")[2] for line in lines] == [accepted]


# -- sizes ---------------------------------------------------------------------------------------

PAGE = b"<p>Hey you!</p>\n" * 500


def head(coding: str, length: int | None = None, status: str = "200 OK") -> bytes:
    lines = [f"HTTP/1.1 {status}"]
    lines += [f"Content-Encoding: {coding}"] if coding else []
    lines += [] if length is None else [f"Content-Length: {length}"]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


@pytest.mark.parametrize(
    ("coding", "body", "size"),
    [
        ("", PAGE, len(PAGE)),
        ("identity", PAGE, len(PAGE)),
        ("GZIP", gzip.compress(PAGE), len(PAGE)),
        ("deflate", zlib.compress(PAGE), len(PAGE)),
        ("br", brotli.compress(PAGE), len(PAGE)),
        ("zstd", zstandard.compress(PAGE), len(PAGE)),
        ("deflate, gzip", gzip.compress(zlib.compress(PAGE)), len(PAGE)),
        ("gzip", b"", 0),
        # Broken, and what nobody knows.
        ("gzip", PAGE, None),
        ("br", PAGE, None),
        ("zstd", PAGE, None),
        ("compress", PAGE, None),
        ("gzip, \xff", PAGE, None),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_the_size_without_the_coding(coding: str, body: bytes, size: int | None) -> None:
    answer = Answer(head(coding), body, len(body))
    assert answer.plain_size == size
    assert len(answer.content) <= len(PAGE)


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd"])
def test_what_swells_without_end_is_not_swallowed(
    coding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """64 MiB of zeros, of which no more is made at once than memory is likely to have."""
    zeros = bytes(64 << 20)
    bomb = {"gzip": gzip.compress, "br": partial(brotli.compress, quality=1, lgwin=24),
            "zstd": zstandard.compress}[coding](zeros)  # fmt: skip
    monkeypatch.setattr("loadwatch.load.answer.HUGE", 1 << 20)
    answer = Answer(head(coding), bomb, len(bomb))
    parts = [len(part) for part in answer._decoded([coding])]
    assert sum(parts) == len(zeros)
    assert max(parts) <= 48 << 20
    assert answer.plain_size is None


async def weighed(
    *bodies: tuple[str, bytes], seconds: int = 1, times: int = 3
) -> list[ScenarioBucket]:
    """What the wire engine weighs of a site that has these answers by turns; a second each."""
    turns = itertools.cycle(bodies)

    async def behave(request: bytes, writer: asyncio.StreamWriter) -> bool:
        coding, body = next(turns)
        status = "503 Busy" if coding == "busy" else "200 OK"
        writer.write(head(coding.replace("busy", ""), len(body), status) + body)
        return True

    async with serving(behave) as port:
        wire = Wire("127.0.0.1", port, None, 5, 10)
        stream = Stream("home", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        buckets = []
        for _ in range(seconds):
            for _ in range(times):
                wire.fire(stream, time.monotonic(), time.monotonic())
                while wire.open or stream.scales._busy:
                    await asyncio.sleep(0)
            buckets.append(stream.take())
        wire.close()
    return buckets


def sizes(bucket: ScenarioBucket) -> tuple[int, int, int, int]:
    return bucket.weighed, bucket.compressed, bucket.decompressed, bucket.undecoded


async def test_one_answer_of_a_second_is_weighed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Alike or not; a body that is known is not decoded again."""
    small = gzip.compress(PAGE)
    decoded: list[int] = []
    real = Answer.plain_size.fget  # type: ignore[attr-defined]
    monkeypatch.setattr(
        Answer, "plain_size", property(lambda answer: decoded.append(answer.size) or real(answer))
    )
    for bucket in await weighed(("gzip", small), seconds=3, times=4):
        assert bucket.completed == 4
        assert sizes(bucket) == (1, len(small), len(PAGE), 0)
    assert decoded == [len(small)]


async def test_what_is_not_coded_has_one_size() -> None:
    (bucket,) = await weighed(("", PAGE))
    assert sizes(bucket) == (1, len(PAGE), len(PAGE), 0)


async def test_of_a_server_that_is_busy_a_page_is_weighed() -> None:
    (bucket,) = await weighed(("busy", b"no"), ("busy", b"no"), ("", PAGE), times=6)
    assert bucket.status == {503: 4, 200: 2}
    assert sizes(bucket) == (1, len(PAGE), len(PAGE), 0)


async def test_a_broken_coding_is_counted() -> None:
    (bucket,) = await weighed(("gzip", PAGE))
    assert sizes(bucket) == (0, 0, 0, 1)


async def test_what_is_too_heavy_is_left() -> None:
    body = zlib.compress(random.Random(1).randbytes(HEAVIEST + 1), 0)
    (bucket,) = await weighed(("deflate", body))
    assert sizes(bucket) == (0, 0, 0, 0)


async def test_the_body_is_the_content_of_chunks() -> None:
    small = gzip.compress(PAGE)
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (small[:9], small[9:], b""))
    chunked = head("gzip\r\nTransfer-Encoding: chunked") + chunks
    async with serving(answering(chunked[:100], chunked[100:], pause=0.001)) as port:
        wire = Wire("127.0.0.1", port, None, 5, 10)
        stream = Stream("home", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        wire.fire(stream, time.monotonic(), time.monotonic())
        while wire.open or stream.scales._busy:
            await asyncio.sleep(0.001)
        assert sizes(stream.take()) == (1, len(small), len(PAGE), 0)
        wire.close()


async def test_a_head_has_no_size() -> None:
    async with serving(answering(head("gzip", 100))) as port:
        wire = Wire("127.0.0.1", port, None, 5, 10)
        stream = Stream("home", b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n", bodiless=True)
        wire.fire(stream, time.monotonic(), time.monotonic())
        while wire.open:
            await asyncio.sleep(0)
        assert sizes(stream.take()) == (0, 0, 0, 0)
        wire.close()


async def test_httpx_weighs_too() -> None:
    small = gzip.compress(PAGE)

    async def behave(request: httpx.Request) -> httpx.Response:
        coded = {"content-encoding": "gzip"}
        return httpx.Response(200, headers=coded, stream=httpx.ByteStream(small))

    engine = HttpxEngine("http://x", httpx.MockTransport(behave), 5, 10)
    stream = Stream("home", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    for _ in range(3):
        engine.fire(stream, time.monotonic(), time.monotonic())
        while engine.open or stream.scales._busy:
            await asyncio.sleep(0)
    assert sizes(stream.take()) == (1, len(small), len(PAGE), 0)
    await engine.aclose()


@pytest.mark.parametrize("compression", [True, False])
def test_a_run_knows_both_sizes(compression: bool, tmp_path: Path) -> None:
    with Site(["--backends=1", "--gzip"]) as site:
        plan = (
            f'[target]\nurl = "{site.url}"\n[load]\ncompression = {str(compression).lower()}\n'
            '[[scenario]]\nname = "home"\nrate = 20\n'
        )
        found = run(plan, tmp_path, "--duration", "1500ms")
    size = found["scenarios"]["home"]["body_bytes"]
    assert size["decompressed"] > 4000
    assert (size["compressed"] < 0.6 * size["decompressed"]) is compression
    with open_session(tmp_path / "s.loadwatch") as recorded:
        values = [tick.values.get("scenario.home.body.decompressed") for tick in recorded.ticks()]
    assert size["decompressed"] in values
