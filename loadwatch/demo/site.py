"""The site as a command: `python -m loadwatch.demo.site`.

When it serves, it prints one line of JSON: `url`, `cookie` (what a wall needs), `pid`, `workers`
(process ids). SIGTERM, SIGINT and SIGHUP end it, and with `--parent-pipe` the end of stdin.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import resource
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress

from loadwatch.demo.front import Front
from loadwatch.demo.pool import Pool, PoolError
from loadwatch.demo.title import FRONT, set_title
from loadwatch.demo.worker import Settings

QUEUE = 100
"""Requests that wait for a worker at most, unless told."""

_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)(B|KiB|MiB|GiB)")
_FACTORS = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until told to end; the exit code."""
    arguments = _parser().parse_args(argv)
    set_title(FRONT)
    _allow_many_connections()
    try:
        asyncio.run(_serve(arguments))
    except (OSError, OverflowError, PoolError) as error:
        print(f"heywall: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("heywall", description="A small site to try loadwatch on.")
    parser.add_argument("--port", type=int, default=0, help="on loopback; 0: any free one")
    parser.add_argument("--backends", type=_count, default=2, metavar="N", help="worker processes")
    parser.add_argument(
        "--queue", type=_count, default=QUEUE, metavar="N",
        help="requests that may wait for a worker; one more is answered 503",
    )  # fmt: skip
    parser.add_argument("--gzip", action="store_true", help="compress for clients that accept it")
    parser.add_argument("--optimised", action="store_true", help="the wall with few queries")
    parser.add_argument(
        "--memory-per-worker", type=_size, default=0, metavar="SIZE",
        help="held by each worker beside what it needs, as 20MiB",
    )  # fmt: skip
    parser.add_argument("--parent-pipe", action="store_true", help="end when stdin does")
    return parser


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected 1 or more, got {text}")
    return number


def _size(text: str) -> int:
    match = _SIZE.fullmatch(text)
    if match is None:
        raise argparse.ArgumentTypeError(f"expected a size such as 20MiB, got {text!r}")
    return int(float(match[1]) * _FACTORS[match[2]])


def _allow_many_connections() -> None:
    """Raise the soft limit of open files: each client needs one."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


async def _serve(arguments: argparse.Namespace) -> None:
    settings = Settings(
        session=os.urandom(16).hex(),
        optimised=arguments.optimised,
        compress=arguments.gzip,
        memory=arguments.memory_per_worker,
    )
    pool = Pool(settings, arguments.backends, arguments.queue)
    front = Front(pool)
    _end_when_told(arguments.parent_pipe)
    try:
        await pool.start()
        ready = {
            "url": f"http://127.0.0.1:{await front.listen(arguments.port)}",
            "cookie": f"sessionid={settings.session}",
            "pid": os.getpid(),
            "workers": pool.pids,
        }
        print(json.dumps(ready), flush=True)
        await asyncio.get_running_loop().create_future()
    except asyncio.CancelledError:
        pass
    finally:
        front.close()
        await pool.close()


def _end_when_told(parent_pipe: bool) -> None:
    """Cancel the current task upon a signal, or upon the end of stdin."""
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()
    assert task is not None

    def end() -> None:
        if not task.cancelling():
            task.cancel()

    def look() -> None:
        if not os.read(0, 4096):
            loop.remove_reader(0)
            end()

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, end)
    if parent_pipe:
        loop.add_reader(0, look)


if __name__ == "__main__":
    sys.exit(main())
