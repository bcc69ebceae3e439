"""Does it keep the rate, and at what cost? Open loop at one rate after the other.

With `--beside-hey` in turn with `hey -q`, whose times count from the send, and in steps of 0.1 ms.
"""

from __future__ import annotations

import argparse

from benchmarks.peers import hey, loadwatch, nginx, table

CONNECTIONS = 20
"""hey's."""


def ours(url: str, rate: float, seconds: int) -> tuple[object, ...]:
    """A row of one worker of loadwatch."""
    result = loadwatch(
        url, "--rate", f"{rate:g}", "--duration", f"{seconds}s", "--arrival", "uniform",
        "--workers", "1",
    )  # fmt: skip
    times, lag = result["response_ms"], result["send_lag_ms"]
    return (f"{rate:g}", "loadwatch", f"{result['rate']:.1f}", times["p50"], times["p99"],
            lag["p99"], lag["max"], f"{result['cpu']:.0%}")  # fmt: skip


def theirs(url: str, rate: float, seconds: int) -> tuple[object, ...]:
    """A row of hey."""
    result = hey(url, CONNECTIONS, seconds, rate / CONNECTIONS)
    return (f"{rate:g}", f"hey -c {CONNECTIONS} -q", f"{result['rate']:.1f}",
            result.get("p50", ""), result.get("p99", ""), "", "", "")  # fmt: skip


def main() -> None:
    """Print one row per round and tool."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rates", type=float, nargs="+", default=[1000, 2000, 10_000])
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--beside-hey", action="store_true")
    given = parser.parse_args()
    rows = []
    with nginx() as url:
        for rate in given.rates:
            for _ in range(given.rounds):
                rows.append(ours(url, rate, given.seconds))
                if given.beside_hey:
                    rows.append(theirs(url, rate, given.seconds))
    print(f"Open loop, evenly spaced, for {given.seconds} s\n")
    print(table(("asked", "tool", "rate", "p50 ms", "p99 ms", "lag p99 ms", "lag max ms", "CPU"),
                rows))  # fmt: skip


if __name__ == "__main__":
    main()
