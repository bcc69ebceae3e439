"""Logging in, as a user of a browser or an API does, over httpx."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from urllib.parse import urljoin, urlsplit

import httpx

from loadwatch.core.errors import PlanError
from loadwatch.core.expression import Column, parse
from loadwatch.core.plan import Expect, Login, Plan
from loadwatch.core.texts import login_texts, rewrite_login
from loadwatch.load.answer import Answer, head_of
from loadwatch.load.cookies import Jar
from loadwatch.load.data import read
from loadwatch.load.engine import tls_context
from loadwatch.load.fields import take_job
from loadwatch.load.messages import Job
from loadwatch.load.request import USER_AGENT
from loadwatch.load.sessions import Progress, ignored, table_of
from loadwatch.load.taking import taker

CODING = b"content-encoding"


async def log_in(
    plan: Plan, job: Job, progress: Progress = ignored, most: int | None = None
) -> list[str]:
    """What the requests of each user bring along, in the order of the rows.

    `plan` with its secrets in place; `job` says how the target is reached. The `most` first ones,
    or all. PlanError for the first user who does not come in.
    """
    login = plan.login
    assert login is not None
    users = users_of(plan)[:most]
    done = 0
    turn = asyncio.Semaphore(login.parallel)
    async with Door(plan, job) as door:

        async def one(row: int, user: Login) -> str:
            nonlocal done
            async with turn:
                try:
                    session = await door.enter(user)
                except PlanError as error:
                    raise PlanError(f"login: row {row + 1}: {error}") from None
            done += 1
            progress(done, len(users))
            return session

        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(one(*user)) for user in enumerate(users)]
        except* PlanError as errors:
            raise errors.exceptions[0] from None
    return [task.result() for task in tasks]


def users_of(plan: Plan) -> list[Login]:
    """The login of each row, with its values in place."""
    login = plan.login
    assert login is not None
    name = table_of(login)
    if name is None:
        return [rewrite_login(login, lambda key, text: _filled(text, {}))]
    columns = {part.name for _, text in login_texts(login) for part in parse(text)
               if isinstance(part, Column)}  # fmt: skip
    table = read(name, plan.data[name], columns)
    rows = (dict(zip(table.columns, row, strict=True)) for row in table.rows)
    return [rewrite_login(login, partial(_filled_at, row)) for row in rows]


def _filled_at(row: Mapping[str, str], key: str, text: str) -> str:
    return _filled(text, row)


def _filled(text: str, row: Mapping[str, str]) -> str:
    parts = parse(text)
    return "".join(row[part.name] if isinstance(part, Column) else str(part) for part in parts)


class Door:
    """Lets users in, over connections that they share; each has cookies of their own."""

    def __init__(self, plan: Plan, job: Job) -> None:
        self._url = plan.target.url
        self._timeout = float(plan.target.timeout)
        self._transport = httpx.AsyncHTTPTransport(
            verify=tls_context(job) or False, http2=job.http2, proxy=job.proxy, trust_env=False
        )

    async def __aenter__(self) -> Door:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._transport.aclose()

    async def enter(self, login: Login) -> str:
        """The value of the header that shows who it is. PlanError for whoever is not let in."""
        if login.basic is not None:
            return f"Basic {base64.b64encode(login.basic.encode()).decode()}"
        # It is not closed, since that would close the transport.
        client = httpx.AsyncClient(
            transport=self._transport, timeout=self._timeout, headers={"User-Agent": USER_AGENT}
        )
        way: Callable[[httpx.AsyncClient, Login], Awaitable[str]] = (
            self._by_form if login.form is not None else self._by_token
        )
        try:
            return await way(client, login)
        except httpx.HTTPError as error:
            raise PlanError(f"no answer: {error or type(error).__name__}") from None

    async def _by_form(self, client: httpx.AsyncClient, login: Login) -> str:
        page = await client.get(urljoin(self._url, login.form or ""), follow_redirects=True)
        form = _form_with(page, login.fields)
        if form is None:
            names = ", ".join(login.fields)
            raise PlanError(f"{page.url.path} ({page.status_code}) has no form with {names}")
        action, method, hidden = form
        if action.copy_with(path="/", query=None) != page.url.copy_with(path="/", query=None):
            raise PlanError("its form leads away from the target")
        origin = str(page.url.copy_with(raw_path=b"/")).rstrip("/")
        answer = await client.request(
            method, action, data=hidden | login.fields,
            headers={"Referer": str(page.url), "Origin": origin},
        )  # fmt: skip
        refused = _refusal(login, page.url, answer)
        if refused:
            raise PlanError(refused)
        cookies = client.build_request("GET", self._url).headers.get("Cookie")
        if not cookies:
            raise PlanError("it set no cookie")
        return str(cookies)

    async def _by_token(self, client: httpx.AsyncClient, login: Login) -> str:
        url = urljoin(self._url, login.token or "")
        sent = {"json": login.json} if login.json is not None else {"data": login.fields}
        response = await client.post(url, **sent)  # type: ignore[arg-type]
        if response.status_code >= 400:
            raise PlanError(f"status {response.status_code}")
        # httpx has undone the coding of the content already.
        headers = [field for field in response.headers.raw if field[0].lower() != CODING]
        head = head_of(httpx.Response(response.status_code, headers=headers))
        answer = Answer(head, response.content, len(response.content))
        jar = Jar(urlsplit(url).hostname or "", secure=True)
        jar.take(answer, b"", 0.0)
        token = taker(take_job("token", login.take))(answer, jar)
        if not token:
            raise PlanError("its answer holds no token where `take` looks")
        return f"{login.scheme} {token}"


def _form_with(
    page: httpx.Response, fields: Mapping[str, str]
) -> tuple[httpx.URL, str, dict[str, str]] | None:
    """The form that has these fields: where it goes, its method, its hidden fields."""
    from selectolax.lexbor import LexborHTMLParser

    for form in LexborHTMLParser(page.content).css("form"):
        inputs = [node.attributes for node in form.css("input, select, textarea, button")]
        if not fields.keys() <= {attributes.get("name") for attributes in inputs}:
            continue
        hidden = {
            str(attributes["name"]): attributes.get("value") or ""
            for attributes in inputs
            if (attributes.get("type") or "").lower() == "hidden" and attributes.get("name")
        }
        action = page.url.join(form.attributes.get("action") or "")
        return action, (form.attributes.get("method") or "get").upper(), hidden
    return None


def _refusal(login: Login, page: httpx.URL, answer: httpx.Response) -> str:
    """Why an answer to a filled-in form means that it did not work; empty if it did."""
    if login.expect != Expect():
        wanted = login.expect.status or answer.status_code
        statuses = (wanted,) if isinstance(wanted, int) else wanted
        contains = (login.expect.contains or "").encode()
        is_met = answer.status_code in statuses and contains in answer.content
        return "" if is_met else f"{answer.status_code}: not what `login.expect` says"
    if answer.has_redirect_location:
        where = page.join(answer.headers["Location"])
        return "it leads back to the login page" if where.path == page.path else ""
    if answer.status_code >= 400:
        return f"status {answer.status_code}"
    if _form_with(answer, login.fields) is not None:
        return "the form comes again: a wrong name or password?"
    return ""
