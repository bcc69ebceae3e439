"""Command lines of other tools: the tool itself, and the plan made of its line, send the same."""

from __future__ import annotations

import re
import shutil
import string
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadwatch.core.errors import PlanError
from loadwatch.core.plan import Upload
from loadwatch.importing import closed, curl, httperf
from loadwatch.importing.draft import Draft
from loadwatch.importing.words import commands
from tests.requests_seen import Seen, listening, planned, written
from tests.sshd import require

OURS = {"host", "user-agent", "accept", "accept-encoding", "connection", "content-length",
        "te", "expect"}  # fmt: skip
"""Headers that each tool makes by itself; those that a line gives are compared."""


def ran(line: str, directory: Path) -> None:
    require(line.split()[0])
    bash = shutil.which("bash")
    assert bash is not None
    done = subprocess.run(
        [bash, "-c", line], capture_output=True, text=True, timeout=60, check=False, cwd=directory
    )
    assert done.returncode == 0, done.stderr


def alike(one: Seen) -> Seen:
    """Without what differs by nature: whose headers, and the boundary of a form."""
    boundary = re.search("boundary=(.+)", one.headers.get("content-type", ""))
    kept = {name: value for name, value in sorted(one.headers.items()) if name not in OURS}
    body = one.body
    if boundary:
        kept["content-type"] = kept["content-type"].replace(boundary[1], "X")
        body = body.replace(boundary[1].encode(), b"X")
    return Seen(one.method, one.path, kept, body)


def chrome(url: str) -> str:
    """In the form in which Chrome copies a request "as cURL (bash)"."""
    return rf"""curl '{url}/accounts/login/?next=/wall/42/' \
  -H 'Accept: text/html,application/xhtml+xml;q=0.9,*/*;q=0.8' \
  -H 'Accept-Language: en-GB,en;q=0.9' \
  -H 'Cache-Control: max-age=0' \
  -H 'Connection: keep-alive' \
  -H 'Content-Type: application/x-www-form-urlencoded' \
  -b '_ga=GA1.1.1; csrftoken=KfTz8vXq; sessionid=9d3jdk39dk2ldk3k' \
  -H 'Origin: {url}' \
  -H 'sec-ch-ua: "Chromium";v="135", "Not-A.Brand";v="8"' \
  -H 'sec-ch-ua-mobile: ?0' \
  --data-raw $'csrfmiddlewaretoken=abc\u0021&username=o\'hara&password=hunter2' \
  --insecure"""


def firefox(url: str) -> str:
    """In the form in which Firefox copies a request."""
    return (
        f"curl '{url}/api/hey' --compressed -X PATCH -H 'User-Agent: Mozilla/5.0 (X11; Linux)' "
        "-H 'Accept: application/json' -H 'Accept-Encoding: gzip, deflate, br, zstd' "
        "-H 'Authorization: Bearer eyJhbGciOiJIUzI1NiJ9.e30.Zm9v' -H 'DNT: 1' -H 'TE: trailers' "
        r"""-H 'Content-Type: application/json' --data-raw $'{"text":"hey\n\\o/","apiKey":"k-1"}'"""
    )


CURL = {
    "chrome": chrome,
    "firefox": firefox,
    "no scheme": lambda url: f"curl {url.removeprefix('http://')}",
    "data joined": lambda url: f"curl {url}/a -d x=1 -d 'y=a b' --data-urlencode 'z=ä&b'",
    "urlencoded alone": lambda url: f"curl {url}/ --data-urlencode 'ä b' --data-urlencode '=c/d'",
    "get": lambda url: f"curl -G '{url}/search?a=1' -d q=hey --data-urlencode 'r=a b'",
    "get without query": lambda url: f"curl --get {url}/search -d q=hey",
    "url-query": lambda url: f"curl '{url}/a?b=1' --url-query 'c=d e'",
    "head": lambda url: f"curl -I {url}/a",
    "method": lambda url: f"curl -XDELETE {url}/item/7",
    "json": lambda url: f"""curl --json '{{"a":1}}' {url}/json""",
    "basic": lambda url: f"curl -u anna:hunter2 {url}/",
    "basic in the URL": lambda url: f"curl http://anna:h%20r@{url.removeprefix('http://')}/x",
    "bearer": lambda url: f"curl --oauth2-bearer abcdefgh {url}/",
    "agent, referer, range": lambda url: f"curl -A me -e http://a/ -r 0-99 {url}/",
    "cookie twice": lambda url: f"curl -H 'Cookie: a=1' {url}/",
    "header taken away": lambda url: f"curl -H 'Accept:' -H 'X-Empty;' -d a=b {url}/",
    "form": lambda url: f"curl -F 'name=anna' -F 'password=hunter2' --form-string 'c=@d' {url}/f",
    "form with a file": lambda url: (
        f"curl -F 'name=anna' -F 'password=hunter2' -F 'photo=@body.bin;type=image/jpeg' {url}/f"
    ),
    "file": lambda url: f"curl --data-binary @body.bin {url}/",
    "upload": lambda url: f"curl -T body.bin {url}/put",
    "clustered": lambda url: f"curl -sSo/dev/null -XPOST -Hx-a:b {url}/",
    "fragment": lambda url: f"curl '{url}/a?b=c#d'",
    "double quotes": lambda url: f'curl "{url}/a" -H "X-Q: a\\"b" -d "it\'s"',
    "several": lambda url: f"curl {url}/a {url}/b --next -d x=y {url}/c ; curl -sH 'A: b' {url}/d",
}


@pytest.mark.parametrize("case", CURL)
def test_a_plan_sends_what_curl_sends(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "body.bin").write_bytes(bytes(range(256)))
    monkeypatch.chdir(tmp_path)
    with listening() as (host, seen):
        line = CURL[case](f"http://{host}")
        ran(line, tmp_path)
    sent = planned(curl.read(commands(line)))
    assert [alike(one) for one in sent] == [alike(one) for one in seen]
    named = line.lower()
    for ours, theirs in zip(sent, seen, strict=True):
        for name in ("user-agent", "accept", "accept-encoding"):
            if f"{name}: " in named:
                assert ours.headers[name] == theirs.headers[name]


def test_fields_beside_a_file() -> None:
    line = (
        "curl http://a.example/ -F a=1 -F a=2 -F b=<text -F 'c=x;type=text/plain'"
        " -F 'd=@e;filename=f'"
    )
    draft = curl.read(commands(line))
    assert dict(written(draft).scenarios[0].multipart or {}) == {
        "a": "2", "c": "x", "d": Upload("e"),
    }  # fmt: skip
    assert [what[:30] for what in draft.left_out] == [
        "-F b=<text: the text of a fiel", "the type of a field of a form",
        "-F d=@e;filename=f: all but th", "all but the last of several fi",
    ]  # fmt: skip


def test_secrets_are_moved_out_and_everything_missing_is_said() -> None:
    draft = curl.read(commands(chrome("https://heywall.example") + " -L --digest -K more.conf"))
    text = "".join(map(repr, [written(draft), draft.comments, draft.narration()]))
    for secret in ("KfTz8vXq", "9d3jdk39dk2ldk3k", "hunter2", "abc!", "GA1.1.1"):
        assert secret not in text
    assert list(draft.secrets.meanings) == [
        "CSRFMIDDLEWARETOKEN", "PASSWORD", "GA", "CSRFTOKEN", "SESSIONID",
    ]  # fmt: skip
    assert [what.partition(":")[0] for what in draft.left_out] == [
        "--location", "--digest", "--config",
    ]  # fmt: skip
    plan = written(draft)
    assert (plan.target.verify, plan.scenarios[0].rate) == (False, 1.0)


def test_what_is_no_header_of_a_login_is_moved_too() -> None:
    line = (
        "curl -x http://anna:hunter2@proxy:3128 -b 'lang=en; pwd=geheim-1' -e 'http://a/?token=t0k3n-2'"
        " 'http://a.example/?userToken=t0k3n-3&page=2&keyword=hey' --json '{\"api_key\":\"k-4\"}'"
    )
    draft = curl.read(commands(line))
    plan = written(draft)
    assert plan.load.proxy == "http://anna:${env:PROXY_PASSWORD}@proxy:3128"
    scenario = plan.scenarios[0]
    # not the LANG and the PWD that every shell has
    assert scenario.headers["Cookie"] == "lang=${env:LANG_2}; pwd=${env:PWD_2}"
    assert scenario.headers["Referer"] == "http://a/?token=${env:TOKEN}"
    assert scenario.path == "/?userToken=${env:USER_TOKEN}&page=2&keyword=hey"
    assert scenario.body == '{"api_key":"${env:API_KEY}"}'


def test_a_body_from_stdin_is_no_file_called_so() -> None:
    draft = curl.read(commands("curl --data-binary @- http://a.example/"))
    assert written(draft).scenarios[0].body is None
    assert draft.left_out == ["a body from stdin: give it as a file"]


def test_a_rate_is_shared() -> None:
    draft = curl.read(commands("curl http://a.example/ http://a.example/b"), 30)
    assert [scenario.rate for scenario in written(draft).scenarios] == [15, 15]


CLOSED = {
    "ab -n 4 -c 2 -q -H 'Accept-Language: en' -C sessionid=abc -A a:b http://{}/x?a=1": (
        2,
        4,
        None,
    ),
    "ab -n 1 -k -p body.bin -T text/plain http://{}/": (1, 1, None),
    "ab -i -n 1 http://{}/head": (1, 1, None),
    "hey -n 2 -c 1 -m POST -d '{{\"a\":1}}' -T application/json http://{}/api": (
        1,
        2,
        None,
    ),
    "hey -n=2 -c=1 -D body.bin -m PUT -H 'X-A: b' -A text/html http://{}/": (1, 2, None),
    "wrk -t1 -c1 -d1s --latency -H 'Cookie: sessionid=abc' http://{}/w": (1, None, 1.0),
}


@pytest.mark.parametrize("line", CLOSED)
def test_a_plan_sends_what_a_closed_loop_sends(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "body.bin").write_bytes(b"hey")
    monkeypatch.chdir(tmp_path)
    with listening() as (host, seen):
        ran(line.format(host), tmp_path)
    connections, requests, seconds = CLOSED[line]
    draft = closed.read(*commands(line.format(host)))
    (sent,) = planned(draft)
    theirs = {repr(alike(one)) for one in seen}
    assert {repr(alike(sent))} == theirs
    plan = written(draft)
    assert plan.load.connections == connections
    assert plan.load.requests == requests
    assert [stage.duration for stage in plan.stages] == ([seconds] if seconds else [])
    if requests:
        assert len(seen) == requests


def test_a_known_rate_makes_an_open_loop() -> None:
    for line, given_, rate in (
        ("hey -q 20 -c 5 -z 10s http://a.example/", None, 100),
        ("wrk2 -R 2000 -c 100 http://a.example/", None, 2000),
        ("ab -n 10 -c 5 http://a.example/", 7, 7),
    ):
        plan = written(closed.read(*commands(line), given_))
        assert (plan.load.connections, plan.scenarios[0].rate) == (None, rate)


HTTPERF = {
    # the line of the article, with its options
    "httperf --hog --server {host} --port {port} --uri /wall/42/ --timeout 10 --num-conns 4 "
    "--rate 40 --add-header 'Cookie: sessionid=9d3jdk39dk2ldk3k\\n'": (40, 4, "uniform", False),
    # options abbreviated, two headers in one, Poisson gaps, calls on one connection
    "httperf --server={host} --port={port} --ur /a --num-conns=2 --num-calls=3 --period=e0.02 "
    '--add-header "Referer: foo\\nX-Auth: secret\\n" --method HEAD': (150, 6, "poisson", True),
    "httperf --server {host} --port {port} --print-reply=header": (1, 1, "uniform", False),
}


@pytest.mark.parametrize("line", HTTPERF)
def test_a_plan_sends_what_httperf_sends(line: str, tmp_path: Path) -> None:
    with listening() as (address, seen):
        host, _, port = address.partition(":")
        line_here = line.format(host=host, port=port)
        ran(line_here, tmp_path)
    draft = httperf.read(*commands(line_here))
    (sent,) = planned(draft)
    assert {repr(alike(one)) for one in seen} == {repr(alike(sent))}
    rate, requests, arrival, is_kept = HTTPERF[line]
    plan = written(draft)
    assert plan.scenarios[0].rate == pytest.approx(rate)
    assert (plan.load.requests, plan.load.arrival) == (requests, arrival)
    assert plan.load.keep_alive == is_kept
    assert plan.load.connections == (None if "rate" in line or "period" in line else 1)
    assert len(seen) == requests


WRONG = (
    ("curl", "curl --frobnicate http://a/", "option --frobnicate not recognized"),
    ("curl", "curl -H", "option -H requires argument"),
    ("curl", "curl -s", "it has no request"),
    ("curl", "curl ftp://a/", "expected http(s)://host"),
    ("curl", "wget http://a/", "expected a curl command"),
    ("curl", "curl 'http://a/", "no closing quotation"),
    ("curl", "curl http://a:99999/", "out of range"),
    ("ab", "ab -n x http://a/", "requests: 'x'"),
    ("ab", "ab -n 1", "expected one URL"),
    ("ab", "ab -Q http://a/", "option -Q not recognized"),
    ("httperf", "httperf --rate x", "could not convert"),
    ("httperf", "httperf --wsesslog=1,2,none", "none: No such file"),
    ("httperf", "httperf --wsess=1", "not enough values"),
    ("httperf", "httperf --server=a b", None),
)


@pytest.mark.parametrize(("tool", "line", "problem"), WRONG)
def test_a_wrong_line_is_one_clear_line(tool: str, line: str, problem: str | None) -> None:
    def read() -> Draft:
        found = commands(line)
        if tool == "curl":
            return curl.read(found)
        return httperf.read(found[0]) if tool == "httperf" else closed.read(found[0])

    if problem is None:
        assert read().left_out == ["b: no option of httperf"]
    else:
        with pytest.raises(PlanError, match=re.escape(problem)):
            read()


PLAIN = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)


@given(st.lists(PLAIN, min_size=1, max_size=4), st.booleans())
def test_words_survive_both_kinds_of_quotes(words: list[str], ansi: bool) -> None:
    escapes = {"\\": r"\\", "'": r"\'", "\n": r"\n", "\r": r"\r"}

    def quoted(word: str) -> str:
        if ansi:
            return "$'" + "".join(escapes.get(char, char) for char in word) + "'"
        return "'" + word.replace("'", "'\\''") + "'"

    line = " \\\n ".join(["x", *map(quoted, words)])
    assert commands(line) == [["x", *words]]
    assert commands(f"{line}; {line} &\n{line}") == [["x", *words]] * 3


@given(st.text(string.printable, max_size=30))
def test_any_line_is_read_or_refused_clearly(text: str) -> None:
    for reader in (curl.read, lambda found: httperf.read(found[0])):
        try:
            draft = reader(commands(f"{'curl' if reader is curl.read else 'httperf'} {text}"))
        except PlanError:
            continue
        written(draft)
