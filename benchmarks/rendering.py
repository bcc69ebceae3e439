"""What requests that differ cost: a cookie and a path from 10,000 users beside constant ones.

And what it costs to look at the answers: a text that they must contain.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path

from benchmarks.peers import loadwatch, nginx, table

USERS = 10_000

CONSTANT = 'path = "/wall/1234"\nheaders = { Cookie = "sessionid=0123456789abcdef" }'
EACH = 'path = "/wall/${user.wall}"\nheaders = { Cookie = "sessionid=${user.session}" }'
CHECKED = CONSTANT + '\nexpect.contains = "xxxx"'
MIXED = EACH.replace("${user.wall}", "${user.wall}?n=${random:1:500}")


def users(directory: str) -> str:
    """A file of users, as a plan's table."""
    path = Path(directory, "users.csv")
    rows = (f"{number},{number:016x}" for number in range(USERS))
    path.write_text("\n".join(["wall,session", *rows]), encoding="utf-8")
    return f'\n[data.user]\nfile = "{path}"\n'


def main() -> None:
    """Print a row per round: requests per second, and ratios to the constant ones."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=4)
    given = parser.parse_args()
    options = ("--rate", "max", "--connections", "50", "--duration", f"{given.seconds}s")
    rows: list[tuple[object, ...]] = []
    ratios: list[list[float]] = []
    with nginx() as url, tempfile.TemporaryDirectory() as directory:
        data = users(directory)
        for number in range(1, given.rounds + 1):
            constant = loadwatch(url, *options, more=CONSTANT)["rate"]
            each = loadwatch(url, *options, more=EACH + data)["rate"]
            mixed = loadwatch(url, *options, more=MIXED + data)["rate"]
            checked = loadwatch(url, *options, more=CHECKED)["rate"]
            others = each, mixed, checked
            ratios.append([rate / constant for rate in others])
            rows.append((number, *(f"{rate:,.0f}" for rate in (constant, *others)),
                         *(f"{ratio:.2f}" for ratio in ratios[-1])))  # fmt: skip
    medians = (f"{statistics.median(own):.2f}" for own in zip(*ratios, strict=True))
    rows.append(("median", "", "", "", "", *medians))
    names = "of a row", "and a random number", "expect.contains"
    header = ("round", "constant", *names, *(f"{name} / constant" for name in names))
    print(table(header, rows))


if __name__ == "__main__":
    main()
