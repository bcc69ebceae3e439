"""A worker: a process that renders pages, one request at a time.

`python -m loadwatch.demo.worker`, started by `pool.Pool`, with its end of a socket pair as stdin.
In comes a frame with the `Settings`, out goes an empty one: ready. Then every frame is a request,
answered by one with the whole response. It ends when the other end is closed, by whatever ending.
"""

from __future__ import annotations

import json
import os
import socket
from typing import NamedTuple

from loadwatch.demo.data import Database
from loadwatch.demo.exchange import Request, frame, read
from loadwatch.demo.pages import Pages
from loadwatch.demo.title import WORKER, set_title

PAGE = 4096
"""Bytes that are swapped in and out together; where pages are larger, some are touched twice."""

_MIB = 1 << 20


class Settings(NamedTuple):
    """How the site is configured; `memory` in bytes. `session` is a secret: never an argument."""

    session: str
    optimised: bool = False
    compress: bool = False
    memory: int = 0


class Ballast:
    """`size` bytes of memory, `held` for good: noise, so that no kernel compresses or merges it."""

    def __init__(self, size: int) -> None:
        noise = os.urandom(_MIB)
        self.held = bytearray(size)
        for start in range(0, size, _MIB):
            self.held[start : start + _MIB] = noise[: size - start]

    def touch(self) -> None:
        """Read every page, as an application does its own: once swapped out, it is missed."""
        self.held[::PAGE]


def serve(channel: socket.socket) -> None:
    """Answer requests from `channel` until the front is gone."""
    with channel.makefile("rb") as stream:
        if (body := read(stream)) is None:
            return
        settings = Settings(*json.loads(body))
        database = Database(settings.session)
        pages = Pages(database, settings.optimised, settings.compress)
        ballast = Ballast(settings.memory)
        channel.sendall(frame(b""))
        while (body := read(stream)) is not None:
            ballast.touch()
            channel.sendall(frame(pages.answer(Request.decode(body))))


def main() -> None:
    """Serve on stdin."""
    set_title(WORKER)
    with socket.socket(fileno=0) as channel:
        try:
            serve(channel)
        except ConnectionError:
            pass  # the front is gone, and nobody waits for the answer


if __name__ == "__main__":
    main()
