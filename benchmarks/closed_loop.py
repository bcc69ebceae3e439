"""How fast is one worker? `--rate max` beside its peers, in turn, as ratios.

Machines change speed while they run: short rounds alternate, and the median of the ratios counts.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from benchmarks.peers import ab, hey, loadwatch, locust, nginx, table, wrk

CONNECTIONS = 50

Peer = Callable[[str, int, int], float]
"""URL, connections, seconds -> requests per second."""


@dataclass(frozen=True)
class Case:
    """One table: what nginx serves, how loadwatch asks for it, and who else does."""

    title: str
    peers: dict[str, Peer]
    served: dict[str, Any] = field(default_factory=dict)
    plan: str = ""


def _hey(url: str, connections: int, seconds: int) -> float:
    return hey(url, connections, seconds)["rate"]


CASES = {
    "plain": Case("600 bytes, keep-alive", {"wrk -t1": wrk, "hey": _hey}),
    "locust": Case("600 bytes, keep-alive, beside FastHttpUser", {"locust": locust}),
    "tls": Case("600 bytes, keep-alive, over TLS", {"wrk -t1": wrk, "hey": _hey}, {"tls": True}),
    "close": Case("600 bytes, a connection per request", {"ab": ab}, plan="keep_alive = false"),
    "large": Case("1 MiB, keep-alive", {"wrk -t1": wrk}, {"body": 1024 * 1024}),
    "headers5": Case("600 bytes, 5 headers", {"wrk -t1": wrk}),
    "headers30": Case("600 bytes, 30 headers", {"wrk -t1": wrk}, {"headers": 25}),
}


def measure(case: Case, rounds: int, seconds: int) -> str:
    """The table of one case."""
    ratios: dict[str, list[float]] = {name: [] for name in case.peers}
    rows: list[tuple[object, ...]] = []
    with nginx(**case.served) as url:
        for number in range(1, rounds + 1):
            ours = loadwatch(
                url, "--rate", "max", "--connections", str(CONNECTIONS), "--insecure",
                "--duration", f"{seconds}s", load=case.plan,
            )["rate"]  # fmt: skip
            theirs = {name: peer(url, CONNECTIONS, seconds) for name, peer in case.peers.items()}
            for name, rate in theirs.items():
                ratios[name].append(ours / rate)
            rows.append((
                number, f"{ours:,.0f}", *(f"{rate:,.0f}" for rate in theirs.values()),
                *(f"{ratios[name][-1]:.2f}" for name in theirs),
            ))  # fmt: skip
    medians = (f"{statistics.median(own):.2f}" for own in ratios.values())
    rows.append(("median", "", *("" for _ in case.peers), *medians))
    header = ("round", "loadwatch", *case.peers, *(f"/ {name}" for name in case.peers))
    return f"{case.title}: requests per second\n\n{table(header, rows)}\n"


def main() -> None:
    """Print a table for each case that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", nargs="*", metavar="CASE", help=", ".join(CASES))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=4)
    given = parser.parse_args()
    for name in given.cases or CASES:
        print(measure(CASES[name], given.rounds, given.seconds), flush=True)


if __name__ == "__main__":
    main()
