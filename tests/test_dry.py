"""Before the first shot and during the run: are the answers those that one wants to measure?"""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import pytest

from loadwatch.analysis.sizes import Sizes
from loadwatch.core.controls import Trial
from loadwatch.core.plan import Load, Plan, Scenario, Seconds, Target
from loadwatch.core.tick import Tick
from loadwatch.load.dry import try_out
from loadwatch.load.reach import public_address
from tests.certificates import make_certificate
from tests.servers import OK, answering, endless, hanging, resetting, serving


def answer(status: str, body: bytes = b"", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


async def tried(url: str, *, scenario: Scenario | None = None, **target: object) -> Trial:
    plan = Plan(
        Target(url, timeout=Seconds(1), **target),  # type: ignore[arg-type]
        load=Load(workers=1),
        scenarios=(scenario or Scenario("home"),),
    )
    (trial,) = await asyncio.to_thread(try_out, plan)
    return trial


COOKIE, TOKEN = {"Cookie": "sessionid=x"}, {"Authorization": "Bearer x"}
LOGIN = "redirects to /login/?next=/: "

CASES = [
    (OK, {}, "200, 2 B in ", True),
    (answer("204 No Content"), {}, "204, 0 B in ", True),
    (answer("200 OK"), {}, "an empty answer", False),
    (answer("302 Found", b"", "Location: /login/?next=/"), COOKIE,
     LOGIN + "your cookie is not accepted", False),
    (answer("302 Found", b"", "Location: /login/?next=/"), TOKEN,
     LOGIN + "your login is not accepted", False),
    (answer("302 Found", b"", "Location: /login/?next=/"), {}, LOGIN + "it wants a login", False),
    (answer("301 Moved", b"", "Location: https://other/"), {},
     "redirects to https://other/, which is not followed", False),
    (answer("404 Not Found", b"no"), {}, "404, 2 B in ", False),
    (answer("404 Not Found", b"no"), {}, "there is no such page", False),
    (answer("401 Unauthorized", b"no"), {}, "it wants credentials", False),
    (answer("403 Forbidden", b"no"), {}, "it refuses these credentials", False),
    (answer("418 Teapot", b"no"), {}, "a client error", False),
    (answer("503 Unavailable", b"no"), {}, "503, 2 B in ", False),
    (answer("503 Unavailable", b"no"), {}, "a server error", False),
]  # fmt: skip


@pytest.mark.parametrize(("response", "headers", "said", "good"), CASES)
async def test_what_a_request_comes_to(
    response: bytes, headers: dict[str, str], said: str, good: bool
) -> None:
    async with serving(answering(response)) as port:
        url = f"http://127.0.0.1:{port}"
        trial = await tried(url, scenario=Scenario("home", headers=headers))
    assert trial.scenario == "home"
    assert said in trial.text
    assert trial.is_good is good


@pytest.mark.parametrize(
    ("behaviour", "said"),
    [(hanging, "no answer in time"), (resetting, "no whole answer"), (endless, "has no end")],
)
async def test_a_server_that_misbehaves(behaviour: object, said: str) -> None:
    async with serving(behaviour) as port:  # type: ignore[arg-type]
        trial = await tried(f"http://127.0.0.1:{port}")
    assert said in trial.text
    assert not trial.is_good


async def test_nobody_listens() -> None:
    async with serving(answering(OK)) as port:
        pass
    trial = await tried(f"http://127.0.0.1:{port}")
    assert trial.text.startswith("no connection: ")


async def test_a_certificate_that_is_not_trusted(tmp_path: Path) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(*make_certificate(tmp_path, "127.0.0.1"))
    async with serving(answering(OK), tls) as port:
        url = f"https://127.0.0.1:{port}"
        trial = await tried(url)
        assert "certificate not trusted: self-signed certificate" in trial.text
        assert "--insecure" in trial.text
        assert (await tried(url, verify=False)).is_good


async def test_one_request_for_each_scenario_and_no_redirect_followed() -> None:
    heads: list[bytes] = []

    async def behave(head: bytes, writer: asyncio.StreamWriter) -> bool:
        heads.append(head)
        writer.write(answer("302 Found", b"", "Location: /elsewhere"))
        return True

    async with serving(behave) as port:
        plan = Plan(
            Target(f"http://127.0.0.1:{port}"),
            scenarios=(Scenario("a", "/a"), Scenario("b", "/b", method="POST", body="x=1")),
        )
        trials = await asyncio.to_thread(try_out, plan)
    assert [trial.scenario for trial in trials] == ["a", "b"]
    assert [head.split(b" HTTP")[0] for head in heads] == [b"GET /a", b"POST /b"]


async def test_a_hostile_location_is_only_text() -> None:
    hostile = answer("302 Found", b"", "Location: /\x1b[31mlogin" + "x" * 500)
    async with serving(answering(hostile)) as port:
        trial = await tried(f"http://127.0.0.1:{port}")
    assert trial.text.isprintable()
    assert len(trial.text) < 400


# -- whom it would reach -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "addresses", "asks"),
    [
        ("http://127.0.0.1:8000", ["127.0.0.1"], None),
        ("http://localhost", ["::1", "127.0.0.1"], None),
        ("http://10.1.2.3", ["10.1.2.3"], None),
        ("http://web.lan", ["192.168.0.7"], None),
        ("http://web.lan", ["172.20.0.7"], None),
        ("http://[fe80::1%25eth0]", ["fe80::1%eth0"], None),
        ("http://[fd00::1]", ["fd00::1"], None),
        ("http://www.example", ["93.184.216.34"], "93.184.216.34"),
        ("http://www.example", ["2606:2800:220::1"], "2606:2800:220::1"),
        ("http://www.example", ["10.0.0.1", "93.184.216.34"], "93.184.216.34"),  # one is enough
        ("http://www.example", ["::ffff:93.184.216.34"], "::ffff:93.184.216.34"),
        ("http://www.example", ["::ffff:127.0.0.1"], None),
        ("http://staging.example", ["93.184.216.34"], None),  # the plan allows it
        ("http://nowhere.example", [], None),
    ],
)
async def test_only_a_public_target_takes_a_word(
    url: str, addresses: list[str], asks: str | None
) -> None:
    async def resolve(host: str) -> list[str]:
        if not addresses:
            raise OSError("no such name")
        return addresses

    target = Target(url, allow=("staging.example",))
    assert await public_address(target, resolve) == asks


async def test_the_resolver_of_the_system() -> None:
    assert await public_address(Target("http://127.0.0.1:1")) is None


# -- sizes ---------------------------------------------------------------------------------------


def second(at: int, received: float, completed: float = 10, good: float | None = None) -> Tick:
    values = {
        "scenario.wall.completed": completed, "scenario.wall.received": received,
        "scenario.wall.status.2xx": completed if good is None else good,
    }  # fmt: skip
    return Tick(at, 0.0, 1, "", {}, values)


KIB = 1024


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        ([(400 * KIB, 10)] * 60, []),
        ([(400 * KIB, 10)] * 10 + [(900 * KIB, 10)] * 10,
         ["wall: answers are typically 90 KiB, where they were 40 KiB"]),
        ([(400 * KIB, 10)] * 10 + [(600 * KIB, 10)] * 50, []),  # pages differ
        ([(400 * KIB, 10)] * 10 + [(5000, 10)] * 50,
         ["wall: answers are typically 500 B, where they were 40 KiB"]),  # once
        ([(400 * KIB, 10)] * 10 + [(5000, 10)] * 20 + [(400 * KIB, 10)] * 12,
         ["wall: answers are typically 500 B, where they were 40 KiB",
          "wall: answers are typically 40 KiB again"]),
        ([(400 * KIB, 10)] * 10 + [(5000, 10)] * 4, []),  # not for a moment
        ([(400 * KIB, 10)] * 9 + [(90_000 * KIB, 10)] + [(400 * KIB, 10)] * 30, []),  # a download
        ([(0, 0)] * 20 + [(400 * KIB, 10)] * 19, []),  # nothing was answered
        ([(0, 0), (800 * KIB, 1)] * 10 + [(0, 1), (1600 * KIB, 1)] * 10, []),  # straddling seconds
    ],
)  # fmt: skip
def test_a_change_of_size_is_said_once(seconds: list[tuple[int, int]], said: list[str]) -> None:
    found: list[str] = []
    sizes = Sizes(["wall"], found.append)
    for at, (received, completed) in enumerate(seconds):
        sizes.add(second(at, received, completed))
        now = [line for line in found[-1:] if not line.endswith("again")]
        assert list(sizes.changed) == now  # in sight for as long as it is so
    assert found == said


def test_errors_have_sizes_of_their_own() -> None:
    found: list[str] = []
    sizes = Sizes(["wall"], found.append)
    for at in range(10):
        sizes.add(second(at, 400 * KIB))
    for at in range(10, 40):
        sizes.add(second(at, 5000, good=0))
    assert found == [] == list(sizes.changed)
