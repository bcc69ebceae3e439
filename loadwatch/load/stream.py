"""One scenario on one worker: its bytes, its arrivals, and the bucket that its outcomes go to."""

from __future__ import annotations

from loadwatch.core.bucket import ScenarioBucket
from loadwatch.core.histogram import SUB_BUCKET_BITS
from loadwatch.load.arrivals import Arrivals
from loadwatch.load.repeat import Repeat, learn

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


class Stream:
    """A scenario's state. `bucket` is replaced once a second, so take it afresh every time."""

    __slots__ = ("arrivals", "bucket", "lessons", "name", "open", "repeat", "request")

    LESSONS = 8
    """Responses that are looked at for a likeness; a page that is new every time has none."""

    def __init__(self, name: str, request: bytes, arrivals: Arrivals | None = None) -> None:
        self.name = name
        self.request = request
        self.arrivals = arrivals
        self.bucket = ScenarioBucket()
        self.open = 0
        self.repeat: Repeat | None = None
        self.lessons = self.LESSONS

    @property
    def busy(self) -> bool:
        """Whether anything has happened in this second."""
        bucket = self.bucket
        return bool(bucket.offered or bucket.completed or bucket.errors or bucket.received)

    def learn(self, response: bytes, status: int) -> None:
        """A whole response that the parser had to read: the next ones may be like it."""
        self.lessons -= 1
        self.repeat = learn(response, status) or self.repeat

    def answered(self, status: int, response: float, service: float) -> None:
        """A response came; times in seconds. Anything below 400 is goodput."""
        bucket = self.bucket
        self.open -= 1
        bucket.completed += 1
        if status < 400:
            bucket.good += 1
        codes = bucket.status
        codes[status] = codes.get(status, 0) + 1
        count(bucket.response, response)
        count(bucket.service, service)

    def failed(self, kind: str, response: float, service: float) -> None:
        """No response came. A timeout stays in the distributions, at the time it was given up."""
        bucket = self.bucket
        self.open -= 1
        bucket.errors[kind] = bucket.errors.get(kind, 0) + 1
        if kind == "timeout":
            count(bucket.response, response)
            count(bucket.service, service)
