"""A whole run of a plan, as a user starts it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any


def run(plan: str, directory: Path, *options: str, **environment: str) -> dict[str, Any]:
    """What `loadwatch run --json` says of `plan`, in TOML; its session is `s.loadwatch` there.

    A stall of this machine makes a result invalid (exit code 4): no reason to stop for a test that
    does not look at times.
    """
    path = directory / "plan.toml"
    path.write_text(plan, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "loadwatch", "run", str(path), "--json",
         "--session", str(directory / "s.loadwatch"), *options],
        env={**os.environ, **environment}, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode in (0, 4), done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result
