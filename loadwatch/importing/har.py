"""HAR files (HTTP Archive 1.2, http://www.softwareishard.com/blog/har-12-spec/) as one visit."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace
from datetime import datetime
from urllib.parse import urlencode, urlsplit

import msgspec

from loadwatch.core.errors import PlanError
from loadwatch.importing.draft import FIRST_RATE, Draft, Request, Step, Visit
from loadwatch.importing.static import is_static

Headers = tuple[tuple[str, str], ...]

PAUSE = 0.1
"""Seconds between requests from which on somebody took them, and not the browser."""


class _Pair(msgspec.Struct, frozen=True):
    name: str
    value: str = ""


class _Post(msgspec.Struct, frozen=True, rename="camel"):
    mime_type: str = ""
    text: str | None = None
    params: list[_Pair] = []


class _Request(msgspec.Struct, frozen=True, rename="camel"):
    method: str
    url: str
    headers: list[_Pair] = []
    post_data: _Post | None = None


class _Content(msgspec.Struct, frozen=True, rename="camel"):
    mime_type: str | None = None


class _Response(msgspec.Struct, frozen=True):
    status: int = 0
    cookies: list[_Pair] = []
    content: _Content = _Content()


class _Entry(msgspec.Struct, frozen=True, rename="camel"):
    started_date_time: datetime
    request: _Request
    response: _Response
    time: float | None = None


class _Log(msgspec.Struct, frozen=True):
    entries: list[_Entry]


class _Archive(msgspec.Struct, frozen=True):
    log: _Log


def read(
    data: bytes,
    name: str,
    rate: float | None = None,
    hosts: Collection[str] = (),
    with_static: bool = False,
) -> Draft:
    """The visit that the archive called `name` recorded, `rate` times per second.

    Only requests to `hosts`; unless given, to that of the first one. PlanError if it is no archive.
    """
    draft = Draft(f"the recording {name}")
    try:
        entries = msgspec.json.decode(data.removeprefix(b"\xef\xbb\xbf"), type=_Archive).log.entries
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise PlanError(f"{name}: no HAR file: {error}") from None
    kept = _chosen(draft, entries, hosts, with_static)
    why = "as asked for by --rate" if rate else "visits per second: begin low"
    draft.compose([(_visit(draft, kept), rate or FIRST_RATE)] if kept else [], why)
    return draft


def _chosen(
    draft: Draft, entries: list[_Entry], hosts: Collection[str], with_static: bool
) -> list[_Entry]:
    """The requests of the visit, in the order in which they began."""
    kept: list[_Entry] = []
    static = 0
    for entry in sorted(entries, key=lambda entry: entry.started_date_time.timestamp()):
        parts = urlsplit(entry.request.url)
        host = parts.hostname or ""
        if parts.scheme not in ("http", "https"):
            draft.leave_out(f"requests of the kind {parts.scheme}:")
        elif hosts and host not in hosts:
            draft.leave_out(f"requests to {host}")
        elif not entry.response.status:
            draft.leave_out(f"{host}{parts.path}: it was blocked or cancelled")
        elif not with_static and is_static(parts.path, entry.response.content.mime_type or ""):
            static += 1
        else:
            hosts = hosts or {host}
            kept.append(entry)
    if static:
        draft.leave_out(f"{static} static files (--static takes them in)")
    return kept


def _visit(draft: Draft, entries: list[_Entry]) -> Visit:
    """The requests, and between them the pauses in which nothing was under way."""
    steps: list[Step] = []
    given: set[str] = set()
    ends = [e.started_date_time.timestamp() + max(0.0, e.time or 0.0) / 1000 for e in entries]
    for number, entry in enumerate(entries):
        think = 0.0
        if number + 1 < len(entries):
            following = entries[number + 1].started_date_time.timestamp()
            think = round(following - max(ends[: number + 1]), 2)
        request = _request(draft, entry.request)
        request = replace(request, headers=tuple(_without(request.headers, given)))
        steps.append(Step(request, think if think >= PAUSE else 0.0))
        given |= {cookie.name for cookie in entry.response.cookies}
    if given:
        names = ", ".join(sorted(given))
        draft.leave_out(f"the values of cookies that the site sets in the visit: {names}")
    return tuple(steps)


def _without(headers: Headers, cookies: Collection[str]) -> Iterator[tuple[str, str]]:
    """The headers without those cookies that a visit's own jar will hold by then."""
    for name, value in headers:
        if name.lower() == "cookie":
            pairs = map(str.strip, value.split(";"))
            value = "; ".join(pair for pair in pairs if pair.partition("=")[0] not in cookies)
        if value or name.lower() != "cookie":
            yield name, value


def _request(draft: Draft, request: _Request) -> Request:
    headers = [(pair.name, pair.value) for pair in request.headers]
    body = None
    post = request.post_data
    if post is not None:
        body = post.text or urlencode([(pair.name, pair.value) for pair in post.params]) or None
        if body is None:
            draft.leave_out(f"{urlsplit(request.url).path}: its body was not recorded")
        if post.mime_type and "content-type" not in {name.lower() for name, _ in headers}:
            headers.append(("Content-Type", post.mime_type))
    return Request(request.url, request.method, tuple(headers), body)
