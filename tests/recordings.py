"""Session files for tests: made-up ticks recorded as a run's are, and read again."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from loadwatch.core.metric import Catalogue
from loadwatch.core.tick import Tick
from loadwatch.session import Recorder, open_session
from tests.ticks import CATALOGUE

META = {"target": "http://heywall.example"}


def record(
    path: Path,
    recorded: Iterable[Tick],
    meta: Mapping[str, object] = META,
    result: Mapping[str, object] | None = None,
    catalogue: Catalogue = CATALOGUE,
) -> Path:
    recorder = Recorder(path, meta, catalogue)
    for one in recorded:
        recorder.add(one)
    recorder.close(result)
    assert recorder.lost == 0
    return path


def read(path: Path) -> list[Tick]:
    with open_session(path) as session:
        return list(session.ticks())


def until(condition: Callable[[], bool]) -> None:
    """Wait for another thread or process, a few seconds at most."""
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)
