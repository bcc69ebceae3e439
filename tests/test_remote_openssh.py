"""Against a real sshd, by the system's own ssh: the same guard and the same ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from loadwatch.core.address import Address
from loadwatch.core.errors import HostError
from loadwatch.core.plan import Access, Host
from loadwatch.remote import openssh
from loadwatch.remote.link import LinkError
from loadwatch.remote.openssh import OpensshLink
from tests.sshd import Sshd, Start, eventually, find, keygen, marked, output_of, require, start_sshd
from tests.test_remote_ssh import delivers_all, end, story, watch

__all__ = ["start_sshd"]  # the fixture

WEB = Host("web", Access("web", backend="openssh"))


@pytest.fixture
def server(start_sshd: Start, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sshd]:
    """A server, and an `ssh` that takes the client's configuration for the user's own."""
    require("ssh")
    server = start_sshd()
    ssh = server.directory / "bin" / "ssh"
    ssh.parent.mkdir()
    ssh.write_text(
        f'#!/bin/sh\nexec {find("ssh")} -F {server.home}/.ssh/config -i {server.key} "$@"\n'
    )
    ssh.chmod(0o755)
    monkeypatch.setenv("PATH", f"{ssh.parent}:{os.environ['PATH']}")
    # A short path: a socket's name has a limit.
    runtime = Path(f"/tmp/lw-test-{server.port}")
    runtime.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    mark = f"XDG_RUNTIME_DIR={runtime}"
    yield server
    assert eventually(lambda: not ours(mark)), ours(mark)
    assert eventually(lambda: not list(runtime.iterdir()))
    runtime.rmdir()


def ours(mark: str = "") -> dict[int, str]:
    """The local processes that hold a connection."""
    found = marked(mark or f"XDG_RUNTIME_DIR={os.environ['XDG_RUNTIME_DIR']}")
    return {pid: line for pid, line in found.items() if pid != os.getpid()}


def test_a_server_is_watched_over_one_connection_and_nothing_is_left(server: Sshd) -> None:
    server.configure("  ForwardAgent yes\n  LocalForward 1 localhost:1\n  RequestTTY yes\n")
    monitor, sink = watch(WEB)
    assert delivers_all(sink)
    assert len(server.sessions()) == 1
    commands = [line for line in ours().values() if " -S " in line]
    assert all("BatchMode=yes" in line and " -T -a -x " in line for line in commands)
    end(monitor, server)
    assert eventually(lambda: not server.sessions())
    assert story(sink) == ["connecting", "live", "stopped"]


def test_no_terminal_no_agent_and_the_command_s_own_end(server: Sshd) -> None:
    link = openssh.connect(Address(None, "web", None))
    assert output_of(link, "tty; env | grep -c SSH_AUTH_SOCK") == b"not a tty\n0\n"
    stream = link.open("echo out; echo err >&2; exit 3")
    assert stream.read(10) == b"out\n"
    while stream.read(10) is None:
        pass
    assert stream.complaints == ["err"]
    link.close()


def test_a_connection_that_breaks_is_told_and_mended(server: Sshd) -> None:
    monitor, sink = watch(WEB)
    assert delivers_all(sink)
    server.drop()
    assert eventually(lambda: "lost" in story(sink))
    assert delivers_all(sink)
    end(monitor, server)
    assert story(sink) == ["connecting", "live", "lost", "live", "stopped"]


def test_a_link_whose_ssh_has_ended_opens_nothing(server: Sshd) -> None:
    link = openssh.connect(Address(None, "web", None))
    server.drop()
    assert eventually(lambda: not server.sessions())

    def refuses() -> bool:
        try:
            return not output_of(link, "echo through")
        except LinkError:
            return True

    assert eventually(refuses)
    link.close()


def test_a_server_with_room_for_one_session_streams_what_it_can(server: Sshd) -> None:
    server.stop()
    server.options = "MaxSessions 1\n"
    server.start()
    monitor, sink = watch(WEB)
    assert sink.reaches("live", "ession open")
    end(monitor, server)


def test_a_killed_client_leaves_nothing_here_or_there(server: Sshd) -> None:
    code = (
        "import time\n"
        "from loadwatch.core.plan import Access, Host\n"
        "from loadwatch.remote import HostMonitor\n"
        "def sink(item):\n"
        "    if getattr(item, 'probes', ()) == ('top', 'vmstat'): print('live', flush=True)\n"
        "HostMonitor(Host('web', Access('web', 'openssh')), sink).start()\n"
        "time.sleep(300)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as client:
        assert client.stdout is not None
        assert client.stdout.readline() == b"live\n"
        assert server.leftovers()
        client.send_signal(signal.SIGKILL)
    assert eventually(lambda: not server.leftovers()), server.leftovers()
    assert eventually(lambda: not server.sessions())


def refused(server: Sshd) -> str:
    """How it ends, without another attempt."""
    monitor, sink = watch(WEB)
    assert sink.reaches("failed")
    assert monitor.join(20)
    assert story(sink) == ["connecting", "failed"]
    return sink.statuses[-1].detail


def test_a_refused_login_is_said_in_ssh_s_own_words_and_not_tried_again(server: Sshd) -> None:
    (server.directory / "authorized_keys").write_text("")
    assert "Permission denied (publickey,password)" in refused(server)
    assert server.log.count("Connection closed by authenticating user") <= 1


def test_an_unknown_host_key_is_refused(server: Sshd) -> None:
    server.known_hosts.unlink()
    assert "Host key verification failed" in refused(server)
    assert not server.known_hosts.exists()


def test_a_changed_host_key_is_refused(server: Sshd) -> None:
    server.trust(keygen(server.directory / "other"))
    assert "has changed" in refused(server)


def test_a_setting_that_ssh_does_not_know_is_said(server: Sshd) -> None:
    server.configure("  Nonsense yes\n")
    assert "bad configuration options" in refused(server)


def test_a_system_without_ssh_is_told(server: Sshd, monkeypatch: pytest.MonkeyPatch) -> None:
    (server.directory / "bin" / "ssh").unlink()
    tools = server.directory / "tools"
    tools.mkdir()
    for name in ("cat", "rm"):
        place = find(name)
        assert place is not None
        (tools / name).symlink_to(place)
    monkeypatch.setenv("PATH", str(tools))
    assert "ssh: not found" in refused(server)


def test_a_server_that_is_down_is_tried_again(server: Sshd) -> None:
    server.stop()
    with pytest.raises(LinkError, match="Connection refused"):
        openssh.connect(Address(None, "web", None))


def test_a_server_that_never_answers_is_given_up_in_time(
    server: Sshd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openssh, "PATIENCE", 0.5)
    server.configure("  ProxyCommand sleep 60\n")
    with pytest.raises(LinkError, match="has not logged in within"):
        openssh.connect(Address(None, "web", None))


def test_user_and_port_of_the_plan_reach_ssh(server: Sshd) -> None:
    server.configure("Host other\n  HostName 127.0.0.1\n")
    link = openssh.connect(Address(server.user, "web", server.port))
    assert isinstance(link, OpensshLink)
    link.close()
    with pytest.raises(HostError, match="nobody-here@127"):
        openssh.connect(Address("nobody-here", "web", None))
