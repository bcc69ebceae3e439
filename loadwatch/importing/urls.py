"""Lists of URLs: one a line, as siege's and vegeta's (a method may stand before it)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from loadwatch.core.errors import PlanError
from loadwatch.importing.draft import FIRST_RATE, Draft, Request, Step, split

MOST = 50
"""Scenarios that a plan of single requests gets at most."""

_LINE = re.compile(r"(?:(?P<method>[A-Z]+)\s+)?(?P<url>\S+)(?P<rest>.*)")


def read(lines: Iterable[str], name: str, rate: float | None = None, most: int = MOST) -> Draft:
    """The plan of a list called `name`: each URL a scenario, at a share of `rate` (1/s).

    A URL that stands there several times has a share so many times as large. Of more than `most`
    the most frequent stay. PlanError for a line that is no URL.
    """
    draft = Draft(f"the list of URLs {name}")
    counted: Counter[Request] = Counter()
    for number, line in enumerate(map(str.strip, lines), 1):
        match = _LINE.fullmatch(line)
        if match is None or line.startswith("#"):
            continue
        if match["rest"].strip():
            draft.leave_out("what stands behind a URL on its line")
        url = match["url"] if "://" in match["url"] else f"http://{match['url']}"
        try:
            split(url)
        except PlanError as error:
            raise PlanError(f"{name}: line {number}: {error}") from None
        counted[Request(url, match["method"] or "GET")] += 1
    kept = counted.most_common(most)
    if len(counted) > most:
        draft.leave_out(f"{len(counted) - most} more URLs: a scenario each would be too many")
    total = sum(count for _, count in kept)
    why = f"its share of {rate or FIRST_RATE:g} per second"
    shares = [((Step(url),), (rate or FIRST_RATE) * count / total) for url, count in kept]
    draft.compose(shares, why)
    return draft
