"""Which tools a server has, and which probes to run on it: looked at once per connection."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace

from loadwatch.core.plan import Host
from loadwatch.remote import guard
from loadwatch.remote.guard import Preamble, make_nonce
from loadwatch.remote.link import Link, LinkError, Stream
from loadwatch.remote.probe import Probe, Tool
from loadwatch.remote.text import clean

TIMEOUT = 3.0
"""Seconds that a login has to answer, and then its tools to show themselves."""

SETTLING = 0.2
"""Seconds after its end for which sshd may still count a session, where it allows few."""

LIMIT = 1024 * 1024
"""Bytes of output that are looked at."""

_LOGIN = "echo $(uname -sr); echo $(id -un); echo $SHELL"


@dataclass(frozen=True, slots=True)
class Server:
    """What a login shows of its server, as far as it does: `tools` by the probes' names."""

    system: str = ""
    user: str = ""
    shell: str = ""
    tools: Mapping[str, Tool] = field(default_factory=dict)


def detect(
    link: Link,
    probes: Iterable[Probe],
    stopping: threading.Event,
    clock: Callable[[], float] = time.monotonic,
) -> Server:
    """The server, and the probes' tools on it.

    A tool that did not show itself in time is not among them; none is where the login runs no
    commands. LinkError if the login gives no answer.
    """
    probes = tuple(probes)
    nonce = make_nonce()
    # What a probe cannot do without comes first: a slow tool behind it takes nothing away.
    ordered = sorted(probes, key=lambda probe: probe.stand_in is None)
    looks = {"login": _LOGIN, **{probe.name: _look(probe) for probe in ordered}, "end": ":"}
    sections = " ".join(f"echo LW1 {nonce} look {name}; {look};" for name, look in looks.items())
    # Under guard, as the probes themselves: a tool may hang that is only looked at.
    stream = link.open(guard.command("sh", sections, nonce))
    output = _read(stream, nonce, stopping, clock)
    stopping.wait(SETTLING)
    shown = _sections(nonce, output)
    lines = [*shown.get("login", "").split("\n"), "", "", ""]
    system, user, shell = (clean(line, 100) for line in lines[:3])
    return Server(system, user, shell, _tools(probes, shown))


def _look(probe: Probe) -> str:
    """What shows one tool: where it is, and then what it is."""
    return f"command -v {probe.tool} && {{ {probe.look}; }}"


def _read(
    stream: Stream, nonce: str, stopping: threading.Event, clock: Callable[[], float]
) -> bytes:
    """What the script printed until it ended, or until the time is over."""
    preamble = Preamble(nonce)
    output, data = b"", None
    until = clock() + TIMEOUT
    try:
        while data != b"":
            data = stream.read(0.1)
            was_ready = preamble.ready
            output = (output + preamble.feed(data or b""))[:LIMIT]
            if preamble.ready and not was_ready:
                until = clock() + TIMEOUT
            if clock() >= until or stopping.is_set():
                break
        else:
            return output
    finally:
        stream.close()
        with suppress(LinkError):
            while data != b"":  # only its end frees what a stream holds
                data = stream.read(TIMEOUT)
    if not preamble.ready and not stopping.is_set():
        raise LinkError(f"the login gave no answer within {TIMEOUT:.0f} s")
    return output


def _sections(nonce: str, output: bytes) -> dict[str, str]:
    """What was shown, by the names of the sections."""
    # Marks begin a line: a list of processes may show this script itself.
    mark = re.compile(rf"^LW1 {nonce} look (\w+)\n", re.MULTILINE)
    _, *parts = mark.split(output.decode("utf-8", "replace"))
    # The last one is the end, or was cut short.
    return dict(zip(parts[:-2:2], parts[1:-2:2], strict=True))


def _tools(probes: Iterable[Probe], shown: Mapping[str, str]) -> dict[str, Tool]:
    tools = {}
    for probe in probes:
        if probe.name not in shown:
            continue
        path, _, look = shown[probe.name].partition("\n")
        if path:
            tools[probe.name] = replace(probe.recognise(look), path=clean(path, 200))
        else:
            tools[probe.name] = Tool(lacks=f"{probe.tool} is not on the login's PATH")
    return tools


def choose(host: Host, probes: Iterable[Probe], tools: Mapping[str, Tool]) -> tuple[Probe, ...]:
    """The probes to run on `host`: those whose tools can be used, and what stands in for others.

    Where nothing can stand in, all of them: each then says itself what it lacks.
    """
    probes = tuple(probes)
    lacking = frozenset(name for name, tool in tools.items() if tool.lacks)
    usable = [probe for probe in probes if probe.name not in lacking]
    stand_ins = [probe for probe in usable if probe.stand_in is not None]
    if not stand_ins:
        return tuple(probe for probe in probes if probe in usable or probe.stand_in is None)
    chosen = [
        probe if probe.stand_in is None else replace(probe, command=probe.stand_in(host, lacking))
        for probe in usable
    ]
    # The tools of the trade first, should the server allow few sessions.
    return tuple(sorted(chosen, key=lambda probe: probe.stand_in is not None))
