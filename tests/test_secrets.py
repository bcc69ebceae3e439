"""Canaries wherever a secret may stand, and a search through all that is left behind."""

from __future__ import annotations

import os
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import ClassVar

from tests.sshd import command_line
from tests.test_cli import children

CANARIES = {
    "LW_COOKIE": "canary-cookie-7f3a",
    "LW_PATH": "canary-path-1b9c",
    "LW_QUERY": "canary-query-66d0",
    "LW_BODY": "canary-body-2e48",
    "LW_BEARER": "canary-bearer-90aa",
}
LITERAL = "canary-literal-c51e"
IN_FILE = "canary-file-4d77"


class Site(BaseHTTPRequestHandler):
    """Answers with all that it was told, in every way a server can."""

    protocol_version = "HTTP/1.1"
    seen: ClassVar[set[str]] = set()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        told = f"{self.path}\n{self.headers}\n{body.decode()}"
        self.seen.add(told)
        self.send_response(302 if "redirect" in self.path else 500)
        self.send_header("Location", self.path)
        self.send_header("Set-Cookie", self.headers["Cookie"])
        self.send_header("Content-Length", str(len(told.encode())))
        self.end_headers()
        self.wfile.write(told.encode())

    def log_message(self, *arguments: object) -> None:
        pass


def planned(directory: Path, url: str) -> Path:
    (directory / "token.txt").write_text(IN_FILE, encoding="utf-8")
    plan = directory / "plan.toml"
    plan.write_text(
        f"""
[target]
url = "{url}"
timeout = "2s"
[load]
arrival = "uniform"
[[scenario]]
name = "wall"
method = "POST"
rate = 10
path = "/${{env:LW_PATH}}/redirect?token=${{env:LW_QUERY}}"
body = "password=${{env:LW_BODY}}"
headers = {{ Cookie = "sessionid=${{env:LW_COOKIE}}", Authorization = "Bearer ${{env:LW_BEARER}}", \
X-Token = "@{directory / "token.txt"}" }}
[[scenario]]
name = "fails"
method = "POST"
rate = 10
body = "x"
headers = {{ Cookie = "a=${{env:LW_COOKIE}}; b={LITERAL}" }}
[thresholds]
"load.status.5xx" = "== 0"
""",
        encoding="utf-8",
    )
    return plan


def test_no_secret_is_left_anywhere(tmp_path: Path) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    out = tmp_path / "out"
    out.mkdir()
    home = tmp_path / "home"
    environ = {**os.environ, **CANARIES, "XDG_DATA_HOME": str(home), "GITHUB_STEP_SUMMARY": ""}

    def run(*arguments: str) -> str:
        """Run the command; returns what it wrote, and the arguments of all its processes."""
        process = subprocess.Popen(
            [sys.executable, "-m", "loadwatch", *arguments],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environ,
        )  # fmt: skip
        assert process.stderr is not None
        lines, said = [], ""
        for line in process.stderr:
            lines.append(line)
            if "0:00  offered" in line:
                for pid in (process.pid, *children(process.pid)):
                    said += command_line(pid).decode()
        assert process.stdout is not None
        text = said + "".join(lines) + process.stdout.read()
        process.stdout.close()
        process.stderr.close()
        process.wait(60)
        return text

    said = []
    try:
        url = f"http://127.0.0.1:{server.server_port}"
        for engine in ("wire", "httpx"):
            session = out / f"{engine}.loadwatch"
            said.append(run(
                "run", str(planned(tmp_path, url)), "--duration", "2s", "--json",
                "--engine", engine, "--session", str(session),
                "--junit", str(out / f"{engine}.xml"), "--summary", str(out / f"{engine}.md"),
            ))  # fmt: skip
    finally:
        server.shutdown()
        server.server_close()
    # Nobody is there any more: errors have their say.
    dead = out / "dead.loadwatch"
    said.append(run("run", str(tmp_path / "plan.toml"), "--duration", "1s", "--session", str(dead)))
    formats, reports = ("csv", "json", "hlog"), ("report.html", "report.md")
    said += [run("export", str(session), "--format", f, "-o", str(out / f)) for f in formats]
    said += [run("report", str(session), "-o", str(out / name)) for name in reports]
    said.append(run("compare", str(out / "wire.loadwatch"), str(session), "--json"))
    said.append(run("run", str(session), "--session", str(out / "again.loadwatch")))
    said.append(run("sessions", "--json"))

    reached = "".join(Site.seen)
    secrets = (*CANARIES.values(), LITERAL, IN_FILE)
    assert [secret for secret in secrets if secret not in reached] == []  # they did arrive
    artefacts = [path for path in (*out.rglob("*"), *home.rglob("*")) if path.is_file()]
    assert len(artefacts) >= 20
    for path in artefacts:
        found = [secret for secret in secrets if secret.encode() in path.read_bytes()]
        assert found == [], path
    assert [secret for secret in secrets for text in said if secret in text] == []
    assert "Cookie was not recorded" in said[-2]
    # The plan itself is recorded, as written.
    assert b"${env:LW_COOKIE}" in (out / "wire.loadwatch").read_bytes()
