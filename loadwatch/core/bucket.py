"""One worker's second of request outcomes: what travels from a load worker to the main process.

Mutable on purpose: the hot path adds to it in place and hands it over once a second, so that no
object is made per request.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec

_K = TypeVar("_K", int, str)

ERROR_KINDS = (
    "timeout", "connect", "reset", "tls", "dns", "protocol", "content", "descriptors", "ports",
)  # fmt: skip
"""Why a request had no good answer; `descriptors` and `ports` are our own shortages."""


class ScenarioBucket(msgspec.Struct):
    """What one scenario's requests came to within one second, on one worker.

    `offered` counts by the due instant, `sent` by the write, everything else by the moment it
    happened. The histograms are `core.histogram` counts: `response` (due to done, timeouts
    included at the time given up), `service` (send to done; making a connection where there is none
    is part of it), `lag` (due to send). `connected` counts the connections that were begun.
    `retry_after` is the wait (seconds) that the server asked for last, with a 429 or a 503.
    Of the answers that were `weighed`, bodies had so many bytes `compressed`, as they came, and
    `decompressed`; those of others could not be `undecoded`.
    `told` are histograms, by kind, of what the server said of its own work in the answers that were
    `sampled`; `unreadable` counts what of it was passed over. A scenario of visits has the requests
    of all its `steps`, and those of each by its name; of the visits themselves those that were due,
    that came to their end or broke off, and are under way.
    """

    offered: int = 0
    sent: int = 0
    completed: int = 0
    good: int = 0
    dropped: int = 0
    retried: int = 0
    connected: int = 0
    received: int = 0
    in_flight: int = 0
    oldest: float = 0.0
    retry_after: float = 0.0
    status: dict[int, int] = {}
    errors: dict[str, int] = {}
    response: dict[int, int] = {}
    service: dict[int, int] = {}
    lag: dict[int, int] = {}
    sampled: int = 0
    unreadable: int = 0
    weighed: int = 0
    undecoded: int = 0
    compressed: int = 0
    decompressed: int = 0
    told: dict[str, dict[int, int]] = {}
    steps: dict[str, ScenarioBucket] = {}
    visits_offered: int = 0
    visits_completed: int = 0
    visits_failed: int = 0
    visits_active: int = 0


class Bucket(msgspec.Struct):
    """One worker's second: a `ScenarioBucket` per scenario, in the plan's order.

    `second` counts from the run's start; `cpu` is the worker's CPU time in it (seconds per second,
    a share of one core); `loop_lag` the largest lateness of its event loop (seconds);
    `descriptors` the share of its file descriptors that connections take.
    """

    worker: int
    second: int
    scenarios: list[ScenarioBucket]
    cpu: float = 0.0
    loop_lag: float = 0.0
    descriptors: float = 0.0


def add(total: ScenarioBucket, part: ScenarioBucket) -> None:
    """Fold `part` into `total`: counts add up, the oldest open request is the older one.

    Not its steps, which `add_steps` folds in.
    """
    total.offered += part.offered
    total.sent += part.sent
    total.completed += part.completed
    total.good += part.good
    total.dropped += part.dropped
    total.retried += part.retried
    total.connected += part.connected
    total.received += part.received
    total.in_flight += part.in_flight
    total.oldest = max(total.oldest, part.oldest)
    total.retry_after = max(total.retry_after, part.retry_after)
    total.sampled += part.sampled
    total.unreadable += part.unreadable
    total.weighed += part.weighed
    total.undecoded += part.undecoded
    total.compressed += part.compressed
    total.decompressed += part.decompressed
    _add_counts(total.status, part.status)
    _add_counts(total.errors, part.errors)
    _add_counts(total.response, part.response)
    _add_counts(total.service, part.service)
    _add_counts(total.lag, part.lag)
    total.visits_offered += part.visits_offered
    total.visits_completed += part.visits_completed
    total.visits_failed += part.visits_failed
    total.visits_active += part.visits_active
    for kind, counts in part.told.items():
        _add_counts(total.told.setdefault(kind, {}), counts)


def add_steps(total: ScenarioBucket, part: ScenarioBucket) -> None:
    """Fold the steps of `part` into those of `total`."""
    for name, step in part.steps.items():
        add(total.steps.setdefault(name, ScenarioBucket()), step)


def _add_counts(total: dict[_K, int], part: dict[_K, int]) -> None:
    for key, count in part.items():
        total[key] = total.get(key, 0) + count
