"""A network of our own: a second namespace at the end of a virtual cable, which can be cut.

Needs root and iproute2. The addresses are of 198.18.0.0/15, which RFC 2544 sets apart for tests.
"""

from __future__ import annotations

import os
import random
import secrets
import subprocess
from collections.abc import Iterator

import pytest

from tests.sshd import require


def ip(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["ip", *words], capture_output=True, text=True, check=False)


class Cable:
    """`near` is our address, `far` the one of the namespace `name`, whose processes we see."""

    def __init__(self) -> None:
        self.name = f"lw{secrets.token_hex(4)}"
        first = 4 * random.SystemRandom().randrange(1 << 14)
        prefix = f"198.{18 + (first >> 16)}.{first >> 8 & 255}"
        self.near, self.far = f"{prefix}.{first % 256 + 1}", f"{prefix}.{first % 256 + 2}"
        self._end = f"{self.name}-a"
        self._other = f"{self.name}-b"

    def lay(self) -> str:
        """Make it all; what went wrong, or an empty string."""
        for words in (
            ["netns", "add", self.name],
            ["link", "add", self._end, "type", "veth", "peer", "name", self._other],
            ["link", "set", self._other, "netns", self.name],
            ["addr", "add", f"{self.near}/30", "dev", self._end],
            ["link", "set", self._end, "up"],
            ["-n", self.name, "addr", "add", f"{self.far}/30", "dev", self._other],
            ["-n", self.name, "link", "set", "lo", "up"],
            ["-n", self.name, "link", "set", self._other, "up"],
        ):
            done = ip(*words)
            if done.returncode:
                return f"ip {' '.join(words)}: {done.stderr.strip()}"
        return ""

    def cut(self) -> None:
        """Lose every packet, either way, without a word to anybody."""
        assert ip("-n", self.name, "link", "set", self._other, "down").returncode == 0

    def mend(self) -> None:
        """Carry packets again."""
        assert ip("-n", self.name, "link", "set", self._other, "up").returncode == 0

    def remove(self) -> None:
        """Undo `lay`, as far as it came."""
        ip("link", "del", self._end)
        ip("netns", "del", self.name)


@pytest.fixture
def cable() -> Iterator[Cable]:
    require("ip")
    made = Cable()
    try:
        if problem := made.lay():
            verdict = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
            verdict(f"no network namespace of our own: {problem}")
        yield made
    finally:
        made.remove()
