"""A part of a session: some of its seconds, steps and scenarios; what exporters write."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from loadwatch.core.errors import SessionError
from loadwatch.core.metric import Metric
from loadwatch.core.tick import Tick
from loadwatch.session.store import Session


@dataclass(frozen=True, slots=True)
class Selection:
    """What to take: seconds from `first` up to, not including, `end`; `steps` and `scenarios`.

    None takes all. The numbers of the whole load and of the hosts are taken with any scenario.
    """

    first: int = 0
    end: int | None = None
    steps: frozenset[int] | None = None
    scenarios: frozenset[str] | None = None


ALL = Selection()


class Excerpt:
    """The part of `session` that `selection` takes; SessionError where it names what is not there.

    `about` and `start` are the session's; `metrics` and `scenarios` what was taken of its own.
    """

    def __init__(self, session: Session, selection: Selection = ALL) -> None:
        self._session = session
        self._selection = selection
        _check("scenario", selection.scenarios, session.scenarios, session)
        _check("step", selection.steps, [step.number for step in session.steps], session)
        wanted = selection.scenarios
        self.about = session.about
        self.start = session.start
        self.scenarios = tuple(n for n in session.scenarios if wanted is None or n in wanted)
        self.metrics: Mapping[str, Metric] = {
            key: metric
            for key, metric in session.metrics.items()
            if not key.startswith("scenario.") or key.split(".")[1] in self.scenarios
        }

    def ticks(self) -> Iterator[Tick]:
        """The ticks that were taken, each whole; SessionError where the file is broken."""
        steps = self._selection.steps
        for tick in self._session.ticks(self._selection.first, self._selection.end):
            if steps is None or tick.step in steps:
                yield tick


def _check(
    what: str, wanted: Iterable[object] | None, there: Sequence[object], session: Session
) -> None:
    missing = [one for one in wanted or () if one not in there]
    if missing:
        known = ", ".join(map(str, there)) or "none"
        raise SessionError(f"{session.path}: no {what} {missing[0]}; there are: {known}")
