"""A small site in trouble of one kind: `python -m tests.troubled WORKERS TROUBLE AMOUNT`.

It forks its workers before any request, and each serves one connection at a time, as Apache's and
gunicorn's do: who finds none free waits in the listen queue. One that is killed is replaced. When
it serves, it prints one line of JSON with its `url` and the process ids of its `workers`. It ends
when stdin does.
"""

from __future__ import annotations

import fcntl
import json
import mmap
import os
import select
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

Trouble = Callable[[float, Path], int]
"""What a worker does for one request, by an amount and a file of all workers; the status."""

_kept: list[bytearray] = []


def works(amount: float, file: Path) -> int:
    """Takes so many milliseconds of CPU."""
    until = time.process_time() + amount / 1000
    while time.process_time() < until:
        sum(range(1000))
    return 200


def asks_the_kernel(amount: float, file: Path) -> int:
    """Takes so many milliseconds of CPU within the kernel."""
    until = time.process_time() + amount / 1000
    while time.process_time() < until:
        os.urandom(1 << 18)
    return 200


def sleeps(amount: float, file: Path) -> int:
    """Waits for so many milliseconds."""
    time.sleep(amount / 1000)
    return 200


def locks(amount: float, file: Path) -> int:
    """Waits for the one lock of all workers, and holds it for so many milliseconds."""
    with file.open("rb") as own:
        fcntl.flock(own, fcntl.LOCK_EX)
        time.sleep(amount / 1000)
    return 200


def reads(amount: float, file: Path) -> int:
    """Reads so many KiB from the disk, past the cache."""
    own = os.open(file, os.O_RDONLY | os.O_DIRECT)
    try:
        with mmap.mmap(-1, int(amount) << 10) as buffer:
            os.preadv(own, [buffer], 0)
    finally:
        os.close(own)
    return 200


def leaks(amount: float, file: Path) -> int:
    """Keeps so many MiB more."""
    _kept.append(bytearray(b"x" * (int(amount) << 20)))
    return 200


def fails(amount: float, file: Path) -> int:
    """Answers with this status at once."""
    return int(amount)


TROUBLES: Mapping[str, Trouble] = {
    one.__name__: one for one in (works, asks_the_kernel, sleeps, locks, reads, leaks, fails)
}


def serve(listening: socket.socket, trouble: Callable[[], int]) -> None:
    """Answer one client after the other until stdin ends."""
    while True:
        ready, _, _ = select.select([listening, sys.stdin], [], [])
        if sys.stdin in ready:
            return
        try:
            client, _ = listening.accept()
        except BlockingIOError:
            continue  # another worker was faster
        with client:
            client.setblocking(True)
            try:
                client.recv(1 << 16)  # loadwatch sends a request in one piece
                head = f"HTTP/1.1 {trouble()} So\r\nConnection: close\r\nContent-Length: 2\r\n\r\n"
                client.sendall(head.encode() + b"ok")
            except ConnectionError:
                pass  # the client has given up


def start(listening: socket.socket, trouble: Callable[[], int]) -> int:
    """Fork a worker; its process id."""
    if pid := os.fork():
        return pid
    serve(listening, trouble)
    os._exit(0)


def main() -> None:
    """Serve until stdin ends."""
    workers, name, amount = int(sys.argv[1]), sys.argv[2], float(sys.argv[3])
    with socket.create_server(("127.0.0.1", 0), backlog=1000) as listening, \
            tempfile.NamedTemporaryFile() as file:  # fmt: skip
        listening.setblocking(False)
        file.write(bytes(1 << 20))
        file.flush()
        os.fsync(file.fileno())

        def trouble() -> int:
            return TROUBLES[name](amount, Path(file.name))

        running = {start(listening, trouble) for _ in range(workers)}
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        print(json.dumps({"url": url, "workers": sorted(running)}), flush=True)
        while running:
            pid, status = os.wait()
            running.discard(pid)
            if status:
                running.add(start(listening, trouble))


if __name__ == "__main__":
    main()
