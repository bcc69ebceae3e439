"""How fast is one worker? `--rate max` beside `wrk -t1` and `hey`, in turn, as ratios.

Machines change speed while they run: short rounds alternate, and the median of the ratios counts.
"""

from __future__ import annotations

import argparse
import statistics

from benchmarks.peers import hey, loadwatch, nginx, table, wrk


def main() -> None:
    """Print every round, and the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--connections", type=int, default=50)
    parser.add_argument("--tls", action="store_true")
    given = parser.parse_args()
    rows, over_wrk, over_hey = [], [], []
    options = ["--rate", "max", "--connections", str(given.connections), "--insecure"]
    with nginx(tls=given.tls) as url:
        for number in range(1, given.rounds + 1):
            ours = loadwatch(url, *options, "--duration", f"{given.seconds}s")["rate"]
            theirs = wrk(url, given.connections, given.seconds)
            heys = hey(url, given.connections, given.seconds)["rate"]
            over_wrk.append(ours / theirs)
            over_hey.append(ours / heys)
            rows.append((number, f"{ours:,.0f}", f"{theirs:,.0f}", f"{heys:,.0f}",
                         f"{over_wrk[-1]:.2f}", f"{over_hey[-1]:.2f}"))  # fmt: skip
    rows.append(("median", "", "", "", f"{statistics.median(over_wrk):.2f}",
                 f"{statistics.median(over_hey):.2f}"))  # fmt: skip
    over = " over TLS" if given.tls else ""
    print(f"Closed loop{over}, {given.connections} keep-alive connections, requests per second\n")
    print(table(("round", "loadwatch", "wrk -t1", "hey", "/ wrk", "/ hey"), rows))


if __name__ == "__main__":
    main()
