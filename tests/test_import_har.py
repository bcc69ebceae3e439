"""HAR files: one that a browser wrote, and archives in the variety that the format allows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadwatch.core.errors import PlanError
from loadwatch.importing import har
from tests.requests_seen import planned, written

RECORDED = Path(__file__).parent.parent / "docs/examples/import/visit.har"


def entry(url: str, at: float = 0, took: float = 10, **more: Any) -> dict[str, Any]:
    request = {"method": "GET", "url": url, "headers": [], **more.pop("request", {})}
    response = {"status": 200, "content": {"mimeType": "text/html"}, **more.pop("response", {})}
    moment = f"2026-11-25T04:00:{at:06.3f}Z"
    return {"startedDateTime": moment, "time": took, "request": request, "response": response}


def archive(*entries: dict[str, Any]) -> bytes:
    return json.dumps({"log": {"version": "1.2", "entries": entries}}).encode()


def test_what_a_browser_recorded_is_what_the_plan_sends() -> None:
    """Every request of the recording but the static files, with its headers and its body."""
    recorded = json.loads(RECORDED.read_text(encoding="utf-8"))["log"]["entries"]
    pages = [e["request"] for e in recorded if "/static/" not in e["request"]["url"]]
    sent = planned(har.read(RECORDED.read_bytes(), "visit.har"))
    assert len(sent) == len(pages) == 5
    for ours, theirs in zip(sent, pages, strict=True):
        assert ours.method == theirs["method"]
        assert "http://heywall.example" + ours.path == theirs["url"]
        assert ours.body.decode() == theirs.get("postData", {}).get("text", "")
        for pair in theirs["headers"]:
            name = pair["name"].lower()
            if name not in ("host", "connection", "cookie"):  # the jar of the visit has cookies
                assert ours.headers[name] == pair["value"]


def test_nothing_secret_of_a_recording_gets_into_the_plan() -> None:
    draft = har.read(RECORDED.read_bytes(), "visit.har", with_static=True)
    text = repr(written(draft)) + "".join(draft.narration())
    assert list(draft.secrets.meanings) == ["CSRFMIDDLEWARETOKEN", "PASSWORD"]
    for secret in ("t0k3n-in-the-form", "hunter2", "c5rf-c00k13", "5355i0n-0f-anna"):
        assert secret in RECORDED.read_text(encoding="utf-8")
        assert secret not in text


def test_static_files_and_other_hosts_are_taken_in_when_asked_for() -> None:
    data = archive(
        entry("http://a.example/"),
        entry("http://a.example/app", response={"content": {"mimeType": "application/javascript"}}),
        entry("http://a.example/logo.PNG?v=2"),
        entry("http://b.example/pixel"),
        entry("http://c.example/x"),
    )
    paths = lambda draft: [one.path for one in planned(draft)]  # noqa: E731
    assert paths(har.read(data, "x")) == ["/"]
    assert paths(har.read(data, "x", with_static=True)) == ["/", "/app", "/logo.PNG?v=2"]
    of_b = har.read(data, "x", hosts=["b.example"])
    assert (written(of_b).target.url, paths(of_b)) == ("http://b.example", ["/pixel"])
    assert "requests to c.example" in of_b.left_out
    assert "2 static files (--static takes them in)" in har.read(data, "x").left_out


def test_what_cannot_be_sent_is_said() -> None:
    draft = har.read(
        archive(
            entry("http://a.example/"),
            entry("http://a.example/gone", response={"status": 0}),
            entry("ws://a.example/live"),
            entry("data:image/png;base64,AAAA"),
            entry("http://a.example/up", request={"method": "POST", "postData": {}}),
            entry("http://a.example/at", request={"method": "POST", "postData": {"text": "@x"}}),
        ),
        "x",
    )
    assert draft.left_out[:4] == [
        "a.example/gone: it was blocked or cancelled",
        "requests of the kind ws:",
        "requests of the kind data:",
        "/up: its body was not recorded",
    ]
    assert any("begins with `@`" in what for what in draft.left_out)
    assert [one.body for one in planned(draft)] == [b"", b"", b""]


def test_a_form_of_which_only_the_fields_were_recorded_is_encoded() -> None:
    post = {"mimeType": "application/x-www-form-urlencoded",
            "params": [{"name": "q", "value": "a b&c"}]}  # fmt: skip
    data = archive(entry("http://a.example/", request={"method": "POST", "postData": post}))
    (sent,) = planned(har.read(data, "x"))
    assert (sent.body, sent.headers["content-type"]) == (b"q=a+b%26c", post["mimeType"])


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"no json", "no HAR file"),
        (b'{"log": {}}', "missing required field `entries`"),
        (b'{"log": {"entries": [{"startedDateTime": "now"}]}}', "log.entries"),
        (b'{"log": {"entries": []}}', "it has no request"),
        (b"\xff\xfe", "no HAR file"),
        (archive(entry("http://a:x/")), "as 'x'"),
        (archive(entry("http:///x")), "expected http(s)://host"),
    ],
)
def test_what_is_no_archive_is_one_clear_line(data: bytes, problem: str) -> None:
    with pytest.raises(PlanError) as raised:
        har.read(data, "x.har")
    assert problem in str(raised.value)
    assert "\n" not in str(raised.value)


HEADERS = st.lists(
    st.fixed_dictionaries({"name": st.just("X-A") | st.text(max_size=3), "value": st.text()}),
    max_size=2,
)
REQUESTS = st.fixed_dictionaries(
    {"headers": HEADERS, "postData": st.fixed_dictionaries({"text": st.text(max_size=9)})}
)
URLS = st.text(max_size=8).map("http://a.example/".__add__)
TIMES = st.floats(-1, 1e4) | st.none()


@given(st.lists(st.builds(entry, URLS, st.floats(0, 59), TIMES, request=REQUESTS), min_size=1))
def test_any_archive_makes_a_plan_that_loads(entries: list[dict[str, Any]]) -> None:
    written(har.read(archive(*entries), "x", with_static=True))
