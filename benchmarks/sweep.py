"""More workers until they do not fit: a sweep over the demo site in 256 MiB with swap, as a ledger.

Workers that hold some 40 MiB each, in a control group that has a third of a CPU (so that the load
generator is never the limit on this machine), and whose swap is on a disk that reads 10 MiB/s.
Takes root, and some ten minutes: `python -m benchmarks.sweep`.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

from loadwatch.demo.title import WORKER
from tests.confined import MIB, control_group, swap

CPUS = 1 / 3
MEMORY = 256 * MIB
READS = 10 * MIB
"""Bytes per second."""

RESTART = """
[ -e {directory}/pid ] && kill -9 $(cat {directory}/pid) && sleep 2
{within} {python} -m loadwatch.demo.site --port {port} --memory-per-worker 35MiB --backends $1 \\
    </dev/null >/dev/null 2>&1 &
echo $! >{directory}/pid
"""

PLAN = """
[target]
url = "http://127.0.0.1:{port}"
timeout = "5s"

[[scenario]]
name = "home"

[[host]]
name = "web"
ssh = "local"
[[host.group]]
name = "backends"
command = "^{worker}$"
[[host.action]]
name = "backends"
command = "sh {directory}/restart.sh {{value}}"
values = [2, 5, 10]
wait = "http 200 on /"
timeout = "120s"
"""


def main() -> None:
    """Print what the sweep prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--session", default="sweep.loadwatch", help="where to record")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="loadwatch-sweep-") as place:
        sweep(Path(place), given.session)


def sweep(directory: Path, session: str) -> None:
    """The whole sweep; what it needs is in `directory`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with swap(directory / "swap", 512 * MIB), control_group("memory", "blkio", "cpu") as group:
        group.cpus(CPUS)
        group.memory(MEMORY)
        group.reading(directory, READS)
        told = {"directory": directory, "port": port, "worker": WORKER,
                "within": shlex.join(group.within), "python": sys.executable}  # fmt: skip
        (directory / "restart.sh").write_text(RESTART.format(**told), encoding="utf-8")
        plan = directory / "plan.toml"
        plan.write_text(PLAN.format(**told), encoding="utf-8")
        try:
            subprocess.run(
                [sys.executable, "-m", "loadwatch", "sweep", "backends", str(plan), "--quick",
                 "--start", "20", "--session", session], check=False,
            )  # fmt: skip
        finally:
            with contextlib.suppress(OSError, ValueError):
                os.kill(int((directory / "pid").read_text()), signal.SIGTERM)


if __name__ == "__main__":
    main()
