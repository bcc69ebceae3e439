"""What goes over the wire: by another tool, and by a plan that was made of its command line."""

from __future__ import annotations

import contextlib
import threading
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import msgspec

from loadwatch import config
from loadwatch.core.plan import Scenario
from loadwatch.importing.draft import Draft
from loadwatch.importing.writing import as_toml
from loadwatch.load.fleet import share_out
from loadwatch.load.request import read
from loadwatch.load.template import all_requests


@dataclass(frozen=True)
class Seen:
    """One request; header names in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@contextlib.contextmanager
def listening() -> Iterator[tuple[str, list[Seen]]]:
    """A server on loopback, host:port, and what it was asked."""
    seen: list[Seen] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            seen.append(Seen(self.command, self.path, headers, body))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            if headers.get("connection", "").lower() == "keep-alive":  # for HTTP/1.0
                self.send_header("Connection", "keep-alive")
            self.end_headers()

        do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = answer  # noqa: N815

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}", seen
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def written(draft: Draft) -> config.Plan:
    """The plan as it is read again from what would be written."""
    return config.decode(tomllib.loads(as_toml(draft)), "imported")


def planned(draft: Draft) -> list[Seen]:
    """What the written plan sends, a request per scenario, or per step of a visit."""
    environment = {name: value for value, name in draft.secrets.variables.items()}
    plan = written(draft)
    asked_for = [one for scenario in plan.scenarios for one in scenario.steps or (scenario,)]
    single = tuple(
        Scenario(
            f"s{n}",
            one.path,
            headers=one.headers,
            method=one.method,
            body=one.body,
            multipart=one.multipart,
        )
        for n, one in enumerate(asked_for)
    )
    flat = msgspec.structs.replace(plan, scenarios=single)
    job = share_out(config.fill_in(flat, environment))[0]
    requests = (read(next(rendered), job.url) for rendered in all_requests(job).values())
    return [
        Seen(
            request.method,
            request.url.raw_path.decode(),
            {name.lower(): value for name, value in request.headers.items()},
            request.read(),
        )
        for request in requests
    ]
