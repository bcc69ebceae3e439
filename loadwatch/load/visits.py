"""Visits: the steps of one user after the other, with think time between.

A visit runs on streams as single requests do, one for each step. The first step's arrivals are
those of the visits; a later step's are on an `Agenda`, where each visit puts itself when its answer
is there. So whatever fires requests fires visits, when they are due, and notes the lag.
"""

from __future__ import annotations

import heapq
import itertools
import math
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from loadwatch.core.bucket import ScenarioBucket, add
from loadwatch.core.errors import PlanError
from loadwatch.core.expression import Taken
from loadwatch.load.answer import Answer, Checked
from loadwatch.load.cookies import Jar
from loadwatch.load.doorman import Doorman
from loadwatch.load.messages import Job, ScenarioJob, ThinkJob
from loadwatch.load.revalidation import Validators
from loadwatch.load.servertiming import Sample
from loadwatch.load.stream import Stream
from loadwatch.load.taking import Taker, taker
from loadwatch.load.template import Encode, Hole, Rows, Template


class Agenda:
    """When a step of visits is due: as each of them says. `changed` hears of an earlier instant."""

    begins = False

    def __init__(self) -> None:
        self.due = math.inf
        self.changed: Callable[[], None] = lambda: None
        self._ahead: list[tuple[float, int, Visit]] = []
        self._numbers = itertools.count()
        self._next: Visit | None = None
        self._until = math.inf

    def put(self, due: float, visit: Visit) -> None:
        """`visit` goes on at `due`, or not at all where that is after the end."""
        if due >= self._until:
            visit.cut()
            return
        heapq.heappush(self._ahead, (due, next(self._numbers), visit))
        if due < self.due:
            self.due = due
            self.changed()

    def advance(self) -> float:
        """Take the next one: returns its due instant, and moves `due` on."""
        due, _, self._next = heapq.heappop(self._ahead)
        self.due = self._ahead[0][0] if self._ahead else math.inf
        return due

    def request(self) -> bytes:
        """The request of the one that was taken."""
        assert self._next is not None
        return self._next.request()

    def dropped(self) -> None:
        """The one that was taken could not be fired: its visit ends."""
        assert self._next is not None
        self._next.ended(is_good=False)

    def finish(self, at: float) -> None:
        """Nothing is due at `at` or later: who would go on then has gone."""
        self._until = at
        kept = [entry for entry in self._ahead if entry[0] < at]
        gone = [visit for due, _, visit in self._ahead if due >= at]
        heapq.heapify(kept)
        self._ahead = kept
        self.due = kept[0][0] if kept else math.inf
        for visit in gone:
            visit.cut()


@dataclass(frozen=True, slots=True)
class Step:
    """One step: what is sent, how long before it is thought, and what is taken from its answer."""

    stream: Stream
    template: Template
    think: Callable[[], float]
    takers: Mapping[str, Taker]
    encoders: tuple[tuple[str, Encode], ...]
    """How later steps write what is taken."""


class Visits:
    """The visits of one scenario on one worker; `clock` is monotonic.

    `completed` and `failed` count since the last `take`; `active` are those under way.
    """

    def __init__(
        self, job: Job, scenario: ScenarioJob, rows: Rows, clock: Callable[[], float],
        doorman: Doorman | None = None,
    ) -> None:  # fmt: skip
        url = urlsplit(job.url)
        self.host, self.secure = url.hostname or "", url.scheme == "https"
        self.clock = clock
        self._doorman = doorman
        self.active = self.completed = self.failed = 0
        script = rows.script(scenario)
        self._draws = script.draws
        self.steps = list(self._steps(job, scenario, script.templates))

    @property
    def streams(self) -> list[Stream]:
        """One for each step."""
        return [step.stream for step in self.steps]

    def begin(self) -> bytes:
        """The first request of another visit. StopIteration where its data is used up."""
        visit = Visit(self, next(self._draws))
        self.active += 1
        return visit.request()

    def take(self, parts: Mapping[str, ScenarioBucket]) -> ScenarioBucket:
        """The visits' own counts with those of the steps, which count anew."""
        total = ScenarioBucket(steps=dict(parts))
        for part in parts.values():
            add(total, part)
        first = parts[self.steps[0].stream.name]
        total.visits_offered = first.offered
        total.visits_completed = self.completed
        total.visits_failed = self.failed + first.dropped
        total.visits_active = self.active
        self.completed = self.failed = 0
        return total

    def _steps(self, job: Job, scenario: ScenarioJob, templates: list[Template]) -> Iterator[Step]:
        chance = random.Random(f"{job.seed}/{scenario.name}/{job.worker}/think")
        for number, (own, template) in enumerate(zip(scenario.steps, templates, strict=True)):
            agenda = Agenda() if number else None
            stream = Stream(
                own.name,
                iter(agenda.request if agenda else self.begin, None),
                arrivals=agenda,
                bodiless=own.method == "HEAD",
                timeout=own.timeout,
                statuses=own.statuses,
                checked=True,
                doorman=self._doorman,
                sample=Sample(job.server_timing),
                # Of a 304 nothing could be taken.
                validators=Validators() if job.revalidate and not own.take else None,
            )
            later = (hole for after in templates[number + 1 :] for hole in after.holes)
            try:
                takers = {take.name: taker(take) for take in own.take}
            except PlanError as error:
                raise PlanError(f"scenario.{scenario.name}.step.{own.name}.{error}") from None
            yield Step(
                stream,
                template._replace(is_checked=True),
                _thinking(own.think, chance),
                takers,
                tuple(_encoders(later)),
            )


def _encoders(holes: Iterator[Hole]) -> Iterator[tuple[str, Encode]]:
    for hole in dict.fromkeys(holes):
        if isinstance(hole.expression, Taken):
            yield hole.expression.name, hole.encode


def _thinking(think: ThinkJob, chance: random.Random) -> Callable[[], float]:
    """Draws think times (s)."""
    if think.mean is not None:
        rate = 1 / think.mean
        return lambda: chance.expovariate(rate)
    if think.least == think.most:
        return lambda: think.least
    return lambda: chance.uniform(think.least, think.most)


class Visit:
    """One user's way through the steps: where they are, what they drew and took, their cookies."""

    __slots__ = ("_at", "_drawn", "_jar", "_sent", "_taken", "_visits")

    def __init__(self, visits: Visits, drawn: Mapping[Hole, bytes]) -> None:
        self._visits = visits
        self._drawn = drawn
        self._at = 0
        self._taken: dict[str, str] = {}
        self._jar = Jar(visits.host, visits.secure)
        self._sent = b""

    def request(self) -> bytes:
        """The request of the step that they are at."""
        bare = self._visits.steps[self._at].template.filled(self._drawn, self._taken)
        assert isinstance(bare, Checked)
        self._sent = self._jar.put(bare, self._visits.clock())
        return VisitRequest.of(self, self._sent, bare)

    def look(self, answer: Answer) -> bool:
        """Keep cookies and take what is to be taken; False where that is not there, or no use."""
        step = self._visits.steps[self._at]
        self._jar.take(answer, self._sent, self._visits.clock())
        for name, find in step.takers.items():
            value = find(answer, self._jar)
            if value is None or not _is_of_use(name, value, step.encoders):
                return False
            self._taken[name] = value
        return True

    def ended(self, is_good: bool) -> None:
        """Their request is over: they think and go on, or are done, or give up."""
        visits = self._visits
        self._at += 1
        if is_good and self._at < len(visits.steps):
            step = visits.steps[self._at]
            assert isinstance(step.stream.arrivals, Agenda)
            step.stream.arrivals.put(visits.clock() + step.think(), self)
            return
        visits.active -= 1
        if is_good:
            visits.completed += 1
        else:
            visits.failed += 1

    def cut(self) -> None:
        """The run is over before they were: neither completed nor failed."""
        self._visits.active -= 1


def _is_of_use(name: str, value: str, encoders: tuple[tuple[str, Encode], ...]) -> bool:
    """Whether later steps can write what was taken: a header takes no line breaks."""
    try:
        for own, encode in encoders:
            if own == name:
                encode(value)
    except ValueError:
        return False
    return True


class VisitRequest(Checked):
    """A request whose visit goes on with its answer."""

    visit: Visit

    @classmethod
    def of(cls, visit: Visit, request: bytes, wanted: Checked) -> VisitRequest:
        """`request` of `visit`, whose answer is to be as `wanted`."""
        own = cls(request, wanted.contains, wanted.max_bytes)
        own.visit = visit
        return own

    def again(self, request: bytes) -> VisitRequest:
        """The same with other bytes."""
        return VisitRequest.of(self.visit, request, self)

    def look(self, answer: Answer) -> bool:
        """Look at the answer: whether it is as wanted, and has what is taken from it."""
        return super().look(answer) and self.visit.look(answer)

    def ended(self, is_good: bool) -> None:
        """The request is over: the visit goes on, or ends."""
        self.visit.ended(is_good)
