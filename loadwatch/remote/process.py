"""Commands of this machine that take part in watching: as streams, or beside a connection."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import threading
import time
from collections.abc import Sequence

from loadwatch.remote.text import Tail

CHUNK = 32768
GRACE = 2.0
"""Seconds that a command has to end after its standard input did, before it is killed."""


class ProcessStream:
    """A command's output and input. Its pipes belong to the thread that reads.

    OSError if it cannot be started.
    """

    def __init__(self, arguments: Sequence[str]) -> None:
        # A session of its own: Ctrl-C in our terminal is ours to handle.
        self._process = subprocess.Popen(
            arguments,
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
        """Take leave: what it still complained about, then its pipes, then the command."""
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
        _await(self._process)

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

    @property
    def exit_code(self) -> int | None:
        """Its exit code, once `read` has returned b""."""
        return self._process.returncode

    def close(self) -> None:
        """Close standard input: the guard ends the tool, and the reader sees the end."""
        with self._writing:
            if self._closed_at is None:
                self._closed_at = time.monotonic()
            self._stdin.close()


class SideProcess:
    """A command beside a connection, in a session of its own; its complaints are read all the time.

    It has to end when its standard input does. OSError if it cannot be started.
    """

    def __init__(self, arguments: Sequence[str], stdin: int, stdout: int) -> None:
        self._process = subprocess.Popen(
            arguments,
            stdin=stdin,
            stdout=stdout,
            stderr=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
        )
        self.stdin = self._process.stdin
        self._tail = Tail()
        self._draining = threading.Thread(target=self._drain, name="complaints", daemon=True)
        self._draining.start()

    def _drain(self) -> None:
        assert self._process.stderr is not None
        with self._process.stderr as stderr:
            while data := os.read(stderr.fileno(), CHUNK):
                self._tail.add(data)

    def ends_within(self, seconds: float) -> bool:
        """Whether it has ended, or does in so many seconds."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    @property
    def complaints(self) -> list[str]:
        """The newest lines on standard error, disarmed."""
        return self._tail.lines

    def end(self) -> None:
        """Wait for its end after its standard input was closed, or bring it about."""
        _await(self._process)
        self._draining.join(GRACE)


def _await(process: subprocess.Popen[bytes]) -> None:
    """Wait for an end that is due; kill what does not come to it, with all that it started."""
    try:
        process.wait(GRACE)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
