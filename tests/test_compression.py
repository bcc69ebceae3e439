"""What is accepted, and how large bodies are as they come and without their coding."""

from __future__ import annotations

from typing import Any

import pytest

from loadwatch import config
from loadwatch.load.fleet import share_out
from loadwatch.load.template import all_requests


@pytest.mark.parametrize(
    ("url", "load", "headers", "accepted"),
    [
        ("http://x", {}, {}, "gzip, deflate"),
        ("https://x", {}, {}, "gzip, deflate, br, zstd"),
        ("https://x", {"compression": True}, {}, "gzip, deflate, br, zstd"),
        ("https://x", {"compression": False}, {}, "identity"),
        # What a scenario says itself counts.
        ("http://x", {}, {"accept-encoding": "br"}, "br"),
        ("http://x", {"compression": False}, {"Accept-Encoding": "gzip"}, "gzip"),
    ],
)
def test_what_is_accepted(
    url: str, load: dict[str, Any], headers: dict[str, str], accepted: str
) -> None:
    document = {
        "target": {"url": url}, "load": load, "scenario": [{"name": "home", "headers": headers}],
    }  # fmt: skip
    plan = config.decode(document, "plan")
    head = next(all_requests(share_out(plan)[0])["home"]).decode()
    lines = [line for line in head.split("\r\n") if line.lower().startswith("accept-encoding:")]
    assert [line.partition(": ")[2] for line in lines] == [accepted]
