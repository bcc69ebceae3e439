"""The verdict: a table of servers in known trouble, and what must be said of each."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence

import pytest

from loadwatch.analysis.verdict import Verdict, judge
from loadwatch.core.summary import Summary
from tests.ticks import RATES, tick

MIB = 1024.0**2

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
) -> Summary:
    summary = Summary()
    for second in range(seconds):
        values: dict[str, float] = {}
        for part in parts:
            values |= part(second) if callable(part) else part
        times = {("home", "response"): [response] * 20}
        rates = {} if closed else RATES
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
        ([piling_up, host(us=50, sy=10, st=35, id=5, r=4)], ["web"], "CPU", (), ["st 35 %"]),
        ([piling_up, host(**THRASHING)], ["web"], "swapping", (),
         ["web: swap in 3.25 MiB/s, out 2.25 MiB/s"]),
        ([piling_up, host(**DISK)], ["web"], "IO wait", (), ["wa 55 %, st 0 %, r 1.0", "b 3.0"]),
        ([piling_up, host()], ["web"], "worker queue", (), ["open requests rising from 0 to 87"]),
        ([load(20, 5, status_5xx=4, status_503=4), host()], ["web"], "worker queue", (),
         ["120 503 of 600 requests"]),
        ([load(18, 180, errors_timeout=2), host()], ["web"], "worker queue", (),
         ["60 timeouts of 600 requests"]),
        # Which of two servers it is.
        ([piling_up, host(), host("db", **BUSY)], ["web", "db"], "CPU", (), ["db: us 80 %"]),
        ([piling_up, host(**BUSY), host("db", **DISK)], ["web", "db"], "CPU", ("IO wait",),
         ["web: us 80 %", "db: us 10 %"]),
        # What is not evidence enough.
        ([piling_up], [], "unknown", (), ["rising"]),
        ([piling_up], ["web"], "unknown", (), ["web: no reading"]),
        ([piling_up, host(us=90, sy=8, id=2, r=2)], ["web"], "unknown", (), ["r 2.0 on 2 CPUs"]),
        ([piling_up, host(), host("db", us=60, id=10, wa=5)], ["web", "db"], "unknown", (), []),
        # A burst of swapping, pages only written out, and a little of it.
        ([piling_up, lambda s: host(**(THRASHING if s < 10 else {}))], ["web"],
         "worker queue", (), []),
        ([piling_up, host(id=20, us=75, so=5.0)], ["web"], "unknown", (), []),
        ([piling_up, host(id=20, us=75, si=0.1, so=0.1)], ["web"], "unknown", (), []),
        # Errors of the application itself are no queue; nothing answered is no queue either.
        ([load(20, 1, status_5xx=20, status_500=20), host()], ["web"], "unknown", (),
         ["0 of 600 requests answered well"]),
        ([load(0, 0, errors_connect=20), host()], ["web"], "unknown", (), []),
        ([load(0, 0, errors_timeout=20), host()], ["web"], "unknown", (), []),
        ([load(15, 1, dropped=5), host()], ["web"], "unknown", (), ["450 of 600"]),
        # A long run queue on CPUs with time left (threads that wake at once) says neither.
        ([piling_up, host(us=50, sy=10, id=40, r=9)], ["web"], "unknown", (), []),
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
    easy = stretch(30, load(), response=0.05)
    verdicts: list[Verdict] = [
        judge(stretch(30, load(), host(), response=seconds), (), ["web"], easy)
        for seconds in (0.09, 0.11)
    ]
    assert [verdict.name for verdict in verdicts] == ["not saturated", "unknown"]
    assert "response p95 90.0 ms" in " ".join(verdicts[0].evidence)


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
