"""What it costs to read `Server-Timing`: at full speed, with it and without, in turn, as ratios.

Of a server whose answers are all alike, and of one of whose answers none is like another. Counted
are requests per second of CPU time, which other load on the machine changes least.
"""

from __future__ import annotations

import argparse
import statistics

from benchmarks.peers import loadwatch, nginx, table

TOLD = "add_header Server-Timing 'app;dur=12.8, db;dur=11.2;desc=\"80 queries\"';"
OFF = "server_timing = []"
ALIKE, DIFFERENT = TOLD, f"{TOLD} add_header X-Request-ID $request_id;"


def main() -> None:
    """Print a row per round for each server, with the ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=4)
    given = parser.parse_args()
    options = ("--rate", "max", "--connections", "50", "--duration", f"{given.seconds}s")
    for title, directives in (("all alike", ALIKE), ("each different", DIFFERENT)):
        rows: list[tuple[object, ...]] = []
        ratios: list[float] = []
        with nginx(directives=directives) as url:
            for number in range(1, given.rounds + 1):
                found = {}
                for target in ("", OFF) if number % 2 else (OFF, ""):
                    result = loadwatch(url, *options, target=target)
                    found[target] = result["rate"] / result["cpu"]
                ratios.append(found[""] / found[OFF])
                rows.append(
                    (number, f"{found['']:,.0f}", f"{found[OFF]:,.0f}", f"{ratios[-1]:.3f}")
                )
        rows.append(("median", "", "", f"{statistics.median(ratios):.3f}"))
        print(f"Answers {title}\n\n{table(('round', 'read', 'not read', 'ratio'), rows)}\n")


if __name__ == "__main__":
    main()
