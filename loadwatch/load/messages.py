"""What a load worker and its parent say to each other: msgpack, each message behind its length."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from loadwatch.core.bucket import Bucket


class Part(msgspec.Struct):
    """A part of a multipart body: a field's text, or a file with its name and type."""

    name: str
    content: bytes
    file: str | None = None
    type: str | None = None


class ThinkJob(msgspec.Struct, frozen=True):
    """A think time (s): evenly from `least` to `most`, or exponential with a `mean`."""

    least: float = 0.0
    most: float = 0.0
    mean: float | None = None


class TakeJob(msgspec.Struct):
    """What is taken from an answer: `source` says from where, `what` which there."""

    name: str
    source: Literal["header", "cookie", "json", "css", "regex"]
    what: str
    attribute: str | None = None


class ScenarioJob(msgspec.Struct):
    """One scenario, or one step of it, with its secrets filled in; it travels by pipe only.

    Of `body`, `json`, `form` and `parts` one is set, or none. An answer is right if its status is
    one of `statuses` (below 400, where there are none), and its body has `contains` in it and not
    more than `max_bytes`. A scenario with `steps` is one of visits. A step is due after a time to
    `think`, and takes (`take`) values for later ones, whose texts may hold them (`taken`: names).
    """

    name: str
    path: str
    rate: float
    headers: dict[str, str]
    method: str = "GET"
    body: bytes | None = None
    query: list[tuple[str, str]] = []
    json: Any = None
    form: list[tuple[str, str]] | None = None
    parts: list[Part] | None = None
    timeout: float = 10.0
    statuses: list[int] = []
    contains: str | None = None
    max_bytes: int | None = None
    steps: list[ScenarioJob] = []
    think: ThinkJob = ThinkJob()
    take: list[TakeJob] = []
    taken: list[str] = []

    @property
    def is_checked(self) -> bool:
        """Whether the bodies of the answers are looked at."""
        return bool(self.contains) or self.max_bytes is not None


class Table(msgspec.Struct):
    """The columns of a `[data.…]` file that expressions name, row by row, in the plan's order."""

    name: str
    order: Literal["in order", "random", "one per visit"]
    columns: list[str]
    rows: list[list[str]]


class LoginJob(msgspec.Struct, frozen=True):
    """Whose sessions expire: the rows of `table`, which show them by `header`.

    `path` is that of the login page, at the target's `url`; None where there is no page.
    """

    table: str
    header: Literal["Cookie", "Authorization"]
    url: str
    path: str | None


class Job(msgspec.Struct, tag=True):
    """Everything a worker needs before the start. `worker` counts from 0 to `workers` - 1.

    `max_in_flight`, `connections` and `requests` are this worker's own share.
    """

    worker: int
    workers: int
    url: str
    timeout: float
    verify: bool
    arrival: Literal["uniform", "poisson"]
    seed: int
    max_in_flight: int
    keep_alive: bool
    scenarios: list[ScenarioJob]
    connections: int | None = None
    requests: int | None = None
    ca: str | None = None
    engine: Literal["wire", "httpx"] = "wire"
    http2: bool = False
    proxy: str | None = None
    data: list[Table] = []
    login: LoginJob | None = None
    server_timing: list[str] = []
    compression: bool = True
    revalidate: bool = False


class Begin(msgspec.Struct, tag=True):
    """Second 0 begins at `at` (monotonic clock, the same for all processes of a machine)."""

    at: float


class Rates(msgspec.Struct, tag=True):
    """The scenarios' whole rates (1/s) from `at`, reached linearly within `over` seconds.

    All 0 means hold, also in a closed loop.
    """

    at: float
    rates: list[float]
    over: float = 0.0


class Finish(msgspec.Struct, tag=True):
    """Nothing that is due at `at` or later is fired; then open requests run out."""

    at: float


class Renewed(msgspec.Struct, tag=True):
    """The user of a row (from 0) has logged in again: what requests show from now on."""

    row: int
    session: str


Command = Job | Begin | Rates | Finish | Renewed


class Ready(msgspec.Struct, tag=True):
    """The worker has rendered its requests and waits for `Begin`."""


class Done(msgspec.Struct, tag=True):
    """All was fired and no request is open; `until` is when firing ended (monotonic clock)."""

    until: float


class Failed(msgspec.Struct, tag=True):
    """The worker cannot do its job; `reason` is one line."""

    reason: str


class Expired(msgspec.Struct, tag=True):
    """The session of a row's user (from 0) is over."""

    row: int


class Second(msgspec.Struct, tag=True):
    """A closed second."""

    bucket: Bucket


Report = Ready | Done | Failed | Expired | Second

HEADER = 4
"""Bytes of the length before each message, big-endian."""

_encoder = msgspec.msgpack.Encoder()
decode_command = msgspec.msgpack.Decoder(Command).decode
decode_report = msgspec.msgpack.Decoder(Report).decode


def encode(message: Command | Report) -> bytes:
    """`message` with its length before it."""
    body = _encoder.encode(message)
    return len(body).to_bytes(HEADER, "big") + body


class Splitter:
    """Cuts a byte stream into message bodies."""

    def __init__(self) -> None:
        self._held = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """The bodies that are complete with `data`."""
        held = self._held
        held += data
        bodies = []
        while len(held) >= HEADER:
            end = HEADER + int.from_bytes(held[:HEADER], "big")
            if len(held) < end:
                break
            bodies.append(bytes(held[HEADER:end]))
            del held[:end]
        return bodies
