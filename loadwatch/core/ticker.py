"""Folds one second's Buckets and Readings into a Tick. The only place where the two halves meet.

No clock is read here: who calls says which second it is. `run.Run` closes second k when every
worker has delivered it, or after a bounded wait.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping

from loadwatch.core.bucket import Bucket, ScenarioBucket, add, add_steps
from loadwatch.core.group import GroupTally
from loadwatch.core.histogram import Histogram
from loadwatch.core.metric import PERCENTILES
from loadwatch.core.plan import Group, Host
from loadwatch.core.ramp import Turn
from loadwatch.core.reading import Reading
from loadwatch.core.tick import Event, HostProcess, Kind, Late, Tick, meant, step_owner

LARGEST_OTHERS = 50
"""Processes outside all groups that a tick keeps, largest RSS first."""

LATE_SECONDS = 30
"""Late seconds that one tick completes at most: closing a tick is not to take long."""

Assess = Callable[[Mapping[str, float]], Mapping[str, float]]
"""Looks at a second's values and adds its own (the generator's health)."""


class Ticker:
    """Collects what arrives and closes one second after the other.

    `scenarios` in the plan's order, `start` is the wall clock (Unix, seconds) at second 0.
    A bucket of a second that is closed counts in the next one; a reading of such a second completes
    it belatedly (`Tick.late`): nothing is lost.
    """

    def __init__(
        self, scenarios: Iterable[str], hosts: Iterable[Host], assess: Assess, start: float = 0.0
    ) -> None:
        self.scenarios = tuple(scenarios)
        self.start = start
        self._assess = assess
        self._groups = {host.name: [GroupTally(group) for group in host.groups] for host in hosts}
        self._next = 0
        self._buckets: dict[int, list[Bucket]] = {}
        self._readings: dict[int, list[Reading]] = {}
        self._late: dict[int, list[Reading]] = {}
        self._events: list[Event] = []
        self._begins = [0]
        self._mark = ""
        self._rates: Mapping[str, float] = {}
        self._ramp: Turn | None = None
        self._generator: dict[str, float] = {}
        self._turns: list[tuple[float, tuple[dict[str, float], float] | str]] = []

    @property
    def next_second(self) -> int:
        """The second that `close` will close."""
        return self._next

    @property
    def pending(self) -> bool:
        """Whether outcomes, events or late readings wait for a tick that is not closed yet."""
        return bool(self._buckets or self._events or self._late)

    def bucket(self, bucket: Bucket) -> None:
        """Take one worker's second."""
        self._buckets.setdefault(max(bucket.second, self._next), []).append(bucket)

    def delivered(self) -> frozenset[int]:
        """The workers whose bucket of the next second, or a later one, is here."""
        return frozenset(
            bucket.worker
            for buckets in self._buckets.values()
            for bucket in buckets
            if bucket.second >= self._next
        )

    def reading(self, second: int, reading: Reading) -> None:
        """Take one observation of `second`; dropped before second 0."""
        if second >= self._next:
            self._readings.setdefault(second, []).append(reading)
        elif second >= 0:
            self._late.setdefault(second, []).append(reading)

    def event(self, event: Event) -> None:
        """Put an event on the timeline of the next second that closes."""
        self._events.append(event)

    def rates(self, at: float, rates: Mapping[str, float], over: float = 0.0) -> None:
        """The asked-for rates change `at` seconds after the start: a new step begins.

        Steps are whole seconds: it opens with the first one that begins at `at` or later, and
        changes within one second make one step. A ramp, `over` seconds long, is one step, and what
        follows it another; the rates of its seconds are those in their middles.
        """
        self._turns.append((at, (dict(rates), over)))

    def mark(self, at: float, text: str) -> None:
        """The user's note `at` seconds after the start: it labels the step that it opens."""
        self._turns.append((at, text))

    def set_groups(self, host: str, groups: Iterable[Group]) -> None:
        """Follow these process groups of `host` from now on; what stays the same counts on."""
        known = {tally.group: tally for tally in self._groups[host]}
        self._groups[host] = [known.get(group) or GroupTally(group) for group in groups]

    def close(self) -> Tick:
        """The next second as a Tick."""
        second = self._next
        self._next += 1
        self._turn(second)
        total, parts = self._fold(self._buckets.pop(second, []))
        values: dict[str, float] = {}
        if parts is not None:
            _put_load("load", total, values)
            visited = [part for part in parts if part.steps]
            for name, part in zip(self.scenarios, parts, strict=True):
                if part.steps:
                    _put_visits(f"scenario.{name}", part, values)
            if visited:
                _put_visits("load", total, values)
            for name, part in zip(self.scenarios, parts, strict=True):
                _put_load(f"scenario.{name}", part, values)
                _put_told(f"scenario.{name}", part, values)
                for step, own in part.steps.items():
                    _put_load(f"scenario.{name}.step.{step}", own, values)
                    _put_told(f"scenario.{name}.step.{step}", own, values)
            values.update(self._generator)
            values.update(self._assess(values))
        late = self._put_late()
        processes = self._put_readings(second, self._readings.pop(second, []), values)
        events, self._events = tuple(self._events), []
        return Tick(
            second=second,
            time=self.start + second,
            step=self._step_of(second),
            mark=self._mark,
            rates=self._rates,
            values=values,
            histograms=_histograms(self.scenarios, parts or ()),
            processes=processes,
            events=events,
            late=late,
        )

    def _turn(self, second: int) -> None:
        """Open a new step if a change takes effect with `second`."""
        rates, mark = self._rates, self._mark
        changed = False
        if self._ramp is not None:
            changed = second >= self._ramp.end
            rates = self._ramp.rates(second + 0.5)
            self._ramp = None if changed else self._ramp
        while self._turns and _opens(self._turns[0][0]) <= second:
            at, what = self._turns.pop(0)
            if isinstance(what, str):
                changed, mark = True, what
            elif what[0] != rates:
                changed = True
                turn = Turn(at, rates, *what)
                self._ramp = turn if turn.over else None
                rates = turn.rates(second + 0.5)
        self._rates, self._mark = rates, mark
        if changed and second:
            self._begins.append(second)

    def _step_of(self, second: int) -> int:
        """The step, from 1 on, that a second which is closed or being closed belongs to."""
        return bisect_right(self._begins, second)

    def _fold(self, buckets: list[Bucket]) -> tuple[ScenarioBucket, list[ScenarioBucket] | None]:
        total = ScenarioBucket()
        if not buckets:
            return total, None
        parts = [ScenarioBucket() for _ in self.scenarios]
        newest = {bucket.worker: bucket for bucket in sorted(buckets, key=lambda b: b.second)}
        for bucket in buckets:
            if bucket is not newest[bucket.worker]:
                for own in bucket.scenarios:
                    _forget_standing(own)
            for part, own in zip(parts, bucket.scenarios, strict=True):
                add(part, own)
                add_steps(part, own)
        for part in parts:
            add(total, part)
        self._generator = {
            "generator.cpu": max(bucket.cpu for bucket in buckets),
            "generator.loop_lag": max(bucket.loop_lag for bucket in buckets),
            "generator.descriptors": max(bucket.descriptors for bucket in buckets),
        }
        return total, parts

    def _put_late(self) -> tuple[Late, ...]:
        """The oldest of the late seconds, as many as one tick may hold."""
        late: list[Late] = []
        for second in sorted(self._late)[:LATE_SECONDS]:
            values: dict[str, float] = {}
            processes = self._put_readings(second, self._late.pop(second), values)
            late.append(Late(second, values, processes))
        return tuple(late)

    def _put_readings(
        self, second: int, readings: list[Reading], values: dict[str, float]
    ) -> tuple[HostProcess, ...]:
        frames: dict[str, Reading] = {}
        for reading in readings:
            _put_host(reading.host, reading.values, values)
            if reading.processes is not None:
                frames[reading.host] = reading
        rows: list[HostProcess] = []
        for host, frame in frames.items():
            rows += self._group(host, frame, self._step_of(second), values)
        for reading in readings:
            for tally in self._groups.get(reading.host, ()):
                _put_host(reading.host, tally.limits(reading.limits), values)
        return tuple(rows)

    def _group(
        self, host: str, frame: Reading, step: int, values: dict[str, float]
    ) -> list[HostProcess]:
        processes = frame.processes or ()
        tallies = self._groups.get(host, [])
        for tally in tallies:
            _put_host(host, tally.observe(processes, step), values)
        rows = [
            HostProcess(host, process, tuple(t.name for t in tallies if t.matches(process)))
            for process in processes
        ]
        rows.sort(key=lambda row: -row.process.rss)
        others = [row for row in rows if not row.groups]
        return [row for row in rows if row.groups] + others[:LARGEST_OTHERS]


def _opens(at: float) -> int:
    """The first whole second from `at` on; a boundary may be off by a rounding error."""
    return math.ceil(at - 1e-6)


def _put_host(host: str, own: Mapping[str, float], values: dict[str, float]) -> None:
    for key, value in own.items():
        values[f"host.{host}.{key}"] = value


def _put_load(prefix: str, part: ScenarioBucket, values: dict[str, float]) -> None:
    values[f"{prefix}.offered"] = part.offered
    values[f"{prefix}.sent"] = part.sent
    values[f"{prefix}.completed"] = part.completed
    values[f"{prefix}.goodput"] = part.good
    values[f"{prefix}.dropped"] = part.dropped
    values[f"{prefix}.retried"] = part.retried
    values[f"{prefix}.connections"] = part.connected
    values[f"{prefix}.received"] = part.received
    values[f"{prefix}.in_flight"] = part.in_flight
    values[f"{prefix}.oldest"] = part.oldest
    if part.retry_after:
        values[f"{prefix}.retry_after"] = part.retry_after
    for family in range(2, 6):
        values[f"{prefix}.status.{family}xx"] = 0
    for code, count in sorted(part.status.items()):
        values[f"{prefix}.status.{code}"] = count
        family_key = f"{prefix}.status.{code // 100}xx"
        values[family_key] = values.get(family_key, 0) + count
    for kind, count in sorted(part.errors.items()):
        values[f"{prefix}.errors.{kind}"] = count
    _put_distribution(f"{prefix}.response", part.response, values)
    _put_distribution(f"{prefix}.service", part.service, values)
    _put_distribution(f"{prefix}.lag", part.lag, values)


def _forget_standing(part: ScenarioBucket) -> None:
    """Without how it stood then, which is not how it stands now."""
    part.in_flight, part.oldest, part.visits_active = 0, 0.0, 0
    for step in part.steps.values():
        _forget_standing(step)


def _put_visits(prefix: str, part: ScenarioBucket, values: dict[str, float]) -> None:
    values[f"{prefix}.visits.offered"] = part.visits_offered
    values[f"{prefix}.visits.completed"] = part.visits_completed
    values[f"{prefix}.visits.failed"] = part.visits_failed
    values[f"{prefix}.visits.active"] = part.visits_active


def _put_told(prefix: str, part: ScenarioBucket, values: dict[str, float]) -> None:
    """What samples of the answers say. Of one scenario only: those of several do not mix."""
    for kind, counts in sorted(part.told.items()):
        histogram = Histogram(counts)
        values[f"{prefix}.{kind}.mean"] = meant(kind, histogram.mean or 0.0)
        values[f"{prefix}.{kind}.p95"] = meant(kind, histogram.percentile(0.95) or 0.0)
    if part.told or part.unreadable:
        values[f"{prefix}.server.sampled"] = part.sampled
        values[f"{prefix}.server.unreadable"] = part.unreadable
    if part.weighed:
        values[f"{prefix}.body.compressed"] = part.compressed / part.weighed
        values[f"{prefix}.body.decompressed"] = part.decompressed / part.weighed
    if part.undecoded:
        values[f"{prefix}.body.undecoded"] = part.undecoded


def _put_distribution(prefix: str, counts: Mapping[int, int], values: dict[str, float]) -> None:
    """A second's own percentiles: what was seen in it, not an estimate of anything longer."""
    if not counts:
        return
    histogram = Histogram(counts)
    names = ("p50", "p99") if prefix.endswith(".lag") else tuple(name for name, _ in PERCENTILES)
    shares = tuple(share for name, share in PERCENTILES if name in names)
    for name, value in zip(names, histogram.percentiles(shares), strict=True):
        if value is not None:
            values[f"{prefix}.{name}"] = value
    values[f"{prefix}.max"] = histogram.max or 0.0
    if not prefix.endswith(".lag"):
        values[f"{prefix}.mean"] = histogram.mean or 0.0


def _histograms(
    scenarios: tuple[str, ...], parts: Iterable[ScenarioBucket]
) -> dict[tuple[str, Kind], Mapping[int, int]]:
    """By scenario; of visits also by step, as `visit.step.home`."""
    found: dict[tuple[str, Kind], Mapping[int, int]] = {}
    named = dict(zip(scenarios, parts, strict=False))
    for scenario, whole in tuple(named.items()):
        named |= {step_owner(scenario, step): part for step, part in whole.steps.items()}
    for name, part in named.items():
        if part.response:
            found[name, "response"] = part.response
        if part.service:
            found[name, "service"] = part.service
        if part.lag:
            found[name, "lag"] = part.lag
        for kind, counts in part.told.items():
            found[name, kind] = counts
    return found
