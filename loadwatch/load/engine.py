"""What sends the requests: the wire engine, or httpx for what plain HTTP/1.1 cannot do."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

import httpx

from loadwatch.core.errors import PlanError
from loadwatch.load.messages import Job
from loadwatch.load.stream import Stream
from loadwatch.load.wire import Wire


class Engine(Protocol):
    """Sends requests and counts in their streams what becomes of them.

    `freed`, where set, is told after each request that ends whether it was answered, and when.
    """

    freed: Callable[[bool, float], None] | None

    @property
    def open(self) -> int:
        """How many requests are open."""
        ...

    @property
    def connections(self) -> int:
        """How many connections stand, or are being made."""
        ...

    def fire(self, stream: Stream, due: float, now: float) -> bool:
        """Send one request of `stream` that was due at `due`; False if it had to be dropped."""
        ...


def engine(job: Job) -> Engine:
    """The engine that `job` asks for. PlanError for a useless CA file."""
    tls = tls_context(job)
    limit = job.connections or job.max_in_flight
    if job.engine == "httpx":
        from loadwatch.load.httpx_engine import HttpxEngine, transport

        way = transport(tls, job.keep_alive, job.http2, job.proxy)
        return HttpxEngine(job.url, way, job.timeout, limit)
    url = urlsplit(job.url)
    return Wire(
        host=url.hostname or "",
        port=url.port or (443 if tls else 80),
        tls=tls,
        timeout=job.timeout,
        limit=limit,
        keep_alive=job.keep_alive,
    )


def tls_context(job: Job) -> ssl.SSLContext | None:
    """TLS towards the target, if its URL asks for it; PlanError for a CA file that is of no use."""
    if urlsplit(job.url).scheme != "https":
        return None
    if job.ca is None or not job.verify:
        return httpx.create_ssl_context(verify=job.verify)
    try:
        return ssl.create_default_context(cafile=Path(job.ca).expanduser())
    except ssl.SSLError:
        raise PlanError(f"target.ca: no certificates (PEM) in {job.ca}") from None
    except OSError as error:
        raise PlanError(f"target.ca: cannot read {job.ca}: {error.strerror}") from None
