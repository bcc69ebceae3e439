"""One request per scenario before anything is measured: what would all the others come to?"""

from __future__ import annotations

import ssl
import time
from collections.abc import Sequence
from urllib.parse import urljoin

import httpx

from loadwatch.core.controls import Trial
from loadwatch.core.errors import PlanError
from loadwatch.core.metric import Unit, format_value
from loadwatch.core.plan import Plan
from loadwatch.load.answer import Body, Checked, head_of
from loadwatch.load.engine import tls_context
from loadwatch.load.fleet import share_out
from loadwatch.load.messages import ScenarioJob
from loadwatch.load.pushback import STATUSES, retry_after
from loadwatch.load.request import read
from loadwatch.load.template import all_requests

PATIENCE = 5.0
"""Seconds that a trial may take, or the plan's timeout where that is less."""

LOGINS = ("login", "signin", "sign-in", "auth", "sso", "account")
"""What the address of a login page has in it."""

CREDENTIALS = {"cookie", "authorization"}

MEANINGS = {
    401: "it wants credentials",
    403: "it refuses these credentials",
    404: "there is no such page: check the path",
    405: "it does not take this method",
    429: "it limits the rate",
    503: "a server error",
}


def try_out(plan: Plan, sessions: Sequence[str] | None = None) -> tuple[Trial, ...]:
    """What a request of each scenario comes to; `plan` with its secrets in place.

    `sessions` are what came of its logins.

    Blocks: call it in a thread. Redirects are not followed.
    """
    job = share_out(plan, sessions)[0]
    try:
        tls = tls_context(job)
        verify = False if tls is None else tls
        with httpx.Client(
            verify=verify, http2=job.http2, proxy=job.proxy, trust_env=False
        ) as client:
            requests = all_requests(job)
            return tuple(_try(client, job.url, s, next(requests[s.name])) for s in job.scenarios)
    except (PlanError, ImportError):
        return ()  # the workers say it, and it ends the run


def status_of(plan: Plan, path: str) -> int | str:
    """What the target answers to a GET of `path` right now, or why it does not; blocks."""
    job = share_out(plan)[0]
    tls = tls_context(job)
    try:
        response = httpx.get(
            urljoin(plan.target.url, path),
            verify=False if tls is None else tls,
            proxy=job.proxy,
            trust_env=False,
            timeout=min(job.timeout, PATIENCE),
        )
    except httpx.HTTPError as error:
        return _trouble(error)
    return response.status_code


def _try(client: httpx.Client, url: str, scenario: ScenarioJob, rendered: bytes) -> Trial:
    begin, seconds = time.monotonic(), min(scenario.timeout, PATIENCE)
    request = read(rendered, url)
    request.extensions["timeout"] = httpx.Timeout(seconds).as_dict()
    body, is_whole = Body(), True
    try:
        response = client.send(request, stream=True)
        for chunk in response.iter_raw():
            body.add(chunk)
            is_whole = time.monotonic() < begin + seconds
            if not is_whole:
                break
        response.close()
    except httpx.HTTPError as error:
        return Trial(scenario.name, _trouble(error), is_good=False, is_answered=False)
    took = format_value(time.monotonic() - begin, Unit.SECONDS)
    told = f"{response.status_code}, {format_value(body.size, Unit.BYTES)} in {took}"
    answer = body.take(head_of(response))
    problem = ""
    if response.status_code not in scenario.statuses:
        names = {name.lower() for name in scenario.headers}
        problem = _problem(response, names, answer.size, is_whole)
        if scenario.statuses and not problem:
            problem = f"expected {' or '.join(map(str, scenario.statuses))}"
    if not problem and isinstance(rendered, Checked) and not rendered.look(answer):
        problem = "its body is not what `expect` says"
    if problem:
        return Trial(scenario.name, f"{told}: {problem}", False)
    return Trial(scenario.name, told, True)


def _problem(response: httpx.Response, headers: set[str], size: int, is_whole: bool) -> str:
    """Why an answer is not what one would measure; empty if it is."""
    status = response.status_code
    if response.has_redirect_location:
        where = "".join(s if s.isprintable() else "?" for s in response.headers["location"])[:200]
        if any(word in where.casefold() for word in LOGINS):
            kind = "cookie" if "cookie" in headers else "login"
            is_known = bool(headers & CREDENTIALS)
            why = f"your {kind} is not accepted" if is_known else "it wants a login"
            return f"redirects to {where}: {why}"
        return f"redirects to {where}, which is not followed: set target.url or the path to it"
    if status in MEANINGS:
        return MEANINGS[status] + _wait(response)
    if status >= 400:
        return "a server error" if status >= 500 else "a client error"
    if not is_whole:
        return "the answer has no end"
    return "" if size or status == 204 or response.request.method == "HEAD" else "an empty answer"


def _wait(response: httpx.Response) -> str:
    """When the server asks to come again, if it does."""
    asked = (response.headers.get(name, "") for name in ("Retry-After", "Date"))
    wait = retry_after(*asked) if response.status_code in STATUSES else 0.0
    return f", Retry-After {format_value(wait, Unit.SECONDS)}" if wait else ""


def _trouble(error: httpx.HTTPError) -> str:
    """Why there was no answer, in words."""
    if isinstance(error, httpx.TimeoutException):
        return "no answer in time"
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ssl.SSLCertVerificationError):
        cause = cause.__cause__ or cause.__context__
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"certificate not trusted: {cause.verify_message} (--insecure accepts it)"
    what = "no connection" if isinstance(error, httpx.ConnectError) else "no whole answer"
    return f"{what}: {error}"
