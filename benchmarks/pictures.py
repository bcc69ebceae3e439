"""The pictures in docs/, from real runs of `loadwatch demo`: two minutes each."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

from benchmarks.terminal import in_terminal

DOCS = Path(__file__).parent.parent / "docs"

PICTURES = {"screenshot-80x24": (80, 24), "screenshot": (160, 45), "screenshot-250x70": (250, 70)}

STORY = (
    (5.0, b"/"), (5.5, b"heywall\r"), (6.5, b"R"),
    (20.0, b"]"), (40.0, b"2"), (40.5, b"]]"), (60.0, b"]"), (75.0, b"m"), (75.5, b"rush hour\r"),
    (80.0, b"]"), (100.0, b"]"),
)  # fmt: skip
"""The site's own processes; more of the home page, then of the wall."""

SECONDS = 120


def main() -> None:
    """Write the pictures that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=list(PICTURES), metavar="NAME")
    for name in parser.parse_args().names:
        with tempfile.TemporaryDirectory() as directory:
            session = str(Path(directory) / "demo.loadwatch")
            took = in_terminal(
                [sys.executable, "-m", "loadwatch", "demo", "--session", session],
                PICTURES[name],
                typed=STORY,
                environment={
                    **os.environ,
                    "TEXTUAL_SCREENSHOT": str(SECONDS),
                    "TEXTUAL_SCREENSHOT_LOCATION": str(DOCS),
                    "TEXTUAL_SCREENSHOT_FILENAME": f"{name}.svg",
                },
            )
        if took < SECONDS:
            raise SystemExit(f"{name}: the demo ended after {took:.0f} s")


if __name__ == "__main__":
    main()
