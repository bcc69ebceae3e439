"""The JSON Schema of plans, held by an independent validator against what `config` takes."""

from __future__ import annotations

import copy
import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from loadwatch import config
from loadwatch.core.errors import PlanError
from loadwatch.schema import plan_schema

SCHEMA = plan_schema()
VALIDATOR = Draft202012Validator(SCHEMA)
ROOT = Path(__file__).parent.parent
WHOLE = """
[target]
url = "https://a.example"
timeout = "250ms"
allow = ["a.example"]
[data.user]
file = "users.csv"
order = "random"
[login]
token = "/token"
json = { name = "${user.name}" }
take = { header = "X-Token" }
parallel = 5
expect = { status = 200 }
[load]
workers = 2
rate = 20
max_rate = 100
gates = { send_lag = "20ms", dropped = 0.01 }
[[scenario]]
name = "home"
headers = { A = "b" }
method = "POST"
query = { q = "x", n = [1, true] }
timeout = "2s"
expect = { status = [200, 304], contains = "x", max_bytes = "1MiB" }
multipart = { a = "b", c = { file = "x.png" } }
[[scenario]]
name = "two"
method = "POST"
json = { a = [1, { b = "c" }] }
expect = { status = 200, max_bytes = 1000 }
[[scenario]]
name = "three"
method = "POST"
form = { a = ["b", 1] }
[[scenario]]
name = "four"
weight = 2
think = "3s"
[[scenario.step]]
name = "a"
take = { t = { css = "a", attribute = "href" } }
[[scenario.step]]
name = "b"
think = { from = "1s", to = "2s" }
[[host]]
name = "web"
ssh = { to = "b.example", backend = "openssh" }
top_interval = "2s"
[[host.group]]
name = "pool"
pids = [1, 2]
[[host]]
name = "db"
ssh = "local"
[[stage]]
duration = "5m"
ramp = true
[thresholds]
"load.response.p95" = "< 300ms"
"load.status.5xx" = { rule = "== 0", window = "5s", abort = true }
[verdict]
swap = "2MiB/s"
cpu_busy = 0.8
[ui]
panes = ["rate"]
"""


def test_the_schema_is_one() -> None:
    VALIDATOR.check_schema(SCHEMA)
    assert r"\\Z" not in json.dumps(SCHEMA)  # Python's own
    assert SCHEMA["$defs"]["Target"]["properties"]["timeout"]["default"] == "10s"


@pytest.mark.parametrize("path", sorted(ROOT.glob("configs/*.toml")), ids=lambda path: path.name)
def test_every_plan_of_ours_is_valid(path: Path) -> None:
    VALIDATOR.validate(tomllib.loads(path.read_text(encoding="utf-8")))


def test_imported_plans_are_valid() -> None:
    blocks = (ROOT / "docs/import.md").read_text(encoding="utf-8").split("```toml\n")[1:]
    assert len(blocks) > 5
    for block in blocks:
        VALIDATOR.validate(tomllib.loads(block.partition("```")[0]))


WRONG = {
    "no target": "[load]\nseed = 1",
    "unknown key": '[target]\nurl = "http://a"\nurls = 1',
    "unknown table": '[target]\nurl = "http://a"\n[targets]',
    "wrong type": '[target]\nurl = "http://a"\nverify = "yes"',
    "no duration": '[target]\nurl = "http://a"\ntimeout = 10',
    "duration without unit": '[target]\nurl = "http://a"\ntimeout = "10"',
    "name with a blank": '[target]\nurl = "http://a"\n[[scenario]]\nname = "a b"',
    "method in small letters": (
        '[target]\nurl = "http://a"\n[[scenario]]\nname = "a"\nmethod = "get"'
    ),
    "negative rate": '[target]\nurl = "http://a"\n[[scenario]]\nname = "a"\nrate = -1',
    "unknown arrival": '[target]\nurl = "http://a"\n[load]\narrival = "often"',
    "threshold without rule": '[target]\nurl = "http://a"\n[thresholds]\na = { window = "1s" }',
}


@pytest.mark.parametrize("case", WRONG)
def test_what_the_program_refuses_an_editor_underlines(case: str) -> None:
    document = tomllib.loads(WRONG[case])
    assert not VALIDATOR.is_valid(document)
    with pytest.raises(PlanError):
        config.decode(document, "x")


def places(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path to every value of a document."""
    items = node.items() if isinstance(node, dict) else enumerate(node)
    for key, value in items:
        yield (*path, key)
        if isinstance(value, dict | list):
            yield from places(value, (*path, key))


PLACES = list(places(tomllib.loads(WHOLE)))
VALUES = st.sampled_from(["", "x", "1s", "a b", 0, 1, -1, 2.5, True, [], ["x"], {}, {"x": "y"}])


@given(st.sampled_from(PLACES), VALUES, st.booleans())
def test_what_is_accepted_is_valid(place: tuple[Any, ...], value: Any, adds: bool) -> None:
    """A plan with any one value exchanged, or one key added, that loads is valid by the schema."""
    document = copy.deepcopy(tomllib.loads(WHOLE))
    inner = document
    for key in place[:-1]:
        inner = inner[key]
    if adds and isinstance(inner, dict):
        inner["extra"] = value
    else:
        inner[place[-1]] = value
    try:
        config.decode(document, "x")
    except PlanError:
        return
    VALIDATOR.validate(document)


def test_the_whole_example_is_right() -> None:
    document = tomllib.loads(WHOLE)
    config.decode(document, "x")
    VALIDATOR.validate(document)
    assert SCHEMA["$defs"]["Signs"]["properties"]["swap"]["default"] == "1MiB/s"
    keys = set(SCHEMA["$defs"]["Plan"]["properties"])
    assert set(document) == keys  # or the property above has a blind spot
