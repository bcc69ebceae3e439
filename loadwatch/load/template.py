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
from collections.abc import Callable, Collection, Iterator, Mapping
from itertools import count, repeat
from typing import Any, NamedTuple
from urllib.parse import quote, quote_plus, urlencode

import msgspec

from loadwatch.core.errors import PlanError
from loadwatch.core.expression import Column, Expression, Random, Sequence, Taken, Uuid, parse
from loadwatch.load.answer import Checked
from loadwatch.load.data import SESSION, rows_for
from loadwatch.load.messages import Job, Part, ScenarioJob, Table
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
    """A request as `%` formats of its head and its body, and of what its answer must contain.

    Where the body has holes, the head has one more, for the length of the body.
    """

    head: bytes
    head_holes: tuple[Hole, ...]
    body: bytes
    body_holes: tuple[Hole, ...]
    contains: bytes = b""
    contains_holes: tuple[Hole, ...] = ()
    max_bytes: int | None = None
    is_checked: bool = False

    @property
    def holes(self) -> tuple[Hole, ...]:
        """All of them, in the order in which `fill` takes their values."""
        return self.head_holes + self.body_holes + self.contains_holes

    def fill(self, cells: Cells) -> bytes:
        """The request with these values in its holes."""
        middle, end = len(self.head_holes), len(self.head_holes) + len(self.body_holes)
        body = self.body % cells[middle:end]
        length = (len(body),) if self.body_holes else ()
        request = self.head % (*cells[:middle], *length) + body
        if not self.is_checked:
            return request
        return Checked(request, self.contains % cells[end:], self.max_bytes)

    def filled(self, drawn: Mapping[Hole, bytes], taken: Mapping[str, str]) -> bytes:
        """The request of a visit that drew and took these."""
        return self.fill(
            tuple(
                hole.encode(taken[hole.expression.name])
                if isinstance(hole.expression, Taken)
                else drawn[hole]
                for hole in self.holes
            )
        )


def all_requests(job: Job) -> dict[str, Iterator[bytes]]:
    """The requests of each scenario, rendered one by one; they end where a table's rows do.

    Scenarios that use the same table share its rows. PlanError for what cannot be sent.
    """
    rows = Rows(job)
    return {scenario.name: rows.requests(scenario) for scenario in job.scenarios}


class Script(NamedTuple):
    """The steps of a visit as templates, and what each visit draws for them."""

    templates: list[Template]
    draws: Iterator[Mapping[Hole, bytes]]


class Rows:
    """The rows of a job's tables, which its scenarios share."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._sessions: list[tuple[list[Hole], list[Cells]]] = []
        self.numbers = {table.name: rows_for(table, job) for table in job.data}

    def encoded(self, table: Table, holes: list[Hole]) -> list[Cells]:
        """The values that `holes` get of each row."""
        cells = _encoded(table, holes)
        if any(hole.expression == Column(table.name, SESSION) for hole in holes):
            self._sessions.append((holes, cells))
        return cells

    def renew(self, row: int, session: str) -> None:
        """The user of this row (from 0) has another session."""
        for holes, cells in self._sessions:
            cells[row] = tuple(
                hole.encode(session)
                if isinstance(hole.expression, Column) and hole.expression.name == SESSION
                else cell
                for hole, cell in zip(holes, cells[row], strict=True)
            )

    def requests(self, scenario: ScenarioJob) -> Iterator[bytes]:
        """The requests of a scenario, of visits their first ones. PlanError for what cannot be."""
        if scenario.steps:
            script = self.script(scenario)
            return (script.templates[0].filled(drawn, {}) for drawn in script.draws)
        try:
            return _requests(self._job, scenario, self)
        except PlanError as error:  # it quotes nothing of the scenario's secrets
            raise PlanError(f"scenario.{scenario.name}: {error}") from None

    def script(self, scenario: ScenarioJob) -> Script:
        """The visits of a scenario: one row of each table, and one number of each kind, in all of
        a visit. PlanError for what cannot be sent.
        """
        templates = []
        for step in scenario.steps:
            try:
                templates.append(prepare(self._job, step))
            except PlanError as error:
                raise PlanError(f"scenario.{scenario.name}.step.{step.name}: {error}") from None
        every = dict.fromkeys(hole for template in templates for hole in template.holes)
        holes = tuple(hole for hole in every if not isinstance(hole.expression, Taken))
        if not holes:
            return Script(templates, repeat({}))
        try:
            cells = _cells(self._job, scenario.name, holes, self)
        except PlanError as error:
            raise PlanError(f"scenario.{scenario.name}: {error}") from None
        return Script(templates, (dict(zip(holes, drawn, strict=True)) for drawn in cells))


def prepare(job: Job, scenario: ScenarioJob) -> Template:
    """The scenario's template. PlanError where httpx refuses it."""
    marks = _Marks(scenario.taken)
    request = build(
        job.url,
        _path(scenario, marks),
        {name: marks.put(value, in_header) for name, value in scenario.headers.items()},
        job.keep_alive,
        scenario.method,
        compression=job.compression,
        **_content(scenario, marks),
    )
    head, end, content = render(request).partition(_HEAD_END)
    body, body_holes = marks.cut(content)
    if body_holes:
        head, end = _LENGTH.sub(b"", head), b"\r\nContent-Length: %d" + end
    head, head_holes = marks.cut(head)
    contains, contains_holes = marks.cut(_bytes(marks.put(scenario.contains or "", in_body)))
    return Template(
        head + end, head_holes, body, body_holes, contains, contains_holes,
        scenario.max_bytes, scenario.is_checked,
    )  # fmt: skip


def _path(scenario: ScenarioJob, marks: _Marks) -> str:
    """The path with its own query and the scenario's."""
    path = scenario.path
    if path.startswith("${"):
        path = marks.put("/" + path, in_url, first=from_root)
    else:
        path = marks.put(path, in_url)
    if not scenario.query:
        return path
    path = path.partition("#")[0]
    return f"{path}{'&' if '?' in path else '?'}{urlencode(_marked(scenario.query, marks))}"


def _content(scenario: ScenarioJob, marks: _Marks) -> dict[str, Any]:
    """The body, by the name that `build` has for its kind."""
    if scenario.body is not None:
        return {"body": _bytes(marks.put(_text(scenario.body), in_body))}
    if scenario.json is not None:
        return {"json": _json(scenario.json, marks)}
    if scenario.form is not None:
        fields: dict[str, list[str]] = {}
        for name, value in _marked(scenario.form, marks):
            fields.setdefault(name, []).append(value)
        return {"data": fields}
    if scenario.parts is not None:
        return {"files": [(part.name, _part(part, marks)) for part in scenario.parts]}
    return {}


def _marked(fields: list[tuple[str, str]], marks: _Marks) -> list[tuple[str, str]]:
    return [(name, marks.put(value, in_form)) for name, value in fields]


def _json(value: Any, marks: _Marks) -> Any:
    if isinstance(value, str):
        return marks.put(value, in_json)
    if isinstance(value, dict):
        return {name: _json(inner, marks) for name, inner in value.items()}
    if isinstance(value, list):
        return [_json(inner, marks) for inner in value]
    return value


def _part(part: Part, marks: _Marks) -> tuple[Any, ...]:
    """A part as httpx takes it; only fields hold expressions."""
    if part.file is None:
        return None, _bytes(marks.put(_text(part.content), in_body))
    named = part.file, part.content
    return named if part.type is None else (*named, part.type)


def _requests(job: Job, scenario: ScenarioJob, rows: Rows) -> Iterator[bytes]:
    template = prepare(job, scenario)
    if not template.holes:
        return repeat(template.fill(()))
    cells = _cells(job, scenario.name, template.holes, rows)
    if template.holes == template.head_holes and not template.is_checked:
        return map(operator.mod, repeat(template.head + template.body), cells)
    return map(template.fill, cells)


def _cells(job: Job, scenario: str, holes: tuple[Hole, ...], rows: Rows) -> Iterator[Cells]:
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
            cells = rows.encoded(tables[group], own)
            sources.append(map(cells.__getitem__, rows.numbers[group]))
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

    def __init__(self, taken: Collection[str]) -> None:
        self._taken = taken
        self._name = f"loadwatch{secrets.token_hex(8)}x"
        self._holes: list[Hole] = []

    def put(self, text: str, encode: Encode, first: Encode | None = None) -> str:
        """`text` with a mark for every expression; the `first` may be encoded in its own way."""
        marked = []
        for part in parse(text, self._taken):
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
    return _bytes(value)


def in_form(value: str) -> bytes:
    """A value of a query's or form's field: all of it is quoted."""
    return quote_plus(value).encode()


def in_json(value: str) -> bytes:
    """A value within a JSON string (RFC 8259 §7)."""
    return msgspec.json.encode(value)[1:-1]


def _text(body: bytes) -> str:
    return body.decode(errors="surrogateescape")


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogateescape")
