"""What the benchmarks share: a real nginx on loopback, one loadwatch run, wrk, hey and httperf.

Everything is bounded in count and time, goes to loopback, and is stopped by its PID.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

NGINX = """
worker_processes 1; pid {dir}/nginx.pid; error_log {dir}/error.log; daemon off;
events {{ worker_connections 4096; }}
http {{
  access_log off; keepalive_requests 10000000; default_type text/html;
  client_body_temp_path {dir}/b; proxy_temp_path {dir}/p; fastcgi_temp_path {dir}/f;
  uwsgi_temp_path {dir}/u; scgi_temp_path {dir}/s;
  server {{ listen 127.0.0.1:{port}{listen} {headers} location / {{ {content} }} }}
}}
"""


@contextlib.contextmanager
def nginx(
    body: int = 600, tls: bool = False, http2: bool = False, headers: int = 0,
    directives: str = "",
) -> Iterator[str]:  # fmt: skip
    """One nginx worker on a free loopback port; yields its URL. Its certificate is self-signed.

    It answers with `body` bytes, and with so many `headers` more than its own; `directives` are
    nginx's.
    """
    program = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin")
    if program is None:
        sys.exit("needs nginx")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        config = Path(directory, "nginx.conf")
        how = (_certificate(directory) if tls else "").partition(";")
        listen = f"{how[0]}{' http2' if http2 else ''};{how[2]}"
        own = (f'add_header X-Number-{n} "the value of {n}";' for n in range(headers))
        more = " ".join([*own, directives])
        config.write_text(
            NGINX.format(dir=directory, port=port, content=_content(directory, body),
                         listen=listen, headers=more),
            encoding="utf-8",
        )  # fmt: skip
        server = subprocess.Popen(
            [program, "-c", str(config), "-e", f"{directory}/error.log", "-p", directory]
        )
        try:
            for _ in range(100):
                with contextlib.suppress(OSError):
                    socket.create_connection(("127.0.0.1", port), 1).close()
                    break
                time.sleep(0.05)
            yield f"http{'s' if tls else ''}://127.0.0.1:{port}/"
        finally:
            server.terminate()
            server.wait(10)


def _content(directory: str, size: int) -> str:
    """nginx's directives for a body: in the configuration, which cannot hold much, or in a file."""
    if size <= 2048:
        return f'return 200 "{"x" * size}";'
    Path(directory, "index.html").write_bytes(b"x" * size)
    return f"root {directory};"


def _certificate(directory: str) -> str:
    """nginx's directives for a certificate made just now."""
    paths = f"{directory}/certificate.pem", f"{directory}/key.pem"
    output(
        "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
        "-nodes", "-days", "2", "-subj", "/CN=localhost", "-out", paths[0], "-keyout", paths[1],
    )  # fmt: skip
    return f" ssl; ssl_certificate {paths[0]}; ssl_certificate_key {paths[1]};"


def output(*command: str) -> str:
    """What a bounded command prints; it may take two minutes at most."""
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout


def loadwatch(
    url: str, *options: str, target: str = "", load: str = "", more: str = ""
) -> dict[str, Any]:
    """`loadwatch run --json …`; also the worker's CPU, as shares of a core per second.

    `target` and `load` stand in the plan's tables of these names, `more` after its one scenario's
    name.
    """
    with tempfile.TemporaryDirectory() as directory:
        session = Path(directory, "bench.session")
        plan = Path(directory, "plan.toml")
        plan.write_text(
            f'[target]\nurl = "{url}"\n{target}\n[load]\n{load}\n'
            f'[[scenario]]\nname = "home"\n{more}\n',
            encoding="utf-8",
        )
        command = [sys.executable, "-m", "loadwatch", "run", str(plan), "--json"]
        done = subprocess.run(
            [*command, "--session", str(session), *options],
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        if done.returncode not in (0, 4):
            sys.exit(done.stderr)
        result: dict[str, Any] = json.loads(done.stdout)
        from loadwatch.session import open_session

        with open_session(session) as recorded:
            cpu = [tick.values.get("generator.cpu") for tick in recorded.ticks()]
        result["cpu"] = statistics.median(share for share in cpu if share is not None)
    return result


def wrk(url: str, connections: int, seconds: int) -> float:
    """Requests per second of `wrk -t1`."""
    text = output("wrk", "-t1", f"-c{connections}", f"-d{seconds}s", url)
    return float(re.findall(r"Requests/sec:\s+([\d.]+)", text)[0])


def hey(url: str, connections: int, seconds: int, per_connection: float = 0) -> dict[str, float]:
    """`hey`: requests per second and percentiles in milliseconds; `-q` is per connection."""
    limit = ["-q", f"{per_connection:g}"] if per_connection else []
    text = output("hey", "-c", str(connections), "-z", f"{seconds}s", *limit, url)
    found = {"rate": float(re.findall(r"Requests/sec:\s+([\d.]+)", text)[0])}
    for share, value in re.findall(r"(\d+)%+ in ([\d.]+) secs", text):
        found[f"p{share}"] = float(value) * 1000
    return found


def ab(url: str, connections: int, seconds: int) -> float:
    """Requests per second of `ab` without keep-alive."""
    text = output("ab", "-q", "-c", str(connections), "-t", str(seconds), "-n", "10000000", url)
    return float(re.findall(r"Requests per second:\s+([\d.]+)", text)[0])


def locust(url: str, users: int, seconds: int) -> float:
    """Requests per second of so many of Locust's FastHttpUser, in one process."""
    text = output(
        "locust", "--locustfile", str(Path(__file__).with_name("locustfile.py")), "--headless",
        "--users", str(users), "--spawn-rate", str(users), "--run-time", f"{seconds}s",
        "--host", url.rstrip("/"), "--json", "--skip-log-setup",
    )  # fmt: skip
    (page,) = json.loads(text[text.index("[") :])
    lasted = page["last_request_timestamp"] - page["start_time"]
    return float(page["num_requests"] / lasted)


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    lines += ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines)
