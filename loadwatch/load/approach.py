"""Is the target there? Looks step by step, as far as it gets: its name, TCP, TLS, an answer each.

One request per scenario is sent (`load.dry`), after one login where the plan has any, and no other.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

from loadwatch.core.controls import Trial
from loadwatch.core.errors import PlanError
from loadwatch.core.finding import Finding, Verdict
from loadwatch.core.metric import Unit, format_value
from loadwatch.core.plan import Plan
from loadwatch.load.dry import try_out
from loadwatch.load.engine import tls_context
from loadwatch.load.fleet import share_out
from loadwatch.load.login import log_in
from loadwatch.load.messages import Job


def approach(plan: Plan) -> Iterator[Finding]:
    """What there is to say about the target of `plan`, whose secrets are in place.

    It ends with the first step that fails. PlanError for a CA file that is of no use.
    """
    job = share_out(plan)[0]
    tls = tls_context(job)
    if job.proxy is None:
        for found in _connections(job, tls):
            yield found
            if found.verdict == "failure":
                return
    sessions = None
    if plan.login is not None:
        try:
            sessions = asyncio.run(log_in(plan, job, most=1))
        except PlanError as error:
            yield _finding("login", "failure", str(error))
            return
        yield _finding("login", "ok", "the first user is let in")
    yield from map(_answer, try_out(plan, sessions))


def _finding(name: str, verdict: Verdict, text: str, advice: str = "") -> Finding:
    return Finding("target", name, verdict, text, advice)


def _answer(trial: Trial) -> Finding:
    name = f"scenario {trial.scenario}"
    if trial.is_good:
        return _finding(name, "ok", trial.text)
    return _finding(name, "warning" if trial.is_answered else "failure", trial.text)


def _connections(job: Job, tls: ssl.SSLContext | None) -> Iterator[Finding]:
    """The name, a TCP connection to the first address that answers, and TLS over it."""
    url = urlsplit(job.url)
    host, port = url.hostname or "", url.port or (443 if tls else 80)
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        text = f"{host}: {getattr(error, 'strerror', None) or 'no name'}".lower()
        yield _finding("name", "failure", text, "is the name right, and this machine online?")
        return
    addresses = [str(address[0]) for _, _, _, _, address in found]
    if addresses != [host]:
        yield _finding("name", "ok", f"{host} is {', '.join(addresses[:4])}")
    connection, text = _connect(addresses, port, job.timeout)
    if connection is None:
        yield _finding("connection", "failure", text, "does the server run, and let you through?")
        return
    yield _finding("connection", "ok", text)
    with connection:
        if tls is not None:
            yield _secure(connection, tls, host)


def _connect(addresses: list[str], port: int, timeout: float) -> tuple[socket.socket | None, str]:
    """A connection and where it leads, or why there is none."""
    failures = []
    for address in addresses:
        began = time.monotonic()
        try:
            connection = socket.create_connection((address, port), timeout / len(addresses))
        except OSError as error:
            failures.append(f"{address} port {port}: {_reason(error)}")
        else:
            took = format_value(time.monotonic() - began, Unit.SECONDS)
            return connection, f"{address} port {port}, in {took}"
    return None, "; ".join(failures)


def _secure(connection: socket.socket, tls: ssl.SSLContext, host: str) -> Finding:
    """TLS over a connection."""
    try:
        with tls.wrap_socket(connection, server_hostname=host) as secured:
            until = (secured.getpeercert() or {}).get("notAfter")
            version = secured.version()
    except ssl.SSLCertVerificationError as error:
        advice = "--ca FILE names its authority, --insecure accepts any certificate"
        return _finding("TLS", "failure", error.verify_message, advice)
    except OSError as error:
        return _finding("TLS", "failure", _reason(error), "does this port speak TLS?")
    checked = f"certificate valid until {until}" if until else "certificate not checked"
    return _finding("TLS", "ok", f"{version}, {checked}")


def _reason(error: OSError) -> str:
    """A failure in a few words."""
    if isinstance(error, TimeoutError):
        return "no answer"
    if isinstance(error, ssl.SSLError):
        return (error.reason or "TLS failed").lower().replace("_", " ")
    return (error.strerror or "the connection broke").lower()
