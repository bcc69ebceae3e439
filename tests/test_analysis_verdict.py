"""The verdict: a table of servers in known trouble, and what must be said of each."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec
import pytest

from loadwatch.analysis.rules import RULES
from loadwatch.analysis.verdict import Verdict, judge
from loadwatch.config import load_plan
from loadwatch.core.plan import Signs
from loadwatch.core.summary import Summary
from tests.ticks import tick

MIB = 1024.0**2
ROOT = Path(__file__).parent.parent

Second = Callable[[int], Mapping[str, float]]
"""A second's values of a host or the load, by its number."""


def host(name: str = "web", **values: float) -> Mapping[str, float]:
    """A row of vmstat, `us=5` for `cpu.us`, `si` and `so` in MiB/s; at ease unless said."""
    row = {"us": 30, "sy": 5, "id": 65, "wa": 0, "st": 0, "count": 2, "r": 1, "b": 0}
    row |= {"si": 0, "so": 0} | values
    cpu = {f"cpu.{part}": row[part] for part in ("us", "sy", "id", "wa", "st", "count")}
    rest = {"procs.r": row["r"], "procs.b": row["b"]}
    swap = {"swap.in": row["si"] * MIB, "swap.out": row["so"] * MIB}
    return {f"host.{name}.{key}": value for key, value in (cpu | rest | swap).items()}


def group(
    count: float, rss: float = 41, name: str = "backends", busiest: float = 15.0, **more: float
) -> Mapping[str, float]:
    """A group of so many processes of `rss` MiB each on web; `cgroup_cpu_quota=50` and the like."""
    values = {"count": count, "rss": count * rss * MIB, "cpu": 30.0, "cpu_max": busiest}
    values |= {key.replace("_", "."): value for key, value in more.items()}
    return {f"host.web.group.{name}.{key}": value for key, value in values.items()}


def web(**more: float) -> Mapping[str, float]:
    """Other metrics of web: `psi_memory_full=7` for `host.web.psi.memory.full`."""
    names = {"memory_oom_kills": "memory.oom_kills"}
    return {f"host.web.{names.get(key, key.replace('_', '.'))}": v for key, v in more.items()}


def load(completed: float = 20, in_flight: float = 1, **values: float) -> Mapping[str, float]:
    """A second that offered 20 requests."""
    extra = {f"load.{key.replace('_', '.')}": value for key, value in values.items()}
    base = {"load.offered": 20, "load.completed": completed, "load.in_flight": in_flight}
    return {**base, **extra}


def stretch(
    seconds: int,
    *parts: Mapping[str, float] | Second,
    response: float = 0.05,
    closed: bool = False,
    rate: float = 20,
) -> Summary:
    summary = Summary()
    for second in range(seconds):
        values: dict[str, float] = {}
        for part in parts:
            values |= part(second) if callable(part) else part
        times = {("home", kind): [response] * 20 for kind in ("response", "service")}
        rates = {} if closed else {"home": rate}
        summary.add(tick(second, values, times=times, rates=rates))  # type: ignore[arg-type]
    return summary


def piling_up(second: int) -> Mapping[str, float]:
    """17 of 20 are answered: the queue grows by 3 a second."""
    return load(17, 3 * second)


BUSY = {"us": 80, "sy": 17, "id": 3, "r": 9}
THRASHING = {"us": 10, "sy": 10, "id": 20, "wa": 60, "b": 4, "si": 3.25, "so": 2.25}
DISK = {"us": 10, "sy": 5, "id": 30, "wa": 55, "b": 3}


@pytest.mark.parametrize(
    ("parts", "hosts", "name", "also", "evidence"),
    [
        # At ease, with or without a look at the server.
        ([load(), host()], ["web"], "not saturated", (),
         ["600 of 600 requests answered well, 1.0 open on average",
          "web: us 30 %, sy 5 %, wa 0 %, st 0 %, r 1.0 on 2 CPUs"]),
        ([load()], [], "not saturated", (), ["600 of 600 requests answered well"]),
        # Slow servers that keep up: two and ten seconds' worth is always open.
        ([lambda s: load(20 if s >= 2 else 0, min(40, 20 * s)), host()], ["web"],
         "not saturated", (), ["open on average"]),
        ([lambda s: load(20, 200), host()], ["web"], "not saturated", (), ["200.0 open"]),
        # A busy machine that keeps up is not held back, but it is said.
        ([load(), host(**BUSY)], ["web"], "not saturated", ("CPU",), ["us 80 %"]),
        # The limits.
        ([piling_up, host(**BUSY)], ["web"], "CPU", (),
         ["web: us 80 %, sy 17 %, wa 0 %, st 0 %, r 9.0 on 2 CPUs"]),
        ([piling_up, host(us=50, sy=10, st=35, id=5, r=4)], ["web"], "CPU (stolen)", (),
         ["st 35 %"]),
        ([piling_up, host(us=80, sy=9, st=9, id=2, r=4)], ["web"], "CPU", (), ["st 9 %"]),
        ([piling_up, host(us=60, sy=35, id=5, r=4)], ["web"], "CPU (kernel)", (), ["sy 35 %"]),
        ([piling_up, host(us=46, sy=47, id=7, r=4)], ["web"], "CPU (kernel)", (), []),
        ([piling_up, host(us=75, sy=25, id=0, r=4)], ["web"], "CPU", (), []),
        ([piling_up, host(us=42, sy=6, id=52, r=1.2), group(2, busiest=97)], ["web"],
         "CPU (one core)", (),
         ["web: the busiest of 2 backends takes 97 % of a CPU", "r 1.2 on 2 CPUs"]),
        # Others may have work besides, on the CPUs that are left.
        ([piling_up, host(us=72, sy=6, id=22, r=2.4), group(2, busiest=97)], ["web"],
         "CPU (one core)", (), []),
        ([piling_up, host(**BUSY), group(2, busiest=97)], ["web"], "CPU", (), []),
        # Two that share a CPU's worth of work wait for something else.
        ([piling_up, host(us=42, sy=6, id=52, r=1.2), group(2, cpu=100, busiest=50)], ["web"],
         "worker queue", (), []),
        ([piling_up, host(us=42, sy=6, id=52, count=1), group(2, busiest=97)], ["web"],
         "worker queue", (), []),
        ([load(), host(us=42, sy=6, id=52, r=1.2), group(2, busiest=97)], ["web"],
         "not saturated", (), []),
        ([piling_up, host(), web(memory_oom_kills=0.1)], ["web"], "out of memory",
         ("worker queue",), ["web: the kernel ended 3 processes for want of memory"]),
        ([piling_up, host(**THRASHING), web(memory_oom_kills=0.1)], ["web"], "swapping",
         ("out of memory",), ["swap in 3.25 MiB/s", "ended 3 processes"]),
        # That nobody had to wait is no comfort where workers are killed.
        ([load(), host(), web(memory_oom_kills=0.1)], ["web"], "out of memory", (), []),
        ([piling_up, host(), web(psi_memory_full=7, swap_in=0)], ["web"], "swapping", (),
         ["web: swap in 0 B/s, out 0 B/s, all waited for memory 7 %"]),
        ([piling_up, host(), group(2, cgroup_cpu_quota=50, cgroup_cpu_throttled=63, cpu=49)],
         ["web"], "CPU quota", (),
         ["web: backends throttled in 63 % of the periods at a quota of 50 % of a CPU, using 49"]),
        ([piling_up, host(), group(2, cgroup_cpu_quota=50, cgroup_cpu_throttled=15)], ["web"],
         "worker queue", (), []),
        ([piling_up, host(wa=5, id=60, b=2), web(psi_io_some=31)], ["web"], "IO wait", (),
         ["b 2.0, some wait for disks 31 %"]),
        ([piling_up, host(), web(network_out=110 * MIB, network_in=MIB, network_speed=119 * MIB)],
         ["web"], "network", (), ["web: network in 1 MiB/s, out 110 MiB/s, of 119"]),
        ([piling_up, host(), web(network_out=MIB, network_retransmitted=2.5)], ["web"],
         "network", (), ["retransmitted 2.5 %"]),
        # A listen queue that is full loses packets as well.
        ([piling_up, host(), web(network_retransmitted=2.5, listen_overflows=3)], ["web"],
         "worker queue", (), ["3/s connections found the listen queue full"]),
        ([piling_up, host(us=60, id=25), web(network_out=MIB, network_retransmitted=2.5)],
         ["web"], "network", (), ["retransmitted 2.5 %"]),
        ([load(), host(), web(network_retransmitted=2.5)], ["web"], "not saturated", (), []),
        # Nobody waits outside: whoever does was let in. 503 tells that there is a queue inside.
        ([piling_up, host(), web(listen_queued=0)], ["web"], "downstream wait", (),
         ["open requests rising from 0 to 87"]),
        ([load(20, 5, status_5xx=4, status_503=4), host(), web(listen_queued=0)], ["web"],
         "worker queue", (), []),
        ([piling_up, host(), web(listen_queued=40)], ["web"], "worker queue", (),
         ["web: 40.0 connections in listen queues"]),
        ([load(19, 200), host(), web(listen_overflows=3)], ["web"], "not saturated",
         ("worker queue",),
         ["web: 3/s connections found the listen queue full"]),
        ([piling_up, host(**THRASHING)], ["web"], "swapping", (),
         ["web: swap in 3.25 MiB/s, out 2.25 MiB/s"]),
        ([piling_up, host(**DISK)], ["web"], "IO wait", (), ["wa 55 %, st 0 %, r 1.0", "b 3.0"]),
        ([piling_up, host()], ["web"], "worker queue", (), ["open requests rising from 0 to 87"]),
        ([load(20, 5, status_5xx=4, status_503=4), host()], ["web"], "worker queue", (),
         ["120 × status 503 of 600 requests"]),
        ([load(18, 180, errors_timeout=2), host()], ["web"], "worker queue", (),
         ["60 × timeout error of 600 requests"]),
        ([load(18, 180, errors_timeout=2, status_5xx=3, status_503=3), host()], ["web"],
         "worker queue", (), ["90 × status 503, 60 × timeout error of 600 requests"]),
        # Which of two servers it is.
        ([piling_up, host(), host("db", **BUSY)], ["web", "db"], "CPU", (), ["db: us 80 %"]),
        ([piling_up, host(**BUSY), host("db", **DISK)], ["web", "db"], "CPU", ("IO wait",),
         ["web: us 80 %", "db: us 10 %"]),
        # What is not evidence enough.
        ([piling_up], [], "unknown", (), ["rising"]),
        ([piling_up], ["web"], "unknown", (), ["web: no reading"]),
        ([piling_up, host(us=90, sy=8, id=2, r=2)], ["web"], "unknown", (), ["r 2.0 on 2 CPUs"]),
        ([piling_up, host(), host("db", us=60, id=10, wa=5)], ["web", "db"], "unknown", (), []),
        # Pages that were only read need not go out again.
        ([piling_up, host(id=20, us=75, si=5.0)], ["web"], "swapping", (), ["out 0 B/s"]),
        # A burst of swapping, pages only written out, and a little of it.
        ([piling_up, lambda s: host(**(THRASHING if s < 10 else {}))], ["web"],
         "worker queue", (), []),
        ([piling_up, host(id=20, us=75, so=5.0)], ["web"], "unknown", (), []),
        ([piling_up, host(id=20, us=75, si=0.1, so=0.1)], ["web"], "unknown", (), []),
        # Errors of the application itself are no queue; nothing answered is no queue either.
        ([load(20, 1, status_5xx=20, status_500=20), host()], ["web"], "failing fast", (),
         ["600 × status 500 of 600 requests"]),
        ([load(0, 0, errors_connect=20), host()], ["web"], "failing fast", ("no answer",),
         ["600 × connect error of 600 requests"]),
        ([load(0, 0, errors_connect=20)], [], "no answer", (),
         ["600 × connect error of 600 requests"]),
        # Nobody waits before a server that turns all away at once.
        ([load(20, 0.1, status_5xx=20, status_503=20), host()], ["web"], "failing fast", (),
         ["600 × status 503 of 600 requests"]),
        ([load(20, 1, status_5xx=1, status_500=1), host()], ["web"], "unknown", (), []),
        ([load(20, 1, status_5xx=20, status_500=20), host(**BUSY)], ["web"], "CPU", (), []),
        ([load(0, 0, errors_timeout=20), host()], ["web"], "no answer", (), ["600 × timeout"]),
        ([load(15, 1, dropped=5), host()], ["web"], "unknown", (), ["450 of 600"]),
        # A long run queue on CPUs with time left (threads that wake at once) says neither.
        ([piling_up, host(us=50, sy=10, id=40, r=9)], ["web"], "unknown", (), []),
        # What wakes up in the same instant is none.
        ([piling_up, host(us=50, sy=10, id=40, r=3.5)], ["web"], "worker queue", (), []),
    ],
)  # fmt: skip
def test_known_trouble(
    parts: Sequence[Mapping[str, float] | Second],
    hosts: Sequence[str],
    name: str,
    also: tuple[str, ...],
    evidence: Sequence[str],
) -> None:
    verdict = judge(stretch(30, *parts), (), hosts)
    assert (verdict.name, verdict.also) == (name, also), verdict
    for part in evidence:
        assert any(part in line for line in verdict.evidence), verdict.evidence
    assert verdict.advice


def test_what_is_seen_at_ease_is_what_to_do_about_the_limit() -> None:
    assert judge(stretch(30, load(), host()), (), ["web"]).advice.startswith("raise the rate")
    near = judge(stretch(30, load(), host(**BUSY)), (), ["web"])
    assert near.advice.startswith("the limit is near: make a request cost less CPU")


def test_a_sick_generator_leaves_nothing_to_say_of_the_server() -> None:
    verdict = judge(stretch(30, piling_up, host(**BUSY)), ["send lag p99 80 ms"], ["web"])
    assert (verdict.name, verdict.also) == ("client-limited", ())
    assert verdict.evidence == ("send lag p99 80 ms",)


@pytest.mark.parametrize(
    ("summary", "hosts", "advice"),
    [
        (stretch(4, load()), [], "5 s of firing (there were 4), a watched host"),
        (stretch(30, piling_up), ["web"], "readings of web"),
        (
            stretch(30, piling_up, {k: v for k, v in host(**BUSY).items() if "count" not in k}),
            ["web"],
            "the number of CPUs of web",
        ),
        (Summary(), [], "5 s of firing (there were 0), a watched host"),
    ],
)
def test_what_is_unknown_says_what_it_would_take(
    summary: Summary, hosts: Sequence[str], advice: str
) -> None:
    verdict = judge(summary, (), hosts)
    assert (verdict.name, verdict.advice) == ("unknown", f"to tell, it takes {advice}")


def test_a_closed_loop_always_runs_at_some_limit() -> None:
    assert judge(stretch(30, load(), host(), closed=True), (), ["web"]).name == "unknown"
    assert judge(stretch(30, load(), host(**BUSY), closed=True), (), ["web"]).name == "CPU"


def test_response_times_far_above_the_baseline_are_not_at_ease() -> None:
    easy = stretch(30, load(), rate=10)

    def verdict(seconds: float, **state: float) -> Verdict:
        hard = stretch(30, load(), host(**state), response=seconds)
        return judge(hard, (), ["web"], [easy, hard])

    assert [verdict(0.09).name, verdict(0.11).name] == ["not saturated", "not saturated"]
    assert "response p95 2.2 × that of the easiest step" in verdict(0.11).evidence
    assert "small steps" in verdict(0.11).advice
    assert [verdict(seconds, **BUSY).name for seconds in (0.09, 0.11)] == ["not saturated", "CPU"]


@pytest.mark.parametrize(
    ("workers", "name", "told"),
    [(2, "worker queue", "web: 1.7 of 2 backends at work"),
     (10, "downstream wait", "web: 1.7 of 10 backends at work")],
)  # fmt: skip
def test_how_many_workers_have_work_tells_where_requests_wait(
    workers: int, name: str, told: str
) -> None:
    """17/s of 0.1 s each keep 1.7 busy; that they take longer now is the waiting itself."""
    easy = stretch(30, load(10), response=0.1, rate=10)
    hard = stretch(30, piling_up, host(), group(workers), response=0.9)
    verdict = judge(hard, (), ["web"], [easy, hard])
    assert verdict.name == name
    assert told in verdict.evidence


@pytest.mark.parametrize(
    ("in_flight", "workers", "name"),
    [
        (1, 2, "failing fast"),  # 6/s good ones of 0.05 s, and as many are open as all 20/s take
        (1.9, 2, "failing fast"),
        (2, 2, "downstream wait"),  # twice that: they wait, though few workers have work
        (0.3, 0.3, "worker queue"),  # no queue, but all are at work
    ],
)
def test_turning_away_is_a_queue_only_where_somebody_waits(
    in_flight: float, workers: float, name: str
) -> None:
    easy = stretch(30, load(10), response=0.05, rate=10)
    refusing = load(20, in_flight, status_5xx=14, status_503=14)
    hard = stretch(30, refusing, host(), group(workers), response=0.05)
    verdict = judge(hard, (), ["web"], [easy, hard])
    assert verdict.name == name, verdict


def test_a_pause_is_no_easy_step() -> None:
    """Answers to what was due before trail into it."""
    easy, hard = stretch(30, load(10), rate=10), stretch(30, load(), rate=40, response=0.08)
    pause = stretch(30, load(1), rate=0, response=0.01)
    assert judge(hard, (), [], [easy, pause, hard]) == judge(hard, (), [], [easy, hard])


def test_pages_that_are_wrong_are_not_answered_well() -> None:
    wrong = judge(stretch(30, load(errors_content=20)), (), [])
    assert wrong.name == "unknown"
    assert "0 of 600 requests answered well" in wrong.evidence[0]


def test_answers_to_requests_of_the_step_before_are_told_as_such() -> None:
    """The queue of a harder step runs out in this one."""
    over = stretch(30, load(22, 5), host())
    assert judge(over, (), ["web"]).evidence[0] == (
        "660 requests answered well, some of them due before, 5.0 open on average"
    )


@pytest.mark.parametrize(
    ("steps", "known"),
    [
        ([stretch(30, load(), rate=10)], True),
        ([stretch(30, load(), rate=15)], False),
        ([stretch(30, load(status_5xx=1), rate=10)], False),
        ([stretch(1, load(completed=19), rate=10)], False),
        ([stretch(30, load(), closed=True)], False),
        ([], False),
    ],
)
def test_what_is_easy_enough_to_hold_response_times_against(
    steps: Sequence[Summary], known: bool
) -> None:
    hard = stretch(30, load(), host(), response=0.5)
    verdict = judge(hard, (), ["web"], [*steps, hard])
    assert any("easiest step" in line for line in verdict.evidence) == known


THRASH = host(**THRASHING)


@pytest.mark.parametrize(
    ("parts", "advice"),
    [
        ([THRASH], "fewer or smaller worker processes, or more memory"),
        ([THRASH, group(10)], "fewer or smaller worker processes, or more memory"),
        ([THRASH, group(10), group(2, 5, "db"), web(memory_total=256 * MIB)],
         "10 backends × 41 MiB do not fit in 256 MiB: go back to 6"),
        ([THRASH, group(10, 20), web(memory_total=256 * MIB, swap_used=210 * MIB)],
         "10 backends × 41 MiB do not fit in 256 MiB: go back to 6"),
        ([THRASH, group(10), web(memory_total=1024 * MIB, memory_available=514 * MIB)],
         "fewer or smaller"),
        ([THRASH, group(10), web(memory_total=512 * MIB, memory_available=2 * MIB,
                             swap_used=100 * MIB)],
         "10 backends × 51 MiB do not fit in 512 MiB beside 100 MiB of others: go back to 8"),
        ([THRASH, group(3, 100, cgroup_memory_limit=250 * MIB), web(memory_total=9000 * MIB)],
         "3 backends × 100 MiB do not fit in 250 MiB: go back to 2"),
        ([host()], "more workers if the memory allows"),
        ([host(), group(2)], "more workers if the memory allows"),
        ([host(), group(2), web(memory_available=100 * MIB)],
         "try 4 backends instead of 2: there is memory for 2 more of 41 MiB"),
        ([host(), group(2), web(memory_available=50 * MIB)], "try 3 backends instead of 2"),
        ([host(), group(2), web(memory_available=9000 * MIB)],
         "try 4 backends instead of 2: there is memory for 219 more of 41 MiB"),
        ([host(), group(2), web(memory_available=30 * MIB)], "no memory for more backends of 41"),
        ([host(), group(2, cgroup_memory_limit=200 * MIB, cgroup_memory_used=90 * MIB),
          web(memory_available=900 * MIB)], "memory for 2 more of 41"),
    ],
)  # fmt: skip
def test_advice_counts_what_fits_into_the_memory(
    parts: Sequence[Mapping[str, float]], advice: str
) -> None:
    assert advice in judge(stretch(30, piling_up, *parts), (), ["web"]).advice


@pytest.mark.parametrize("sign", [field.name for field in msgspec.structs.fields(Signs)])
def test_every_sign_can_be_changed_and_is_printed(sign: str) -> None:
    other = Signs(**{sign: type(getattr(Signs(), sign))(0.5)})
    assert [rule.when(other) for rule in RULES] != [rule.when(Signs()) for rule in RULES]


def test_the_plan_s_signs_judge() -> None:
    hard = stretch(30, piling_up, host(us=60, sy=17, id=23, r=9))
    assert judge(hard, (), ["web"]).name == "unknown"
    assert judge(hard, (), ["web"], signs=Signs(cpu_busy=0.75)).name == "CPU"


@pytest.mark.parametrize("seed", range(20))
def test_chance_is_no_queue(seed: int) -> None:
    """In flight comes and goes (M/G/∞ with a mean of 9), as it does in a server that keeps up."""
    chance = random.Random(seed)

    def busy(second: int) -> Mapping[str, float]:
        return load(20, sum(chance.random() < 0.45 for _ in range(20)))

    assert judge(stretch(12, busy), (), []).name == "not saturated"


def test_the_last_requests_running_out_hide_no_queue() -> None:
    """For 30 s the queue grows, then nothing is fired until it is empty."""

    def second(number: int) -> Mapping[str, float]:
        if number < 30:
            return piling_up(number)
        left = max(0, 90 - 17 * (number - 29))
        return {"load.offered": 0, "load.completed": 17, "load.in_flight": left}

    summary = stretch(36, second, host(**BUSY))
    assert list(summary.open_requests) == [3 * number for number in range(30)]
    assert judge(summary, (), ["web"]).name == "CPU"


def test_the_page_of_verdicts_is_what_is_printed_and_its_signs_are_the_defaults(
    tmp_path: Path,
) -> None:
    command = [sys.executable, "-m", "loadwatch", "verdicts"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    page = ROOT / "docs" / "verdicts.md"
    assert page.read_text(encoding="utf-8") == printed, "run: loadwatch verdicts >docs/verdicts.md"
    plan = '[target]\nurl = "http://127.0.0.1"\n[[scenario]]\nname = "home"\n'
    signs = printed.partition("```toml\n")[2].partition("```")[0]
    path = tmp_path / "plan.toml"
    path.write_text(plan + signs.replace("cpu_busy = 0.9", "cpu_busy = 0.5"), encoding="utf-8")
    assert load_plan(path).verdict == Signs(cpu_busy=0.5)
    other = subprocess.run([*command, str(path)], capture_output=True, text=True, check=True).stdout
    assert "us + sy + st ≥ 50 %" in other
