"""What the httpx engine costs beside the wire engine: requests per second, in turn."""

from __future__ import annotations

import argparse
import statistics

from benchmarks.peers import loadwatch, nginx, table


def main() -> None:
    """Print one row per number of connections."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--connections", type=int, nargs="+", default=[1, 10, 50])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=3)
    given = parser.parse_args()
    rows = []
    with nginx() as url:
        for connections in given.connections:
            options = ("--rate", "max", "--connections", str(connections),
                       "--duration", f"{given.seconds}s")  # fmt: skip
            rates: dict[str, list[float]] = {"wire": [], "httpx": []}
            for _ in range(given.rounds):
                for engine, found in rates.items():
                    found.append(loadwatch(url, *options, "--engine", engine)["rate"])
            wire, httpx = (statistics.median(found) for found in rates.values())
            ratio = statistics.median(w / h for w, h in zip(*rates.values(), strict=True))
            rows.append((connections, f"{wire:,.0f}", f"{httpx:,.0f}", f"{ratio:.0f}"))
    print(table(("connections", "wire", "httpx", "wire / httpx"), rows))


if __name__ == "__main__":
    main()
