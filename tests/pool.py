"""A small web server with so many workers, 50 ms a request: started anew with another number.

`python pool.py DIRECTORY PORT WORKERS` ends the one that runs (its PID stands in the directory) and
leaves a daemon behind, as a service's restart does.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

SECONDS = 0.05
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


async def serve(port: int, workers: int) -> None:
    free = asyncio.Semaphore(workers)

    async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                await reader.readuntil(b"\r\n\r\n")
                async with free:
                    await asyncio.sleep(SECONDS)
                writer.write(ANSWER)

    server = await asyncio.start_server(connection, "127.0.0.1", port)
    await server.serve_forever()


def restart(directory: Path, port: str, workers: str) -> None:
    pid = directory / "pid"
    if pid.exists():
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(pid.read_text()), signal.SIGKILL)
            time.sleep(0.1)
    daemon = subprocess.Popen(
        [sys.executable, __file__, port, workers], start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    pid.write_text(str(daemon.pid))
    with (directory / "log").open("a") as log:
        log.write(f"{workers}\n")


if __name__ == "__main__":
    if len(sys.argv) == 4:
        restart(Path(sys.argv[1]), *sys.argv[2:])
        print(f"{sys.argv[3]} workers")
    else:
        asyncio.run(serve(*map(int, sys.argv[1:])))
