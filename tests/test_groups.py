"""Process groups: who belongs, how they grow in a step, the limits they are under, new ones."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from loadwatch import config
from loadwatch.core.errors import PlanError
from loadwatch.core.plan import Group, Host, Plan, Scenario, Target
from loadwatch.core.reading import Limits, Process, Reading
from loadwatch.core.ticker import Ticker
from loadwatch.run import Run
from loadwatch.watching import catalogue


def process(pid: int, rss: int = 1, user: str = "www-data", command: str = "python") -> Process:
    return Process(pid, user, rss, 1.5, "S", command)


def frame(*processes: Process, **more: object) -> Reading:
    return Reading("web", "top", 0.0, {}, processes, **more)  # type: ignore[arg-type]


def ticker(*groups: Group) -> Ticker:
    return Ticker(["home"], [Host("web", "web", groups=groups)], lambda values: {})


def values_of(own: Ticker, *readings: Reading, group: str = "g") -> dict[str, float]:
    """What the next second knows of the group."""
    for reading in readings:
        own.reading(own.next_second, reading)
    prefix = f"host.web.group.{group}."
    found = own.close().values.items()
    return {key.removeprefix(prefix): value for key, value in found if key.startswith(prefix)}


MEMBERS = [
    # whom a group means: by user, by command, by PID, by all that it says
    (Group("g", user="www-data"), {1, 2}),
    (Group("g", command="^gunicorn"), {2, 3}),
    (Group("g", command="worker$"), {3}),
    (Group("g", pids=(1, 3, 99)), {1, 3}),
    (Group("g", user="www-data", command="gunicorn"), {2}),
    (Group("g", user="nobody"), set()),
]


@pytest.mark.parametrize(("group", "pids"), MEMBERS)
def test_members(group: Group, pids: set[int]) -> None:
    own = ticker(group)
    own.reading(
        0,
        frame(
            process(1),
            process(2, command="gunicorn"),
            process(3, user="app", command="gunicorn: worker"),
        ),
    )
    tick = own.close()
    assert {row.process.pid for row in tick.processes if "g" in row.groups} == pids
    assert tick.values["host.web.group.g.count"] == len(pids)
    assert tick.values["host.web.group.g.cpu"] == 1.5 * len(pids)


def test_who_has_ended_is_no_worker_any_more() -> None:
    """A zombie waits for its parent; the next one has its place."""
    own = ticker(Group("g", user="www-data"))
    values_of(own, frame(process(1), process(2)))
    dead = Process(1, "www-data", 0, 0.0, "Z", "python")
    found = values_of(own, frame(dead, process(2), process(3)))
    assert (found["count"], found["restarts"]) == (2, 1)


def test_the_busiest_is_told_beside_all() -> None:
    rows = [Process(n, "www-data", 1, cpu, "R", "python") for n, cpu in enumerate((97.0, 3.0))]
    found = values_of(ticker(Group("g", user="www-data")), frame(*rows))
    assert (found["cpu"], found["cpu_max"]) == (100.0, 97.0)


def test_of_nobody_there_is_no_largest() -> None:
    found = values_of(ticker(Group("g", user="nobody")), frame(process(1)))
    assert (found["count"], found["rss"]) == (0, 0)
    assert not {"rss_max", "cpu_max"} & set(found)


def test_growth_counts_from_the_first_frame_of_the_step() -> None:
    own = ticker(Group("g", user="www-data"))
    assert values_of(own, frame(process(1, 100), process(2, 50)))["growth"] == 0
    grown = values_of(own, frame(process(1, 130), process(2, 50)))
    assert (grown["rss"], grown["rss_max"], grown["growth"]) == (180, 130, 30)
    own.mark(2.0, "more workers")
    assert "growth" not in values_of(own)  # a second without a frame knows nothing
    assert values_of(own, frame(process(1, 200)))["growth"] == 0
    assert values_of(own, frame(process(1, 150)))["growth"] == -50


def test_the_limits_are_those_that_most_of_the_group_is_under() -> None:
    own = ticker(Group("g", user="www-data"), Group("db", command="postgres"))
    limits = (
        Limits(frozenset({1, 77}), {"cgroup.memory.limit": 5}),
        Limits(frozenset({2, 3}), {"cgroup.memory.limit": 7, "cgroup.cpu.throttled": 50}),
    )
    rows = [process(pid) for pid in (1, 2, 3)] + [process(9, user="pg", command="postgres")]
    found = values_of(own, frame(*rows), Reading("web", "proc", 0.0, limits=limits))
    assert (found["cgroup.memory.limit"], found["cgroup.cpu.throttled"]) == (7, 50)
    later = Reading("web", "proc", 0.0, limits=limits)
    assert values_of(own, later) == {"cgroup.memory.limit": 7, "cgroup.cpu.throttled": 50}
    assert values_of(own, later, group="db") == {}
    for key in found:
        catalogue().of(f"host.web.group.g.{key}")


@pytest.mark.parametrize(("under", "known"), [(1, False), (2, False), (3, True), (4, True)])
def test_a_limit_that_at_most_half_of_the_group_is_under_is_not_the_groups(
    under: int, known: bool
) -> None:
    own = ticker(Group("g", user="www-data"))
    limits = (Limits(frozenset(range(under)), {"cgroup.memory.limit": 5}),)
    rows = frame(*(process(pid) for pid in range(4)))
    found = values_of(own, rows, Reading("web", "proc", 0.0, limits=limits))
    assert ("cgroup.memory.limit" in found) == known


def test_new_groups_begin_and_those_that_stay_count_on() -> None:
    kept = Group("g", user="www-data")
    own = ticker(kept, Group("old", command="old"))
    values_of(own, frame(process(1), process(2)))
    values_of(own, frame(process(1), process(3)))
    own.set_groups("web", [kept, Group("new", command="^python")])
    own.reading(2, frame(process(1), process(3)))
    values = own.close().values
    assert values["host.web.group.g.restarts"] == 1
    assert values["host.web.group.new.restarts"] == 0
    assert not any(key.startswith("host.web.group.old") for key in values)
    own.set_groups("web", [Group("g", user="other")])  # another group by the same name
    assert values_of(own, frame(process(1)))["restarts"] == 0


# -- while a run goes on -------------------------------------------------------------------------

PLAN = Plan(
    Target("http://127.0.0.1:9/"),
    scenarios=(Scenario("home", rate=0.0),),
    hosts=(Host("web", "nowhere.invalid", groups=(Group("g", user="www-data"),)),),
)


def test_groups_are_set_while_a_run_goes_on(tmp_path: Path) -> None:
    async def watch() -> Run:
        run = Run(PLAN, tmp_path / "s.loadwatch", duration=0.2)
        await run.start()
        run.set_groups("web", (Group("workers", command="gunicorn"), Group("db", user="postgres")))
        await run.wait()
        await run.close()
        return run

    run = asyncio.run(watch())
    assert run.status.groups == {
        "web": (Group("workers", command="gunicorn"), Group("db", user="postgres"))
    }
    events = [(event.kind, event.text, event.host) for event in run.history.events]
    assert ("groups", "workers, db", "web") in events


WRONG = [
    ("db", (), "no host 'db'"),
    ("web", (Group("g"),), "process groups: host.web.group.g: give user, command or pids"),
    ("web", (Group("g", command="("),), "not a regular expression"),
    ("web", (Group("a b", user="x"),), "a name is made of letters"),
    ("web", (Group("g", user="x"), Group("g", user="y")), "the name 'g' is given twice"),
]


@pytest.mark.parametrize(("host", "groups", "said"), WRONG)
def test_groups_that_make_no_sense_change_nothing(
    tmp_path: Path, host: str, groups: tuple[Group, ...], said: str
) -> None:
    async def ask() -> Run:
        run = Run(PLAN, tmp_path / "s.loadwatch")
        with pytest.raises(PlanError, match=said.replace("(", r"\(")):
            run.set_groups(host, groups)
        await run.close()
        return run

    assert asyncio.run(ask()).status.groups == {"web": PLAN.hosts[0].groups}


def test_a_group_in_a_file_needs_a_name_of_the_same_kind() -> None:
    group = {"name": "a.b", "user": "x"}
    document = {
        "target": {"url": "http://127.0.0.1/"},
        "scenario": [{"name": "home"}],
        "host": [{"name": "web", "ssh": "web", "group": [group]}],
    }
    with pytest.raises(PlanError, match="name"):
        config.decode(document, "plan.toml")
