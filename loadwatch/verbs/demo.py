"""`loadwatch demo`: the bundled site, its monitor and the dashboard, at once."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from loadwatch.verbs.ending import say
from loadwatch.verbs.planned import count, session_path
from loadwatch.verbs.watch import dashboard


def add(verbs: Any) -> None:
    """Declare the verb."""
    demo = verbs.add_parser("demo", help="the bundled site, its monitor and the dashboard, at once")
    demo.set_defaults(verb=_carry_out)
    demo.add_argument("--backends", type=count, default=2, help="worker processes of the site")
    demo.add_argument("--gzip", action="store_true", help="the site compresses")
    demo.add_argument("--optimised", action="store_true", help="the wall with few queries")
    demo.add_argument("--memory-per-worker", metavar="SIZE", help="held by each worker, as 20MiB")
    demo.add_argument("--site-only", action="store_true", help="serve without the dashboard")
    demo.add_argument("--session", type=Path, metavar="FILE", help="where to record")


def _carry_out(arguments: argparse.Namespace) -> int:
    from loadwatch.demo.launch import Site, plan_for

    options = [f"--{flag}" for flag in ("gzip", "optimised") if getattr(arguments, flag)]
    if arguments.memory_per_worker:
        options += ["--memory-per-worker", arguments.memory_per_worker]
    with Site([f"--backends={arguments.backends}", *options]) as site:
        if arguments.site_only:
            say(site.url)
            print(f"wall: {site.url}/wall/42/ with Cookie: {site.cookie}", file=sys.stderr)
            site.wait()
            return 0
        plan = plan_for(site)
        return dashboard(plan, session_path(arguments, plan), None)
