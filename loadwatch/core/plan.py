"""The plan: what to fire at, how, whom to watch, and what must hold. Field by field as in the TOML.

`config` decodes it; nothing here reads files or the environment. Every field but the target's URL
has a default. Durations are seconds.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

import msgspec

NAME = re.compile(r"[A-Za-z0-9_-]+")
"""What a scenario, host or group may be called: its name is a segment of metric keys."""

Name = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-]+\Z")]

Method = Annotated[str, msgspec.Meta(pattern=r"^[A-Z]+\Z")]
"""An HTTP method, in capitals as it goes on the wire."""

Rate = Annotated[float, msgspec.Meta(ge=0, le=1e6)]
"""Requests per second; the bound is beyond what anybody fires, and keeps typing errors finite."""

HIGHEST_RATE = 1e6

SHORTEST_INTERVAL, LONGEST_INTERVAL = 0.1, 3600.0
"""Seconds between which a host's intervals may be."""

Weight = Annotated[float, msgspec.Meta(gt=0, le=1e6)]
"""A share, as a part of the sum of all."""

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
"""A part of a whole."""


Header = Annotated[str, msgspec.Meta(pattern=r"^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,40}\Z")]
"""The name of a header (RFC 9110 §5.6.2, a token)."""


class Seconds(float):
    """A duration; in TOML a string with its unit (`30s`, `5m`, `250ms`)."""


class ByteRate(float):
    """Bytes per second; in TOML a string with its unit (`1MiB/s`)."""


class Size(int):
    """A number of bytes; in TOML as such, or a string with its unit (`1MiB`)."""


class Target(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The server under load. `timeout` is counted from the instant a request was due.

    `verify` checks its certificate against the system's authorities, or those in the file `ca`.
    `allow` names hosts on the open internet that may be fired at without a word. `server_timing`
    names the headers in which the server tells of its own work: `Server-Timing` has times, any
    other a whole number (of queries, say).
    """

    url: str
    timeout: Seconds = Seconds(10)
    verify: bool = True
    ca: str | None = None
    allow: tuple[str, ...] = ()
    server_timing: Annotated[tuple[Header, ...], msgspec.Meta(max_length=8)] = ("Server-Timing",)


class Data(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Rows for expressions such as `${user.name}`: a CSV file with a header, or JSON Lines.

    A request takes one row: `in order` begins again after the last, `one per visit` gives none
    twice. `file` is relative to the plan's own directory.
    """

    file: str
    order: Literal["in order", "random", "one per visit"] = "in order"


FieldValue = str | int | float | bool
"""What a field of a query or a form holds; numbers and truth values are written as in JSON."""

Status = Annotated[int, msgspec.Meta(ge=200, le=599)]


class Upload(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A part of `multipart` that is a file, relative to the plan's own directory.

    Its `type` is guessed from its name unless given.
    """

    file: str
    type: str | None = None


class Expect(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an answer must be; another one is an error of kind `content`.

    Its `status` is one of these, its body `contains` a text (as it stands, UTF-8; it may hold
    expressions) and has at most `max_bytes` on the wire.
    """

    status: Status | tuple[Status, ...] | None = None
    contains: str | None = None
    max_bytes: Size | None = None


class Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is asked for beside the path, and what is expected in return.

    `query` goes behind the path's own. Of `body`, `json`, `form` and `multipart` there may be one:
    `body` is sent as it stands (UTF-8), `@file` sends a file's bytes. All of these and the path may
    hold expressions (`core.expression`). `timeout` is the target's unless given.
    """

    headers: dict[str, str] = {}
    method: Method = "GET"
    query: dict[str, FieldValue | list[FieldValue]] = {}
    body: str | None = None
    json: Any = None
    form: dict[str, FieldValue | list[FieldValue]] | None = None
    multipart: dict[str, FieldValue | list[FieldValue] | Upload] | None = None
    timeout: Seconds | None = None
    expect: Expect = Expect()


class Think(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"least": "from", "most": "to"}
):
    """Think time: evenly distributed `from` … `to`, or exponentially with this `mean`."""

    least: Seconds | None = None
    most: Seconds | None = None
    mean: Seconds | None = None


Pause = Annotated[str, msgspec.Meta(pattern=r"^\d+(\.\d+)?(ms|s|m|h)\Z", examples=["3s"])]
"""A constant think time; `config` makes it a `Think`."""


class Take(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is taken from an answer for later steps: from one place of these.

    `css` takes the text of the first element that it selects, or its `attribute`; `json` is a JSON
    Pointer (RFC 6901); `regex` takes its first group, or all that it matches.
    """

    header: str | None = None
    cookie: str | None = None
    json: str | None = None
    css: str | None = None
    attribute: str | None = None
    regex: str | None = None


class Step(Request, frozen=True, forbid_unknown_fields=True):
    """One request of a visit, due when the think time before it is over.

    What it takes from its answer is `${name}` in later steps.
    """

    name: Name
    path: str = "/"
    think: Pause | Think | None = None
    take: dict[str, Take] = {}


class Scenario(Request, frozen=True, forbid_unknown_fields=True, rename={"steps": "step"}):
    """A named stream of requests with its own arrival rate (requests per second).

    With steps it is one of visits: the rate counts visits per second, `think` is the time before
    each step but the first, and `headers` are those of every step. With `load.rate` a scenario has
    a `weight` instead of a rate. Without `login` its requests are nobody's, whatever the plan's
    login says.
    """

    name: Name
    path: str = "/"
    rate: Rate = 10.0
    weight: Weight | None = None
    think: Pause | Think | None = None
    steps: tuple[Step, ...] = ()
    login: bool = True


class Login(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the users of the plan's data log in before the run, `parallel` at once.

    By the `form` on a page, whose `fields` are filled in, and it worked if the answer is not the
    form again (or as `expect` says); by `basic`, `user:password`; or by a `token`, which a POST of
    `fields` or `json` to this path answers with, and which is taken from there for `scheme`.
    """

    form: str | None = None
    basic: str | None = None
    token: str | None = None
    fields: dict[str, str] = {}
    json: dict[str, str] | None = None
    take: Take = Take(json="/access_token")
    scheme: str = "Bearer"
    expect: Expect = Expect()
    parallel: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 10


class Gates(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Beyond these the generator was the limit, and a result is invalid.

    `send_lag` (p99; or `send_lag_share` of the median response time, if that is more), `sent`
    (share of what was due), `dropped` (share of what was due).
    """

    send_lag: Seconds = Seconds(0.010)
    send_lag_share: Share = 0.25
    sent: Share = 0.98
    dropped: Share = 0.001


class Load(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How arrivals are made. `workers` are processes; `max_rate` is a ceiling that nothing passes.

    `connections` makes it a closed loop of so many connections, as fast as they go, whatever the
    scenarios' rates say (their proportions hold). `rate` is shared out by the scenarios' weights.
    `requests` ends the run after so many, of visits as well. The engine `httpx` costs many times
    what `wire` does, and can do what that cannot: `http2`, and a `proxy`. `compression` accepts
    what browsers do (`Accept-Encoding`), where a scenario says nothing else; `revalidate` asks
    each user's pages with the `ETag` that they came with before.
    """

    arrival: Literal["uniform", "poisson"] = "poisson"
    seed: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)] = 1
    workers: Annotated[int, msgspec.Meta(ge=1)] | Literal["auto"] = "auto"
    max_in_flight: Annotated[int, msgspec.Meta(ge=1)] = 1000
    keep_alive: bool = True
    compression: bool = True
    revalidate: bool = False
    rate: Rate | None = None
    max_rate: Annotated[float, msgspec.Meta(gt=0, le=1e6)] | None = None
    connections: Annotated[int, msgspec.Meta(ge=1)] | None = None
    requests: Annotated[int, msgspec.Meta(ge=1)] | None = None
    engine: Literal["wire", "httpx"] = "wire"
    http2: bool = False
    proxy: str | None = None
    gates: Gates = Gates()


class Group(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A process group on a host: all conditions given must hold.

    `command` matches anywhere in the command (regular expression).
    """

    name: Name
    user: str | None = None
    command: str | None = None
    pids: tuple[int, ...] | None = None


Value = int | float | str
"""What an action may set."""


class Action(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Something that may be done to a host: `command`, with one of `values` in place of `{value}`.

    `sh` runs it under the login. `wait`, as `http 200 on /`, says when the target is back; the
    command, and then that, may each take `timeout`.
    """

    name: Name
    command: str
    values: tuple[Value, ...]
    wait: str | None = None
    timeout: Seconds = Seconds(60)


LOCAL = "local"
"""What `ssh` of a host says for this machine."""


class Access(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A server to log in to: `[user@]host[:port]`, an alias of ~/.ssh/config, or `local`.

    The backend `openssh` is the system's `ssh`, for what paramiko cannot do.
    """

    to: str
    backend: Literal["paramiko", "openssh"] = "paramiko"


class Host(
    msgspec.Struct,
    frozen=True,
    forbid_unknown_fields=True,
    rename={"groups": "group", "actions": "action"},
):
    """A watched server: `ssh` is where to log in, in full or as `to` alone.

    `interval` is vmstat's, `top_interval` top's (the same unless given). With `spool`, what is
    measured while the connection is lost is kept on the server and fetched later.
    """

    name: Name
    ssh: str | Access
    interval: Seconds = Seconds(1)
    top_interval: Seconds | None = None
    spool: bool = False
    groups: tuple[Group, ...] = ()
    actions: tuple[Action, ...] = ()

    @property
    def access(self) -> Access:
        """`ssh` in full."""
        return self.ssh if isinstance(self.ssh, Access) else Access(self.ssh)


class Stage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A planned stretch of an unattended run: every scenario's rate times `scale`.

    A `ramp` goes there from the rates before it (from 0 at the start), linearly within `duration`.
    """

    duration: Seconds
    scale: Rate = 1.0
    ramp: bool = False


class Threshold(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A `rule` such as `< 500ms` that must hold: over the run, or over every `window` of it.

    With `abort` the run ends as soon as it does not.
    """

    rule: str
    window: Seconds | None = None
    abort: bool = False


class Ui(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The dashboard: which panes, in which order (all where none is named)."""

    panes: tuple[str, ...] = ()


class Signs(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """From where on something counts as a sign of what holds the server back.

    Shares of all CPUs, of time (pressure, throttling), of requests, of a link; `sustained` is the
    share of the seconds in which something must show, to be more than a burst.
    """

    sustained: Share = 0.7
    answered: Share = 0.99
    waiting: Share = 0.01
    failing: Share = 0.05
    swap: ByteRate = ByteRate(1 << 20)
    memory_pressure: Share = 0.05
    throttled: Share = 0.2
    cpu_busy: Share = 0.9
    cpu_idle: Share = 0.3
    kernel: Share = 0.3
    stolen: Share = 0.1
    one_core: Share = 0.1
    io_wait: Share = 0.2
    io_pressure: Share = 0.2
    workers: Share = 0.7
    network: Share = 0.85
    retransmitted: Share = 0.01


SIGNS = Signs()
"""Those of a plan that says nothing of them."""


class Plan(
    msgspec.Struct,
    frozen=True,
    forbid_unknown_fields=True,
    rename={"scenarios": "scenario", "hosts": "host", "stages": "stage"},
):
    """The whole plan. `thresholds` map a metric key to a rule, alone or as a `Threshold`."""

    target: Target
    load: Load = Load()
    scenarios: tuple[Scenario, ...] = ()
    hosts: tuple[Host, ...] = ()
    stages: tuple[Stage, ...] = ()
    thresholds: dict[str, str | Threshold] = {}
    verdict: Signs = SIGNS
    ui: Ui = Ui()
    data: dict[Name, Data] = {}
    login: Login | None = None
