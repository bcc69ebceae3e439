"""Process groups as they are typed, and what they would have of the processes that are listed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadwatch.core.plan import Group
from loadwatch.core.reading import Process
from loadwatch.ui.groups import EXPECTED, matching, parse, spelled

LISTED = [
    Process(1, "root", 0, 0.0, "S", "init"),
    *(Process(pid, "www-data", 0, 0.0, "S", f"gunicorn: worker [{pid}]") for pid in range(10, 16)),
    Process(20, "postgres", 0, 0.0, "S", "postgres: writer"),
]


@pytest.mark.parametrize(
    ("text", "groups"),
    [
        ("", ()),
        (" ; ", ()),
        ("user:www-data", (Group("www-data", user="www-data"),)),
        ("user:a+b", (Group("a-b", user="a+b"),)),
        ("command:gunicorn: worker", (Group("gunicorn-worker", command="gunicorn: worker"),)),
        ("command:a=b", (Group("a-b", command="a=b"),)),
        ("command:^$", (Group("group", command="^$"),)),
        ("pid:1, 2", (Group("pids", pids=(1, 2)),)),
        ("pid:1;pid:2", (Group("pids", pids=(1,)), Group("pids-2", pids=(2,)))),
        ("db = user:postgres command:writer$", (Group("db", "postgres", "writer$"),)),
        ("a=pid:7; user:www-data", (Group("a", pids=(7,)), Group("www-data", user="www-data"))),
    ],
)
def test_what_is_typed(text: str, groups: tuple[Group, ...]) -> None:
    assert parse(text) == groups
    assert parse(spelled(groups)) == groups


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("www-data", EXPECTED),
        ("user:", EXPECTED),
        ("a=", EXPECTED),
        ("uesr:www-data", EXPECTED),
        ("user:a user:b", EXPECTED),
        ("pid:x", "numbers apart by commas"),
        ("pid:1,", "numbers apart by commas"),
        ("command:(", "not a regular expression"),
        ("a=pid:1; a=pid:2", "'a' is given twice"),
    ],
)
def test_what_is_no_group(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse(text)


def test_what_a_group_would_have_now() -> None:
    told = matching(parse("user:www-data; db=user:postgres; pid:99"), LISTED)
    assert told == "now, of 8 listed: www-data × 6 (10, 11, 12, 13, …); db × 1 (20); pids × 0"
    assert matching((), LISTED) == "no groups"


@given(
    user=st.none() | st.from_regex(r"[a-z_][a-z0-9_+-]*", fullmatch=True),
    command=st.none() | st.from_regex(r"[a-z^][a-z;=. ^$-]*[a-z$]", fullmatch=True),
    pids=st.none() | st.lists(st.integers(0, 10**7), min_size=1).map(tuple),
)
def test_a_group_is_spelled_so_that_it_means_the_same(
    user: str | None, command: str | None, pids: tuple[int, ...] | None
) -> None:
    group = Group("own", user, command, pids)
    if any(given is not None for given in (user, command, pids)):
        same = Group("own", user, command and command.replace(";", r"\x3b"), pids)
        assert parse(spelled([group])) == (same,)
