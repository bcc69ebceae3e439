"""A program in a terminal of its own (a pty): keys are typed by the clock, all output is read."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence


def in_terminal(
    command: Sequence[str],
    size: tuple[int, int],
    until: bytes = b"",
    typed: Sequence[tuple[float, bytes]] = (),
    environment: Mapping[str, str] = os.environ,
) -> float:
    """Run `command`: seconds until it writes `until`, else until its end.

    It is ended then, and what it still writes is read, so that it can. `typed` are keys and when
    they are pressed, in seconds after the start.
    """
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
    colours = {**environment, "TERM": "xterm-256color", "COLORTERM": "truecolor"}
    begin, seen, found, keys = time.monotonic(), b"", 0.0, list(typed)
    process = subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, env=colours, start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # it hangs up when we are gone
    )  # fmt: skip
    os.close(theirs)
    while process.poll() is None:
        if select.select([ours], [], [], 0.05)[0]:
            with contextlib.suppress(OSError):
                seen = (seen + os.read(ours, 1 << 16))[-(1 << 17) :]
        while keys and time.monotonic() - begin >= keys[0][0]:
            os.write(ours, keys.pop(0)[1])
        if until and until in seen and not found:
            found = time.monotonic() - begin
            process.terminate()
    os.close(ours)
    return found or time.monotonic() - begin
