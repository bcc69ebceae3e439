"""What it costs to read a frame of top with 300 processes, beside other ways to read it.

`python -m benchmarks.parsing`. The floor is to split every line into its words and to do nothing
with them; jc (https://github.com/kellyjonbrazil/jc) is measured where it is installed.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.peers import table
from loadwatch.remote.probes.top import TopParser
from loadwatch.remote.procfs import ProcParser

SAMPLE = Path(__file__).parent.parent / "tests/samples/procps-jc/ubuntu-20.10__top-b-n1.out"
PROCESSES = 300
ROUNDS = 101
FLOOR = "split into words, nothing more"


def frame() -> bytes:
    """A frame of top with 300 processes: the rows of a real one, and some of them again."""
    head, _, table = SAMPLE.read_bytes().strip(b"\n").partition(b"COMMAND\n")
    rows = table.split(b"\n")
    head = head.replace(b"245 total", b"%d total" % PROCESSES) + b"COMMAND"
    return b"\n".join([head, *(rows * 2)[:PROCESSES], b""])


def proc_frame(up: int) -> bytes:
    """The same number of processes as the probe of /proc prints them."""
    rows = b"".join(
        b"p %d 33 S %d %d 5000 12345 apache2\n" % (pid, pid + up, pid) for pid in range(PROCESSES)
    )
    return b"up %d.00\nload 1.0 1.0 1.0 1/300 9\n" % up + rows + b"end\n"


def milliseconds(work: Callable[[], object]) -> float:
    """The median of many calls."""
    took = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        work()
        took.append(time.perf_counter() - began)
    return statistics.median(took) * 1000


def ways() -> dict[str, float]:
    """Milliseconds per frame of each way to read it, the floor first."""
    data = frame()
    text = data.decode()
    top, proc = TopParser("web"), ProcParser("web")
    frames = iter([proc_frame(up) for up in range(1, ROUNDS + 1)])
    (reading,) = top.feed(data, 0.0)
    assert len(reading.processes or ()) == PROCESSES
    found = {
        FLOOR: milliseconds(lambda: [line.split() for line in data.decode().split("\n")]),
        "loadwatch: top": milliseconds(lambda: top.feed(data, 0.0)),
        "loadwatch: proc": milliseconds(lambda: proc.feed(next(frames), 0.0)),
    }
    try:
        import jc
    except ImportError:
        return found
    found["jc, raw"] = milliseconds(lambda: jc.parse("top", text, raw=True, quiet=True))
    found["jc"] = milliseconds(lambda: jc.parse("top", text, quiet=True))
    return found


def main() -> None:
    """Print the table."""
    found = ways()
    rows = [(name, f"{ms:.2f}", f"{ms / found[FLOOR]:.1f}") for name, ms in found.items()]
    print(table((f"way to read {PROCESSES} processes", "ms", "of the floor"), rows))


if __name__ == "__main__":
    main()
