"""The short cut for like responses: it must never take a response for what it is not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadwatch.load.repeat import Repeat, learn

DATE = b"Mon, 23 Nov 2026 21:03:15 GMT"
HEAD = (
    b"HTTP/1.1 200 OK\r\nServer: nginx\r\nDate: " + DATE + b"\r\nContent-Type: text/html\r\n"
    b"Content-Length: 5\r\nConnection: keep-alive\r\n\r\n"
)


def alike(repeat: Repeat, data: bytes) -> bool:
    """The comparison as `load.wire` makes it."""
    return (
        len(data) == repeat.size
        and data.startswith(repeat.before)
        and data.startswith(repeat.after, repeat.resume)
    )


def test_another_date_and_another_body_are_alike() -> None:
    repeat = learn(HEAD + b"hello", 200)
    assert repeat is not None
    assert repeat.status == 200
    assert alike(repeat, HEAD + b"world")
    assert alike(repeat, HEAD.replace(DATE, b"Tue, 24 Nov 2026 00:00:00 GMT") + b"hello")


@given(st.integers(0, len(HEAD) - 1), st.integers(0, 255))
def test_any_other_byte_of_the_head_goes_to_the_parser(place: int, byte: int) -> None:
    repeat = learn(HEAD + b"hello", 200)
    assert repeat is not None
    changed = HEAD[:place] + bytes([byte]) + HEAD[place + 1 :]
    begin = HEAD.index(DATE)
    in_date = begin <= place < begin + len(DATE)
    assert alike(repeat, changed + b"hello") == (changed == HEAD or in_date)


@pytest.mark.parametrize(
    "data",
    [
        HEAD + b"hello, and the next response begins",
        HEAD + b"hell",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        HEAD.replace(b"Connection", b"Transfer-Encoding: chunked\r\nConnection") + b"hello",
        b"HTTP/1.1 200 OK\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n",
        b"",
    ],
)
def test_what_is_not_one_whole_response_with_its_length_is_not_learnt(data: bytes) -> None:
    assert learn(data, 200) is None


def test_a_response_without_a_date_is_compared_whole() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"
    repeat = learn(head + b"ok", 200)
    assert repeat is not None
    assert alike(repeat, head + b"no")
    assert not alike(repeat, head.replace(b"200", b"500") + b"ok")
