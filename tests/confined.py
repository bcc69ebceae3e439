"""What Linux holds processes back with: control groups of either version, and a swap file.

A machine that has none of it skips the test, with the reason that its kernel gave.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sshd import eventually, find

ROOT = Path("/sys/fs/cgroup")

MIB = 1 << 20

PERIOD = 100_000
"""Microseconds that a CPU quota is for."""

ENTER = """
until [ "$1" = -- ]; do echo $$ >"$1/cgroup.procs" || exit 1; shift; done
shift
exec "$@"
"""


class ControlGroup:
    """A control group of its own; `within` is the beginning of a command that runs in it."""

    def __init__(self, *controllers: str) -> None:
        name = f"loadwatch-test-{secrets.token_hex(4)}"
        self._is_second = (ROOT / "cgroup.controllers").exists()
        if self._is_second:
            wanted = " ".join(f"+{'io' if one == 'blkio' else one}" for one in controllers)
            (ROOT / "cgroup.subtree_control").write_text(wanted)
            places = [ROOT / name]
        else:
            places = [ROOT / controller / name for controller in controllers]
        self._places = places
        for place in places:
            place.mkdir()
        self.within = ("sh", "-c", ENTER, "sh", *map(str, places), "--")

    def cpus(self, share: float) -> None:
        """Allow so many CPUs."""
        quota = round(share * PERIOD)
        self._set("cpu.cfs_quota_us", "cpu.max", f"{quota}", f"{quota} {PERIOD}")

    def memory(self, size: int) -> None:
        """Allow so many bytes; what is beyond is swapped out, as far as there is swap."""
        self._set("memory.limit_in_bytes", "memory.max", f"{size}", f"{size}")

    def no_swap(self) -> None:
        """Swap nothing out, whatever swap the machine has."""
        self._set("memory.swappiness", "memory.swap.max", "0", "0")

    def reading(self, directory: Path, rate: int) -> None:
        """Allow so many bytes per second to be read from the disk that `directory` is on."""
        disk = _disk(directory)
        self._set(
            "blkio.throttle.read_bps_device", "io.max", f"{disk} {rate}", f"{disk} rbps={rate}"
        )

    def _set(self, first: str, second: str, value: str, its_value: str) -> None:
        """Write a limit in the words of version 1, or in those of version 2."""
        name, text = (second, its_value) if self._is_second else (first, value)
        for place in self._places:
            if (place / name).exists():
                (place / name).write_text(text)
                return
        pytest.skip(f"this kernel has no {name}")

    def remove(self) -> None:
        """Remove it; whoever was in it has ended."""
        members = [place / "cgroup.procs" for place in self._places]
        assert eventually(lambda: not any(pids.read_text() for pids in members))
        for place in self._places:
            place.rmdir()


def _disk(directory: Path) -> str:
    """The number of the disk that a directory is on; skips where there is none behind it."""
    device = directory.stat().st_dev
    entry = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}").resolve()
    if not entry.exists():
        pytest.skip(f"no disk behind {directory}")
    whole = entry.parent if (entry / "partition").exists() else entry
    return (whole / "dev").read_text().strip()


@contextlib.contextmanager
def control_group(*controllers: str) -> Iterator[ControlGroup]:
    """A control group for a while; skips where none can be made."""
    try:
        group = ControlGroup(*controllers)
    except OSError as error:
        pytest.skip(f"no control group can be made here: {error}")
    try:
        yield group
    finally:
        group.remove()


@contextlib.contextmanager
def swap(file: Path, size: int) -> Iterator[None]:
    """Swap of `size` bytes in a new file for a while; skips where the kernel takes none."""
    with file.open("wb") as new:
        file.chmod(0o600)
        os.posix_fallocate(new.fileno(), 0, size)
    for program in ("mkswap", "swapon"):
        done = subprocess.run(
            [find(program) or program, str(file)], capture_output=True, text=True, check=False
        )
        if done.returncode:
            pytest.skip(f"no swap file can be had here: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run([find("swapoff") or "swapoff", str(file)], check=True)
        file.unlink()
