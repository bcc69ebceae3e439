"""Against a real sshd: keys, passwords, host keys, and that nothing is left on the server."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from loadwatch.core.errors import HostError
from loadwatch.core.plan import Host
from loadwatch.remote import Answers, HostMonitor
from loadwatch.remote.guard import BEAT, command
from loadwatch.remote.link import LinkError
from tests.sshd import (
    MARK,
    Sshd,
    Start,
    eventually,
    find,
    log_in,
    marked,
    require,
    sshd,
    start_sshd,
)
from tests.test_remote_monitor import Sink

__all__ = ["sshd", "start_sshd"]  # the fixtures

WEB = Host("web", "web")
NONCE = "0123456789abcdef"


def watch(host: Host = WEB, answers: Answers | None = None) -> tuple[HostMonitor, Sink]:
    sink = Sink()
    monitor = HostMonitor(host, sink, answers)
    monitor.start()
    return monitor, sink


def story(sink: Sink) -> list[str]:
    """The states gone through; a machine that is busy may fall silent in between."""
    steps = [state for state in sink.states if state != "silent"]
    return [state for i, state in enumerate(steps) if i == 0 or steps[i - 1] != state]


def delivers_all(sink: Sink) -> bool:
    return eventually(
        lambda: sink.statuses and sink.statuses[-1].probes == ("top", "vmstat", "proc")
    )


def end(monitor: HostMonitor, server: Sshd | None = None) -> None:
    monitor.stop()
    assert monitor.join(20)
    if server is not None:
        assert eventually(lambda: not server.leftovers()), server.leftovers()


# -- what is measured ----------------------------------------------------------------------------


def test_a_server_is_watched_and_nothing_is_left_there(sshd: Sshd) -> None:
    monitor, sink = watch()
    assert delivers_all(sink)
    running = " ".join(sshd.leftovers().values())
    assert "top -b -d 1 -w 300" in running and "vmstat 1" in running
    end(monitor, sshd)
    assert story(sink) == ["connecting", "live", "stopped"]
    by_probe = {reading.probe: reading for reading in sink.readings}
    assert by_probe["proc"].values["cpu.count"] == os.cpu_count()
    assert by_probe["vmstat"].values["memory.free"] > 0
    pids = {process.pid for process in by_probe["top"].processes or ()}
    assert os.getpid() in pids


def test_this_machine_is_watched_by_the_same_probes(monkeypatch: pytest.MonkeyPatch) -> None:
    require("top", "vmstat")
    token = secrets.token_hex(8)
    monkeypatch.setenv(MARK, token)
    monitor, sink = watch(Host("here", "local"))
    assert delivers_all(sink)
    end(monitor)
    assert eventually(lambda: not marked(f"{MARK}={token}"))
    assert story(sink) == ["connecting", "live", "stopped"]
    assert {reading.host for reading in sink.readings} == {"here"}


def test_what_a_login_prints_first_is_no_output(start_sshd: Start) -> None:
    server = start_sshd()
    (server.login_home / ".bashrc").write_text(
        "echo Welcome; printf 'no newline'; echo noise >&2; cd /; export LC_ALL=de_DE.UTF-8\n"
    )
    monitor, sink = watch()
    assert delivers_all(sink)
    end(monitor, server)
    assert all(reading.skipped == 0 for reading in sink.readings)


# -- nothing outlives us -------------------------------------------------------------------------

CLIENT = """
import sys, time
from loadwatch.core.plan import Host
from loadwatch.remote import HostMonitor
def sink(item):
    if getattr(item, "probes", ()) == ("top", "vmstat", "proc"):
        print("live", flush=True)
HostMonitor(Host("web", sys.argv[1]), sink).start()
time.sleep(300)
"""


def test_a_killed_client_leaves_nothing_on_the_server(sshd: Sshd) -> None:
    with subprocess.Popen([sys.executable, "-c", CLIENT, "web"], stdout=subprocess.PIPE) as client:
        assert client.stdout is not None
        assert client.stdout.readline() == b"live\n"
        assert sshd.leftovers()
        client.send_signal(signal.SIGKILL)
    assert eventually(lambda: not sshd.leftovers()), sshd.leftovers()


def test_a_killed_client_leaves_nothing_on_its_own_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    require("top", "vmstat")
    token = secrets.token_hex(8)
    monkeypatch.setenv(MARK, token)
    with subprocess.Popen(
        [sys.executable, "-c", CLIENT, "local"], stdout=subprocess.PIPE
    ) as client:
        assert client.stdout is not None
        assert client.stdout.readline() == b"live\n"
        client.send_signal(signal.SIGKILL)
    assert eventually(lambda: not marked(f"{MARK}={token}"))


def test_a_silent_client_leaves_nothing(sshd: Sshd) -> None:
    link = log_in()
    stream = link.open(command("vmstat", "exec vmstat 1", NONCE, lease=1))
    stream.write(BEAT)
    assert eventually(lambda: b"procs" in (stream.read(1.0) or b""))
    assert sshd.leftovers()
    assert eventually(lambda: stream.read(1.0) == b"")  # the server's end of it
    assert eventually(lambda: not sshd.leftovers())
    link.close()


def test_the_end_of_a_tool_is_seen_on_a_connection_that_lives(sshd: Sshd) -> None:
    link = log_in()
    stream = link.open(command("vmstat", "exec vmstat --nonsense", NONCE))
    output = b""
    while (data := stream.read(1.0)) != b"":
        output += data or b""
    assert output == f"LW1 {NONCE} ready\n".encode()
    assert stream.complaints[0].startswith("vmstat: unrecognized option")
    stream.close()
    assert eventually(lambda: not sshd.leftovers())
    assert link.open(command("vmstat", "exec vmstat 1", NONCE)).read(5.0)
    link.close()
    assert eventually(lambda: not sshd.leftovers())


def test_a_tool_that_complains_a_lot_does_not_stall_its_own_output(sshd: Sshd) -> None:
    link = log_in()
    # More complaints than the window that they share with the output takes.
    flood = "dd if=/dev/zero bs=1M count=4 >&2 2>/dev/null; echo done"
    stream = link.open(command("dd", flood, NONCE))
    output = b""
    while (data := stream.read(1.0)) != b"":
        output += data or b""
    assert output.endswith(b"done\n")
    link.close()


# -- connections that break ----------------------------------------------------------------------


def test_a_dropped_connection_is_told_and_mended(sshd: Sshd) -> None:
    monitor, sink = watch()
    assert delivers_all(sink)
    sshd.drop()
    assert sink.reaches("lost", "connection lost; trying again")
    assert delivers_all(sink)
    end(monitor, sshd)
    assert story(sink) == ["connecting", "live", "lost", "live", "stopped"]
    assert sink.statuses[-1].gaps >= 1


def test_a_server_that_comes_late_is_waited_for(sshd: Sshd) -> None:
    sshd.stop()
    monitor, sink = watch()
    assert sink.reaches("lost", "connection refused; trying again in 1 s")
    sshd.start()
    assert delivers_all(sink)
    end(monitor, sshd)


def test_a_host_that_does_not_exist(sshd: Sshd) -> None:
    with pytest.raises(LinkError, match="cannot resolve nowhere"):
        log_in("me@nowhere.invalid")


def test_every_address_of_a_name_is_tried(sshd: Sshd) -> None:
    # The server listens on 127.0.0.1 only; localhost may be ::1 first. Told by its key, it was met.
    with pytest.raises(HostError, match=r"unknown host key of \[localhost\]"):
        log_in(f"me@localhost:{sshd.port}")


def test_a_server_that_speaks_something_else() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            client, _ = server.accept()
            with client:
                client.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 1000)

        answering = threading.Thread(target=answer)
        answering.start()
        with pytest.raises(LinkError, match=r"me@127\.0\.0\.1"):
            log_in(f"me@127.0.0.1:{server.getsockname()[1]}")
        answering.join()


# -- tools that are missing ----------------------------------------------------------------------


def tools(directory: Path, *names: str) -> str:
    """A PATH that has these tools only."""
    directory.mkdir()
    for name in names:
        place = find(name)
        assert place is not None
        (directory / name).symlink_to(place)
    return str(directory)


def test_a_server_without_vmstat_is_watched_by_top(start_sshd: Start, tmp_path: Path) -> None:
    path = tools(tmp_path / "bin", "sh", "sleep", "top")
    server = start_sshd(environment={"PATH": path})
    monitor, sink = watch()
    assert sink.reaches("live", "vmstat is not on the login's PATH: apt install procps")
    assert sink.statuses[-1].probes == ("top",)
    end(monitor, server)


def test_a_server_without_both_has_failed(start_sshd: Start, tmp_path: Path) -> None:
    server = start_sshd(environment={"PATH": tools(tmp_path / "bin", "sh", "sleep")})
    monitor, sink = watch()
    assert sink.reaches("failed", "top is not on the login's PATH")
    assert monitor.join(20)
    assert "vmstat is not on the login's PATH" in sink.statuses[-1].detail
    assert eventually(lambda: not server.leftovers())


def test_tools_are_found_on_the_logins_path(start_sshd: Start, tmp_path: Path) -> None:
    path = tools(tmp_path / "bin", "sh", "sleep", "top", "awk")
    script = tmp_path / "bin" / "vmstat"
    script.write_text(
        "#!/bin/sh\necho r b swpd us sy id\necho 1 0 0 7 7 7\n"
        'while test "$1" = 1; do echo 1 0 0 7 7 7; sleep 1; done\n'
    )
    script.chmod(0o755)
    server = start_sshd(environment={"PATH": path})
    monitor, sink = watch()
    assert delivers_all(sink)
    end(monitor, server)
    assert any(reading.values.get("cpu.us") == 7 for reading in sink.readings)


def test_a_login_that_runs_no_commands_has_failed(start_sshd: Start) -> None:
    start_sshd(options="ForceCommand echo This account is closed.\n")
    monitor, sink = watch()
    assert sink.reaches("failed", "the login runs no commands: This account is closed.")
    assert monitor.join(20)


def test_a_server_with_room_for_one_session_streams_what_it_can(start_sshd: Start) -> None:
    server = start_sshd(options="MaxSessions 1\n")
    monitor, sink = watch()
    assert sink.reaches("live", "the server allows no session")
    end(monitor, server)


# -- nothing on the terminal ---------------------------------------------------------------------


def test_no_log_reaches_the_terminal(sshd: Sshd) -> None:
    code = (
        "from loadwatch.remote.answers import Answers\n"
        "from loadwatch.remote.connection import connect\n"
        "from loadwatch.remote.sshconfig import resolve\n"
        "import os, time\n"
        "link = connect(resolve('web'), Answers(), print)\n"
        "print('connected', flush=True)\n"
        "input()\n"
        "try: link.open('true')\n"
        "except Exception as failure: print(failure)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as client:
        assert client.stdin and client.stdout and client.stderr
        assert client.stdout.readline() == "connected\n"
        sshd.drop()
        output, errors = client.communicate("\n", 30)
    assert output and not errors
