"""`loadwatch check`: what it finds of the target, of this machine and of watched servers."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from loadwatch import config
from loadwatch.core.errors import HostError, PlanError
from loadwatch.core.finding import Finding
from loadwatch.core.plan import Group, Host, Load, Plan, Scenario, Seconds, Target
from loadwatch.load.approach import approach
from loadwatch.remote import Answers, HostMonitor, inspect
from loadwatch.remote.link import Link, LinkError
from loadwatch.remote.local import LocalLink
from loadwatch.remote.monitor import Note, Sink
from loadwatch.remote.process import ProcessStream
from tests.certificates import make_certificate
from tests.servers import OK, Behaviour, answering, hanging, resetting, serving
from tests.sshd import require

LOADWATCH = [sys.executable, "-m", "loadwatch"]


def verdicts(findings: list[Finding]) -> dict[str, str]:
    return {finding.name: finding.verdict for finding in findings}


def found(findings: list[Finding], name: str) -> Finding:
    return next(finding for finding in findings if finding.name == name)


# -- the target ----------------------------------------------------------------------------------


async def look(
    behaviour: Behaviour,
    tls: ssl.SSLContext | None = None,
    target: Callable[[str], Target] = Target,
    **headers: str,
) -> list[Finding]:
    """What is found of a server that behaves like that."""
    async with serving(behaviour, tls) as port:
        url = f"http{'s' if tls else ''}://127.0.0.1:{port}"
        plan = Plan(target(url), scenarios=(Scenario("home", headers=headers),))
        return await asyncio.to_thread(lambda: list(approach(plan)))


ANSWERS = [
    # what the server does, how that is judged, what is said
    (answering(OK), "ok", "200, 2 B in "),
    (answering(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"), "warning", "404, 0 B"),
    (
        answering(b"HTTP/1.1 302 Found\r\nLocation: /login\r\nContent-Length: 0\r\n\r\n"),
        "warning",
        "redirects to /login",
    ),
    (answering(b"SSH-2.0-OpenSSH_9.2\r\n", keep=False), "failure", "no whole answer"),
    (resetting, "failure", "no whole answer"),
]


@pytest.mark.parametrize(("behaviour", "verdict", "said"), ANSWERS)
async def test_the_answer_to_one_request(behaviour: Behaviour, verdict: str, said: str) -> None:
    findings = await look(behaviour)
    assert verdicts(findings) == {"connection": "ok", "scenario home": verdict}
    assert said in found(findings, "scenario home").text


async def test_the_request_is_that_of_a_run() -> None:
    heads = []

    async def keep(head: bytes, writer: asyncio.StreamWriter) -> bool:
        heads.append(head.decode())
        writer.write(OK)
        return True

    await look(keep, Cookie="a=b")
    (head,) = heads  # one, and no other
    assert head.startswith("GET / HTTP/1.1\r\n") and "User-Agent: loadwatch/" in head
    assert "Cookie: a=b\r\n" in head


async def test_a_server_that_hangs_has_failed() -> None:
    findings = await look(hanging, target=lambda url: Target(url, timeout=Seconds(0.3)))
    assert found(findings, "scenario home").verdict == "failure"


async def test_tls(tmp_path: Path) -> None:
    paths = make_certificate(tmp_path, "127.0.0.1")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(*paths)
    own = found(await look(answering(OK), tls, lambda url: Target(url, ca=paths[0])), "TLS")
    assert own.verdict == "ok" and "TLSv1.3, certificate valid until " in own.text
    unchecked = found(await look(answering(OK), tls, lambda url: Target(url, verify=False)), "TLS")
    assert unchecked.text == "TLSv1.3, certificate not checked"
    findings = await look(answering(OK), tls)
    assert verdicts(findings) == {"connection": "ok", "TLS": "failure"}
    assert "--ca FILE" in found(findings, "TLS").advice


async def test_tls_towards_a_port_that_speaks_none() -> None:
    async with serving(answering(b"HTTP/1.1 400 Bad Request\r\n\r\n", keep=False)) as port:
        target = Target(f"https://127.0.0.1:{port}", timeout=Seconds(0.5))
        plan = Plan(target, scenarios=(Scenario("home"),))
        findings = await asyncio.to_thread(lambda: list(approach(plan)))
    assert found(findings, "TLS").verdict == "failure"
    assert found(findings, "TLS").advice == "does this port speak TLS?"


def test_a_closed_port_and_a_name_that_is_none() -> None:
    plan = Plan(Target("http://127.0.0.1:1"), scenarios=(Scenario("home"),))
    (closed,) = approach(plan)
    assert (closed.verdict, closed.text) == ("failure", "127.0.0.1 port 1: connection refused")
    plan = Plan(Target("http://nowhere.invalid"), scenarios=(Scenario("home"),))
    (unknown,) = approach(plan)
    assert (unknown.name, unknown.verdict) == ("name", "failure")


def test_a_ca_that_is_none_is_a_fault_of_the_plan(tmp_path: Path) -> None:
    target = Target("https://127.0.0.1:1", ca=str(tmp_path / "none.pem"))
    with pytest.raises(PlanError, match=r"target\.ca"):
        list(approach(Plan(target, scenarios=(Scenario("home"),))))


# -- a watched server ----------------------------------------------------------------------------


def watching(link: Link | Exception) -> Callable[[Host, Sink, str | None], HostMonitor]:
    """Monitors over that link."""

    def link_to(host: Host, answers: Answers, note: Note) -> Link:
        if isinstance(link, Exception):
            raise link
        return link

    return lambda host, sink, answers: HostMonitor(host, sink, answers, link_to=link_to)


class Wrapped(LocalLink):
    """This machine, with every command inside another one."""

    def __init__(self, *prefix: str) -> None:
        self._prefix = prefix

    def open(self, command: str) -> ProcessStream:
        return super().open(shlex.join([*self._prefix, command]))


def test_this_machine() -> None:
    require("top", "vmstat")
    groups = (Group("us", pids=(os.getpid(),)), Group("nobody", user="no-such-user"))
    findings = list(inspect(Host("here", "local", interval=Seconds(60), groups=groups), Answers()))
    assert {finding.subject for finding in findings} == {"host here"}
    expected = dict.fromkeys(("connection", "login", "awk", "top", "vmstat", "probes"), "ok")
    expected |= {"group us": "ok", "group nobody": "warning", "clock": "ok"}
    assert expected.items() <= verdicts(findings).items()
    assert found(findings, "probes").text == "top, vmstat, proc"
    assert "procps" in found(findings, "top").text
    assert found(findings, "group us").text.startswith("1 process, RSS ")


def test_a_server_without_procps(tmp_path: Path) -> None:
    require("busybox")
    for name in ("sh", "sleep", "ls", "awk", "uname", "id"):
        (tmp_path / name).symlink_to("/usr/bin/busybox")
    link = Wrapped("env", f"PATH={tmp_path}", "sh", "-c")
    findings = list(inspect(Host("alpine", "web"), Answers(), watch=watching(link)))
    assert found(findings, "probes").text == "proc"
    assert found(findings, "top").text == "top is not on the login's PATH; proc stands in for it"
    assert verdicts(findings)["vmstat"] == "ok"


def test_a_server_that_hides_the_processes_of_others(tmp_path: Path) -> None:
    """A namespace with a /proc of its own, and a login that is nobody there; it takes root."""
    nobody = 'setpriv --reuid=65534 --regid=65534 --clear-groups sh -c "$0"'
    inside = f"mount -t proc -o hidepid=2 proc /proc; {nobody}; true"
    prefix = ("unshare", "-m", "-p", "-f", "sh", "-c", inside)
    if subprocess.run([*prefix, "true"], capture_output=True).returncode:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)("no namespaces")
    hidden = list(inspect(Host("web", "web"), Answers(), watch=watching(Wrapped(*prefix))))
    assert found(hidden, "processes").verdict == "warning"
    assert "hidepid" in found(hidden, "processes").text
    shown = list(inspect(Host("web", "web"), Answers(), watch=watching(LocalLink())))
    assert "processes" not in verdicts(shown)


LOSSES = [
    (LinkError("web: connection refused"), "web: connection refused"),
    (HostError("CHANGED host key of web: ..."), "CHANGED host key of web: ..."),
]


@pytest.mark.parametrize(("failure", "said"), LOSSES)
def test_a_server_that_cannot_be_watched(failure: Exception, said: str) -> None:
    (finding,) = inspect(Host("web", "web"), Answers(), watch=watching(failure))
    assert (finding.verdict, finding.text) == ("failure", said)


def test_unreadable_rows_are_counted(tmp_path: Path) -> None:
    """A vmstat that breaks every other row."""
    script = tmp_path / "vmstat"
    script.write_text(
        "#!/bin/sh\necho r b swpd us sy id\necho 1 0 0 7 7 7\n"
        'while test "$1" = 1; do echo 1 0 x; echo 1 0 0 7 7 7; sleep 1; done\n'
    )
    script.chmod(0o755)
    link = Wrapped("env", f"PATH={tmp_path}:{os.environ['PATH']}", "sh", "-c")
    findings = list(inspect(Host("web", "web"), Answers(), watch=watching(link)))
    assert found(findings, "probes").verdict == "warning"
    assert "unreadable rows" in found(findings, "probes").text


# -- the verb ------------------------------------------------------------------------------------


def check(*arguments: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [*LOADWATCH, "check", *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def url() -> Iterator[str]:
    """A server in a thread of its own."""
    port: list[int] = []
    started, ended = threading.Event(), threading.Event()

    async def serve() -> None:
        async with serving(answering(OK)) as own:
            port.append(own)
            started.set()
            await asyncio.to_thread(ended.wait)

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert started.wait(10)
    yield f"http://127.0.0.1:{port[0]}"
    ended.set()
    thread.join()


def test_all_is_well(url: str) -> None:
    require("top", "vmstat")
    code, output, errors = check(url, "--host", "local", "--rate", "5")
    assert (code, errors) == (0, "")
    lines = output.splitlines()
    assert [line for line in lines if not line.startswith("  ")] == [
        "target", "generator", "host local",
    ]  # fmt: skip
    assert any(line.startswith("  ✓ scenario home: 200, 2 B in ") for line in lines)
    assert "  ✓ probes: top, vmstat, proc" in lines


def test_as_one_object(url: str) -> None:
    code, output, errors = check(url, "--json", "--host", "local", "--process-user", "no-such-user")
    result = json.loads(output)
    assert (code, errors, result["passed"]) == (0, "", True)
    group = next(f for f in result["findings"] if f["name"] == "group no-such-user")
    assert (group["subject"], group["verdict"]) == ("host local", "warning")
    assert set(group) == {"subject", "name", "verdict", "text", "advice"}


def test_a_failure_is_exit_code_3(url: str) -> None:
    code, output, _ = check("http://127.0.0.1:1", "--json")
    assert (code, json.loads(output)["passed"]) == (3, False)
    code, output, _ = check(url, "--host", "nowhere.invalid")
    assert code == 3 and "  ✗ connection: " in output


def test_a_wrong_plan_is_exit_code_2(tmp_path: Path) -> None:
    code, output, errors = check(str(tmp_path / "none.toml"))
    assert (code, output) == (2, "") and errors.startswith("loadwatch: ")


def test_what_gets_scarce_is_a_warning() -> None:
    many = Plan(
        Target("http://192.0.2.1"),
        load=Load(keep_alive=False),
        scenarios=(Scenario("home", rate=9000.0),),
    )
    from loadwatch.verbs.check import _generator

    (finding,) = _generator(config.check(many, "plan"))
    assert finding.verdict == "warning" and "local ports" in finding.text
