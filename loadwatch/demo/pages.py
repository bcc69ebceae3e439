"""The pages of the site: what is shown under which path."""

from __future__ import annotations

import gzip
import hashlib
import re
import time
from collections.abc import Callable
from html import escape
from http import HTTPStatus
from pathlib import Path
from string import Template
from urllib.parse import parse_qs

from loadwatch.demo.data import Database
from loadwatch.demo.exchange import LOGIN, Request, Response, refusal
from loadwatch.demo.title import QUERIES

PASSWORD = "heywall"
"""Of every member: there is nothing to be kept from anybody."""

_TEMPLATES = {
    file.stem: Template(file.read_text(encoding="utf-8"))
    for file in Path(__file__).with_name("templates").glob("*.html")
}
_SESSION = re.compile(r"(?:^|;\s*)sessionid=([0-9A-Za-z]+)(?:;|$)")
_GZIP = re.compile(r"(?:^|,)\s*gzip\s*(?:,|$|;\s*q=(?!0(?:\.0*)?\s*(?:,|$)))", re.IGNORECASE)
_GZIP_LEVEL = 6


class Pages:
    """Answers requests from `database`; walls with few queries if `optimised`.

    `compress`: with gzip, where the client accepts it.
    """

    def __init__(self, database: Database, optimised: bool, compress: bool) -> None:
        self._database = database
        self._wall_items = database.wall_joined if optimised else database.wall
        self._compress = compress
        self._routes: tuple[tuple[re.Pattern[str], Callable[..., Response]], ...] = (
            (re.compile(r"/"), self._home),
            (re.compile(r"/wall/([0-9]{1,9})/"), self._wall),
            (re.compile(LOGIN), self._login),
        )

    def answer(self, request: Request) -> bytes:
        """The whole response, with headers that say what it cost: times in ms, and queries."""
        begin = time.perf_counter()
        database = self._database
        database.queries, database.seconds = 0, 0.0
        response = self._page(request)
        if self._compress:
            response = _compressed(response, request.accept_encoding)
        response = _unless_known(response, request.if_none_match)
        taken = time.perf_counter() - begin
        cost = (
            f"queue;dur={request.queued * 1e3:.2f}, app;dur={taken * 1e3:.2f}, "
            f'db;dur={database.seconds * 1e3:.2f};desc="{database.queries} queries", '
            f"render;dur={(taken - database.seconds) * 1e3:.2f}"
        )
        told = (("Server-Timing", cost), (QUERIES, str(database.queries)))
        response = response._replace(headers=(*response.headers, *told))
        return response.encode(request.keep_alive, request.method == "HEAD")

    def _page(self, request: Request) -> Response:
        for pattern, page in self._routes:
            if match := pattern.fullmatch(request.path):
                return page(request, *match.groups())
        return refusal(HTTPStatus.NOT_FOUND)

    def _home(self, request: Request) -> Response:
        newest = (
            _fill("newest", author=author, posted=posted, text=text)
            for author, posted, text in self._database.newest()
        )
        people = (_fill("person", number=user, name=name) for user, name in self._database.users())
        return _document("Hey!", "home", items="".join(newest), people="".join(people))

    def _wall(self, request: Request, number: str) -> Response:
        session = _SESSION.search(request.cookie)
        if session is None or not self._database.has_session(session[1]):
            return Response(HTTPStatus.FOUND, headers=(("Location", LOGIN),))
        owner = self._database.name(int(number))
        if owner is None:
            return refusal(HTTPStatus.NOT_FOUND)
        items = [
            _fill("item", number=position, **item._asdict())
            for position, item in enumerate(self._wall_items(int(number)), start=1)
        ]
        return _document(f"{owner}'s wall", "wall", count=str(len(items)), items="".join(items))

    def _login(self, request: Request) -> Response:
        """The form; who sends it with a member's name and the password gets the one session."""
        if request.method != "POST":
            return _document("Please log in", "login")
        sent = {name: values[0] for name, values in parse_qs(request.body).items()}
        ids = {name.lower().replace(" ", "."): user for user, name in self._database.users()}
        user = ids.get(sent.get("name", ""))
        if user is None or (sent.get("password"), sent.get("form")) != (PASSWORD, "login"):
            return _document("Please log in: that was no member and password", "login")
        cookie = f"sessionid={self._database.session}; Path=/; HttpOnly"
        headers = (("Location", f"/wall/{user}/"), ("Set-Cookie", cookie))
        return Response(HTTPStatus.FOUND, headers=headers)


def _fill(template: str, **values: object) -> str:
    """`template` with `values` as text."""
    return _TEMPLATES[template].substitute({k: escape(str(v)) for k, v in values.items()})


def _document(title: str, template: str, **markup: str) -> Response:
    """A whole page: `template` filled with `markup`, inside the layout."""
    content = _TEMPLATES[template].substitute(markup)
    page = _TEMPLATES["layout"].substitute(title=escape(title), content=content)
    return Response(HTTPStatus.OK, page.encode())


def _compressed(response: Response, accept_encoding: str) -> Response:
    headers = (*response.headers, ("Vary", "Accept-Encoding"))
    if not response.body or not _GZIP.search(accept_encoding):
        return response._replace(headers=headers)
    body = gzip.compress(response.body, _GZIP_LEVEL, mtime=0)
    return Response(response.status, body, (*headers, ("Content-Encoding", "gzip")))


def _unless_known(response: Response, known: str) -> Response:
    """`response` with its entity tag; without its body for who has that one already."""
    if response.status is not HTTPStatus.OK:
        return response
    tag = f'"{hashlib.blake2b(response.body, digest_size=8).hexdigest()}"'
    headers = (*response.headers, ("ETag", tag))
    if known == tag:
        return Response(HTTPStatus.NOT_MODIFIED, headers=headers)
    return response._replace(headers=headers)
