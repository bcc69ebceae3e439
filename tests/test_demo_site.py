"""The bundled site: real processes, real HTTP."""

from __future__ import annotations

import asyncio
import gzip
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadwatch.core.errors import PlanError
from loadwatch.core.group import GroupTally
from loadwatch.core.reading import Process
from loadwatch.demo import exchange
from loadwatch.demo.exchange import LONGEST_BODY
from loadwatch.demo.front import LONGEST_HEAD, Front
from loadwatch.demo.launch import Site, plan_for
from loadwatch.demo.pool import Pool
from loadwatch.demo.worker import PAGE, Ballast, Settings

needs_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
MIB = 1 << 20
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
LAST = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with Site() as site:
        yield site


class Answer:
    """A response that was read to its end."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()
        timing = self.headers.get("Server-Timing", "")
        self.times = {k: float(v) for k, v in re.findall(r"(\w+);dur=([0-9.]+)", timing)}
        self.queries = int((re.search(r'desc="(\d+) queries"', timing) or ["", "-1"])[1])


def fetch(site: Site, path: str, method: str = "GET", **headers: str) -> Answer:
    host = site.url.removeprefix("http://")
    with closing(http.client.HTTPConnection(host, timeout=20)) as connection:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, headers=named)
        return Answer(connection.getresponse())


def connect(site: Site) -> socket.socket:
    host, port = site.url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=20)


def read_all(client: socket.socket) -> bytes:
    """Everything until the site closes; http.client is too kind for malformed exchanges."""
    return b"".join(iter(lambda: client.recv(65536), b""))


def parts(pid: int) -> tuple[str, int] | None:
    """State and parent of a process; None when there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return None
    state, parent = stat.rpartition(")")[2].split()[:2]
    return state, int(parent)


def alive(pid: int) -> bool:
    return (found := parts(pid)) is not None and found[0] != "Z"


def children(pid: int) -> set[int]:
    pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    return {child for child in pids if alive(child) and (parts(child) or ("", 0))[1] == pid}


def resident(pid: int, kind: str = "Rss") -> int:
    """Bytes of a process in memory, or those of a kind."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8")
    found = re.search(rf"^{kind}:\s+(\d+) kB", rollup, re.MULTILINE)
    assert found is not None
    return int(found[1]) * 1024


def is_quiet(site: Site) -> bool:
    """Whether the site does nothing for a while."""

    def cpu() -> list[str]:
        stats = [Path(f"/proc/{pid}/stat").read_text() for pid in (site.pid, *site.workers)]
        return [time for stat in stats for time in stat.rpartition(")")[2].split()[11:13]]

    before = cpu()
    time.sleep(0.2)
    return cpu() == before


def eventually(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 10
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


# -- pages ---------------------------------------------------------------------------------------


def test_home_is_a_rendered_page(site: Site) -> None:
    home = fetch(site, "/")
    assert home.status == 200
    assert home.headers["Content-Type"] == "text/html; charset=utf-8"
    assert len(home.body) > 8_000
    page = home.body.decode()
    assert page.count("<article>") == 25
    assert page.count('href="/wall/') == 61  # every user's, and the one in the navigation
    assert "$" not in page
    assert "&lt;3" in page and "<3" not in page  # what users wrote is text


@pytest.mark.parametrize(
    ("cookie", "status"),
    [
        ("{}", 200),
        ("theme=dark; {}; lang=en", 200),
        ("theme=dark;{}", 200),
        ("", 302),
        ("sessionid=", 302),
        ("sessionid=0123456789abcdef", 302),
        ("sessionid=' OR 1 --", 302),
        ("x{}", 302),
        ("{}0", 302),
    ],
)
def test_a_wall_needs_a_session(site: Site, cookie: str, status: int) -> None:
    wall = fetch(site, "/wall/42/", Cookie=cookie.format(site.cookie))
    assert wall.status == status
    if status == 302:
        assert wall.headers["Location"] == "/login/"
        assert fetch(site, "/login/").status == 200
    else:
        assert wall.body.count(b"<article") == 50


def test_the_wall_asks_the_database_for_everything_unless_optimised(site: Site) -> None:
    with Site(["--backends=1", "--optimised"]) as optimised:
        slow = [fetch(site, "/wall/42/", Cookie=site.cookie) for _ in range(10)]
        fast = [fetch(optimised, "/wall/42/", Cookie=optimised.cookie) for _ in range(10)]
    assert {wall.queries for wall in slow} == {80}
    assert {wall.queries for wall in fast} == {3}
    assert {wall.body for wall in slow} == {wall.body for wall in fast}
    assert len({wall.body for wall in slow}) == 1
    assert min(w.times["db"] for w in slow) > 3 * min(w.times["db"] for w in fast)
    assert all(wall.times["app"] >= wall.times["db"] > 0 for wall in slow)


@pytest.mark.parametrize(
    "path", ["/nope", "/wall/", "/wall/42", "/wall/61/", "/wall/4x/", "//", "*"]
)
def test_there_are_no_other_pages(site: Site, path: str) -> None:
    assert fetch(site, path, Cookie=site.cookie).status in (400, 404)


def test_a_query_makes_no_other_page(site: Site) -> None:
    assert fetch(site, "/?page=2").body == fetch(site, "/").body


def test_head_is_get_without_the_body(site: Site) -> None:
    get, head = fetch(site, "/"), fetch(site, "/", "HEAD")
    assert (head.status, head.body) == (200, b"")
    assert head.headers["Content-Length"] == get.headers["Content-Length"] == str(len(get.body))


@pytest.mark.parametrize(
    ("accepted", "compressed"),
    [
        ("gzip", True),
        ("deflate, gzip;q=0.5, br", True),
        ("GZIP", True),
        ("gzip;q=0", False),
        ("gzip; q=0.0, deflate", False),
        ("br", False),
        ("x-gzip-like", False),
        ("", False),
    ],
)
def test_gzip_for_those_who_accept_it(accepted: str, compressed: bool, zipped: Site) -> None:
    page = fetch(zipped, "/", Accept_Encoding=accepted)
    assert page.headers["Vary"] == "Accept-Encoding"
    assert (page.headers["Content-Encoding"] == "gzip") is compressed
    body = gzip.decompress(page.body) if compressed else page.body
    assert body == fetch(zipped, "/").body
    assert len(page.body) == int(page.headers["Content-Length"])


@pytest.fixture(scope="module")
def zipped() -> Iterator[Site]:
    with Site(["--backends=1", "--gzip"]) as site:
        yield site


def test_no_gzip_unless_told(site: Site) -> None:
    assert fetch(site, "/", Accept_Encoding="gzip").headers["Content-Encoding"] is None


def test_who_has_a_page_gets_no_body(site: Site, zipped: Site) -> None:
    page, coded = fetch(site, "/"), fetch(zipped, "/", Accept_Encoding="gzip")
    again = fetch(site, "/", If_None_Match=page.headers["ETag"])
    assert (again.status, again.body) == (304, b"")
    assert again.headers["ETag"] == page.headers["ETag"]
    assert again.headers["Content-Length"] is None
    assert again.queries > 0  # it is rendered all the same
    assert coded.headers["ETag"] != page.headers["ETag"]
    assert fetch(site, "/", If_None_Match=coded.headers["ETag"]).status == 200
    assert fetch(site, "/nowhere/").headers["ETag"] is None


# -- HTTP ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"hello\r\n\r\n", 400),
        (b"\r\n\r\n", 400),
        (b"\x00\xff" * 40 + b"\r\n\r\n", 400),
        (b"GET / HTTP/1.1\n\n", 400),  # a line ends with CR LF
        (b"GET / HTTP/1.1\r\n\r\n", 400),  # HTTP/1.1 without Host
        (b"GET / HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc", 405),
        (b"DELETE / HTTP/1.1\r\nHost: x\r\n\r\n", 405),
        (b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n", 405),
        (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc", 413),
        (b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"a" * LONGEST_HEAD + b"\r\n\r\n", 431),
        (b"a" * (LONGEST_HEAD + 1), 431),
        (b"GET / HTTP/1.0\r\n\r\n", 200),
        (b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 200),
        (b"GET http://x/login/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 200),
    ],
)
def test_what_is_wrong_is_answered_and_the_connection_closed(
    site: Site, request_: bytes, status: int
) -> None:
    with connect(site) as client:
        client.sendall(request_)
        answer = read_all(client)
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert b"\r\nConnection: close\r\n" in answer
    assert (b"\r\nAllow: GET, HEAD\r\n" in answer) is (status == 405)
    assert fetch(site, "/").status == 200


def test_an_offer_to_upgrade_is_declined_by_answering(site: Site) -> None:
    offer = fetch(site, "/", Connection="Upgrade, HTTP2-Settings", Upgrade="h2c")
    assert offer.status == 200


def test_a_large_body_that_nobody_wants_does_not_cost_its_sender_the_answer(site: Site) -> None:
    with connect(site) as client:
        client.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 8000000\r\n\r\n")
        client.sendall(bytes(8_000_000))
        assert read_all(client).startswith(b"HTTP/1.1 405 ")


def test_a_connection_is_kept(site: Site) -> None:
    host = site.url.removeprefix("http://")
    with closing(http.client.HTTPConnection(host, timeout=20)) as connection:
        connection.connect()
        used = connection.sock
        for path, status in (("/", 200), ("/nope", 404), ("/wall/1/", 302), ("/", 200)):
            connection.request("GET", path)
            assert Answer(connection.getresponse()).status == status
        assert connection.sock is used


@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_requests_may_come_in_pieces_or_all_at_once(site: Site, size: int) -> None:
    last = b"HEAD /login/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    data = GET + b"GET /nope HTTP/1.1\r\nHost: x\r\n\r\n" + last
    with connect(site) as client:
        for start in range(0, len(data), size):
            client.sendall(data[start : start + size])
        answers = read_all(client)
    assert re.findall(rb"HTTP/1.1 (\d+)", answers) == [b"200", b"404", b"200"]
    assert answers.endswith(b"\r\n\r\n")  # no body after HEAD


def test_clients_that_say_little_keep_no_worker_busy() -> None:
    with Site(["--backends=1"]) as site, ExitStack() as stack:
        for _ in range(200):
            client = stack.enter_context(connect(site))
            client.sendall(GET[:-1])
        assert fetch(site, "/").status == 200


def test_a_client_that_reads_late_gets_everything(site: Site) -> None:
    count = 600
    with connect(site) as client:
        client.sendall(GET * (count - 1) + LAST)
        assert eventually(lambda: is_quiet(site))
        assert read_all(client).count(b"HTTP/1.1 200 OK") == count


@needs_proc
def test_a_client_that_never_reads_makes_the_site_wait_not_grow(site: Site) -> None:
    before, sent = resident(site.pid), 0
    with connect(site) as client:
        client.settimeout(0.5)
        while sent < 64 * MIB:
            try:
                sent += client.send(GET * 1000)
            except TimeoutError:
                break
        assert eventually(lambda: is_quiet(site))
        assert sent < 64 * MIB
        assert resident(site.pid) - before < 6 * MIB


async def test_a_quiet_connection_is_closed() -> None:
    front = Front(Pool(Settings(session="s"), size=1, depth=1), patience=0.1)
    port = await front.listen(0)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HT")
    assert await asyncio.wait_for(reader.read(), 10) == b""
    writer.close()
    front.close()
    await asyncio.sleep(0)


@given(
    st.binary(max_size=200) | st.from_regex(rb"GET [ -~]{0,20} HTTP/1\.[01]\r\n([ -~]{0,20}\r\n)*")
)
def test_parsing_finds_a_request_or_says_no(data: bytes) -> None:
    try:
        request = exchange.parse(data + b"\r\n\r\n")
    except exchange.RequestError:
        return
    assert request.method in ("GET", "HEAD")
    assert exchange.Request.decode(request.encode()) == request


@given(st.lists(st.binary(max_size=300), max_size=5), st.integers(1, 50))
def test_frames_survive_any_cut(bodies: list[bytes], size: int) -> None:
    data = b"".join(map(exchange.frame, bodies))
    buffer, found = bytearray(), []
    for start in range(0, len(data), size):
        buffer += data[start : start + size]
        while (body := exchange.take(buffer)) is not None:
            found.append(body)
    assert found == bodies
    assert not buffer


# -- workers -------------------------------------------------------------------------------------


@needs_proc
def test_processes_have_names_of_their_own(site: Site) -> None:
    names = [Path(f"/proc/{pid}/comm").read_text().strip() for pid in (site.pid, *site.workers)]
    assert names == ["heywall-front", "heywall-worker", "heywall-worker"]


@needs_proc
def test_memory_is_really_held_and_used() -> None:
    with Site(["--backends=1"]) as lean, Site(["--backends=2", "--memory-per-worker=30MiB"]) as fat:
        assert len(fat.workers) == 2
        for worker in fat.workers:
            assert resident(worker) - resident(lean.workers[0]) == pytest.approx(30 * MIB, rel=0.1)
            # The kernel forgets which pages were in use (proc(5), clear_refs) …
            Path(f"/proc/{worker}/clear_refs").write_text("1", encoding="ascii")
            assert resident(worker, "Referenced") < 10 * MIB
        for _ in fat.workers:
            fetch(fat, "/nope")
        for worker in fat.workers:  # … and a request uses them all.
            assert resident(worker, "Referenced") > 30 * MIB


def test_held_memory_is_noise() -> None:
    held = Ballast(2 * MIB + 5000).held
    assert len(held) == 2 * MIB + 5000
    pages = [held[start : start + PAGE] for start in range(0, len(held), PAGE)]
    assert all(len(set(page)) > 200 for page in pages)


def test_a_full_queue_is_answered_503_at_once() -> None:
    with Site(["--backends=1", "--queue=2"]) as site, ThreadPoolExecutor(6) as clients:
        (worker,) = site.workers
        os.kill(worker, signal.SIGSTOP)
        asked = as_completed([clients.submit(fetch, site, "/") for _ in range(6)])
        refused = [next(asked).result() for _ in range(3)]  # while the worker can answer nobody
        os.kill(worker, signal.SIGCONT)
        served = [answer.result() for answer in asked]
    assert [answer.status for answer in refused] == [503, 503, 503]
    assert {answer.headers["Retry-After"] for answer in refused} == {"1"}
    assert [answer.status for answer in served] == [200, 200, 200]
    assert max(answer.times["queue"] for answer in served) > 0


def test_a_full_queue_refuses_any_number_on_one_connection() -> None:
    with Site(["--backends=1", "--queue=1"]) as site, ExitStack() as stack:
        os.kill(site.workers[0], signal.SIGSTOP)
        waiting = [stack.enter_context(connect(site)) for _ in range(2)]
        for client in waiting:
            client.sendall(GET)
        with connect(site) as client:
            count = 3000
            client.sendall(GET * (count - 1) + LAST)
            assert read_all(client).count(b"HTTP/1.1 503 ") == count


def test_who_has_gone_leaves_the_queue() -> None:
    with Site(["--backends=1", "--queue=1"]) as site, ThreadPoolExecutor(1) as clients:
        (worker,) = site.workers
        os.kill(worker, signal.SIGSTOP)
        with connect(site) as at_the_worker, connect(site) as waiting:
            at_the_worker.sendall(GET)
            waiting.sendall(GET)
            assert fetch(site, "/").status == 503
        late = clients.submit(fetch, site, "/")  # the place in the queue is free again
        time.sleep(0.1)
        assert not late.done()
        os.kill(worker, signal.SIGCONT)
        assert late.result().status == 200


@needs_proc
def test_a_worker_that_dies_is_replaced_and_its_request_answered_502() -> None:
    with Site(["--backends=1", "--queue=1"]) as site:
        (worker,) = site.workers
        os.kill(worker, signal.SIGSTOP)
        with connect(site) as at_the_worker, connect(site) as waiting:
            for client in (at_the_worker, waiting):
                client.sendall(GET)
            assert fetch(site, "/").status == 503
            os.kill(worker, signal.SIGKILL)
            assert at_the_worker.recv(65536).startswith(b"HTTP/1.1 502 ")
            assert waiting.recv(65536).startswith(b"HTTP/1.1 200 ")
        (other,) = children(site.pid)
        assert other != worker


@needs_proc
def test_an_idle_worker_that_dies_is_replaced_without_being_asked() -> None:
    with Site(["--backends=1"]) as site:
        os.kill(site.workers[0], signal.SIGKILL)
        assert eventually(lambda: children(site.pid) not in (set(), set(site.workers)))
        assert fetch(site, "/").status == 200


# -- start and end -------------------------------------------------------------------------------


def start(*options: str) -> tuple[subprocess.Popen[bytes], list[int]]:
    """The command itself; its process, and the ids of all its processes."""
    process = subprocess.Popen(
        [sys.executable, "-m", "loadwatch.demo.site", *options],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    ready = json.loads(process.stdout.readline())
    assert ready["pid"] == process.pid
    return process, [ready["pid"], *ready["workers"]]


def close_stdin(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    process.stdin.close()


@needs_proc
@pytest.mark.parametrize("stopped", [False, True], ids=["all running", "a worker stopped"])
@pytest.mark.parametrize(
    ("end", "code"),
    [
        (subprocess.Popen.terminate, 0),
        (lambda process: process.send_signal(signal.SIGINT), 0),
        (lambda process: process.send_signal(signal.SIGHUP), 0),
        (close_stdin, 0),
        (subprocess.Popen.kill, -signal.SIGKILL),
    ],
    ids=["SIGTERM", "SIGINT", "SIGHUP", "parent's pipe", "SIGKILL"],
)
def test_nothing_is_left(
    end: Callable[[subprocess.Popen[bytes]], None], code: int, stopped: bool
) -> None:
    process, pids = start("--parent-pipe")
    with process:
        if stopped:
            os.kill(pids[1], signal.SIGSTOP)
        end(process)
        assert process.wait(10) == code
        if stopped and code:
            os.kill(pids[1], signal.SIGCONT)  # nobody is left to end a stopped one
        assert eventually(lambda: not any(map(alive, pids)))


def test_a_ctrl_c_in_our_terminal_is_not_the_sites(site: Site) -> None:
    assert os.getsid(site.pid) == site.pid != os.getsid(0)


@needs_proc
def test_nothing_is_left_when_the_launching_process_is_killed() -> None:
    program = """if True:
        import time
        from loadwatch.demo.launch import Site
        with Site() as site:
            print(site.pid, *site.workers, flush=True)
            time.sleep(60)
    """
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        pids = [int(pid) for pid in parent.stdout.readline().split()]
        assert len(pids) == 3 and all(map(alive, pids))
        parent.kill()
        assert eventually(lambda: not any(map(alive, pids)))


def test_the_sites_own_stdin_does_not_end_it_unless_told() -> None:
    process, _ = start()
    with process:
        close_stdin(process)
        time.sleep(0.2)
        assert process.poll() is None
        process.terminate()


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--memory-per-worker=lots", "expected a size such as 20MiB, got 'lots'"),
        ("--memory-per-worker=900000GiB", "a worker did not start"),
        ("--backends=0", "expected 1 or more, got 0"),
        ("--port=70000", "port must be 0-65535"),
    ],
)
def test_a_site_that_cannot_serve_says_why_in_one_line(option: str, message: str) -> None:
    with pytest.raises(PlanError, match=message) as caught, Site([option]):
        pass
    assert "\n" not in str(caught.value)


def test_a_taken_port_is_said(site: Site) -> None:
    port = site.url.rpartition(":")[2]
    with pytest.raises(PlanError, match="in use"), Site([f"--port={port}"]):
        pass


def test_the_plan_fires_at_both_pages_and_watches_the_workers(site: Site) -> None:
    plan = plan_for(site)
    assert plan.target.url == site.url
    for scenario in plan.scenarios:
        assert fetch(site, scenario.path, **scenario.headers).status == 200
    (host,) = plan.hosts
    assert host.ssh == "local"
    tally = GroupTally(host.groups[0])
    assert tally.matches(Process(1, "me", 0, 0.0, "S", "heywall-worker"))
    assert not tally.matches(Process(1, "me", 0, 0.0, "S", "heywall-front"))


# -- the login ------------------------------------------------------------------------------------


def sent(site: Site, form: bytes, parts: int = 1) -> bytes:
    """The answer to a form that is sent to the login, in so many parts."""
    head = b"POST /login/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
    data = head % len(form) + form
    with connect(site) as client:
        for begin in range(0, len(data), -(-len(data) // parts)):
            client.sendall(data[begin : begin + -(-len(data) // parts)])
            time.sleep(0.01 * (parts > 1))
        return read_all(client)


@pytest.mark.parametrize("parts", [1, 7])
def test_a_member_logs_in(site: Site, parts: int) -> None:
    answer = sent(site, b"form=login&name=ben.adler&password=heywall", parts)
    assert answer.startswith(b"HTTP/1.1 302 ")
    assert b"\r\nLocation: /wall/2/\r\n" in answer
    assert f"\r\nSet-Cookie: {site.cookie}; Path=/".encode() in answer
    assert fetch(site, "/wall/2/", cookie=site.cookie).status == 200


@pytest.mark.parametrize(
    "form",
    [
        b"", b"name=ben.adler&password=heywall", b"form=login&name=ben.adler&password=",
        b"form=login&name=nobody&password=heywall", b"\xff\x00%", b"x" * 4000,
    ],
)  # fmt: skip
def test_who_is_no_member_gets_the_form_again(site: Site, form: bytes) -> None:
    answer = sent(site, form)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b'type="password"' in answer and b"Set-Cookie" not in answer


def test_a_body_that_is_too_long_is_refused(site: Site) -> None:
    assert sent(site, b"x" * (LONGEST_BODY + 1)).startswith(b"HTTP/1.1 413 ")
