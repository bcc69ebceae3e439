"""Many users: expressions, the files behind them, and the requests that come of both."""

from __future__ import annotations

import asyncio
import itertools
import re
import time
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadwatch import config
from loadwatch.core import expression
from loadwatch.core.errors import PlanError
from loadwatch.core.expression import Column, Random, Sequence, Uuid, Variable
from loadwatch.core.plan import Data, Load, Plan, Scenario, Target
from loadwatch.load.data import ensure_supply, tables
from loadwatch.load.fleet import Fleet, share_out
from loadwatch.load.messages import Job
from loadwatch.load.request import read
from loadwatch.load.template import all_requests, in_url
from tests.servers import OK, answering, serving

USERS = "name,wall,session\nada,1,aaa\nböb,a b?x=1&y,bbb\n100%,/%2F#,ccc\n"


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("plain $ { } $x", ["plain $ { } $x"]),
        ("a${seq}b", ["a", Sequence(), "b"]),
        ("${user.name}${uuid}", [Column("user", "name"), Uuid()]),
        ("${env:TOKEN}", [Variable("TOKEN")]),
        ("${random:1:500}", [Random(1, 500)]),
        ("${random:-5:5}", [Random(-5, 5)]),
        ("${user.full name}", [Column("user", "full name")]),
        # A plain one, and one behind a dollar sign.
        ("$${seq}", ["${", "seq}"]),
        ("$$${seq}", ["$", "${", "seq}"]),
        ("", []),
    ],
)
def test_what_is_an_expression(text: str, parts: list[Any]) -> None:
    assert expression.parse(text) == parts


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("${sequ}", "unknown expression `${sequ}`; did you mean `seq`?"),
        ("${UUID}", "unknown expression `${UUID}`; known: seq, uuid, random:1:500, env:NAME"),
        ("${random:1}", "unknown expression `${random:1}`; did you mean `random:1:500`?"),
        ("${random:5:1}", "`${random:5:1}`: 5 is more than 1"),
        ("${user.name", "`${` without its `}`; a plain one is written `$${`"),
    ],
)
def test_what_is_none(text: str, message: str) -> None:
    with pytest.raises(ValueError, match="^" + re.escape(message)):
        expression.parse(text)


@given(st.text(alphabet="$${}ab:.") | st.text())
def test_plain_text_is_never_an_expression(text: str) -> None:
    assert "".join(map(str, expression.parse(expression.plain(text)))) == text


def planned(tmp_path: Path, users: str, order: str = "in order", **scenario: Any) -> Plan:
    file = tmp_path / "users.csv"
    file.write_text(users, encoding="utf-8")
    return Plan(
        target=Target("http://host.example/base/"),
        load=Load(arrival="uniform", workers=1),
        scenarios=(Scenario("wall", **({"rate": 10.0} | scenario)),),
        data={"user": Data(str(file), order)},  # type: ignore[arg-type]
    )


def heads(plan: Plan, times: int, worker: int = 0) -> list[bytes]:
    requests = all_requests(share_out(plan)[worker])["wall"]
    return list(itertools.islice(requests, times))


def test_a_value_is_written_as_its_place_wants(tmp_path: Path) -> None:
    """Percent-encoded in a path, as it is in a body whose length follows, as ASCII in a header."""
    plan = planned(
        tmp_path, USERS, path="/%7E/${user.wall}?n=${user.name}&s=100%25", method="POST",
        headers={"Cookie": "id=${user.session}; x"}, body='{"who": "${user.name}", "%": 1}',
    )  # fmt: skip
    first, second, third, again = heads(plan, 4)
    assert first == again
    assert second == (
        b"POST /%7E/a%20b?x=1&y?n=b%C3%B6b&s=100%25 HTTP/1.1\r\nHost: host.example\r\n"
        b"Accept: */*\r\nAccept-Encoding: gzip, deflate\r\nConnection: keep-alive\r\n"
        + second[second.index(b"User-Agent") : second.index(b"Cookie")]
        + b"Cookie: id=bbb; x\r\nContent-Length: 23\r\n\r\n"
        + '{"who": "böb", "%": 1}'.encode()
    )
    assert third.startswith(b"POST /%7E//%2F%23?n=100%25&s=100%25 HTTP/1.1\r\n")
    assert third.endswith(b'Content-Length: 23\r\n\r\n{"who": "100%", "%": 1}')


@pytest.mark.parametrize("slash", ["", "/"])
def test_a_path_that_begins_with_an_expression_is_one_from_the_root(
    tmp_path: Path, slash: str
) -> None:
    plan = planned(tmp_path, f"url\n{slash}a/b?c=1\n", path="${user.url}")
    assert heads(plan, 1)[0].startswith(b"GET /a/b?c=1 HTTP/1.1\r\n")


@given(st.text().filter(lambda text: "%" not in text))
def test_no_value_breaks_out_of_the_request_line(value: str) -> None:
    try:
        encoded = in_url(value)
    except UnicodeEncodeError:  # a lone surrogate, which no UTF-8 file holds
        return
    assert re.fullmatch(rb"[!-~]*", encoded) and b"#" not in encoded
    assert unquote(encoded.decode()) == value


def test_what_is_computed_differs_from_request_to_request(tmp_path: Path) -> None:
    plan = planned(
        tmp_path, USERS, path="/${seq}?u=${uuid}", body="${uuid} ${seq} ${random:1:3} ${user.name}",
        headers={"X-Id": "${uuid}"}, method="POST",
    )  # fmt: skip
    made = [read(data, plan.target.url) for data in heads(plan, 200)]
    assert [request.url.path for request in made] == [f"/{n}" for n in range(1, 201)]
    ids = [request.url.params["u"] for request in made]
    assert len(set(ids)) == 200
    assert all(re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab].*", one) for one in ids)
    # The same expression has one value in all of a request.
    assert [request.headers["X-Id"] for request in made] == ids
    bodies = [request.content.decode().split(" ") for request in made]
    assert [body[0] for body in bodies] == ids
    assert {body[2] for body in bodies} == {"1", "2", "3"}
    assert [body[3] for body in bodies[:4]] == ["ada", "böb", "100%", "ada"]
    assert all(int(r.headers["Content-Length"]) == len(r.content) for r in made)


@pytest.mark.parametrize("workers", [1, 2, 3])
@pytest.mark.parametrize("order", ["in order", "one per visit"])
def test_workers_share_the_rows_and_the_numbers(tmp_path: Path, order: str, workers: int) -> None:
    """Interleaved as their arrivals are, they hand out every row once before any again."""
    rows = [f"u{number}" for number in range(12)]
    plan = planned(tmp_path, "\n".join(["name", *rows]), order, path="/${user.name}/${seq}")
    plan = msgspec.structs.replace(plan, load=Load(workers=workers))
    each = [[data.split(b" ")[1] for data in heads(plan, 12 // workers, w)] for w in range(workers)]
    merged = [path.decode() for together in zip(*each, strict=True) for path in together]
    assert merged == [f"/{name}/{number}" for number, name in enumerate(rows, 1)]
    ends = [next(itertools.islice(own, 12 // workers, None), None) for own in (
        all_requests(job)["wall"] for job in share_out(plan))]  # fmt: skip
    assert all((end is None) == (order == "one per visit") for end in ends)


def test_random_rows_follow_the_seed(tmp_path: Path) -> None:
    plan = planned(tmp_path, USERS, "random", path="/${user.session}")
    other = msgspec.structs.replace(plan, load=Load(seed=2))
    first = heads(plan, 50)
    assert first == heads(plan, 50) != heads(other, 50)
    assert len(set(first)) == 3


def test_two_scenarios_share_the_rows(tmp_path: Path) -> None:
    plan = planned(tmp_path, USERS, path="/${user.session}")
    home = msgspec.structs.replace(plan.scenarios[0], name="home")
    plan = msgspec.structs.replace(plan, scenarios=(plan.scenarios[0], home))
    wall, home_ = all_requests(share_out(plan)[0]).values()
    assert [next(r).split(b" ")[1] for r in (wall, home_, wall, home_)] == [
        b"/aaa", b"/bbb", b"/ccc", b"/aaa"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("u.csv", "name,walls\na,1\n", "line 2: no column `wall`; did you mean `walls`?"),
        ("u.csv", "wall\n", "it has no rows"),
        ("u.csv", "", "it has no rows"),
        ("u.csv", "wall,wall\n1,2\n", "two columns are named 'wall'"),
        ("u.csv", "wall,name\n1\n", "line 2: 1 values for 2 columns"),
        ("u.csv", 'wall\n"a', "unexpected end of data"),
        ("u.jsonl", '{"wall": 1}\n{"name": 2}\n',
         "line 2: no column `wall`; known: name"),
        ("u.jsonl", '{"wall": [1]}', "line 1: "),
        ("u.jsonl", "{", "line 1: "),
        ("none.csv", None, "cannot read it: No such file or directory"),
    ],
)  # fmt: skip
def test_data_that_would_not_do_is_an_error(
    tmp_path: Path, name: str, text: str | None, message: str
) -> None:
    plan = planned(tmp_path, USERS, path="/${user.wall}")
    file = tmp_path / name
    if text is not None:
        file.write_text(text, encoding="utf-8")
    plan = msgspec.structs.replace(plan, data={"user": Data(str(file))})
    with pytest.raises(PlanError) as caught:
        tables(plan)
    assert str(caught.value).startswith(f"data.user: {file}: {message}")


def test_json_lines_and_what_spreadsheets_write(tmp_path: Path) -> None:
    lines = '{"a": "x", "b": 1, "c": true}\n\n{"a": null, "b": 1.5, "c": "z"}\n'
    file = tmp_path / "u.jsonl"
    file.write_text(lines, encoding="utf-8")
    plan = planned(tmp_path, '\ufeffa,b,c\r\n"x ""1"",\r\n",2,3\r\n', body="${u.c}${u.b}${u.a}")
    plan = msgspec.structs.replace(plan, data={"u": Data(str(file)), "user": plan.data["user"]})
    (table,) = tables(plan)
    assert (table.columns, table.rows) == (["a", "b", "c"], [["x", "1", "true"], ["", "1.5", "z"]])
    scenario = msgspec.structs.replace(plan.scenarios[0], body="${user.a}")
    (table,) = tables(msgspec.structs.replace(plan, scenarios=(scenario,)))
    assert table.rows == [['x "1",\r\n']]


@pytest.mark.parametrize("value", ["a\r\nEvil: 1", "ö"])
def test_a_value_that_no_header_holds_is_an_error_before_the_start(
    tmp_path: Path, value: str
) -> None:
    plan = planned(tmp_path, f'name\nada\n"{value}"\n', headers={"X": "${user.name}"})
    with pytest.raises(PlanError) as caught:
        heads(plan, 1)
    assert str(caught.value) == (
        "scenario.wall: ${user.name}: row 2: a header cannot hold it (a control character, or not"
        " ASCII)"
    )


@pytest.mark.parametrize(
    ("rate", "duration", "load", "stages", "enough"),
    [
        (10, 10.0, {}, (), 101),  # evenly spaced ones: as many as there are, and the one at the end
        (10, 10.0, {"arrival": "poisson"}, (), 151),
        (10, None, {}, (), None),
        (10, None, {"requests": 70}, (), 70),
        (10, 10.0, {"requests": 70}, (), 70),
        (10, 3.0, {"connections": 5}, (), None),
        (10, 3.0, {"connections": 5, "requests": 70}, (), 70),
        # A ramp from 0 to double, and a second at double.
        (10, 11.0, {}, ((10.0, 2.0, True), (1.0, 2.0, False)), 121),
    ],
)
def test_rows_that_are_given_once_must_suffice(
    tmp_path: Path, rate: float, duration: float | None, load: dict[str, Any], stages: Any,
    enough: int | None,
) -> None:  # fmt: skip
    from loadwatch.core.plan import Stage

    rows = "\n".join(["name", *map(str, range(enough or 10))])
    plan = planned(tmp_path, rows, "one per visit", path="/${user.name}", rate=float(rate))
    plan = msgspec.structs.replace(
        plan, load=Load(**({"arrival": "uniform"} | load)), stages=tuple(Stage(*s) for s in stages)
    )
    (table,) = tables(plan)
    if enough is None:
        with pytest.raises(PlanError, match="needs a run that ends"):
            ensure_supply(plan, table, duration)
        return
    ensure_supply(plan, table, duration)
    table.rows.pop()
    message = f"data.user: {enough - 1} rows are not enough: the run makes up to {enough} visits"
    with pytest.raises(PlanError, match=message):
        ensure_supply(plan, table, duration)


async def test_a_fleet_fires_each_users_own_request(tmp_path: Path) -> None:
    """Two workers, over real sockets."""
    seen: list[bytes] = []

    async def watching(head: bytes, writer: asyncio.StreamWriter) -> bool:
        seen.append(head.split(b" ")[1])
        return await answering(OK)(head, writer)

    rows = "\n".join(["name", *map(str, range(20))])
    plan = planned(tmp_path, rows, "one per visit", path="/${user.name}", rate=100.0)
    async with serving(watching) as port:
        plan = msgspec.structs.replace(
            plan, target=Target(f"http://127.0.0.1:{port}"),
            load=Load(arrival="uniform", workers=2, requests=20),
        )  # fmt: skip
        buckets: list[Any] = []
        fleet = Fleet(plan, buckets.append, buckets.append)
        await fleet.start()
        fleet.begin(time.monotonic() + 0.05)
        async with asyncio.timeout(20):
            while not fleet.done:
                await asyncio.sleep(0.02)
        await fleet.close()
    assert sorted(seen) == sorted(b"/%d" % number for number in range(20))
    assert sum(s.status.get(200, 0) for b in buckets for s in b.scenarios) == 20


def test_the_plan_finds_its_data_from_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "plans").mkdir()
    plan = tmp_path / "plans" / "plan.toml"
    plan.write_text(
        '[target]\nurl = "http://a.example"\n[data.user]\nfile = "../users.csv"\n'
        '[[scenario]]\nname = "home"\npath = "/${user.name}/${env:PART}"\n',
        encoding="utf-8",
    )
    (tmp_path / "users.csv").write_text("name\nada\n", encoding="utf-8")
    monkeypatch.chdir("/")
    # What the environment holds is no expression, whatever it looks like.
    filled = config.fill_in(config.load_plan(plan), {"PART": "${seq}"})
    (job,) = share_out(filled)
    assert isinstance(job, Job)
    assert next(all_requests(job)["home"]).startswith(b"GET /ada/$%7Bseq%7D HTTP/1.1")
