"""Logins: at a real Django site, by Basic and Bearer, and what is said of those that fail."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from loadwatch import config
from loadwatch.core.errors import PlanError
from loadwatch.core.plan import Login, Plan
from loadwatch.load.doorman import Doorman
from loadwatch.load.fleet import share_out
from loadwatch.load.login import Door, log_in
from loadwatch.load.messages import LoginJob
from loadwatch.load.renewal import Renewal
from loadwatch.load.request import read
from loadwatch.load.template import Rows, all_requests
from loadwatch.preview import first_requests
from loadwatch.session import open_session
from tests.servers import serving
from tests.test_cli import loadwatch, result_of

USERS = 200
ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.djangosite", str(tmp_path_factory.mktemp("django")),
         str(USERS)],
        stdout=subprocess.PIPE, text=True, cwd=ROOT,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


FORM = """
[login]
form = "/accounts/login/"
fields = { username = "${user.name}", password = "${user.password}" }
"""
WALL = """
[[scenario]]
name = "wall"
path = "/wall/"
rate = 20
expect = { status = 200, contains = "Hello ${user.name}!" }
[[scenario]]
name = "home"
rate = 5
login = false
expect.contains = "of nobody"
"""


def planned(tmp_path: Path, url: str, text: str = FORM + WALL, users: int = USERS) -> Plan:
    rows = "".join(f"user{number},pass & word {number}\n" for number in range(users))
    (tmp_path / "users.csv").write_text(f"name,password\n{rows}", encoding="utf-8")
    path = tmp_path / "plan.toml"
    path.write_text(
        f'[target]\nurl = "{url}"\n[load]\nworkers = 1\n[data.user]\nfile = "users.csv"\n{text}',
        encoding="utf-8",
    )
    return config.load_plan(path)


def let_in(plan: Plan) -> list[str]:
    return asyncio.run(log_in(plan, share_out(plan)[0]))


def test_200_users_of_a_django_site_log_in_and_find_their_own_wall(
    site: str, tmp_path: Path
) -> None:
    planned(tmp_path, site)
    for _ in range(2):  # a machine that is held up makes the generator late: once more then
        done = loadwatch(
            "run", str(tmp_path / "plan.toml"), "--requests", "250", "--json",
            "--session", str(tmp_path / f"session{_}"),
        )  # fmt: skip
        if done.returncode != 4:
            break
    assert done.returncode == 0, done.stderr
    assert f"login: {USERS} of {USERS} users\n" in done.stderr
    assert f"{USERS} users have logged in" in done.stderr
    result = result_of(done)
    assert result["offered"] == result["completed"] == 250
    assert (result["status"], result["errors"]) == ({"200": 250}, {})
    assert result["scenarios"]["wall"]["offered"] > 150
    for file in tmp_path.iterdir():
        assert b"pass & word" not in file.read_bytes() or file.name == "users.csv"
        assert b"sessionid=" not in file.read_bytes()


def test_each_row_has_a_session_of_its_own(site: str, tmp_path: Path) -> None:
    plan = planned(tmp_path, site, users=12)
    sessions = let_in(plan)
    assert len(set(sessions)) == 12
    (job,) = share_out(plan, sessions)
    requests = list(itertools.islice(all_requests(job)["wall"], 13))
    assert requests[0] == requests[12]
    for number, rendered in enumerate(requests[:12]):
        request = read(rendered, site)
        assert request.headers["Cookie"] == sessions[number]
        assert httpx.get(f"{site}/wall/", headers=request.headers).text == f"Hello user{number}!"
    assert b"Cookie" not in next(all_requests(job)["home"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("user4,pass", "user4,path"), "login: row 5: the form comes again: a wrong name or"),
        (("/accounts/login/", "/"), r"login: row \d+: / \(200\) has no form with username,"),
        (("/accounts/login/", "/nowhere/"), r"login: row \d+: /nowhere/ \(404\) has no form with"),
        (("{ username", "{ user"), r"login: row \d+: /accounts/login/ \(200\) has no form with"),
    ],
)  # fmt: skip
def test_who_does_not_come_in_is_told_before_the_start(
    site: str, tmp_path: Path, change: tuple[str, str], message: str
) -> None:
    plan = planned(tmp_path, site, (FORM + WALL).replace(*change), users=8)
    users = tmp_path / "users.csv"
    users.write_text(users.read_text(encoding="utf-8").replace(*change), encoding="utf-8")
    with pytest.raises(PlanError, match="^" + message) as caught:
        let_in(plan)
    assert "pass" not in str(caught.value).partition("row")[2].replace("password", "")


def test_200_users_visit_with_their_session_beside_their_own_cookies(
    site: str, tmp_path: Path
) -> None:
    text = (
        FORM
        + """
[[scenario]]
name = "visit"
rate = 20
headers = { Cookie = "own=1" }
[[scenario.step]]
name = "home"
[[scenario.step]]
name = "wall"
path = "/wall/"
headers = { cookie = "other=2" }
expect.contains = "Hello ${user.name}!"
"""
    )
    plan = planned(tmp_path, site, text)
    job = share_out(plan)[0]
    assert [step.headers for step in job.scenarios[0].steps][1]["cookie"] == (
        "other=2; ${user.(login)}"
    )
    done = loadwatch("run", str(tmp_path / "plan.toml"), "--requests", "60", "--json",
                     "--session", str(tmp_path / "s"))  # fmt: skip
    assert done.returncode in (0, 4), done.stderr
    assert result_of(done)["visits"] == {"offered": 60, "completed": 60, "failed": 0}


def test_check_logs_one_user_in(site: str, tmp_path: Path) -> None:
    planned(tmp_path, site)
    done = loadwatch("check", str(tmp_path / "plan.toml"))
    assert "✓ login: the first user is let in" in done.stdout
    assert "✓ scenario wall: 200" in done.stdout


# -- sessions that expire --------------------------------------------------------------------------


def again(lines: list[str]) -> list[int]:
    """How many have logged in again, time after time."""
    found = (re.search(r"(\d+) users have logged in again", line) for line in lines)
    return [int(match[1]) for match in found if match]


@pytest.mark.parametrize("kind", ["wire", "httpx"])
def test_who_is_logged_out_logs_in_again_beside_the_load(
    site: str, tmp_path: Path, kind: str
) -> None:
    """The site forgets everybody: for a while requests end at the login page, and then no more."""
    text = FORM + '[[scenario]]\nname = "wall"\npath = "/wall/"\nrate = 30\n'
    planned(tmp_path, site, text, users=10)
    process = subprocess.Popen(
        [sys.executable, "-m", "loadwatch", "run", str(tmp_path / "plan.toml"), "--json",
         "--duration", "50s", "--engine", kind, "--session", str(tmp_path / "s")],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None and process.stderr is not None
    told: list[str] = []
    forgot, quiet = False, 0
    for line in process.stderr:
        told.append(line)
        if "completed" not in line:
            continue
        if not forgot:
            forgot = True
            assert int(httpx.get(f"{site}/forget/", timeout=30).text) >= 10
        quiet = quiet + 1 if sum(again(told)) == 10 and "content" not in line else 0
        if quiet == 2:
            process.send_signal(signal.SIGINT)
            break
    rest = process.stderr.read()
    result = json.loads(process.stdout.read())
    process.wait(30)
    process.stdout.close()
    process.stderr.close()
    assert result["errors"]["content"] == result["status"]["302"] > 0
    assert "could not log in again" not in "".join([*told, rest])
    with open_session(tmp_path / "s") as session:
        events = [event.text for tick in session.ticks() for event in tick.events]
        seconds = [tick.values.get("load.errors.content", 0) for tick in session.ticks()]
    assert sum(again(events)) == 10  # each of them once
    assert seconds[0] == seconds[-1] == 0


COOKIES = LoginJob("user", "Cookie", "http://a.example/x/", "/login/")
SESSIONS = ["lang=en; sid=1", "lang=en; sid=2", "lang=en; sid=3"]
OUT = b"HTTP/1.1 302 Found\r\nLocation: /login/?next=/wall/"


def request_with(cookie: str) -> bytes:
    return f"GET /wall/ HTTP/1.1\r\nHost: a\r\nCookie: {cookie}\r\nX: y\r\n\r\n".encode()


@pytest.mark.parametrize(
    ("status", "head", "cookie", "out", "row"),
    [
        (302, OUT, SESSIONS[1], True, 1),
        (302, OUT.replace(b"/login", b"http://a.example/login"), SESSIONS[1], True, 1),
        (303, OUT.replace(b"Location", b"location"), "own=1; lang=en; sid=3; jar=2", True, 2),
        (302, OUT, "lang=en", True, None),  # whose it is nobody knows
        (302, OUT, "sid=9", True, None),
        (302, OUT.replace(b"/login/", b"/wall/1/"), SESSIONS[1], False, None),
        (200, OUT, SESSIONS[1], False, None),
        (302, b"HTTP/1.1 302 Found", SESSIONS[1], False, None),
        (401, b"HTTP/1.1 401 No", SESSIONS[1], False, None),
    ],
)
def test_who_is_out(status: int, head: bytes, cookie: str, out: bool, row: int | None) -> None:
    doorman, told = Doorman(COOKIES, SESSIONS), []
    doorman.tell = told.append
    for _ in range(2):
        assert doorman.is_out(request_with(cookie), status, head) is out
    assert told == ([] if row is None else [row])  # once


def test_a_renewed_session_can_expire_again_and_the_old_one_not() -> None:
    doorman, told = Doorman(COOKIES, SESSIONS), []
    doorman.tell = told.append
    assert doorman.is_out(request_with("sid=2"), 302, OUT)
    doorman.renewed(1, "lang=en; sid=4")
    assert doorman.is_out(request_with("sid=2"), 302, OUT)  # it was on its way
    assert told == [1]
    assert doorman.is_out(request_with("sid=4"), 302, OUT) and told == [1, 1]


def test_a_token_is_out_by_401() -> None:
    doorman = Doorman(LoginJob("user", "Authorization", "http://a", None), ["Bearer a", "Bearer b"])
    told: list[int] = []
    doorman.tell = told.append
    request = b"GET / HTTP/1.1\r\nAuthorization: Bearer b\r\n\r\nAuthorization: Bearer a"
    assert doorman.is_out(request, 401, b"") and not doorman.is_out(request, 302, OUT)
    assert told == [1]


def test_requests_bring_the_renewed_session(tmp_path: Path) -> None:
    text = FORM + HOME + 'path = "/${user.name}"\n'
    plan = planned(tmp_path, "http://a.example", text, users=2)
    (job,) = share_out(plan, ["sid=0", "sid=1"])
    rows = Rows(job)
    requests = rows.requests(job.scenarios[0])
    next(requests)
    rows.renew(1, "sid=2")
    second = next(requests)
    assert b"GET /user1 " in second and b"Cookie: sid=2\r\n" in second
    assert b"GET /user0 " in (first := next(requests)) and b"Cookie: sid=0\r\n" in first


async def test_each_is_let_in_once_at_a_time_and_who_cannot_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered: list[str] = []

    async def enter(self: Door, login: Login) -> str:
        entered.append(login.fields["username"])
        await asyncio.sleep(0.01)
        if login.fields["username"] == "user2":
            raise PlanError("no")
        return "sid=x"

    monkeypatch.setattr(Door, "enter", enter)
    plan = planned(
        tmp_path, "http://a.example", FORM.replace("[login]", "[login]\nparallel = 2") + HOME
    )
    renewed, told = [], []
    renewal = Renewal(plan, share_out(plan)[0], lambda row, _: renewed.append(row), told.append)
    for row in (0, 1, 2, 0, 1):
        renewal.expired(row)
    await asyncio.sleep(0.005)
    renewal.expired(0)  # by another worker
    async with asyncio.timeout(5):
        while len(told) < 2:
            await asyncio.sleep(0.005)
    assert entered == ["user0", "user1", "user2"] and renewed == [0, 1]
    assert told == ["2 users have logged in again", "1 users could not log in again; row 3: no"]
    await renewal.close()


# -- other ways in ---------------------------------------------------------------------------------

HOME = '[[scenario]]\nname = "home"\n'


def test_basic_credentials_take_no_request(tmp_path: Path) -> None:
    text = '[login]\nbasic = "${user.name}:${user.password}"\n' + HOME
    plan = planned(tmp_path, "http://127.0.0.1:1", text, users=2)
    (job,) = share_out(plan, let_in(plan))
    made = list(itertools.islice(all_requests(job)["home"], 2))
    for number, rendered in enumerate(made):
        wanted = httpx.BasicAuth(f"user{number}", f"pass & word {number}")
        (request,) = wanted.auth_flow(httpx.Request("GET", "http://a"))
        assert (
            read(rendered, "http://a").headers["Authorization"]
            == (request.headers["Authorization"])
        )


@pytest.mark.parametrize(
    ("more", "header"),
    [
        ('json = { name = "${user.name}" }', "Bearer t-user1"),
        ('fields = { name = "${user.name}" }\ntake = { header = "X-Token" }\nscheme = "Token"',
         "Token h-user1"),
        ('json = { name = "ada" }', "Bearer t-ada"),  # one account for all
    ],
)  # fmt: skip
async def test_a_token_comes_from_its_endpoint(tmp_path: Path, more: str, header: str) -> None:
    async def tokens(head: bytes, writer: asyncio.StreamWriter) -> bool:
        reader = writer.transport.get_protocol()._stream_reader  # type: ignore[attr-defined]
        size = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        body = (await reader.readexactly(size)).decode()
        name = json.loads(body)["name"] if body.startswith("{") else body.partition("=")[2]
        text = json.dumps({"access_token": f"t-{name}"}).encode()
        writer.write(b"HTTP/1.1 200 OK\r\nX-Token: h-%s\r\nContent-Length: %d\r\n\r\n"
                     % (name.encode(), len(text)) + text)  # fmt: skip
        return True

    async with serving(tokens) as port:
        text = f'[login]\ntoken = "/token"\n{more}\n{HOME}'
        plan = planned(tmp_path, f"http://127.0.0.1:{port}", text, users=2)
        sessions = await log_in(plan, share_out(plan)[0])
    requests = all_requests(share_out(plan, sessions)[0])["home"]
    second = list(itertools.islice(requests, 2))[1]
    assert read(second, "http://a").headers["Authorization"] == header


def test_a_plan_shows_no_session_and_no_password(tmp_path: Path) -> None:
    text = FORM.replace("${user.password}", "canary") + HOME
    plan = planned(tmp_path, "http://a.example", text)
    assert "canary" not in json.dumps(config.redact(plan))
    (shown,) = first_requests(plan)
    assert b"\r\nCookie: (login)\r\n" in shown.request
    named = FORM.replace("${user.password}", "${env:LW_PASSWORD}") + HOME
    assert config.variables(planned(tmp_path, "http://a.example", named)) == ["LW_PASSWORD"]


@pytest.mark.parametrize(
    ("login", "message"),
    [
        ("", "login: one way in of form, basic, token"),
        ('form = "/"\nbasic = "a:b"', "login: one way in of form, basic, token"),
        ('form = "/"', "login.fields: what is filled in, such as a name and a password"),
        ('form = "http://b.example/"\nfields = { a = "b" }', "login.form: it leads away from the"),
        ('form = "/"\nfields = { a = "${usr.b}" }', "login.fields.a: only ${env:…} and columns of"),
        ('form = "/"\nfields = { a = "${seq}" }', "login.fields.a: only ${env:…} and columns of"),
        ('form = "/"\nfields = { a = "b" }\njson = { a = "b" }', "login.json: it belongs to"),
        ('basic = "ada"', "login.basic: expected `user:password`"),
        ('token = "/"\njson = { a = "b" }\ntake = { attribute = "x" }', "login.take: it is"),
        ('form = "/"\nfields = { a = "${user.name}", b = "${other.name}" }',
         "login: its users come of one table, not of other and user"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_one_line(tmp_path: Path, login: str, message: str) -> None:
    with pytest.raises(PlanError) as caught:
        planned(tmp_path, "http://a.example",
                f'[data.other]\nfile = "o.csv"\n[login]\n{login}\n{HOME}')  # fmt: skip
    assert str(caught.value).partition("plan.toml: ")[2].startswith(message)
