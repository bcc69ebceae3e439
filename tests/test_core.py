"""The domain: histograms against the library, tickers, groups, histories, summaries, the bus."""

from __future__ import annotations

import math

import pytest
from hdrh.histogram import HdrHistogram
from hypothesis import given
from hypothesis import strategies as st

from loadwatch.core.bucket import Bucket, ScenarioBucket
from loadwatch.core.bus import TickBus
from loadwatch.core.group import GroupTally
from loadwatch.core.histogram import HIGHEST_SECONDS, MICRO, Histogram, bounds, index_of
from loadwatch.core.history import History
from loadwatch.core.metric import LOAD_METRICS, Catalogue, Unit, format_value
from loadwatch.core.plan import Group, Host
from loadwatch.core.ramp import Turn
from loadwatch.core.reading import Process, Reading
from loadwatch.core.tick import Event, Tick
from loadwatch.core.ticker import LARGEST_OTHERS, Ticker
from loadwatch.load.stream import count

MICROSECONDS = st.one_of(
    st.integers(0, 5000), st.integers(0, HIGHEST_SECONDS * 10**6), st.sampled_from([2047, 2048])
)


@given(MICROSECONDS)
def test_bucket_indexes_are_hdrhistograms(value: int) -> None:
    library = HdrHistogram(1, HIGHEST_SECONDS * 10**6, 3)
    bucket = library._get_bucket_index(value)
    assert index_of(value) == library._counts_index(
        bucket, library._get_sub_bucket_index(value, bucket)
    )
    lowest, highest = bounds(index_of(value))
    assert lowest <= value <= highest == library.get_highest_equivalent_value(value)


@given(st.floats(0, HIGHEST_SECONDS - 1, allow_nan=False))
def test_the_hot_path_counts_as_the_domain_does(seconds: float) -> None:
    counted: dict[int, int] = {}
    count(counted, seconds)
    assert counted == {index_of(int(seconds * 1e6)): 1}


def test_a_time_before_it_was_due_counts_as_zero() -> None:
    counted: dict[int, int] = {}
    count(counted, -0.5)
    assert counted == {0: 1}


@given(st.lists(st.integers(1, 10**8), min_size=1, max_size=300))
def test_percentiles_are_hdrhistograms(values: list[int]) -> None:
    library = HdrHistogram(1, HIGHEST_SECONDS * 10**6, 3)
    own = Histogram()
    for value in values:
        library.record_value(value)
        own.record(value / 1e6)
    for share in (0.5, 0.9, 0.95, 0.99):
        expected = library.get_value_at_percentile(share * 100)
        # The library rounds the rank to the nearest; ours is the smallest that covers the share.
        assert own.percentile(share) is not None
        assert own.percentile(share) >= expected / 1e6 - 1e-9


def test_the_published_vector() -> None:
    """10,000 x 1000 µs and one of 100 s, uncorrected (HdrHistogram's own test)."""
    histogram = Histogram()
    histogram.record(1000 / 1e6, 10_000)
    histogram.record(100.0)
    assert histogram.total == 10_001
    assert histogram.percentiles((0.30, 0.99, 0.9999, 0.99999)) == pytest.approx(
        [0.001, 0.001, 0.001, 100.0], rel=1e-3
    )


@pytest.mark.parametrize(
    ("share", "enough"), [(0.5, 6), (0.9, 36), (0.95, 72), (0.99, 368), (0.999, 3688)]
)
def test_a_percentile_is_known_from_so_many_samples_on(share: float, enough: int) -> None:
    assert not Histogram({0: enough - 1}).is_known(share)
    assert Histogram({0: enough}).is_known(share)


def test_timeouts_censor_the_top_of_the_distribution() -> None:
    histogram = Histogram({index_of(1000): 97, index_of(10**7): 3}, censored=3)
    assert not histogram.is_censored(0.95)
    assert not histogram.is_censored(0.97)
    assert histogram.is_censored(0.98)


def test_each_timeout_counts_where_it_stands() -> None:
    """Of two scenarios one gives up after 1 s, the other answers after 5 s."""
    merged = Histogram()
    merged.join(Histogram({index_of(1000): 90, index_of(MICRO): 2}, censored=2))
    merged.join(Histogram({index_of(5 * MICRO): 8}))
    assert (merged.total, merged.censored) == (100, 2)
    assert not merged.is_censored(0.9)
    # From there on the two that gave up could be anywhere.
    assert merged.is_censored(0.91) and merged.is_censored(0.99)
    assert [merged.above(limit) for limit in (0.5, 2.0, 6.0)] == [10, 10, 2]


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        (0.0123, Unit.SECONDS, "12.3 ms"),
        (0.000321, Unit.SECONDS, "0.321 ms"),
        (1.5, Unit.SECONDS, "1.50 s"),
        (17, Unit.PER_SECOND, "17/s"),
        (48321.5, Unit.PER_SECOND, "48,322/s"),
        (3 * 1024**2, Unit.BYTES, "3 MiB"),
        (1536, Unit.BYTES_PER_SECOND, "1.50 KiB/s"),
        (0, Unit.BYTES, "0 B"),
        (4.25, Unit.PERCENT, "4.2 %"),
        (0.5, Unit.SHARE, "50 %"),
        (3, Unit.COUNT, "3"),
        (None, Unit.SECONDS, "–"),
        (math.nan, Unit.SECONDS, "–"),
    ],
)
def test_values_for_people(value: float | None, unit: Unit, shown: str) -> None:
    assert format_value(value, unit) == shown


def test_a_catalogue_finds_the_declaration_behind_a_key() -> None:
    catalogue = Catalogue(LOAD_METRICS)
    assert catalogue.of("load.response.p99").column == "load.response.p99_ms"
    assert catalogue.of("scenario.home.status.503").column == "scenario.home.status.503_per_s"
    assert catalogue.of("generator.cpu").column == "generator.cpu_pct"
    with pytest.raises(KeyError):
        catalogue.of("load.nonsense")


def bucket(worker: int, second: int, **counts: object) -> Bucket:
    return Bucket(worker, second, [ScenarioBucket(**counts)], cpu=0.1)  # type: ignore[arg-type]


def healthy(values: object) -> dict[str, float]:
    return {"generator.healthy": 1.0}


def test_a_tick_holds_both_halves() -> None:
    group = Group("web", user="www-data")
    ticker = Ticker(["home"], [Host("a", "local", groups=(group,))], healthy, start=1000.0)
    ticker.rates(0.0, {"home": 5.0})
    ticker.bucket(bucket(0, 0, offered=3, completed=2, good=2, status={200: 2}, response={500: 2}))
    ticker.bucket(bucket(1, 0, offered=2, completed=2, status={503: 2}, in_flight=1, oldest=0.5))
    rows = tuple(
        Process(pid, "www-data" if pid < 3 else "root", pid * 1024, 1.0, "S", "x")
        for pid in range(1, 60)
    )
    ticker.reading(0, Reading("a", "vmstat", 0.2, {"swap.in": 2048.0}))
    ticker.reading(0, Reading("a", "top", 0.3, {"loadavg.1m": 0.5}, rows))
    ticker.reading(-1, Reading("a", "vmstat", -0.2, {"swap.in": 1.0}))
    ticker.event(Event(0.1, "start", "go"))
    tick = ticker.close()
    assert (tick.second, tick.time, tick.step, tick.rates) == (0, 1000.0, 1, {"home": 5.0})
    expected = {
        "load.offered": 5, "load.completed": 4, "load.goodput": 2, "load.in_flight": 1,
        "load.oldest": 0.5, "load.status.200": 2, "load.status.503": 2, "load.status.2xx": 2,
        "load.status.5xx": 2, "scenario.home.offered": 5, "load.response.p50": 0.0005,
        "generator.cpu": 0.1, "generator.healthy": 1.0, "host.a.swap.in": 2048.0,
        "host.a.loadavg.1m": 0.5, "host.a.group.web.count": 2, "host.a.group.web.rss": 3072,
        "host.a.group.web.rss_max": 2048, "host.a.group.web.cpu": 2.0,
    }  # fmt: skip
    assert {key: tick.values[key] for key in expected} == pytest.approx(expected)
    # Everything that is grouped, then the largest others.
    assert [row.groups for row in tick.processes[:3]] == [("web",), ("web",), ()]
    assert len(tick.processes) == 2 + LARGEST_OTHERS
    assert [event.text for event in tick.events] == ["go"]
    assert ticker.close().values == {}  # a second that nothing is known of is empty, not zero


def test_what_comes_late_counts_in_the_next_second() -> None:
    ticker = Ticker(["home"], [], healthy)
    ticker.bucket(bucket(0, 0, completed=1))
    ticker.close()
    ticker.bucket(bucket(1, 0, completed=4))
    ticker.bucket(bucket(0, 1, completed=2))
    assert ticker.close().values["load.completed"] == 6


def test_a_late_bucket_is_no_delivery_of_the_next_second() -> None:
    ticker = Ticker(["home"], [], healthy)
    ticker.close()
    ticker.bucket(bucket(0, 0, in_flight=14))
    assert ticker.delivered() == frozenset()
    ticker.bucket(bucket(0, 1, in_flight=7))
    assert ticker.delivered() == {0}
    assert ticker.close().values["load.in_flight"] == 7  # how it stands, not what it adds up to


def test_events_wait_for_a_tick_of_their_own() -> None:
    ticker = Ticker(["home"], [], healthy)
    assert not ticker.pending
    ticker.event(Event(0.5, "worker", "died"))
    assert ticker.pending
    assert [event.text for event in ticker.close().events] == ["died"]
    assert not ticker.pending


def test_a_rate_is_per_second_of_firing() -> None:
    """100/s for 1.1 s, answered until 3 s: the tail is no second of firing."""
    history = History()
    for second, (offered, completed) in enumerate([(100, 60), (10, 40), (0, 10)]):
        history.add(tick(second, load__offered=offered, load__completed=completed))
    total = history.total
    assert total.rate("load.completed") == pytest.approx(55)  # two seconds fired, as far as known
    total.duration = 1.1
    assert total.rate("load.completed") == pytest.approx(100)


def test_steps_open_at_the_next_whole_second_and_merge_within_one() -> None:
    ticker = Ticker(["home"], [], healthy)
    ticker.rates(0.0, {"home": 1.0})
    ticker.rates(1.2, {"home": 2.0})
    ticker.rates(1.9, {"home": 3.0})
    steps = [ticker.close() for _ in range(3)]
    ticker.mark(3.0, "gzip on")  # at a boundary: that second is the first of the step
    ticker.rates(3.4, {"home": 3.0})  # no change, no step
    steps += [ticker.close() for _ in range(3)]
    assert [(tick.step, tick.mark) for tick in steps] == [
        (1, ""), (1, ""), (2, ""), (3, "gzip on"), (3, "gzip on"), (3, "gzip on"),
    ]  # fmt: skip
    assert [tick.rates["home"] for tick in steps] == [1, 1, 3, 3, 3, 3]


@pytest.mark.parametrize(
    ("over", "instant", "rate"),
    [(0, 4.9, 8), (0, 5, 8), (2, 4.9, 4), (2, 5, 4), (2, 6, 6), (2, 7, 8), (2, 9, 8)],
)
def test_the_rates_of_a_turn_at_any_instant(over: float, instant: float, rate: float) -> None:
    assert Turn(5, {"home": 4.0}, {"home": 8.0}, over).rates(instant) == {"home": rate}


def test_a_ramp_is_one_step_and_what_follows_another() -> None:
    ticker = Ticker(["home"], [], healthy)
    ticker.rates(0.0, {"home": 0.0})
    ticker.rates(0.0, {"home": 40.0}, over=4.0)
    ticker.rates(6.0, {"home": 20.0}, over=4.0)
    ticker.rates(8.0, {"home": 30.0})  # cut short, at 30 just then: no change
    ticks = [ticker.close() for _ in range(9)]
    assert [tick.rates["home"] for tick in ticks] == [5, 15, 25, 35, 40, 40, 37.5, 32.5, 30]
    assert [tick.step for tick in ticks] == [1, 1, 1, 1, 2, 2, 3, 3, 4]


@pytest.mark.parametrize(
    ("frames", "restarts"),
    [
        ([{1, 2}, {1, 2}], 0),
        ([{1, 2}, {1, 3}], 1),
        ([{1, 2}, {1, 2, 3}], 0),  # a pool that grows
        ([{1, 2}, {1}], 0),  # one that shrinks
        ([{1, 2}, {3, 4}, {5, 6}], 4),
    ],
)
def test_restarts_of_a_group(frames: list[set[int]], restarts: int) -> None:
    tally = GroupTally(Group("g", command="^gunicorn"))
    values: dict[str, float] = {}
    for pids in frames:
        rows = [Process(pid, "u", 1, 0.0, "S", "gunicorn: worker") for pid in sorted(pids)]
        values = tally.observe([*rows, Process(99, "u", 1, 0.0, "S", "not gunicorn")], step=1)
    assert values["group.g.restarts"] == restarts
    assert values["group.g.count"] == len(frames[-1])


@pytest.mark.parametrize(
    ("shown", "name", "belongs"),
    [
        ("www-data", "www-data", True),
        ("www-data", "www", False),
        ("gunicor+", "gunicorn-app", True),  # top shows seven characters of a long name
        ("gunicor+", "gunicat", False),
    ],
)
def test_users_of_a_group(shown: str, name: str, belongs: bool) -> None:
    assert GroupTally(Group("g", user=name)).matches(Process(1, shown, 1, 0, "S", "x")) == belongs


def tick(second: int, step: int = 1, **values: float) -> Tick:
    named = {key.replace("__", "."): value for key, value in values.items()}
    return Tick(second, 0.0, step, "", {"home": 1.0}, named)


def test_a_history_knows_what_it_does_not_know() -> None:
    history = History()
    history.add(tick(0, load__offered=1))
    history.add(tick(1, load__offered=0, host__a__swap__in=5))
    history.add(tick(2, load__offered=2))
    assert history.series("load.offered", 2) == [0, 2]
    series = history.series("host.a.swap.in", 10)
    assert math.isnan(series[0])
    assert series[1] == 5
    assert math.isnan(series[2])
    assert all(math.isnan(value) for value in history.series("no.such", 3))
    assert history.last("host.a.swap.in") is None
    assert history.last("host.a.swap.in", within=2) == 5


def test_a_history_sums_up_each_step() -> None:
    history = History()
    for second, step in enumerate([1, 1, 2]):
        history.add(tick(second, step, load__completed=10 * step))
    assert [(s.step, s.first, s.last, s.count("load.completed")) for s in history.steps] == [
        (1, 0, 1, 20), (2, 2, 2, 20),
    ]  # fmt: skip
    assert history.total.mean("load.completed") == pytest.approx(40 / 3)


def test_a_listener_that_fails_does_not_stop_the_others() -> None:
    failures: list[Exception] = []
    seen: list[int] = []
    bus = TickBus(failures.append)

    def broken(tick: Tick) -> None:
        raise RuntimeError("no")

    bus.subscribe(broken)
    unsubscribe = bus.subscribe(lambda tick: seen.append(tick.second))
    bus.publish(tick(0))
    bus.publish(tick(1))
    unsubscribe()
    bus.publish(tick(2))
    assert seen == [0, 1]
    assert len(failures) == 1
