"""httperf's command lines, and its files of sessions (httperf.1, version 0.9)."""

from __future__ import annotations

import itertools
import re
import shlex
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urljoin

from loadwatch.core.errors import PlanError
from loadwatch.core.plan import Load, Seconds, Target
from loadwatch.importing.draft import FIRST_RATE, Draft, Request, Step, Visit
from loadwatch.importing.words import names, options

_LONG = (
    "add-header=", "burst-length=", "client=", "close-with-reset", "debug=", "failure-status=",
    "help", "hog", "http-version=", "max-connections=", "max-piped-calls=", "method=",
    "no-host-hdr", "num-calls=", "num-conns=", "period=", "port=", "rate=", "recv-buffer=",
    "retry-on-failure", "send-buffer=", "server=", "server-name=", "session-cookies", "ssl",
    "ssl-ciphers=", "ssl-no-reuse", "think-timeout=", "timeout=", "uri=", "verbose", "version",
    "wlog=", "wsess=", "wsesslog=", "wset=",
)  # fmt: skip

_CARRIED = names(
    """add-header method num-calls num-conns period port rate server server-name ssl timeout
    uri wsess wsesslog burst-length session-cookies"""
)

_SILENT = names("client debug help hog print-reply print-request verbose version")
"""What changes nothing about the requests."""

_WHY_NOT = {
    "think-timeout": "the time for an answer is target.timeout",
    "wlog": "give the list to `loadwatch import urls`",
    "ssl-ciphers": "ciphers are OpenSSL's choice",
}
_ESCAPE = re.compile(r"\\(?:([0-7]{1,3})|(.))", re.DOTALL)

BURSTS = "calls of one burst at the same time: they follow one another"


def read(words: list[str], rate: float | None = None) -> Draft:
    """The plan of one command line; `rate` (1/s) instead of its own. PlanError for a wrong one."""
    if Path(words[0]).name != "httperf":
        raise PlanError(f"expected an httperf command, got {words[0]!r}")
    draft = Draft("an httperf command line")
    printing = [word for word in words if not word.startswith("--print-re")]  # takes =X or nothing
    found, rest = options(printing, "hvVd:", _LONG, {"d": "debug", "v": "verbose", "h": "help"})
    for option, _ in found:
        if option not in _CARRIED | _SILENT:
            why = _WHY_NOT.get(option, "no such thing in a plan")
            draft.leave_out(f"--{option}: {why}")
    for word in rest:
        draft.leave_out(f"{word}: no option of httperf")
    try:
        _compose(draft, dict(found), _headers(found), rate)
    except ValueError as error:
        raise PlanError(f"httperf: {error}") from None
    return draft


def _headers(found: list[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """What `--add-header` adds, line by line; later options come after earlier ones."""
    text = "\n".join(_unescape(value) for option, value in found if option == "add-header")
    pairs = (line.partition(":") for line in re.split(r"[\r\n]+", text) if line.strip())
    return tuple((name.strip(), value.strip()) for name, _, value in pairs)


def _unescape(text: str) -> str:
    """httperf's escapes; a shell leaves them in double quotes."""
    named = {"n": "\n", "r": "\r", "a": "\n"}
    return _ESCAPE.sub(lambda m: chr(int(m[1], 8)) if m[1] else named.get(m[2], m[2]), text)


def _compose(
    draft: Draft, found: dict[str, str], headers: tuple[tuple[str, str], ...], rate: float | None
) -> None:
    """Make the draft's plan; ValueError for a number that is none."""
    scheme = "https" if "ssl" in found else "http"
    port = f":{int(found['port'])}" if "port" in found else ""
    if "server-name" in found:
        headers = (("Host", found["server-name"]), *headers)
    path = found.get("uri", "/")
    path = path if path.startswith("/") else f"/{path}"
    url = f"{scheme}://{found.get('server', 'localhost')}{port}{path}"
    page = Request(url, found.get("method", "GET"), headers)
    visits, load = _workload(draft, found, page)
    of_line, arrival = _arrivals(draft, found)
    each = rate or of_line
    calls = int(found.get("num-calls", 1))
    kind = "sessions" if load.pop("sessions") else "connections"
    why = f"{kind} per second: --rate, --period"
    if calls > 1 and kind == "connections":
        each *= calls
        why = f"{of_line:g} connections per second of {calls} requests each"
    if rate:
        each, why = rate, "as asked for by --rate"
    elif not each:
        load["connections"] = 1
        draft.comments["load.connections"] = "without --rate, httperf makes one after the other"
        each, why = FIRST_RATE, "of no effect in a closed loop"
    draft.comments["target.timeout"] = (
        "counted from the instant a request was due"
        if "timeout" in found
        else "httperf would wait for ever"
    )
    timeout = Seconds(float(found["timeout"])) if "timeout" in found else Target("").timeout
    shares = [(visit, each / len(visits)) for visit in visits]
    draft.compose(shares, why, Target("", timeout), Load(arrival=arrival, **load))


def _arrivals(draft: Draft, found: dict[str, str]) -> tuple[float, Literal["uniform", "poisson"]]:
    """The rate (1/s; 0 is one after the other), and how they come."""
    if "period" not in found:
        return float(found.get("rate", 0)), "uniform"
    kind, times = re.fullmatch(r"([a-z]?)(.*)", found["period"], re.DOTALL).groups()  # type: ignore[union-attr]
    numbers = [float(number) for number in times.split(",")]
    mean = sum(numbers) / len(numbers) if kind == "u" else numbers[0]
    if kind not in ("", "d", "e"):
        draft.leave_out(f"--period={found['period']}: these gaps; they are Poisson's here")
    return (1 / mean if mean else 0.0), "uniform" if kind in ("", "d") else "poisson"


def _workload(
    draft: Draft, found: dict[str, str], page: Request
) -> tuple[list[Visit], dict[str, Any]]:
    """What is requested, and of `[load]`: how many, and on what connections."""
    load: dict[str, Any] = {"sessions": True}
    if "wsesslog" in found:
        number, think, file = found["wsesslog"].split(",", 2)
        visits = list(_logged(draft, Path(file), page, float(think)))
        rounds = itertools.islice(itertools.cycle(visits), int(number))
        return visits, load | {"requests": sum(map(len, rounds))}
    if "wsess" in found:
        number, calls, think = found["wsess"].split(",")
        length = int(found.get("burst-length", 1))
        pauses = [0.0 if call % length else float(think) for call in range(1, int(calls) + 1)]
        if length > 1:
            draft.leave_out(BURSTS)
        visit = tuple(Step(page, pause) for pause in pauses)
        return [visit], load | {"requests": int(number) * int(calls)}
    calls_each = int(found.get("num-calls", 1))
    if calls_each > 1:
        draft.leave_out(f"--num-calls={calls_each}: a connection is kept as long as it holds")
    requests = int(found.get("num-conns", 1)) * calls_each
    return [(Step(page),)], {"sessions": False, "requests": requests, "keep_alive": calls_each > 1}


def _logged(draft: Draft, file: Path, page: Request, think: float) -> Iterator[Visit]:
    """The sessions of a --wsesslog file; its URIs on the server of `page`, `think` unless given."""
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise PlanError(f"--wsesslog: {file}: {error.strerror}") from None
    lines = [line for line in text.replace("\\\n", "\\n").split("\n") if line[:1] != "#"]
    for has_text, session in itertools.groupby(lines, lambda line: bool(line.strip())):
        if not has_text:
            continue
        steps: list[Step] = []
        pause = think
        for line in session:
            uri, *settings = shlex.split(line)
            given = dict(setting.partition("=")[::2] for setting in settings)
            if line[0].isspace() and steps:
                steps[-1] = replace(steps[-1], think=0.0)
                draft.leave_out(BURSTS)
            else:
                pause = float(given.get("think", think))
            body = _unescape(given["contents"]) if "contents" in given else None
            request = replace(
                page, url=urljoin(page.url, uri), method=given.get("method", "GET"), body=body
            )
            steps.append(Step(request, pause))
        yield tuple(steps)
