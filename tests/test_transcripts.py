"""Verdicts that no machine can be asked to deserve: from what the probes would have read there.

What vmstat and the probe of /proc print goes through their parsers and the ticker to the verdict.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from loadwatch.analysis.verdict import judge
from loadwatch.core.bucket import Bucket, ScenarioBucket
from loadwatch.core.plan import Host
from loadwatch.core.summary import Summary
from loadwatch.core.ticker import Ticker
from loadwatch.remote.probe import Parser
from loadwatch.remote.probes.vmstat import VmstatParser
from loadwatch.remote.procfs import ProcParser

SECONDS = 8

STOLEN = b"""\
procs -----------memory---------- ---swap-- -----io---- -system-- ------cpu-----
 r  b   swpd   free   buff  cache   si   so    bi    bo   in   cs us sy id wa st
 2  0      0 601234  40112 803456    0    0    12    30  210  405 11  3 84  1  1
 5  0      0 598112  40112 803460    0    0     0    44 1510 2210 44  9  3  0 44
 7  0      0 597904  40116 803472    0    0     0     0 1402 2044 47 10  1  0 42
 4  0      0 597880  40116 803472    0    0     0    12 1466 2120 45  9  2  0 44
 6  0      0 597712  40120 803480    0    0     0     0 1391 1998 49 11  0  0 40
 5  0      0 597640  40120 803484    0    0     0    56 1433 2077 46 10  2  0 42
 6  1      0 597600  40120 803488    0    0     0     0 1450 2101 45 10  1  0 44
 7  0      0 597512  40124 803492    0    0     0     8 1424 2050 46  9  2  0 43
 5  0      0 597440  40124 803496    0    0     0     0 1418 2066 47 10  1  0 42
"""
"""A guest of a busy hypervisor; the first row is the average since boot."""

AT_EASE = (
    b"""\
procs -----------memory---------- ---swap-- -----io---- -system-- -------cpu-------
 r  b   swpd   free   buff  cache   si   so    bi    bo   in   cs us sy id wa st gu
"""
    + 9 * b" 1  0      0 601234  40112 803456    0    0    12    30  210  405 31  9 59  1  0  0\n"
)
"""A server with time left, as procps 4.0.7 shows it."""


def frames(sent: int, again: int) -> Iterator[bytes]:
    """The probe of /proc, frame by frame: 100 Mbit/s, bytes and segments `sent` per second."""
    for second in range(SECONDS + 1):
        yield (
            f"in 1 7 8\nup {1000 + second}.00\ncpus 2\npage 4096\nspeed 100\n"
            f"net 1 eth0 {second * sent // 50} {second * sent}\n"
            f"segments {second * sent // 1000} {second * again}\nend\n"
        ).encode()


def rows(text: bytes) -> Iterator[bytes]:
    """The header of vmstat with its first row, then a row per second."""
    lines = text.splitlines(keepends=True)
    yield b"".join(lines[:3])
    yield from lines[3:]


def seen(vmstat: bytes, sent: int, again: int = 0) -> Summary:
    """A run at 20/s against such a server, which answers 17 of them."""
    ticker = Ticker(["home"], [Host("web", "web")], lambda values: {})
    ticker.rates(0.0, {"home": 20.0})
    parsers: list[tuple[Parser, Iterator[bytes]]] = [
        (VmstatParser("web"), rows(vmstat)), (ProcParser("web"), frames(sent, again)),
    ]  # fmt: skip
    for parser, text in parsers:  # what needs one before it tells nothing yet
        parser.feed(next(text), 0.0)
    summary = Summary()
    for second in range(SECONDS):
        one = ScenarioBucket(offered=20, sent=20, completed=17, good=17, in_flight=3 * second)
        ticker.bucket(Bucket(0, second, [one]))
        for parser, text in parsers:
            for reading in parser.feed(next(text), second + 1.0):
                ticker.reading(second, reading)
        summary.add(ticker.close())
    return summary


@pytest.mark.parametrize(
    ("server", "name", "evidence"),
    [
        (lambda: seen(STOLEN, 1000), "CPU (stolen)",
         "web: us 46 %, sy 9.8 %, wa 0 %, st 43 %, r 5.6 on 2 CPUs"),
        (lambda: seen(AT_EASE, 11_500_000), "network",
         "web: network in 225 KiB/s, out 11.0 MiB/s, of 11.9 MiB/s, retransmitted 0 %"),
        (lambda: seen(AT_EASE, 500_000, again=15), "network",
         "web: network in 9.77 KiB/s, out 488 KiB/s, of 11.9 MiB/s, retransmitted 3 %"),
        (lambda: seen(AT_EASE, 500_000), "worker queue", "open requests rising from 0 to 21"),
    ],
)  # fmt: skip
def test_what_is_said_of_such_a_server(
    server: Callable[[], Summary], name: str, evidence: str
) -> None:
    verdict = judge(server(), (), ["web"])
    assert verdict.name == name, verdict
    assert evidence in verdict.evidence
