"""One scenario on one worker: its bytes, its arrivals, and the counts of what becomes of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator
from itertools import repeat
from typing import Protocol

from loadwatch.core.bucket import ScenarioBucket
from loadwatch.core.histogram import SUB_BUCKET_BITS
from loadwatch.load.answer import Answer
from loadwatch.load.doorman import Doorman
from loadwatch.load.pushback import STATUSES, of_head
from loadwatch.load.repeat import Repeat, learn
from loadwatch.load.revalidation import Validators
from loadwatch.load.servertiming import Sample
from loadwatch.load.weighing import Scales

_HEAD_END = b"\r\n\r\n"

_SHIFT = SUB_BUCKET_BITS - 1
_PLAIN = 1 << SUB_BUCKET_BITS
_MICRO = 1e6


def count(histogram: dict[int, int], seconds: float) -> None:
    """Count a time in seconds: `core.histogram.index_of`, inlined for the hot path."""
    value = int(seconds * _MICRO)
    if value >= _PLAIN:
        shift = value.bit_length() - SUB_BUCKET_BITS
        value = (shift << _SHIFT) + (value >> shift)
    elif value < 0:
        value = 0
    histogram[value] = histogram.get(value, 0) + 1


class Open(Protocol):
    """An open request."""

    due: float


class Schedule(Protocol):
    """When requests are due; `begins` says whether the load asks for them, or an earlier answer."""

    due: float
    begins: bool

    def advance(self) -> float:
        """Take the next one: returns its due instant, and moves `due` on."""
        ...

    def dropped(self) -> None:
        """The one that was taken could not be fired."""
        ...


class Stream:
    """A scenario's state: `next_request` gives its requests, all the same or each its own.

    What happens to every request is counted in plain slots here (`offered`, `received`, `alike`,
    the times) or comes of them, everything rarer in the bucket itself; `bucket` has all. Whatever
    is offered is sent, but for what was `dropped`, and `unsent`: what waits for its connection,
    less what has waited for it and is sent. As long as the `sample` of a second takes more, no
    response passes unread for being the `known` one; with `validators`, which must hear them all,
    none ever does. `open` holds its open requests, the engine's own; of those due before `swept`
    none is forgotten when it is past its `timeout` (s; None is the engine's). Answers are looked at
    where requests are `checked` (`load.answer.Checked`).
    """

    __slots__ = (
        "_bucket",
        "_repeat",
        "_statuses",
        "_wire_size",
        "alike",
        "arrivals",
        "bodiless",
        "checked",
        "connected",
        "doorman",
        "dropped",
        "keep",
        "known",
        "lag",
        "lessons",
        "name",
        "next_request",
        "offered",
        "open",
        "prompt",
        "received",
        "response",
        "retry_after",
        "sample",
        "scales",
        "service",
        "swept",
        "timeout",
        "unsent",
        "validators",
    )

    LESSONS = 8
    """Responses that are looked at for a likeness; a page that is new every time has none."""

    def __init__(
        self,
        name: str,
        requests: bytes | Iterator[bytes],
        arrivals: Schedule | None = None,
        bodiless: bool = False,
        timeout: float | None = None,
        statuses: Collection[int] = (),
        checked: bool = False,
        sample: Sample | None = None,
        validators: Validators | None = None,
        doorman: Doorman | None = None,
    ) -> None:
        self.name = name
        endless = repeat(requests) if isinstance(requests, bytes) else requests
        self._statuses = frozenset(statuses)
        if validators is not None:
            endless = validators.conditional(endless)
            self._statuses |= {304} if 200 in statuses else set()
        self.validators = validators
        self.next_request: Callable[[], bytes] = endless.__next__
        self.bodiless = bodiless
        self.arrivals = arrivals
        self.timeout = timeout
        self.doorman = doorman
        self.checked = checked
        self.open: dict[Open, None] = {}
        self.swept = math.inf
        self.lessons = 0 if checked or validators is not None else self.LESSONS
        self.known = b""
        self._repeat: Repeat | None = None
        self._wire_size = 0
        self.keep = True
        self.retry_after = 0.0
        self.sample = sample or Sample()
        self.scales = Scales()
        self._renew()

    def _renew(self) -> None:
        bucket = self._bucket = ScenarioBucket()
        self.sample.begin(bucket)
        if not self.bodiless:
            self.scales.begin(bucket)
        self.known = b""
        self.response, self.service, self.lag = bucket.response, bucket.service, bucket.lag
        # Times of requests that were sent at the very instant they were due: both in one.
        self.prompt: dict[int, int] = {}
        self.offered = self.received = self.alike = 0
        self.connected = self.dropped = self.unsent = 0

    @property
    def bucket(self) -> ScenarioBucket:
        """The counts since the last `take`."""
        bucket = self._bucket
        self._settle()
        bucket.offered += self.offered
        bucket.sent += self.offered - self.dropped - self.unsent
        bucket.dropped += self.dropped
        bucket.received += self.received
        bucket.connected += self.connected
        self.offered = self.received = self.connected = self.dropped = self.unsent = 0
        if self.prompt:
            for histogram in (bucket.response, bucket.service):
                for index, times in self.prompt.items():
                    histogram[index] = histogram.get(index, 0) + times
            self.prompt = {}
        if self.retry_after and not STATUSES.isdisjoint(bucket.status):
            bucket.retry_after = self.retry_after
        return bucket

    def take(self) -> ScenarioBucket:
        """The counts since the last `take`, which begin anew."""
        bucket = self.bucket
        self._renew()
        return bucket

    @property
    def oldest(self) -> float:
        """The due instant of the oldest open request; infinite where none is open."""
        return min((one.due for one in self.open), default=math.inf)

    @property
    def busy(self) -> bool:
        """Whether anything has happened since the last `take`."""
        bucket = self.bucket
        return bool(bucket.offered or bucket.completed or bucket.errors or bucket.received)

    # -- responses ---------------------------------------------------------------------------

    def learn(self, response: bytes, status: int, keep: bool, size: int) -> None:
        """A whole response that the parser had to read: the next ones may be like it.

        Each of those counts as `size` bytes received, and leaves its connection open, or not.
        """
        self.lessons -= 1
        repeat = learn(response, status)
        is_plain = self.doorman is None or status < 300  # else it may be for somebody who is out
        if repeat is not None and is_plain:
            self._settle()
            self._repeat = repeat
            self._wire_size = size
            self.keep = keep
            self.known = b"" if self.sample.left or self.scales.free else response

    def resembles(self, data: bytes) -> bool:
        """Whether `data` is a response such as the one learnt; it is then the `known` one."""
        repeat = self._repeat
        if repeat is None or not repeat.matches(data):
            return False
        if self.scales.take():
            body = data.partition(_HEAD_END)[2]  # it has its length: learn
            self.scales.weigh(repeat.status, Answer(data, body, len(body)))
        if self.sample.left:
            self.sample.read(data)
        else:
            self.known = data
        return True

    def answered(self, status: int, response: float, service: float, met: bool = True) -> bool:
        """A response came; times in seconds. `met` says whether its body was as wanted.

        Returns whether it is good in all.
        """
        count(self.response, response)
        count(self.service, service)
        return self.tally(status, met=met)

    def told(self, request: bytes, status: int, head: bytes, met: bool = True) -> bool:
        """A response to `request` that had to be read: its status, and what else it says.

        Returns whether it is good in all.
        """
        if self.validators is not None:
            self.validators.heard(request, status, head)
        if self.doorman is not None and self.doorman.is_out(request, status, head):
            met = False
        if self.sample.left:
            self.sample.read(head)
        if status in STATUSES:
            self.retry_after = of_head(head)
        return self.tally(status, met=met)

    def tally(self, status: int, times: int = 1, met: bool = True) -> bool:
        """So many responses had this status; returns whether they are good.

        Those that are expected, or below 400 where nothing is, are goodput. Another one, or a body
        that is not as wanted, is an error of kind `content`; a server error (5xx) is one anyway.
        """
        bucket = self._bucket
        bucket.completed += times
        bucket.status[status] = bucket.status.get(status, 0) + times
        expected = status in self._statuses if self._statuses else status < 400
        is_good = expected and met
        if is_good:
            bucket.good += times
        elif status < 500 and (self._statuses or not met):
            bucket.errors["content"] = bucket.errors.get("content", 0) + times
        return is_good

    def _settle(self) -> None:
        """Tally what was only noted as being like the response learnt."""
        if self.alike:
            assert self._repeat is not None
            self.tally(self._repeat.status, self.alike)
            self.received += self.alike * self._wire_size
            self.alike = 0

    def failed(self, kind: str, response: float, service: float) -> None:
        """No response came. A timeout stays in the distributions, at the time it was given up."""
        bucket = self._bucket
        bucket.errors[kind] = bucket.errors.get(kind, 0) + 1
        if kind == "timeout":
            count(self.response, response)
            count(self.service, service)
