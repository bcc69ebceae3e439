"""What watching costs the server: a real sshd on loopback, 200 processes there, an interval of 1 s.

CPU is in percent of one core, as the pulse accounts for it (`host.<name>.cost.*`): our tools and
shells, and apart from them the sshd of our connection. Beside it, the same from outside: the CPU of
every process that carries this login's mark. A quarter of the processes work a little, so that
top's frames change as on a server under load.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.peers import table
from loadwatch.core.plan import Host, Seconds
from loadwatch.core.reading import HostNote, HostStatus, Reading
from loadwatch.remote import HostMonitor
from loadwatch.remote.answers import Answers
from loadwatch.remote.link import Link, Stream
from loadwatch.remote.monitor import Note, connect
from tests.sshd import Sshd

CROWD = """
import os, random, sys, time
for number in range(int(sys.argv[1])):
    if os.fork() == 0:
        chance, held = random.Random(number), []
        while True:
            time.sleep(3600 if number % 4 else chance.uniform(0.1, 0.4))
            until = time.process_time() + chance.uniform(0, 0.004)
            while time.process_time() < until:
                held = [bytes(chance.randrange(1 << 18))]
print(flush=True)
sys.stdin.read()
os.killpg(0, 9)
"""

SETTINGS = {
    "all every 1 s": Host("web", "web"),
    "top every 3 s, the others every 1 s": Host("web", "web", top_interval=Seconds(3)),
    "every 1 s, with a spool": Host("web", "web", spool=True),
}


def main() -> None:
    """Print one row per setting."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=200)
    parser.add_argument("--seconds", type=int, default=60)
    given = parser.parse_args()
    rows = []
    with crowd(given.processes) as total, tempfile.TemporaryDirectory() as directory:
        server = Sshd(Path(directory))
        os.environ["HOME"] = str(server.home)
        try:
            for name, host in SETTINGS.items():
                rows.append((name, *measure(server, host, given.seconds)))
        finally:
            server.stop()
    print(f"{total} processes, {given.seconds} s each; CPU in % of one core\n")
    header = ("", "tools, shells", "from outside", "sshd", "B/s on the wire", "B/s in it")
    print(table(header, rows))


@contextmanager
def crowd(wanted: int) -> Iterator[int]:
    """As many processes on this machine as `wanted`, at least; yields how many there are."""
    missing = max(0, wanted - count() - 1)
    with subprocess.Popen(
        [sys.executable, "-c", CROWD, str(missing)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True,
    ) as parent:  # fmt: skip
        assert parent.stdout is not None
        parent.stdout.readline()
        yield count()


def count() -> int:
    """How many processes there are."""
    return sum(entry.name.isdecimal() for entry in Path("/proc").iterdir())


def measure(server: Sshd, host: Host, seconds: float) -> tuple[str, ...]:
    """The cells of a row."""
    readings: list[Reading] = []
    payload: list[int] = []

    def sink(item: Reading | HostStatus | HostNote) -> None:
        if isinstance(item, Reading):
            readings.append(item)

    def link_to(host: Host, answers: Answers, note: Note) -> Link:
        return Counted(connect(host, answers, note), payload)

    monitor = HostMonitor(host, sink, link_to=link_to)
    monitor.start()
    time.sleep(3)
    before, came, began = outside(server), sum(payload), time.monotonic()
    time.sleep(seconds)
    passed = time.monotonic() - began
    cpu = (outside(server) - before) / passed
    inside = (sum(payload) - came) / passed
    monitor.stop()
    monitor.join(10)
    costs = [
        statistics.mean(reading.values[key] for reading in readings if key in reading.values)
        for key in ("cost.cpu", "cost.sshd", "cost.bytes")
    ]
    ours, sshd, wire = costs
    return f"{ours:.2f}", f"{cpu:.2f}", f"{sshd:.2f}", f"{wire:,.0f}", f"{inside:,.0f}"


def outside(server: Sshd) -> float:
    """CPU seconds × 100 of what logins have started, ended children included."""
    ticks = 0
    for pid in server.leftovers():
        try:
            fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2]
            ticks += sum(int(field) for field in fields.split()[11:15])
        except OSError:
            continue
    return ticks * 100 / os.sysconf("SC_CLK_TCK")


class Counted:
    """A link that notes how many bytes its streams bring."""

    def __init__(self, link: Link, sizes: list[int]) -> None:
        self._link = link
        self._sizes = sizes

    @property
    def traffic(self) -> int | None:
        return self._link.traffic

    def open(self, command: str) -> Stream:
        stream = self._link.open(command)
        read = stream.read

        def counting(timeout: float) -> bytes | None:
            data = read(timeout)
            self._sizes.append(len(data or b""))
            return data

        stream.read = counting  # type: ignore[method-assign]
        return stream

    def close(self) -> None:
        self._link.close()


if __name__ == "__main__":
    main()
