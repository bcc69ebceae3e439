"""A request as httpx builds it, and as it goes on the wire."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import httpx

from loadwatch.core.errors import PlanError

USER_AGENT = f"loadwatch/{version('loadwatch')}"

CODINGS = {"http": "gzip, deflate", "https": "gzip, deflate, br, zstd"}
"""What browsers accept: Chrome and Firefox ask for Brotli and Zstandard over TLS only."""


def build(
    url: str,
    path: str,
    headers: Mapping[str, str],
    keep_alive: bool,
    method: str = "GET",
    body: bytes | None = None,
    *,
    compression: bool = True,
    **content: Any,
) -> httpx.Request:
    """The request of a scenario: `path` joined to the target's URL (RFC 3986), httpx's headers.

    With `compression` it accepts what browsers do, else only what is not coded. Other `content`
    than a `body` is what httpx knows as `json`, `data` and `files`. PlanError where httpx refuses
    any of it.
    """
    own = {"User-Agent": USER_AGENT}
    if not keep_alive:
        own["Connection"] = "close"
    try:
        with httpx.Client(headers=own) as client:
            joined = httpx.URL(url).join(path)
            accepted = CODINGS.get(joined.scheme) if compression else None
            client.headers["Accept-Encoding"] = accepted or "identity"
            return client.build_request(
                method, joined, headers=dict(headers), content=body, **content
            )
    except UnicodeError:
        raise PlanError("a header or the path holds what HTTP cannot carry (not ASCII)") from None
    except (httpx.InvalidURL, ValueError, TypeError) as error:
        raise PlanError(str(error)) from None


def read(rendered: bytes, url: str) -> httpx.Request:
    """What `render` wrote, as a request to the server of `url` again."""
    head, _, body = rendered.partition(b"\r\n\r\n")
    first, *lines = head.split(b"\r\n")
    method, path, _ = first.split(b" ")
    headers = [(name, value) for name, _, value in (line.partition(b": ") for line in lines)]
    where = httpx.URL(url).copy_with(raw_path=path)
    return httpx.Request(method.decode(), where, headers=headers, content=body or None)


def render(request: httpx.Request) -> bytes:
    """An HTTP/1.1 request head (RFC 9112 §3, origin-form) and body.

    PlanError for a header that would break out of its line.
    """
    lines = [b"%s %s HTTP/1.1" % (request.method.encode("ascii"), request.url.raw_path)]
    for name, value in request.headers.raw:
        if any(byte in b"\r\n\0" for byte in name + value):
            raise PlanError(f"header {name.decode('latin-1')!r} holds a line break")
        lines.append(name + b": " + value)
    return b"\r\n".join(lines) + b"\r\n\r\n" + request.read()
