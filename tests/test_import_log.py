"""Access logs: of a real nginx and a real Apache, and of users whose behaviour is known."""

from __future__ import annotations

import contextlib
import socket
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadwatch.core.errors import PlanError
from loadwatch.importing import accesslog
from loadwatch.importing.accesslog import Hit, busiest, visits
from tests.requests_seen import written
from tests.sshd import eventually, find, require

NGINX = """
user root; daemon off; worker_processes 1; pid {0}/pid; error_log {0}/error.log;
events {{ }}
http {{
    log_format common '$remote_addr - $remote_user [$time_local] "$request" '
                      '$status $body_bytes_sent';
    access_log {0}/combined.log combined; access_log {0}/common.log common;
    server {{
        listen 127.0.0.1:{1}; keepalive_timeout 0;
        location = /gone {{ return 404; }}
        location / {{ return 200 "hey"; }}
    }}
}}
"""

APACHE = """
ServerRoot {0}
ServerName web.example
PidFile {0}/pid
ErrorLog {0}/error.log
Listen 127.0.0.1:{1}
KeepAlive Off
User www-data
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule alias_module /usr/lib/apache2/modules/mod_alias.so
LogFormat "%h %l %u %t \\"%r\\" %>s %b" common
LogFormat "%h %l %u %t \\"%r\\" %>s %b \\"%{{Referer}}i\\" \\"%{{User-Agent}}i\\"" combined
CustomLog {0}/common.log common
CustomLog {0}/combined.log combined
RedirectMatch 404 ^/gone
RedirectMatch 204 ^/
"""

SENT = {
    b"GET / HTTP/1.1": 5,
    b"GET /wall/42/ HTTP/1.1": 3,
    b"GET /wall/7/ HTTP/1.1": 1,
    b"GET /search?q=a%22b&token=s3cr3t-t0k3n HTTP/1.1": 2,
    b"GET /caf\xc3\xa9 HTTP/1.1": 1,
    b"GET /site.css HTTP/1.1": 4,
    b"GET /gone HTTP/1.1": 1,
    b"POST /like HTTP/1.1": 1,
    b"\x16\x03\x01\x02\x00": 1,
}


@contextlib.contextmanager
def serving(server: str, directory: Path) -> Iterator[int]:
    """The server on a free port of loopback, with both kinds of logs in `directory`."""
    program = {"nginx": "nginx", "apache": "apache2"}[server]
    require(program)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    conf = directory / "conf"
    conf.write_text({"nginx": NGINX, "apache": APACHE}[server].format(directory, port))
    more = {"nginx": ["-p", str(directory), "-c", str(conf)],
            "apache": ["-f", str(conf), "-DFOREGROUND"]}[server]  # fmt: skip
    process = subprocess.Popen([str(find(program)), *more], stderr=subprocess.DEVNULL)
    try:
        assert eventually(lambda: is_open(port)), (directory / "error.log").read_text()
        yield port
    finally:
        process.terminate()
        process.wait(20)


def is_open(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def send(port: int, line: bytes) -> None:
    headers = b'Host: web.example\r\nUser-Agent: a "browser" \\ 1.0\r\nContent-Length: 0\r\n'
    with socket.create_connection(("127.0.0.1", port), 20) as connection:
        connection.sendall(line + b"\r\n" + headers + b"\r\n")
        while connection.recv(4096):
            pass


@pytest.mark.parametrize("kind", ["common", "combined"])
@pytest.mark.parametrize("server", ["nginx", "apache"])
def test_the_log_of_a_real_server_has_the_mix_that_was_sent(
    server: str, kind: str, tmp_path: Path
) -> None:
    with serving(server, tmp_path) as port:
        for line, times in SENT.items():
            for _ in range(times):
                send(port, line)
    text = (tmp_path / f"{kind}.log").read_bytes().decode(errors="surrogateescape")
    assert len(text.splitlines()) >= sum(SENT.values())
    draft = accesslog.read(text.splitlines(), "log", "http://web.example", rate=12)
    assert {scenario.path: scenario.rate for scenario in written(draft).scenarios} == {
        "/": 5.0,
        "/wall/42/": 4.0,  # and for /wall/7/
        "/search?q=a%22b&token=${env:TOKEN}": 2.0,
        "/caf%C3%A9": 1.0,
    }
    said = "\n".join(draft.narration())
    for what in (
        "4 requests: static files",
        "1 requests: answered with an error",
        "1 requests: POST",
        "1 more pages like /wall/*/",
    ):
        assert what in said
    assert "s3cr3t" not in said


def line(
    at: float, path: str = "/", client: str = "198.51.100.7", agent: str = "A", status: int = 200
) -> str:
    moment = datetime.fromtimestamp(at, UTC)
    return (
        f'{client} - - [{moment:%d/%b/%Y:%H:%M:%S} +0000] "GET {path} HTTP/1.1" {status} 5 "-" '
        f'"{agent}"\n'
    )


NOON = datetime(2026, 11, 24, 12, tzinfo=UTC).timestamp()


def test_the_rate_is_that_of_the_busiest_hour() -> None:
    """One per minute for a day, and 900 requests within half an hour across a full hour."""
    quiet = [line(NOON + 60 * minute) for minute in range(24 * 60)]
    busy = [line(NOON + 3600 * 5 + 2700 + 2 * number) for number in range(900)]
    draft = accesslog.read(quiet + busy, "log", "http://a.example")
    # in the hour are 900 of the one kind, and 60 of the other
    assert written(draft).scenarios[0].rate == pytest.approx(960 / 3600, abs=1e-4)
    assert "Busiest hour: 960 requests from 2026-11-24 17:" in draft.told[0]


def test_visits_are_told_by_client_and_gap() -> None:
    """Two people behind one address, of whom one comes back after half an hour."""
    draft = accesslog.read(
        [
            line(NOON, agent="A"), line(NOON + 10, agent="A"), line(NOON + 40, agent="A"),
            line(NOON + 5, agent="B"),
            line(NOON + 40 + 1800, agent="A"), line(NOON + 60 + 1800, agent="A"),
        ],
        "log", "http://a.example",
    )  # fmt: skip
    assert draft.told[1] == (
        "Visits (one client, pauses under 30 min): 3, of 2 requests with 20 s between two (median);"
        " 3 began in the busiest 1841 s."
    )


def test_rare_pages_are_left_out_and_the_rate_stays() -> None:
    lines = [line(NOON, f"/{name}") for name in "aaaabbbccd"]
    draft = accesslog.read(lines, "log", "http://a.example", rate=9, most=3)
    plan = written(draft)
    assert {scenario.name: scenario.rate for scenario in plan.scenarios} == {"a": 4, "b": 3, "c": 2}
    assert any("1 requests for 1 rarer pages, 10.0%" in what for what in draft.left_out)


TIMES = {
    "10/Oct/2000:13:55:36 -0700": datetime(2000, 10, 10, 20, 55, 36, tzinfo=UTC),
    "29/Feb/2024:23:59:60 +0530": datetime(2024, 2, 29, 18, 29, 59, tzinfo=UTC),
}


@pytest.mark.parametrize("text", TIMES)
def test_times_are_read_with_their_zone(text: str) -> None:
    assert accesslog._seconds(text) == TIMES[text].timestamp()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "no request"),
        ("no log\n", "no request"),
        (line(NOON, status=404), "no request"),
        (line(NOON).replace("Nov", "Nix"), "no request"),
        (line(NOON).replace("24/Nov", "31/Nov"), "no request"),
        (line(NOON, "http://other.example/"), "no request"),
    ],
)
def test_a_log_without_requests_is_one_clear_line(text: str, problem: str) -> None:
    with pytest.raises(PlanError, match=problem):
        accesslog.read(text.splitlines(), "log", "http://a.example")


def test_a_target_that_is_none_is_said() -> None:
    with pytest.raises(PlanError, match=r"expected http\(s\)://host"):
        accesslog.read([line(NOON)], "log", "a.example")


@given(st.lists(st.integers(0, 300), min_size=1), st.integers(1, 100))
def test_no_window_has_more_than_the_busiest(times: list[int], window: int) -> None:
    times.sort()
    begin, count, seconds = busiest(times, window)
    counts = [sum(at <= other < at + seconds for other in times) for at in times]
    assert count == max(counts)
    assert sum(begin <= at < begin + seconds for at in times) == count


@given(st.lists(st.tuples(st.integers(0, 400), st.sampled_from("abc"))), st.integers(1, 60))
def test_visits_part_the_requests(drawn: list[tuple[int, str]], gap: int) -> None:
    hits = sorted(Hit(at, client, "/") for at, client in drawn)
    found = visits(hits, gap)
    assert sorted(hit for visit in found for hit in visit) == hits
    for visit in found:
        assert len({hit.client for hit in visit}) == 1
        assert all(b.at - a.at < gap for a, b in pairwise(visit))
    for client in "abc":
        own = [visit for visit in found if visit[0].client == client]
        assert all(b[0].at - a[-1].at >= gap for a, b in pairwise(own))


@given(st.lists(st.text(st.characters(max_codepoint=0x24F), max_size=12), max_size=5))
def test_any_path_makes_a_plan_that_loads(paths: list[str]) -> None:
    lines = [line(NOON + number, f"/{path}") for number, path in enumerate(paths)]
    written(accesslog.read([line(NOON), *lines], "log", "http://a.example"))
