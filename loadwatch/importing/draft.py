"""A plan in the making: what every importer fills, and `writing` writes."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, quote, unquote, urlsplit

import msgspec

from loadwatch.config import HEADER_NAME, scenario_name, spelled
from loadwatch.core import plan
from loadwatch.core.errors import PlanError
from loadwatch.core.naming import unique
from loadwatch.core.plan import (
    FieldValue,
    Load,
    Plan,
    Scenario,
    Seconds,
    Stage,
    Target,
    Upload,
)
from loadwatch.importing.secrets import Secrets
from loadwatch.remote.text import clean

FIRST_RATE = 1.0
"""Per second, where the source has no rate: low enough for any site, to be turned by keys."""

LONGEST_NAME = 40
"""Characters of a scenario's name."""

_BEYOND = re.compile(r"[^!-~]+")

ANY, PLAIN = Target(""), Load()

MADE_ANEW = frozenset({
    "connection", "content-length", "host", "keep-alive", "proxy-connection", "te", "trailer",
    "transfer-encoding", "upgrade",
})  # fmt: skip
"""Headers of one connection or one message: loadwatch makes its own."""

CONDITIONAL = frozenset({"if-modified-since", "if-none-match"})
"""Headers of somebody's cache: answers would be empty."""


@dataclass(frozen=True)
class Request:
    """What a source says of one request; `url` is whole. A body as it goes over the wire."""

    url: str
    method: str = "GET"
    headers: tuple[tuple[str, str], ...] = ()
    body: str | None = None
    file: str | None = None
    """The file whose bytes are the body, instead of `body`."""
    parts: tuple[tuple[str, str | Upload], ...] = ()
    """The fields of a multipart form that has files, instead of `body`."""

    @property
    def origin(self) -> str:
        """Scheme, host and port (if it is not the scheme's own); PlanError where there is none."""
        parts = split(self.url)
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
        usual = {"http": 80, "https": 443}[parts.scheme]
        port = f":{parts.port}" if parts.port not in (None, usual) else ""
        return f"{parts.scheme}://{host}{port}"

    @property
    def path(self) -> str:
        """From the first slash on, with the query; whole where it would read as another host's."""
        parts = urlsplit(self.url)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return self.origin + path if path.startswith("//") else path


@dataclass(frozen=True)
class Step:
    """A request of a visit, and the seconds that the visitor then takes before the next one."""

    request: Request
    think: float = 0.0


Visit = tuple[Step, ...]
"""One user's requests, in order; a visit of one step is a single request."""


def split(url: str) -> SplitResult:
    """The parts of an http(s) URL with a host; PlanError for anything else."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise PlanError(f"a URL: {error}") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        what = f"{parts.scheme}://{parts.hostname or ''}{parts.path}"
        raise PlanError(f"{clean(what, 200)}: expected http(s)://host…")
    return parts


@dataclass
class Draft:
    """What an importer found in `source`, as far as a plan can hold it.

    `comments` go beside a key, by its path (`scenario.home.rate`); `left_out` says what could not
    be carried over, `told` what else there was to see.
    """

    source: str
    plan: Plan = field(default_factory=lambda: Plan(Target("")))
    comments: dict[str, str] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    secrets: Secrets = field(default_factory=Secrets)

    def leave_out(self, what: str) -> None:
        """Say once that `what` is not in the plan."""
        if what not in self.left_out:
            self.left_out.append(what)

    def tell(self, what: str) -> None:
        """Say something that was found in the source."""
        self.told.append(what)

    def narration(self) -> list[str]:
        """What the user should know beside the plan: what is missing, what has to be set."""
        lines = [*self.told, *(f"not carried over: {what}" for what in self.left_out)]
        for name, meaning in self.secrets.meanings.items():
            lines.append(f"set {name} in the environment: {meaning}")
        return [clean(self.secrets.everywhere(line), 500) for line in lines]

    def compose(
        self,
        shares: Sequence[tuple[Visit, float]],
        why: str,
        target: Target = ANY,
        load: Load = PLAIN,
        stages: tuple[Stage, ...] = (),
    ) -> None:
        """The plan of visits with their rates (1/s), and `why` they are what they are.

        A plan has one target, that of the highest rate: requests to others are left out. PlanError
        if there are none.
        """
        origin = self._target([(step, rate) for visit, rate in shares for step in visit])
        rates: dict[Visit, float] = {}
        for visit, rate in shares:
            here = tuple(step for step in visit if step.request.origin == origin)
            if here:
                rates[here] = rates.get(here, 0.0) + rate
        scenarios: list[Scenario] = []
        for visit, rate in rates.items():
            taken = {scenario.name for scenario in scenarios}
            name = unique("visit" if len(visit) > 1 else _name(visit[0]), taken)
            self.comments[f"scenario.{name}.rate"] = why
            scenarios.append(self._scenario(name, visit, float(f"{rate:.4g}")))
        target = msgspec.structs.replace(target, url=origin)
        self.plan = Plan(target, load, tuple(scenarios), stages=stages)

    def _target(self, steps: Sequence[tuple[Step, float]]) -> str:
        """The origin of the highest rate."""
        rates: dict[str, float] = {}
        for step, rate in steps:
            rates[step.request.origin] = rates.get(step.request.origin, 0.0) + rate
        if not rates:
            raise PlanError(f"{self.source}: it has no request that a plan could make")
        origin = max(rates, key=rates.__getitem__)
        for other in rates:
            if other != origin:
                self.leave_out(f"requests to {other}: a plan has one target, here {origin}")
        return origin

    def _scenario(self, name: str, visit: Visit, rate: float) -> Scenario:
        """A single request, or a visit: each step's pause is that after the one before it."""
        if len(visit) == 1:
            return Scenario(name, rate=rate, **self._sent(visit[0].request))
        steps: list[plan.Step] = []
        for before, step in zip((None, *visit), visit, strict=False):
            think = spelled(Seconds(before.think)) if before and before.think else None
            own = unique(_name(step), {step.name for step in steps})
            steps.append(plan.Step(own, think=think, **self._sent(step.request)))
        return Scenario(name, rate=rate, steps=tuple(steps))

    def _sent(self, request: Request) -> dict[str, Any]:
        """What scenarios and steps have in common: the fields of a request."""
        body = request.body
        if request.file == "-":
            self.leave_out("a body from stdin: give it as a file")
        elif request.file is not None:
            body = f"@{request.file}"
        elif body is not None:
            plain = self._literal(body, "a body")
            body = plain and self.secrets.body(plain)
        path = self.secrets.query(encoded(request.path).replace("${", "%24%7B"))
        sent = {"path": path, "headers": self._headers(request), "method": request.method}
        return sent | ({"multipart": self._multipart(request)} if request.parts else {"body": body})

    def _multipart(self, request: Request) -> dict[str, FieldValue | list[FieldValue] | Upload]:
        """The fields of a form by name, secrets moved; of a name given twice the last."""
        found: dict[str, FieldValue | list[FieldValue] | Upload] = {}
        for name, value in request.parts:
            if name in found:
                self.leave_out(f"all but the last of several fields {name!r} of a form with files")
            if isinstance(value, Upload):
                found[name] = value
            elif self._literal(value, f"the field {name!r}") is not None:
                found[name] = self.secrets.field(name, value)
        return found

    def _headers(self, request: Request) -> dict[str, str]:
        """The headers that a plan can hold; of those given twice the last, cookies joined."""
        kept: dict[str, tuple[str, str]] = {}
        host = request.origin.partition("://")[2]
        for name, value in with_credentials(request):
            low = name.lower()
            is_ours = low in MADE_ANEW and (low != "host" or value == host)
            if is_ours or name.startswith(":"):
                continue
            if not HEADER_NAME.fullmatch(name):
                self.leave_out(f"the header {name!r}: no header is called so")
                continue
            if low in CONDITIONAL:
                self.leave_out(f"the header {name}: with it, answers would be empty (304)")
                continue
            if low == "cookie" and low in kept:
                value = f"{kept[low][1]}; {value}"
            kept[low] = name, value
        return {
            name: self.secrets.header(name, value)
            for name, value in kept.values()
            if self._literal(value, f"the header {name}") is not None
        }

    def _literal(self, text: str, where: str) -> str | None:
        """`text` if a plan takes it as it stands; else None, and it is left out."""
        if text.startswith("@"):
            self.leave_out(f"{where} that begins with `@`, which in a plan names a file")
        elif "${" in text:
            self.leave_out(f"{where} that holds `${{`, which in a plan begins an expression")
        elif where.startswith("the header") and not (text.isascii() and text.isprintable()):
            self.leave_out(f"{where}: it holds characters that are not printable ASCII")
        elif any("\ud800" <= char <= "\udfff" for char in text):
            self.leave_out(f"{where} that is no text: give it as a file")
        else:
            return text
        return None


def _name(step: Step) -> str:
    return scenario_name(step.request.path)[:LONGEST_NAME]


def encoded(path: str) -> str:
    """A path whose characters beyond visible ASCII are percent-encoded (RFC 3986)."""
    return _BEYOND.sub(lambda match: quote(match[0], errors="surrogateescape"), path)


def with_credentials(request: Request) -> tuple[tuple[str, str], ...]:
    """The headers of a request, with Basic credentials that stand in its URL."""
    parts = urlsplit(request.url)
    if parts.username is None or any(n.lower() == "authorization" for n, _ in request.headers):
        return request.headers
    return (*request.headers, basic(unquote(parts.username), unquote(parts.password or "")))


def basic(user: str, password: str) -> tuple[str, str]:
    """The header of Basic authentication (RFC 7617)."""
    token = base64.b64encode(f"{user}:{password}".encode()).decode()
    return "Authorization", f"Basic {token}"
