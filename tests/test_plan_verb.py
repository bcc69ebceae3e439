"""`loadwatch plan`: what it shows, what it never shows, what it finds wrong."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from loadwatch.schema import plan_schema
from tests.requests_seen import listening

PLAN = """
[target]
url = "{url}"
[load]
keep_alive = false
[[scenario]]
name = "wall"
path = "/wall/?token=${{env:LW_TOKEN}}"
rate = 2
method = "POST"
body = "pin=${{env:LW_PIN}}"
[scenario.headers]
Cookie = "sessionid=${{env:LW_SESSION}}"
Authorization = "literal-c51e"
X-Key = "@key"
[[scenario]]
name = "home"
headers = {{ X-A = "b" }}
"""
SECRETS = {"LW_TOKEN": "canary-token", "LW_SESSION": "canary-session", "LW_PIN": "canary-pin"}


def loadwatch(*arguments: str, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "loadwatch", *arguments], cwd=cwd, env={**os.environ, **env},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "key").write_text("canary-file", encoding="utf-8")
    (tmp_path / "plan.toml").write_text(PLAN.format(url="http://a.example"), encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("environment", [{}, SECRETS], ids=["without variables", "with them"])
def test_what_is_shown_has_no_secret(directory: Path, environment: dict[str, str]) -> None:
    done = loadwatch("plan", "show", "plan.toml", cwd=directory, **environment)
    assert done.returncode == 0, done.stderr
    wall, home = done.stdout.split("\n\n# ")
    assert wall.startswith("# wall: 2/s\nPOST /wall/?token=LW_TOKEN HTTP/1.1\nHost: a.example\n")
    for line in ("Cookie: sessionid=LW_SESSION", "Authorization: (redacted)", "X-Key: (@key)"):
        assert f"\n{line}\n" in wall
    assert home.startswith("home: 10/s\nGET / HTTP/1.1\n")
    assert wall.endswith("pin=LW_PIN")
    for secret in (*SECRETS.values(), "literal-c51e", "canary-file"):
        assert secret not in done.stdout + done.stderr


def test_values_of_data_are_shown_unless_they_look_secret(tmp_path: Path) -> None:
    (tmp_path / "users.csv").write_text(
        "wall,password,sid\n7,canary-password,canary-sid\n", encoding="utf-8"
    )
    (tmp_path / "plan.toml").write_text(
        '[target]\nurl = "http://a.example"\n[data.user]\nfile = "users.csv"\n'
        '[[scenario]]\nname = "wall"\npath = "/${user.wall}/"\nmethod = "POST"\n'
        'body = "p=${user.password}"\nheaders = { Cookie = "s=${user.sid}", X-N = "${seq}" }\n',
        encoding="utf-8",
    )
    done = loadwatch("plan", "show", "plan.toml", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "POST /7/ HTTP/1.1\n" in done.stdout
    assert "Cookie: s=sid\n" in done.stdout
    assert "X-N: 1\n" in done.stdout
    assert done.stdout.endswith("\n\np=password\n")
    assert "canary" not in done.stdout + done.stderr


def test_what_is_shown_is_what_is_sent(tmp_path: Path) -> None:
    """Name by name, as the program sends it when nothing is secret."""
    with listening() as (host, seen):
        shown = loadwatch("plan", "show", f"http://{host}/a?b=c", cwd=tmp_path).stdout
        run = loadwatch(
            "run", f"http://{host}/a?b=c", "--requests", "1", "--rate", "50", "--session",
            str(tmp_path / "s"), cwd=tmp_path,
        )  # fmt: skip
    assert run.returncode == 0, run.stderr
    (sent,) = seen
    head, *headers = shown.splitlines()[1:]
    assert head == f"{sent.method} {sent.path} HTTP/1.1"
    pairs = dict(line.split(": ", 1) for line in headers)
    assert {name.lower(): value for name, value in pairs.items()} == sent.headers


def test_a_long_body_is_cut_and_its_bytes_are_made_visible(tmp_path: Path) -> None:
    (tmp_path / "body").write_bytes(b"\x1b[31m\xff" + b"x" * 5000)
    (tmp_path / "plan.toml").write_text(
        '[target]\nurl = "http://a.example"\n[load]\nconnections = 3\n'
        '[[scenario]]\nname = "a"\nmethod = "PUT"\nbody = "@body"\n',
        encoding="utf-8",
    )
    shown = loadwatch("plan", "show", "plan.toml", cwd=tmp_path).stdout
    assert shown.startswith("# a: as fast as it goes\nPUT / HTTP/1.1\n")
    assert "\x1b" not in shown
    assert shown.splitlines()[-1].startswith("… (5,")
    assert len(shown) < 2200


def test_a_plan_is_checked_without_starting_anything(directory: Path) -> None:
    with listening() as (host, seen):
        text = PLAN.format(url=f"http://{host}") + '[[host]]\nname = "web"\nssh = "local"\n'
        (directory / "good.toml").write_text(text, encoding="utf-8")
        done = loadwatch("plan", "check", "good.toml", cwd=directory, **SECRETS)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "good.toml: 2 scenarios, 12 requests per second, 1 host\n"
    assert seen == []


WRONG = {
    "[target\n": "x.toml: not TOML: Expected ']' at the end of a table declaration (at line 1",
    '[target]\nurl = "http://a"\n[laod]\n': "x.toml: laod: unknown key; did you mean `load`?",
    "${env:LW_NONE}": "x.toml: scenario.a.path: the environment has no LW_NONE",
    '[thresholds]\n"load.respons.p95" = "< 1s"': "load.respons.p95",
    '[ui]\npanes = ["rates"]': "x.toml: ui.panes: no pane `rates`; did you mean `rate`?",
    'body = "@none"': "x.toml: scenario.a.body: cannot read none: No such file or directory",
}


@pytest.mark.parametrize("text", WRONG)
def test_what_is_wrong_is_named_and_the_others_are_checked(tmp_path: Path, text: str) -> None:
    plain = '[target]\nurl = "http://a"\n[[scenario]]\nname = "a"\n'
    (tmp_path / "good.toml").write_text(plain, encoding="utf-8")
    whole = text if text.startswith("[target") else plain + text
    if text.startswith("$"):
        whole = f'{plain}path = "/{text}"'
    (tmp_path / "x.toml").write_text(whole, encoding="utf-8")
    done = loadwatch("plan", "check", "x.toml", "good.toml", cwd=tmp_path)
    assert done.returncode == 2
    assert WRONG[text] in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == "good.toml: 1 scenario, 10 requests per second\n"


def test_the_schema_is_printed(tmp_path: Path) -> None:
    done = loadwatch("plan", "schema", cwd=tmp_path)
    assert json.loads(done.stdout) == plan_schema()
