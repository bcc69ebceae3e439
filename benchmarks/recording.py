"""What recording costs: the size of an hour's session file, and the recorder's share of a core.

An hour of made-up ticks: two scenarios at 50 and 10 requests a second, two hosts with 50 recorded
processes each, all going through the Recorder as a run's do.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from benchmarks.peers import table
from loadwatch.session import Recorder, open_session
from tests import ticks

MB = 1e6


def main() -> None:
    """Print one row."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=3600)
    seconds = parser.parse_args().seconds
    made = ticks.run(seconds, rates={"home": 50.0, "wall": 10.0}, hosts=("web", "db"), processes=50)
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "hour.loadwatch")
        recorder = Recorder(path, {}, ticks.CATALOGUE)
        ours, all_threads = time.thread_time(), time.process_time()
        for tick in made:
            recorder.add(tick)
        recorder.close()
        # Making the ticks is this thread's work, writing them the recorder's.
        cost = (time.process_time() - all_threads) - (time.thread_time() - ours)
        size = path.stat().st_size
        begin = time.process_time()
        with open_session(path) as session:
            for _ in session.ticks():
                pass
        reading = time.process_time() - begin
    header = ["seconds", "MB", "KB per second", "recording, % of a core", "reading it all, s"]
    row = [
        seconds,
        f"{size / MB:.1f}",
        f"{size / seconds / 1000:.2f}",
        f"{cost / seconds * 100:.3f}",
        f"{reading:.1f}",
    ]
    print(table(header, [row]))


if __name__ == "__main__":
    main()
