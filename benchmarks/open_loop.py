"""Does it keep the rate, and at what cost? Open loop at one rate, beside `hey -q`, in turn."""

from __future__ import annotations

import argparse

from benchmarks.peers import hey, loadwatch, nginx, table


def main() -> None:
    """Print one row per round and tool."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=2000)
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    rows = []
    connections = 20
    with nginx() as url:
        for number in range(1, given.rounds + 1):
            ours = loadwatch(
                url, "--rate", f"{given.rate:g}", "--duration", f"{given.seconds}s",
                "--arrival", "uniform",
            )  # fmt: skip
            times, lag = ours["response_ms"], ours["send_lag_ms"]
            rows.append((number, "loadwatch", f"{ours['rate']:.1f}", times["p50"], times["p99"],
                         lag["p99"], f"{ours['cpu']:.0%}"))  # fmt: skip
            theirs = hey(url, connections, given.seconds, given.rate / connections)
            rows.append((number, f"hey -c {connections} -q", f"{theirs['rate']:.1f}",
                         theirs.get("p50", ""), theirs.get("p99", ""), "", ""))  # fmt: skip
    print(f"Open loop, {given.rate:g}/s for {given.seconds} s; hey's times count from the send\n")
    print(table(("round", "tool", "rate", "p50 ms", "p99 ms", "send lag p99 ms", "CPU"), rows))


if __name__ == "__main__":
    main()
