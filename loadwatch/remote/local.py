"""This machine as a host: the same guard and probes through a local shell, without SSH."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import threading
import time

from loadwatch.remote.link import LinkError
from loadwatch.remote.text import Tail

CHUNK = 32768
GRACE = 2.0
"""Seconds that a guard has to end everything before it is killed."""


class LocalStream:
    """A command under `/bin/sh`. Its pipes belong to the thread that reads."""

    def __init__(self, command: str) -> None:
        # A session of its own: Ctrl-C in our terminal is ours to handle.
        self._process = subprocess.Popen(
            ["/bin/sh", "-c", command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
        )
        assert self._process.stdin and self._process.stdout and self._process.stderr
        self._stdin, self._stdout = self._process.stdin, self._process.stdout
        self._stderr = self._process.stderr
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._stdout, selectors.EVENT_READ)
        self._selector.register(self._stderr, selectors.EVENT_READ)
        self._tail = Tail()
        self._writing = threading.Lock()
        self._closed_at: float | None = None

    def read(self, timeout: float) -> bytes | None:
        """The next output; None if quiet, b"" at the end, when its resources are freed too."""
        ready = [key.fileobj for key, _ in self._selector.select(timeout)]
        if self._stderr in ready:
            complaint = os.read(self._stderr.fileno(), CHUNK)
            self._tail.add(complaint)
            if not complaint:
                self._selector.unregister(self._stderr)
        if self._stdout in ready:
            data = os.read(self._stdout.fileno(), CHUNK)
        elif self._is_overdue():
            data = b""
        else:
            return None
        if not data:
            self._release()
        return data

    def _is_overdue(self) -> bool:
        return self._closed_at is not None and time.monotonic() - self._closed_at > GRACE

    def _release(self) -> None:
        """Take leave: what the tool still complained about, then its pipes, then the guard."""
        if self._stderr in (key.fileobj for key in self._selector.get_map().values()):
            os.set_blocking(self._stderr.fileno(), False)
            try:
                self._tail.add(os.read(self._stderr.fileno(), CHUNK))
            except BlockingIOError:
                pass
        self._selector.close()
        self._stdout.close()
        self._stderr.close()
        self.close()
        try:
            self._process.wait(GRACE)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def write(self, data: bytes) -> None:
        """Send to standard input; OSError if that is closed."""
        with self._writing:
            if self._stdin.closed:
                raise BrokenPipeError("closed")
            self._stdin.write(data)

    @property
    def complaints(self) -> list[str]:
        """The newest lines on standard error, disarmed."""
        return self._tail.lines

    def close(self) -> None:
        """Close standard input: the guard ends the tool, and the reader sees the end."""
        with self._writing:
            if self._closed_at is None:
                self._closed_at = time.monotonic()
            self._stdin.close()


class LocalLink:
    """The link to this machine: always there."""

    def open(self, command: str) -> LocalStream:
        """Start `command` under `/bin/sh`; LinkError if there is no room for it."""
        try:
            return LocalStream(command)
        except OSError as failure:
            raise LinkError(f"cannot start a shell: {failure.strerror}") from None

    def close(self) -> None:
        """Nothing: every stream is closed on its own."""
