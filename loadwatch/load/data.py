"""Many users: the rows of a plan's `[data.…]` files, and which row is whose."""

from __future__ import annotations

import csv
import itertools
import math
import random
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import msgspec

from loadwatch.core.errors import PlanError
from loadwatch.core.expression import Column, did_you_mean, parse
from loadwatch.core.plan import Data, Plan, Scenario
from loadwatch.core.texts import taken_before, texts
from loadwatch.load.messages import Job, Table

SESSION = "(login)"
"""The column that no file has: what came of a row's login."""

EVERYBODY = "everybody"
"""The table of a login that is the same for all: its one row."""

_TAIL = 5.0
"""Standard deviations of a Poisson count: it is larger once in three million runs."""


def columns_of(scenario: Scenario) -> set[Column]:
    """The columns that a scenario's expressions name."""
    return {
        part
        for place, text in texts(scenario)
        for part in parse(text, taken_before(scenario, place.step))
        if isinstance(part, Column)
    }


def tables(plan: Plan, sessions: Sequence[str] | None = None) -> list[Table]:
    """The data that the plan's scenarios use. PlanError as `read` raises it.

    The column `SESSION` holds the `sessions` of the rows, again from the first where there are
    fewer; without them its own name.
    """
    used = set().union(*map(columns_of, plan.scenarios))
    found = []
    for name, data in plan.data.items():
        wanted = {column.name for column in used if column.table == name}
        if not wanted:
            continue
        table = read(name, data, wanted - {SESSION})
        if SESSION in wanted:
            every = itertools.cycle(sessions or [SESSION])
            table.rows = [[*row, next(every)] for row in table.rows]
            table.columns.append(SESSION)
        found.append(table)
    if any(column.table == EVERYBODY for column in used):
        found.append(Table(EVERYBODY, "in order", [SESSION], [[(sessions or [SESSION])[0]]]))
    return found


def read(name: str, data: Data, wanted: Collection[str]) -> Table:
    """The columns of `[data.<name>]` that are `wanted`.

    PlanError for a file that cannot be read, a column that is not there, or no row at all.
    """
    where = f"data.{name}: {data.file}"
    try:
        with Path(data.file).expanduser().open(encoding="utf-8-sig", newline="") as file:
            rows = _csv(file) if data.file.endswith(".csv") else _json_lines(file)
            columns, table = _columns(rows, sorted(wanted), where)
    except OSError as error:
        raise PlanError(f"{where}: cannot read it: {error.strerror}") from None
    except (csv.Error, ValueError) as error:
        raise PlanError(f"{where}: {error}") from None
    if not table:
        raise PlanError(f"{where}: it has no rows")
    return Table(name, data.order, columns, table)


def _columns(
    rows: Iterator[tuple[int, dict[str, str]]], wanted: list[str], where: str
) -> tuple[list[str], list[list[str]]]:
    table = []
    for line, row in rows:
        for column in wanted:
            if column not in row:
                raise PlanError(f"{where}: line {line}: no column `{column}`; "
                                f"{did_you_mean(column, row)}")  # fmt: skip
        table.append([row[column] for column in wanted])
    return wanted, table


def _csv(file: Iterator[str]) -> Iterator[tuple[int, dict[str, str]]]:
    reader = csv.reader(file, strict=True)
    header = next(reader, [])
    for name in header:
        if header.count(name) > 1:
            raise ValueError(f"two columns are named {name!r}")
    for row in reader:
        if not row:
            continue  # an empty line
        if len(row) != len(header):
            raise ValueError(f"line {reader.line_num}: {len(row)} values for {len(header)} columns")
        yield reader.line_num, dict(zip(header, row, strict=True))


def _json_lines(file: Iterator[str]) -> Iterator[tuple[int, dict[str, str]]]:
    decode = msgspec.json.Decoder(dict[str, str | int | float | bool | None]).decode
    for number, line in enumerate(file, 1):
        if not line.strip():
            continue
        try:
            row = decode(line)
        except msgspec.DecodeError as error:
            raise ValueError(f"line {number}: {error}") from None
        yield number, {name: _text(value) for name, value in row.items()}


def _text(value: str | int | float | bool | None) -> str:
    """A JSON value as text; null is empty."""
    if isinstance(value, str):
        return value
    return "" if value is None else msgspec.json.encode(value).decode()


def rows_for(table: Table, job: Job) -> Iterator[int]:
    """The rows that this worker hands out, one for each request: every `workers`-th, or any.

    It ends with the rows where none is given twice.
    """
    size = len(table.rows)
    if table.order == "one per visit":
        return iter(range(job.worker, size, job.workers))
    if table.order == "in order":
        return (number % size for number in itertools.count(job.worker, job.workers))
    return _draws(random.Random(f"{job.seed}/{table.name}/{job.worker}"), size)


def _draws(generator: random.Random, size: int) -> Iterator[int]:
    draw = generator.random
    while True:
        yield int(draw() * size)


def ensure_supply(plan: Plan, table: Table, duration: float | None) -> None:
    """PlanError if rows that are given once could run out; `duration` of the run in seconds.

    Poisson arrivals are taken at their upper end.
    """
    if table.order != "one per visit":
        return
    users = [s for s in plan.scenarios if any(c.table == table.name for c in columns_of(s))]
    needed = _needed(plan, users, duration)
    if needed is None:
        raise PlanError(f"data.{table.name}: one row per visit needs a run that ends: give it a"
                        " duration, stages, or a number of requests")  # fmt: skip
    if needed > len(table.rows):
        raise PlanError(f"data.{table.name}: {len(table.rows)} rows are not enough: the run makes"
                        f" up to {needed} visits, one row each")  # fmt: skip


def _needed(plan: Plan, users: list[Scenario], duration: float | None) -> int | None:
    """Most rows that a run takes; None if there is no bound."""
    most = plan.load.requests
    if plan.load.connections is not None:
        return most
    if duration is None:
        return most
    arrivals = sum(scenario.rate for scenario in users) * _scaled(plan, duration)
    if plan.load.arrival == "poisson":
        arrivals += _TAIL * math.sqrt(arrivals)
    # Each worker has rows of its own, and each scenario's arrivals divide among the workers.
    return min(math.ceil(arrivals) + len(users), most if most is not None else 2**63)


def _scaled(plan: Plan, duration: float) -> float:
    """Seconds at the scenarios' own rates that come to as many arrivals as the plan's stages."""
    if not plan.stages:
        return duration
    total, scale = 0.0, 0.0
    for stage in plan.stages:
        mean = (scale + stage.scale) / 2 if stage.ramp else stage.scale
        total, scale = total + mean * stage.duration, stage.scale
    return total
