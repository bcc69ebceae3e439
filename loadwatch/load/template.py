"""A scenario's requests, each with its own values: made ready once, then only bytes are joined.

httpx builds the request with a mark for every expression (`core.expression`); what it made is cut
at the marks. All values of a table's rows are encoded then, so that a request costs one `%`.
"""

from __future__ import annotations

import operator
import random
import re
import secrets
import uuid
from collections.abc import Callable, Iterator
from itertools import count, repeat
from typing import NamedTuple
from urllib.parse import quote

from loadwatch.core.errors import PlanError
from loadwatch.core.expression import Column, Expression, Random, Sequence, Uuid, parse
from loadwatch.load.data import rows_for
from loadwatch.load.messages import Job, ScenarioJob, Table
from loadwatch.load.request import build, render

Encode = Callable[[str], bytes]
"""How a value is written where its expression stands."""

Cells = tuple[bytes, ...]
"""The values of one request, in the order of a template's holes."""

_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *\d+(?=\r\n|\Z)")
_BARE_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_HEAD_END = b"\r\n\r\n"


class Hole(NamedTuple):
    """Where a value goes: which, and how it is written there."""

    expression: Expression
    encode: Encode


class Template(NamedTuple):
    """A request as two `%` formats, of its head and its body, and the holes of both in order.

    Where the body has holes, the last of the head's is the length of the body.
    """

    head: bytes
    head_holes: tuple[Hole, ...]
    body: bytes
    body_holes: tuple[Hole, ...]


def all_requests(job: Job) -> dict[str, Iterator[bytes]]:
    """The requests of each scenario, rendered one by one; they end where a table's rows do.

    Scenarios that use the same table share its rows. PlanError for what cannot be sent.
    """
    rows = {table.name: rows_for(table, job) for table in job.data}
    requests = {}
    for scenario in job.scenarios:
        try:
            requests[scenario.name] = _requests(job, scenario, rows)
        except PlanError as error:  # it quotes nothing of the scenario's secrets
            raise PlanError(f"scenario.{scenario.name}: {error}") from None
    return requests


def prepare(job: Job, scenario: ScenarioJob) -> Template:
    """The scenario's template. PlanError where httpx refuses it."""
    marks = _Marks()
    path, body = scenario.path, scenario.body
    in_path = in_url
    if path.startswith("${"):
        path, in_path = "/" + path, from_root
    request = build(
        job.url,
        marks.put(path, in_url, first=in_path),
        {name: marks.put(value, in_header) for name, value in scenario.headers.items()},
        job.keep_alive,
        scenario.method,
        None if body is None else marks.put(_text(body), in_body).encode(errors="surrogateescape"),
        compression=job.compression,
    )
    head, end, content = render(request).partition(_HEAD_END)
    body_format, body_holes = marks.cut(content)
    if body_holes:
        bare = _LENGTH.sub(b"", head)
        head_format, head_holes = marks.cut(bare)
        return Template(
            head_format + b"\r\nContent-Length: %d" + end, head_holes, body_format, body_holes
        )
    head_format, head_holes = marks.cut(head)
    return Template(head_format + end, head_holes, body_format, ())


def _requests(job: Job, scenario: ScenarioJob, rows: dict[str, Iterator[int]]) -> Iterator[bytes]:
    template = prepare(job, scenario)
    holes = (*template.head_holes, *template.body_holes)
    if not holes:
        return repeat((template.head + template.body) % ())
    cells = _cells(job, scenario.name, holes, rows)
    if not template.body_holes:
        return map(operator.mod, repeat(template.head + template.body), cells)
    return map(_with_length, repeat(template), cells)


def _with_length(template: Template, cells: Cells) -> bytes:
    middle = len(template.head_holes)
    body = template.body % cells[middle:]
    return template.head % (*cells[:middle], len(body)) + body


def _cells(
    job: Job, scenario: str, holes: tuple[Hole, ...], rows: dict[str, Iterator[int]]
) -> Iterator[Cells]:
    """The values of each request: an expression has one value in all of it."""
    tables = {table.name: table for table in job.data}
    sources: list[Iterator[Cells]] = []
    places: dict[Hole, tuple[int, int]] = {}
    groups: dict[str | Expression, list[Hole]] = {}
    for hole in holes:
        expression = hole.expression
        group: str | Expression = expression
        if isinstance(expression, Column):
            group = expression.table
        groups.setdefault(group, []).append(hole)
    for group, own in groups.items():
        if isinstance(group, str):
            sources.append(map(_encoded(tables[group], own).__getitem__, rows[group]))
        else:
            sources.append(_spread(_values(job, scenario, own[0].expression), own))
        places |= {hole: (len(sources) - 1, index) for index, hole in enumerate(own)}
    if len(sources) == 1:
        return sources[0]
    order = [places[hole] for hole in holes]
    return (
        tuple(drawn[source][at] for source, at in order) for drawn in zip(*sources, strict=False)
    )


def _encoded(table: Table, holes: list[Hole]) -> list[Cells]:
    """The values that `holes` get of each row."""
    columns = []
    for hole in holes:
        assert isinstance(hole.expression, Column)
        at = table.columns.index(hole.expression.name)
        column = []
        for number, row in enumerate(table.rows, 1):
            try:
                column.append(hole.encode(row[at]))
            except ValueError as error:
                where = f"${{{table.name}.{hole.expression.name}}}"
                raise PlanError(f"{where}: row {number}: {error}") from None
        columns.append(column)
    return list(zip(*columns, strict=True))


def _spread(values: Iterator[str], holes: list[Hole]) -> Iterator[Cells]:
    for value in values:
        yield tuple(hole.encode(value) for hole in holes)


def _values(job: Job, scenario: str, expression: Expression) -> Iterator[str]:
    """The values of an expression that no table gives, one for each request of this worker."""
    match expression:
        case Sequence():
            return map(str, count(job.worker + 1, job.workers))
        case Uuid():
            return (str(uuid.uuid4()) for _ in repeat(None))
        case Random(low, high):
            draw = random.Random(f"{job.seed}/{scenario}/{job.worker}/{low}/{high}").random
            return (str(low + int(draw() * (high - low + 1))) for _ in repeat(None))
    raise AssertionError(expression)  # the environment is filled in long before


class _Marks:
    """What stands for the expressions in what httpx gets, and is found in what it makes."""

    def __init__(self) -> None:
        self._name = f"loadwatch{secrets.token_hex(8)}x"
        self._holes: list[Hole] = []

    def put(self, text: str, encode: Encode, first: Encode | None = None) -> str:
        """`text` with a mark for every expression; the `first` may be encoded in its own way."""
        marked = []
        for part in parse(text):
            if isinstance(part, str):
                marked.append(part)
            else:
                marked.append(f"{self._name}{len(self._holes)}x")
                self._holes.append(Hole(part, first or encode))
                first = None
        return "".join(marked)

    def cut(self, made: bytes) -> tuple[bytes, tuple[Hole, ...]]:
        """`made` as a `%` format, and what goes into it."""
        parts = re.split(rb"%s(\d+)x" % self._name.encode(), made.replace(b"%", b"%%"))
        return b"%b".join(parts[::2]), tuple(self._holes[int(n)] for n in parts[1::2])


def in_url(value: str) -> bytes:
    """A value in a path or query: `/ ? & =` and `%2F` keep their meaning, the rest is quoted."""
    return quote(_BARE_PERCENT.sub("%25", value), safe="!$&'()*+,;=:@/?%").encode()


def from_root(value: str) -> bytes:
    """A value that a path begins with: the path is one from the root, whoever writes the slash."""
    return in_url(value.removeprefix("/"))


def in_header(value: str) -> bytes:
    """A value in a header's; ValueError for what would break out of it, or is not ASCII."""
    if not value.isascii() or any(ord(char) < 32 or ord(char) == 127 for char in value):
        raise ValueError("a header cannot hold it (a control character, or not ASCII)")
    return value.encode()


def in_body(value: str) -> bytes:
    """A value in a body, as it stands."""
    return value.encode(errors="surrogateescape")


def _text(body: bytes) -> str:
    return body.decode(errors="surrogateescape")
