"""`loadwatch import` as a command: what goes where, and what it never does."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from loadwatch import config

LINE = "curl -L https://web.example/a -H 'Authorization: Bearer 0123456789'"


def imported(*arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "loadwatch", "import", *arguments],
        input=given, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("how", ["one word", "word by word", "stdin"])
def test_the_plan_is_data_and_the_rest_narration(how: str) -> None:
    words = ["curl", "-L", "https://web.example/a", "-H", "Authorization: Bearer 0123456789"]
    given = {"one word": [LINE], "word by word": ["--", *words], "stdin": ["-"]}[how]
    done = imported("curl", "--rate", "7", *given, given=LINE)
    assert done.returncode == 0
    plan = config.decode(tomllib.loads(done.stdout), "stdout")
    assert (plan.scenarios[0].path, plan.scenarios[0].rate) == ("/a", 7)
    assert plan.scenarios[0].headers == {"Authorization": "Bearer ${env:AUTHORIZATION}"}
    assert "not carried over: --location" in done.stderr
    assert "set AUTHORIZATION in the environment" in done.stderr
    assert "0123456789" not in done.stdout + done.stderr


def test_a_file_is_written_once(tmp_path: Path) -> None:
    path = tmp_path / "plan.toml"
    done = imported("curl", LINE, "-o", str(path))
    assert (done.returncode, done.stdout) == (0, "")
    assert config.load_plan(path).target.url == "https://web.example"
    before = path.read_bytes()
    again = imported("curl", "curl http://other.example/", "-o", str(path))
    assert (again.returncode, path.read_bytes()) == (2, before)
    assert again.stderr == f"loadwatch: {path}: it exists already; nothing was written\n"
    nowhere = imported("curl", LINE, "-o", str(tmp_path / "none" / "plan.toml"))
    assert nowhere.stderr.endswith("cannot be written: No such file or directory\n")


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("curl", ""), "the command line is empty"),
        (("ab", "ab http://a/; ab http://b/"), "expected one ab command, got 2"),
        (("curl", "--rate", "0", LINE), "expected a rate per second, got '0'"),
        (
            ("httperf", "httperf --rate inf"),
            "the plan that it would make: scenario[0].rate: Expected",
        ),
        (("urls", "/none"), "/none: No such file or directory"),
        (("urls", "-"), "it has no request that a plan could make"),
    ],
)
def test_a_wrong_command_is_one_line(arguments: tuple[str, ...], problem: str) -> None:
    done = imported(*arguments)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert problem in done.stderr


def test_a_line_that_is_no_url_is_named() -> None:
    done = imported("urls", "-", given="http://a.example/\n\nhttp://a.example:port/\n")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "line 3: a URL: Port could not be cast" in done.stderr


def test_hostile_text_stays_text(tmp_path: Path) -> None:
    """Escapes and line breaks in a URL or a header reach neither terminal nor comments."""
    line = (
        r"curl $'https://web.example/\e]0;x\u202e' -H $'X-A: \u202eb' -H 'x: ${env:HOME}'"
        r" -d $'\u202e\n\x1b'"
    )
    done = imported("curl", line)
    assert not set("\x1b\u202e") & set(done.stdout + done.stderr)
    assert "${env:HOME}" not in done.stdout
    scenario = config.decode(tomllib.loads(done.stdout), "stdout").scenarios[0]
    assert (scenario.path, scenario.body) == ("/%1B]0;x%E2%80%AE", "\u202e\n\x1b")
    listed = imported("urls", "-", given="http://a.example/ \x1b[31m]\u202e\n")
    assert not set("\x1b\u202e") & set(listed.stdout + listed.stderr)


def test_nothing_of_it_is_loaded_at_start() -> None:
    program = (
        "import sys, loadwatch.cli\n"
        "print(*(m for m in sys.modules if m.startswith(('tomlkit', 'loadwatch.importing'))))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == ""
