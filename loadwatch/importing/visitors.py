"""What users do, as an access log shows it: for `loadwatch users`, in place of assumptions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from statistics import fmean
from typing import NamedTuple

from loadwatch.core.errors import PlanError
from loadwatch.importing.accesslog import GAP, HOUR, Hit, busiest, hits_of, visits
from loadwatch.importing.draft import Draft

DAY = 86_400
"""Seconds of a day."""


class Visitors(NamedTuple):
    """What a log tells of its visitors; None for what it is too short to tell.

    `visit_length` (seconds) counts the pause after the last request too, as long as the others.
    `told` says how much it rests on, a line each.
    """

    requests_per_visit: float
    visits_per_day: float
    visit_length: float | None
    peak_to_average: float | None
    told: tuple[str, ...]


def visitors(lines: Iterable[str], name: str) -> Visitors:
    """The visitors of a log called `name`, by its requests for pages (no static files, no errors).

    A visitor is an address with a user agent: many behind one address count as few, one who moves
    as many. PlanError if the log has no request.
    """
    draft = Draft(name)
    hits = hits_of(draft, lines, with_static=False)
    if not hits:
        raise PlanError(f"{name}: it has no request for a page")
    found = visits(hits)
    pauses = [after.at - before.at for visit in found for before, after in pairwise(visit)]
    each = len(hits) / len(found)
    who = {hit.client for hit in hits}
    days = {(hit.client, hit.at // DAY) for hit in hits}
    return Visitors(
        each,
        len(found) / len(days),
        fmean(pauses) * each if any(pauses) else None,
        _peak_to_average(hits),
        (
            f"{name}: {len(found):,} visits (pauses under {GAP // 60} min) of {len(who):,}"
            f" visitors, {len(hits):,} requests for pages",
            *(f"left out: {what}" for what in draft.left_out),
        ),
    )


def _peak_to_average(hits: Sequence[Hit]) -> float | None:
    """The busiest hour over the mean of all; None for less than a day, of which the rest may be
    busier."""
    span = hits[-1].at - hits[0].at + 1
    if span < DAY - HOUR:
        return None
    _, count, seconds = busiest([hit.at for hit in hits])
    return count / seconds / (len(hits) / max(span, DAY))
