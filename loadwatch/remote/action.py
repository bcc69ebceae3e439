"""Does something to a host, once, over a connection that watches it already.

Not under the guard: what an action starts is to stay when we leave, and a service must not end in
the middle of its restart because a connection did. The command goes to a `sh` on its standard
input, so that no login shell has to take it apart; `sh` tells the exit code behind a random word.
"""

from __future__ import annotations

import re
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from itertools import takewhile

from loadwatch.core.action import Done
from loadwatch.core.errors import HostError
from loadwatch.remote.guard import Preamble, make_nonce
from loadwatch.remote.link import Link, LinkError
from loadwatch.remote.text import Tail

TURN = 0.2
"""Seconds between two looks at whether it is still to be waited for."""

KEPT = 4096
"""Bytes of output that are kept, the newest."""

_SCRIPT = """echo LW1 {nonce} ready
(
{command}
) </dev/null 2>&1
printf '\\nLW1 {nonce} exit %s\\n' $?
exit
"""


def perform(
    link: Link,
    command: str,
    timeout: float,
    stopping: threading.Event,
    now: Callable[[], float] = time.monotonic,
) -> Done:
    """Run `command` (for `sh`) on the host and wait for its end, `timeout` seconds at most.

    HostError where it cannot be started, or nobody knows how it ended: the connection went, it
    took too long, or we are leaving (`stopping`).
    """
    stream, nonce, until = link.open("exec sh"), make_nonce(), now() + timeout
    outputs = iter(lambda: stream.read(TURN), b"")
    try:
        stream.write(_SCRIPT.format(nonce=nonce, command=command).encode())
        waiting = takewhile(lambda _: now() < until and not stopping.is_set(), outputs)
        done = _done(waiting, nonce)
        if done is not None:
            return done
    except LinkError:
        outputs = iter(())  # no more comes
        raise
    except OSError as failure:
        raise HostError(f"no shell there: {failure.strerror}") from None
    finally:
        stream.close()
        with suppress(LinkError):
            deque(outputs, 0)  # to the end, which frees what the stream holds
    if now() < until and not stopping.is_set():
        said = " ".join(stream.complaints[-2:]) or "it did not say why"
        raise HostError(f"the command did not run to its end: {said}")
    raise HostError("the command is not over: it was given up, and may go on there")


def _done(outputs: Iterable[bytes | None], nonce: str) -> Done | None:
    """What the command came to; None where its output ends before it says."""
    preamble, seen = Preamble(nonce), b""
    end = re.compile(rf"\nLW1 {nonce} exit (\d+)\n".encode())
    for data in outputs:
        seen = (seen + preamble.feed(data or b""))[-KEPT:]
        if found := end.search(seen):
            tail = Tail(KEPT)
            tail.add(seen[: found.start()])
            return Done(int(found[1]), tuple(tail.lines))
    return None
