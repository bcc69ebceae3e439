"""Access logs of nginx and Apache, in the common or the combined format.

https://httpd.apache.org/docs/2.4/logs.html#accesslog and
https://nginx.org/en/docs/http/ngx_http_log_module.html; within quotes nginx writes `\\xXX`, Apache
also `\\"`, `\\\\` and the letters of C.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from itertools import pairwise
from statistics import median
from typing import NamedTuple

from loadwatch.core.errors import PlanError
from loadwatch.importing.draft import Draft, Request, Step, Visit
from loadwatch.importing.static import is_static

HOUR = 3600
"""Seconds of the busiest stretch."""

GAP = 1800
"""Seconds without a request after which a client's next one begins another visit."""

MOST = 20
"""Kinds of pages that get a scenario each, unless told."""

_LINE = re.compile(
    r"(?:\S+:\d+ )?(?P<client>\S+) \S+ .*?\[(?P<time>[^\]]+)\] "
    r'"(?P<request>(?:[^"\\]|\\.)*)" (?P<status>\d\d\d) (?:\d+|-)'
    r'(?: "(?:[^"\\]|\\.)*" "(?P<agent>(?:[^"\\]|\\.)*)")?'
)
_REQUEST = re.compile(r"(?P<method>[A-Z]+) (?P<path>/\S*)(?: HTTP/[\d.]+)?")
_ESCAPE = re.compile(r"\\(?:x([0-9A-Fa-f]{2})|(.))")
_TIME = re.compile(r"(\d\d)/(\w{3})/(\d{4}):(\d\d):(\d\d):(\d\d) ([+-])(\d\d)(\d\d)")
_MONTHS = {name: number for number, name in enumerate(
    ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"), 1
)}  # fmt: skip
_NUMBER = re.compile(r"(?<=/)(?:\d+|[0-9a-f]{8}-[0-9a-f-]{27}|[0-9a-f]{16,})(?=[/.?]|$)", re.I)


class Hit(NamedTuple):
    """A request of a log: when (seconds, UTC), of whom, and which path with its query."""

    at: int
    client: str
    path: str


def read(
    lines: Iterable[str],
    name: str,
    target: str,
    rate: float | None = None,
    with_static: bool = False,
    most: int = MOST,
    sampled: int = 0,
) -> Draft:
    """The mix of pages of a log called `name`, at the rate (1/s) of its busiest hour unless told.

    Pages that differ in a number only are one kind, for which the most frequent stands; the `most`
    frequent kinds share the rate. With `sampled`, so many visits stand for all of them instead, at
    the rate at which visits began. PlanError if there is none.
    """
    draft = Draft(f"the access log {name}")
    draft.leave_out("cookies and logins: a log does not have them")
    hits = hits_of(draft, lines, with_static)
    if not hits:
        raise PlanError(f"{name}: it has no request that a plan could make")
    begin, count, seconds = busiest([hit.at for hit in hits])
    draft.tell(
        f"Busiest {'hour' if seconds == HOUR else f'{seconds} s'}: {count:,} requests from"
        f" {datetime.fromtimestamp(begin, UTC):%Y-%m-%d %H:%M} UTC on, {count / seconds:.4g}"
        f" per second, of {len(hits):,} in the log."
    )
    found = visits(hits)
    _tell_visits(draft, found)
    origin = target.rstrip("/")
    if sampled:
        _, count, seconds = busiest(sorted(visit[0].at for visit in found))
        chosen = sample(found, sampled)
        each = (rate or count / seconds) / len(chosen)
        draft.compose(
            [(_steps(origin, visit), each) for visit in chosen],
            "its share of the visits per second",
        )
        return draft
    whole = rate or count / seconds
    shares = _mix(draft, Counter(hit.path for hit in hits), most)
    why = "its share of the rate asked for by --rate" if rate else "its share of the busiest hour"
    draft.compose(
        [((Step(Request(origin + path)),), whole * share) for path, share in shares], why
    )  # fmt: skip
    return draft


def hits_of(draft: Draft, lines: Iterable[str], with_static: bool) -> list[Hit]:
    """The requests that a plan can make, by their times; why the others cannot is said."""
    hits: list[Hit] = []
    passed_over: Counter[str] = Counter()
    for line in filter(str.strip, lines):
        match = _LINE.match(line)
        at = None if match is None else _seconds(match["time"])
        if match is None or at is None:
            passed_over["their lines are not in the common or the combined format"] += 1
            continue
        request = _REQUEST.fullmatch(_ESCAPE.sub(_unescaped, match["request"]))
        why = _why_not(request, match["status"], with_static)
        if request is None or why:
            passed_over[why] += 1
        else:
            hits.append(Hit(at, f"{match['client']} {match['agent']}", request["path"]))
    for why, count in passed_over.items():
        draft.leave_out(f"{count:,} requests: {why}")
    return sorted(hits)


def _why_not(request: re.Match[str] | None, status: str, with_static: bool) -> str:
    """Why a request is not for the plan; empty if it is."""
    if request is None:
        return "no HTTP request to this site"
    if request["method"] != "GET":
        return f"{request['method']}, of which a log does not have the body"
    if status[0] in "45":
        return "answered with an error"
    if not with_static and is_static(request["path"].partition("?")[0]):
        return "static files (--static takes them in)"
    return ""


@lru_cache(1024)  # neighbouring lines have the same second
def _seconds(text: str) -> int | None:
    """`25/Nov/2026:04:00:01 +0100` as seconds since 1970; None if it is none."""
    match = _TIME.fullmatch(text)
    if match is None or match[2] not in _MONTHS:
        return None
    day, month, year, hour, minute, second, sign, hours, minutes = match.groups()
    offset = timedelta(hours=int(hours), minutes=int(minutes)) * (-1 if sign == "-" else 1)
    try:
        moment = datetime(
            int(year), _MONTHS[month], int(day), int(hour), int(minute), min(int(second), 59),
            tzinfo=timezone(offset),
        )  # fmt: skip
    except ValueError:
        return None
    return int(moment.timestamp())


def _unescaped(match: re.Match[str]) -> str:
    """A byte or a character; bytes beyond ASCII as surrogates (PEP 383), as they may be a part."""
    if match[1] is None:
        return match[2]
    return bytes([int(match[1], 16)]).decode("ascii", "surrogateescape")


def busiest(times: Sequence[int], window: int = HOUR) -> tuple[int, int, int]:
    """Begin, number and seconds of the `window` with most of the sorted `times` (s).

    Where they span less than a window, it is as long as they.
    """
    seconds = min(window, times[-1] - times[0] + 1)
    best, begin, first = 0, times[0], 0
    for last, at in enumerate(times):
        while times[first] <= at - seconds:
            first += 1
        if last - first + 1 > best:
            best, begin = last - first + 1, times[first]
    return begin, best, seconds


def visits(hits: Sequence[Hit], gap: int = GAP) -> list[list[Hit]]:
    """The hits by visit: of one client, with less than `gap` seconds between two."""
    found: list[list[Hit]] = []
    newest: dict[str, list[Hit]] = {}
    for hit in hits:
        visit = newest.get(hit.client)
        if visit is None or hit.at - visit[-1].at >= gap:
            newest[hit.client] = visit = []
            found.append(visit)
        visit.append(hit)
    return found


def sample(found: Sequence[list[Hit]], number: int) -> list[list[Hit]]:
    """So many visits for all of them: of as many equal groups, by length, the middle ones."""
    ordered = sorted(found, key=lambda visit: (len(visit), [hit.path for hit in visit]))
    number = min(number, len(ordered))
    return [ordered[(2 * group + 1) * len(ordered) // (2 * number)] for group in range(number)]


def _steps(origin: str, visit: Sequence[Hit]) -> Visit:
    """A visit's requests, with the pauses between them."""
    pauses = [float(after.at - before.at) for before, after in pairwise(visit)]
    return tuple(
        Step(Request(origin + hit.path), pause)
        for hit, pause in zip(visit, [*pauses, 0.0], strict=True)
    )


def _tell_visits(draft: Draft, found: list[list[Hit]]) -> None:
    """How users behaved: `loadwatch users` and visits want to know."""
    pauses = [after.at - before.at for visit in found for before, after in pairwise(visit)]
    each = sum(map(len, found)) / len(found)
    _, count, seconds = busiest(sorted(visit[0].at for visit in found))
    pause = f" with {median(pauses):g} s between two (median)" if pauses else ""
    draft.tell(
        f"Visits (one client, pauses under {GAP // 60} min): {len(found):,}, of {each:.3g} requests"
        f"{pause}; {count:,} began in the busiest {'hour' if seconds == HOUR else f'{seconds} s'}."
    )


def _mix(draft: Draft, counts: Counter[str], most: int) -> list[tuple[str, float]]:
    """The pages that stand for the most frequent kinds, and the share of each; in all 1."""
    kinds: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for path, count in counts.items():
        kinds[_NUMBER.sub("*", path.partition("?")[0])][path] = count
    totals = Counter({kind: pages.total() for kind, pages in kinds.items()})
    chosen = totals.most_common(most)
    covered = sum(count for _, count in chosen)
    if len(totals) > most:
        rest = totals.total() - covered
        draft.leave_out(
            f"{rest:,} requests for {len(totals) - most:,} rarer pages,"
            f" {rest / totals.total():.1%}; the others have their share"
        )
    shares = []
    for kind, count in chosen:
        (page, _), *others = kinds[kind].most_common()
        if others:
            draft.leave_out(f"{len(others):,} more pages like {kind}: one stands for all of them")
        shares.append((page, count / covered))
    return shares
