"""Plans: what is wrong is said in one line that names the place; what is right comes out so."""

from __future__ import annotations

import argparse
import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadwatch import config, options
from loadwatch.analysis.thresholds import parse
from loadwatch.core.errors import PlanError
from loadwatch.core.plan import Access, Group, Host, Scenario
from loadwatch.verbs.planned import add_group_options
from loadwatch.watching import catalogue

TARGET = '[target]\nurl = "http://127.0.0.1:8000"\n'
HOME = '[[scenario]]\nname = "home"\n'


def decode(text: str) -> Any:
    return config.decode(tomllib.loads(text), "plan.toml")


def test_the_defaults() -> None:
    plan = decode(TARGET + HOME)
    assert (plan.target.timeout, plan.target.verify) == (10.0, True)
    assert (plan.load.arrival, plan.load.seed, plan.load.workers) == ("poisson", 1, "auto")
    assert (plan.load.max_in_flight, plan.load.max_rate) == (1000, None)
    assert plan.scenarios == (Scenario("home", "/", 10.0),)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        # Unknown keys name the nearest one that exists.
        (TARGET + HOME + "[lod]\nseed = 1", "lod: unknown key; did you mean `load`?"),
        (TARGET + HOME + "[load]\narival = 1", "load.arival: unknown key; did you mean `arrival`?"),
        (TARGET + HOME + "rte = 1", "scenario[0].rte: unknown key; did you mean `rate`?"),
        (TARGET + HOME + '[thresholds]\n"load.sent" = { rule = "> 1", windw = "5s" }',
         "thresholds.load.sent.windw: unknown key; did you mean `window`?"),
        (TARGET + HOME + '[thresholds]\n"load.sent" = { window = "5s" }',
         "thresholds.load.sent: Object missing required field `rule`"),
        (TARGET + HOME + '[thresholds]\n"load.sent" = { rule = "> 1", window = 5 }',
         "thresholds.load.sent: window: expected a duration such as `30s`, got 5"),
        (TARGET + HOME + '[thresholds]\n"load.sent" = 5',
         "thresholds.load.sent: Expected `str | object`, got `int`"),
        (TARGET + HOME + '[[host]]\nname = "a"\nssh = "local"\n[[host.group]]\nname = "g"\nusr = 1',
         "host[0].group[0].usr: unknown key; did you mean `user`?"),
        (TARGET + HOME + '[[host]]\nname = "a"\nssh = { too = "web" }',
         "host[0].ssh.too: unknown key; did you mean `to`?"),
        # Wrong types and values.
        (TARGET + HOME + 'rate = "fast"', "scenario[0].rate: Expected `float`, got `str`"),
        (TARGET + HOME + "rate = -1", "scenario[0].rate: Expected `float` >= 0.0"),
        (TARGET + HOME + '[load]\nseed = "x"', "load.seed: Expected `int`, got `str`"),
        (TARGET + HOME + "[load]\nworkers = 0", "load.workers: Expected `int` >= 1"),
        (TARGET + "timeout = 5\n" + HOME,
         "target.timeout: expected a duration such as `30s`, got 5"),
        (TARGET + 'timeout = "5"\n' + HOME,
         "target.timeout: expected a duration such as `30s` or `250ms`, got '5'"),
        (TARGET + 'timeout = "2h"\n' + HOME, "target.timeout: at most 1h"),
        # What a plan cannot do without.
        (HOME, "Object missing required field `target`"),
        (TARGET, "scenario: at least one [[scenario]] is needed"),
        # What does not make sense as a whole.
        (TARGET + HOME + HOME, "scenario: the name 'home' is given twice"),
        ('[target]\nurl = "ftp://x"\n' + HOME,
         "target.url: expected http(s)://host…, got 'ftp://x'"),
        ('[target]\nurl = "http://x:99999"\n' + HOME, "target.url: Port out of range 0-65535"),
        ('[target]\nurl = "http://me:secret@x"\n' + HOME,
         "target.url: put credentials into a header, not into the URL"),
        (TARGET + HOME + 'path = "http://elsewhere/"',
         "scenario.home.path: it leads away from the target"),
        (TARGET + HOME + 'headers = { "X Y" = "1" }',
         "scenario.home.headers: 'X Y' is no header name"),
        (TARGET + HOME + 'headers = { X = "a\\r\\nEvil: 1" }',
         "scenario.home.headers: the value of 'X' holds a control character"),
        (TARGET + HOME + 'method = "get"',
         "scenario[0].method: Expected `str` matching regex '^[A-Z]+\\\\Z'"),
        (TARGET + HOME + 'method = "CONNECT"',
         "scenario.home.method: CONNECT opens a tunnel; `load.proxy` uses one"),
        # Expressions, and the tables that they name.
        (TARGET + HOME + 'path = "/${sec}"',
         "scenario.home.path: unknown expression `${sec}`; did you mean `seq`?"),
        (TARGET + HOME + 'headers = { X = "${usr.name}" }\n[data.user]\nfile = "u.csv"',
         "scenario.home.headers.X: there is no [data.usr]; did you mean `user.name`?"),
        (TARGET + HOME + 'body = "${user.name}"',
         "scenario.home.body: there is no [data.user]; known: seq, uuid"),
        (TARGET + HOME + '[data.user]\nfile = "u.xls"',
         "data.user.file: expected a .csv or .jsonl file, got 'u.xls'"),
        (TARGET + HOME + '[data.user]\nfiles = "u.csv"',
         "data.user.files: unknown key; did you mean `file`?"),
        (TARGET + HOME + "[load]\nhttp2 = true",
         'load.http2: only the other engine can: engine = "httpx"'),
        (TARGET + HOME + '[load]\nengine = "httpx"\nproxy = "socks5://x"',
         "load.proxy: expected http(s)://host:port"),
        (TARGET + HOME + "[load.gates]\nsent = 2", "load.gates.sent: Expected `float` <= 1.0"),
        (TARGET + HOME + "[load]\nmax_rate = 5",
         "load.max_rate: the rates sum to 10/s, above the ceiling of 5/s"),
        (TARGET + HOME + '[load]\nmax_rate = 15\n[[stage]]\nduration = "1s"\nscale = 2',
         "load.max_rate: the rates sum to 20/s, above the ceiling of 15/s"),
        (TARGET + HOME + '[[host]]\nname = "a"\nssh = "a b"',
         "host.a.ssh: expected [user@]host[:port], an alias of ~/.ssh/config, or local, got 'a b'"),
        (TARGET + HOME + '[[host]]\nname = "a"\nssh = "a"\ninterval = "10ms"',
         "host.a.interval: between 100ms and 1h"),
        (TARGET + HOME + '[[host]]\nname = "a"\nssh = "a"\ntop_interval = "2h"',
         "host.a.top_interval: between 100ms and 1h"),
        (TARGET + HOME + '[[host]]\nname = "a"\nssh = { to = "web:99999" }',
         "host.a.ssh.to: no such port: 99999"),
        (TARGET + HOME + '[[host]]\nname = "a"\nssh = { to = "web", backend = "putty" }',
         "host[0].ssh.backend: Invalid enum value 'putty'"),
        (TARGET + HOME + '[[host]]\nname = "a"\nssh = 22',
         "host[0].ssh: Expected `str | object`, got `int`"),
        (TARGET + HOME + '[[host]]\nname = "a"\nssh = "local"\n[[host.group]]\nname = "g"',
         "host.a.group.g: give user, command or pids"),
        (TARGET + HOME + '[[host]]\nname = "a"\nssh = "local"\n'
         '[[host.group]]\nname = "g"\ncommand = "("',
         "host.a.group.g.command: not a regular expression: "
         "missing ), unterminated subpattern at position 0"),
    ],
)  # fmt: skip
def test_a_wrong_plan_is_one_line(text: str, message: str) -> None:
    with pytest.raises(PlanError) as caught:
        decode(text)
    assert str(caught.value) == f"plan.toml: {message}"


def test_a_file_that_is_missing_or_no_toml(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="no such file"):
        config.load_plan(tmp_path / "none.toml")
    broken = tmp_path / "broken.toml"
    broken.write_text("[target\n", encoding="utf-8")
    with pytest.raises(PlanError, match=r"broken.toml: not TOML: .*line 1"):
        config.load_plan(broken)


@given(st.dictionaries(st.text(), st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=5,
)))  # fmt: skip
def test_any_document_is_a_plan_or_a_plan_error(document: dict[str, Any]) -> None:
    document.setdefault("target", {"url": "http://127.0.0.1"})
    with pytest.raises(PlanError):
        config.decode(document | {"scenario": []}, "x")


@pytest.mark.parametrize(
    ("url", "target", "name", "path"),
    [
        ("http://a.example", "http://a.example", "home", "/"),
        ("http://a.example/wall/42/", "http://a.example", "wall-42", "/wall/42/"),
        ("https://a:8443/x?q=1&r=2", "https://a:8443", "x", "/x?q=1&r=2"),
    ],
)
def test_a_url_is_a_plan(url: str, target: str, name: str, path: str) -> None:
    plan = config.plan_for(url)
    assert plan.target.url == target
    assert [(s.name, s.path) for s in plan.scenarios] == [(name, path)]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("250ms", 0.25), ("30s", 30), ("5m", 300), ("1h", 3600), ("1.5s", 1.5)],
)
def test_durations(text: str, seconds: float) -> None:
    assert config.duration(text) == seconds


@pytest.mark.parametrize("text", ["", "5", "s", "-1s", "0s", "5 parsecs", "1e3s", "nans"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="expected a duration"):
        config.duration(text)


@pytest.mark.parametrize(
    ("address", "taken", "name"),
    [
        ("deploy@web.example.com", [], "web"),
        ("deploy@web.example.com", ["web"], "web-2"),
        ("web", ["web", "web-2"], "web-3"),
        ("me@10.0.0.1:2222", [], "10-0-0-1"),
        ("local", [], "local"),
        ("ssh://deploy@web:2222", [], "web"),
        ("[2001:db8::1]:22", [], "2001-db8-1"),
    ],
)
def test_hosts_are_named_by_their_first_label(address: str, taken: list[str], name: str) -> None:
    host = options.host_for(address, taken)
    assert (host.name, host.ssh) == (name, address)


def test_an_option_that_is_no_address() -> None:
    with pytest.raises(PlanError, match=r"--host: expected .*got 'a b'"):
        options.host_for("a b", [])


def test_a_host_s_access_in_full_and_in_short() -> None:
    hosts = (
        '[[host]]\nname = "a"\nssh = "deploy@web"\n'
        '[[host]]\nname = "b"\nssh = { to = "web", backend = "openssh" }\n'
    )
    short, full = decode(TARGET + HOME + hosts).hosts
    assert short.access == Access("deploy@web", "paramiko")
    assert full.access == Access("web", "openssh")
    assert config.redact(decode(TARGET + HOME + hosts))["host"][1]["ssh"] == {
        "to": "web",
        "backend": "openssh",
    }


def given_options(**given: object) -> argparse.Namespace:
    every: dict[str, object] = dict.fromkeys(
        ("rate", "connections", "arrival", "seed", "duration", "requests", "timeout", "workers",
         "interval", "process_pid", "ca", "engine", "proxy")
    )  # fmt: skip
    flags = {"header": [], "host": [], "process_user": [], "process_command": [],
             "insecure": False, "http2": False}  # fmt: skip
    return argparse.Namespace(**(every | flags | given))


def test_each_group_option_of_the_command_line_is_a_group() -> None:
    command = argparse.ArgumentParser()
    add_group_options(command)
    line = "--process-user a --process-user b --process-command c --process-command d"
    given = given_options(**vars(command.parse_args(line.split())))
    host = options.watched(Host("web", "web"), given)
    assert [group.name for group in host.groups] == ["a", "b", "c", "d"]


def test_options_override_the_plan() -> None:
    rest = '[thresholds]\n"load.response.p99" = "< 1s"\n[ui]\npanes = ["cpu"]\n[verdict]\nst'
    plan = decode(
        TARGET
        + HOME
        + "rate = 30\n"
        + HOME.replace("home", "wall")
        + f"rate = 10\n{rest}olen = 0.5"
    )
    applied = options.apply(
        plan,
        given_options(rate="8", seed=7, timeout=2.0, insecure=True, header=["X-A: b"],
                      host=["me@web.x"], interval=2.0, process_user=["www-data", "db"],
                      process_pid=(1, 2), process_command=["^gunicorn.*web", "nginx"]),
    )  # fmt: skip
    assert [scenario.rate for scenario in applied.scenarios] == [6.0, 2.0]
    assert [scenario.headers for scenario in applied.scenarios] == [{"X-A": "b"}] * 2
    assert (applied.target.timeout, applied.target.verify, applied.load.seed) == (2.0, False, 7)
    assert (applied.ui, applied.verdict, applied.thresholds) == (
        plan.ui, plan.verdict, plan.thresholds,
    )  # fmt: skip
    assert applied.ui.panes == ("cpu",)
    (host,) = applied.hosts
    assert (host.name, host.interval) == ("web", 2.0)
    assert host.groups == (
        Group("www-data", user="www-data"),
        Group("db", user="db"),
        Group("gunicorn-web", command="^gunicorn.*web"),
        Group("nginx", command="nginx"),
        Group("pids", pids=(1, 2)),
    )


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"rate": "fast"}, "--rate: expected requests per second or `max`, got 'fast'"),
        ({"rate": "-1"}, "--rate: expected requests per second or `max`, got '-1'"),
        ({"rate": "600"}, "command line: load.max_rate: the rates sum to 600/s, above the ceiling"),
        ({"rate": "max"}, "command line: load.max_rate: a closed loop has no rate"),
        ({"connections": 5}, "--connections belongs to --rate max"),
        ({"header": ["no colon"]}, "--header: expected 'Name: value'"),
    ],
)
def test_options_that_make_no_sense(given: dict[str, object], message: str) -> None:
    plan = decode(TARGET + HOME + "[load]\nmax_rate = 500")
    with pytest.raises(PlanError) as caught:
        options.apply(plan, given_options(**given))
    assert str(caught.value).startswith(message)


def test_secrets_are_filled_in_late_and_never_shown(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("Bearer CANARY-3\n", encoding="utf-8")
    plan = decode(
        TARGET + HOME + 'path = "/?t=${env:TOKEN}"\n'
        'headers = { Cookie = "sessionid=${env:SESSION}", Authorization = "@%s", '
        'X-Api-Key = "CANARY-4", Accept = "*/*" }' % (tmp_path / "token")
    )
    filled = config.fill_in(plan, {"TOKEN": "CANARY-1", "SESSION": "CANARY-2"})
    assert filled.scenarios[0].path == "/?t=CANARY-1"
    assert filled.scenarios[0].headers == {
        "Cookie": "sessionid=CANARY-2",
        "Authorization": "Bearer CANARY-3",
        "X-Api-Key": "CANARY-4",
        "Accept": "*/*",
    }
    assert "CANARY" not in str(config.redact(plan))
    assert "CANARY" not in str({**config.redact(plan)})
    with pytest.raises(PlanError, match="the environment has no SESSION"):
        config.fill_in(plan, {"TOKEN": "x"})


def test_a_header_from_a_missing_file_is_a_plan_error() -> None:
    plan = decode(TARGET + HOME + 'headers = { Cookie = "@/no/such/file" }')
    with pytest.raises(PlanError, match=r"headers.Cookie: cannot read /no/such/file"):
        config.fill_in(plan)


@pytest.mark.parametrize(
    "path", sorted(Path(__file__).parent.parent.glob("configs/*.toml")), ids=lambda path: path.name
)
def test_the_plans_that_we_ship_are_plans(path: Path) -> None:
    plan = config.load_plan(path)
    parse(plan, catalogue())


@pytest.mark.parametrize(
    "path", sorted((Path(__file__).parents[1] / "configs").glob("*.toml")), ids=lambda p: p.name
)
def test_a_recorded_plan_is_the_plan(path: Path) -> None:
    plan = config.load_plan(path)
    stored = json.loads(json.dumps(config.redact(plan)))
    assert config.recorded(stored, "a session") == plan


def test_a_recorded_plan_of_another_shape_is_one_line() -> None:
    with pytest.raises(PlanError, match="a session: plan: Object contains unknown field `x`"):
        config.recorded({"target": {"url": "http://a.example"}, "x": 1}, "a session")


@pytest.mark.parametrize(
    ("header", "value", "literal"),
    [
        ("Cookie", "sessionid=abc", True),
        ("Cookie", "sessionid=${env:ID}", False),
        ("Cookie", "sessionid=${env:ID}; csrftoken=${env:CSRF}", False),
        ("Cookie", "sessionid=${env:ID}; csrftoken=abc", True),
        ("Cookie", "@cookie.txt", False),
        ("Authorization", "Bearer ${env:TOKEN}", False),
        ("Authorization", "Bearer abc123", True),
        ("Authorization", "Bearer ${env:TOKEN} abc123", True),
        ("X-Api-Key", "${env:KEY}", False),
        ("Accept-Language", "de", False),
    ],
)
def test_what_of_a_header_is_a_secret_in_clear(header: str, value: str, literal: bool) -> None:
    assert config.is_literal_secret(header, value) == literal
