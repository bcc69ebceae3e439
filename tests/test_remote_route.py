"""Against real sshds: the ways to a server, by jump hosts, commands, and several addresses."""

from __future__ import annotations

import os
import secrets
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from loadwatch.core.errors import HostError
from loadwatch.remote import process, route
from loadwatch.remote.answers import Answers
from loadwatch.remote.link import LinkError
from loadwatch.remote.sshconfig import Route
from tests.sshd import (
    MARK,
    Person,
    Sshd,
    Start,
    children,
    command_line,
    eventually,
    keygen,
    log_in,
    marked,
    output_of,
    sshd,
    start_sshd,
)
from tests.test_remote_ssh import delivers_all, end, story, watch

__all__ = ["sshd", "start_sshd"]  # the fixtures

RELAY = """
import os, socket, sys, threading
far = socket.create_connection((sys.argv[1], int(sys.argv[2])))
def back():
    while data := far.recv(65536):
        os.write(1, data)
threading.Thread(target=back, daemon=True).start()
while data := os.read(0, 65536):
    far.sendall(data)
"""


# -- jump hosts ----------------------------------------------------------------------------------


def configure(first: Sshd, *servers: Sshd, more: str = "") -> None:
    """An entry for each: `hop0`, `hop1` …, the last one `web`."""
    names = [f"hop{number}" for number in range(len(servers) - 1)] + ["web"]
    (first.home / ".ssh" / "config").write_text(more + "".join(
        f"Host {name}\n HostName {server.address}\n Port {server.port}\n User {server.user}\n"
        f" UserKnownHostsFile {first.known_hosts}\n GlobalKnownHostsFile none\n"
        for name, server in zip(names, servers, strict=True)
    ))  # fmt: skip


@pytest.fixture
def pair(start_sshd: Start) -> tuple[Sshd, Sshd]:
    """A jump host and the server behind it."""
    hop = start_sshd()
    server = start_sshd(client=hop)
    configure(hop, hop, server, more="Host web\n ProxyJump hop0\n")
    return hop, server


def test_a_server_behind_a_jump_host_is_watched_and_nothing_is_left(
    pair: tuple[Sshd, Sshd],
) -> None:
    hop, server = pair
    monitor, sink = watch()
    assert delivers_all(sink)
    assert len(hop.sessions()) == len(server.sessions()) == 1
    assert not hop.leftovers()  # only packets pass it
    end(monitor, server)
    assert eventually(lambda: not hop.sessions())
    assert story(sink) == ["connecting", "live", "stopped"]


def test_a_jump_host_that_drops_is_told_and_mended(pair: tuple[Sshd, Sshd]) -> None:
    hop, server = pair
    monitor, sink = watch()
    assert delivers_all(sink)
    hop.drop()
    assert sink.reaches("lost", "connection lost; trying again")
    assert delivers_all(sink)
    end(monitor, server)
    assert story(sink) == ["connecting", "live", "lost", "live", "stopped"]


def test_every_hop_of_a_chain_is_verified_and_logged_in_to(start_sshd: Start) -> None:
    first = start_sshd()
    second = start_sshd(client=first)
    server = start_sshd(client=first, environment={"WHO": "the server"})
    configure(first, first, second, server, more="Host web\n ProxyJump hop0,hop1\n")
    link = log_in()
    assert output_of(link, "echo $WHO") == b"the server\n"
    assert [len(each.sessions()) for each in (first, second, server)] == [1, 1, 1]
    link.close()
    assert eventually(lambda: not (first.sessions() or second.sessions() or server.sessions()))
    for each in (first, second, server):
        promises = "".join(
            other.promise(other.host_key) for other in (first, second, server) if other is not each
        )
        first.known_hosts.write_text(promises)
        with pytest.raises(HostError, match=rf"unknown host key of \[127.0.0.1\]:{each.port}"):
            log_in()


def test_a_hop_with_a_changed_key_is_not_passed(pair: tuple[Sshd, Sshd]) -> None:
    hop, server = pair
    other = keygen(hop.directory / "other")
    hop.known_hosts.write_text(hop.promise(other) + server.promise(server.host_key))
    with pytest.raises(HostError, match=rf"CHANGED host key of \[127.0.0.1\]:{hop.port}"):
        log_in()
    assert "Connection from" not in server.log and "Accepted" not in server.log


def test_both_keys_of_a_first_contact_are_asked_about(pair: tuple[Sshd, Sshd]) -> None:
    hop, server = pair
    hop.known_hosts.unlink()
    person = Person("yes", "yes")
    log_in(answers=Answers(person)).close()
    assert [str(each.port) in question.title for each, question in
            zip((hop, server), person.questions, strict=True)] == [True, True]  # fmt: skip
    assert len(hop.known_hosts.read_text().splitlines()) == 2


def test_a_hop_that_refuses_the_login_is_named(pair: tuple[Sshd, Sshd]) -> None:
    hop, _ = pair
    (hop.directory / "authorized_keys").write_text("")
    with pytest.raises(HostError, match=f"{hop.user}@127.0.0.1:{hop.port}: login refused"):
        log_in()


def test_a_hop_that_may_not_forward_is_told(start_sshd: Start) -> None:
    hop = start_sshd(options="AllowTcpForwarding no\n")
    server = start_sshd(client=hop)
    configure(hop, hop, server, more="Host web\n ProxyJump hop0\n")
    with pytest.raises(HostError, match="the jump host does not reach it") as failure:
        log_in()
    assert not isinstance(failure.value, LinkError)  # it would refuse again
    assert eventually(lambda: not hop.sessions())


def test_a_server_that_is_down_behind_a_hop_is_tried_again(pair: tuple[Sshd, Sshd]) -> None:
    hop, server = pair
    server.stop()
    with pytest.raises(LinkError, match="the jump host does not reach it"):
        log_in()
    assert eventually(lambda: not hop.sessions())


# -- commands ------------------------------------------------------------------------------------


@pytest.fixture
def relay(sshd: Sshd) -> str:
    """The command that connects standard input and output to %h, port %p."""
    script = sshd.directory / "relay.py"
    script.write_text(RELAY)
    return f"{sys.executable} {script} %h %p"


def relays() -> list[int]:
    """The commands that run for us."""
    return [pid for pid in children(os.getpid()) if b"relay.py" in command_line(pid)]


def test_a_server_behind_a_command_is_watched(sshd: Sshd, relay: str) -> None:
    sshd.configure(f"  ProxyCommand {relay} 2>/dev/null\n")
    monitor, sink = watch()
    assert delivers_all(sink)
    assert len(relays()) == 1
    end(monitor, sshd)
    assert not relays()
    assert story(sink) == ["connecting", "live", "stopped"]


def test_a_command_that_complains_a_lot_does_not_stall(sshd: Sshd, relay: str) -> None:
    script = sshd.directory / "flood.sh"
    script.write_text(f"dd if=/dev/zero bs=1M count=1 2>/dev/null >&2\nexec {relay[:-6]} $1 $2\n")
    sshd.configure(f"  ProxyCommand sh {script} %h %p\n")
    link = log_in()
    assert output_of(link, "echo through") == b"through\n"
    link.close()


def test_a_command_that_fails_is_quoted(sshd: Sshd) -> None:
    sshd.configure("  ProxyCommand echo no way to %h, \033[31m%n >&2\n")
    said = r"the ProxyCommand said: no way to 127\.0\.0\.1, .*31mweb"
    with pytest.raises(LinkError, match=said) as failure:
        log_in()
    assert "\033" not in str(failure.value)


def test_a_command_that_dies_is_a_loss(sshd: Sshd, relay: str) -> None:
    sshd.configure(f"  ProxyCommand {relay}\n")
    monitor, sink = watch()
    assert delivers_all(sink)
    for pid in relays():
        os.kill(pid, 9)
    assert sink.reaches("lost", "connection lost; trying again")
    assert delivers_all(sink)
    end(monitor, sshd)


def test_a_command_that_does_not_end_by_itself_is_ended(
    sshd: Sshd, relay: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "GRACE", 0.2)
    script = sshd.directory / "stubborn.sh"
    script.write_text(f"trap true HUP TERM PIPE\n{relay[:-6]} $1 $2\nsleep 60\n")
    sshd.configure(f"  ProxyCommand sh {script} %h %p\n")
    token = secrets.token_hex(8)
    monkeypatch.setenv(MARK, token)
    link = log_in()
    assert len(marked(f"{MARK}={token}")) == 2  # the shell and what it runs
    link.close()
    assert eventually(lambda: not marked(f"{MARK}={token}"))


# -- addresses -----------------------------------------------------------------------------------


def test_a_literal_ipv6_address(start_sshd: Start) -> None:
    server = start_sshd(address="::1")
    link = log_in(f"{server.user}@[::1]:{server.port}", Answers(Person("yes")))
    assert MARK.encode() in output_of(link, "env")
    link.close()


@contextmanager
def swallowing() -> Iterator[int]:
    """A port that never answers: its queue is full."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server:
        port = server.getsockname()[1]
        waiting = []
        for _ in range(4):
            one = socket.socket()
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", port))
            waiting.append(one)
        yield port
        for one in waiting:
            one.close()


def places(*ports: int) -> list[tuple[object, ...]]:
    """What a name with so many addresses resolves to."""
    kind = (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "")
    return [(*kind, ("127.0.0.1", port)) for port in ports]


def test_an_address_that_swallows_packets_is_passed_over(
    sshd: Sshd, monkeypatch: pytest.MonkeyPatch
) -> None:
    sshd.configure("  ConnectTimeout 1\n")
    with swallowing() as dead:
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_: places(dead, sshd.port))
        log_in().close()
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_: places(dead))
        with pytest.raises(LinkError, match="no answer"):
            log_in()


def test_every_address_has_its_share_of_the_time(
    sshd: Sshd, monkeypatch: pytest.MonkeyPatch
) -> None:
    sshd.configure("  ConnectTimeout 60\n")
    shares: list[float] = []

    def refuse(family: int, place: object, timeout: float, way: Route) -> socket.socket:
        shares.append(timeout)
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: places(1, 2, 3))
    monkeypatch.setattr(route, "_connected", refuse)
    with pytest.raises(LinkError):
        log_in()
    assert shares == pytest.approx([20, 30, 60], rel=0.05)  # what one leaves is the others'


def test_the_address_to_come_from_may_be_configured(sshd: Sshd) -> None:
    sshd.configure("  BindAddress 127.0.0.7\n")
    link = log_in()
    assert output_of(link, "echo $SSH_CLIENT").startswith(b"127.0.0.7 ")
    link.close()


def test_the_family_of_addresses_may_be_configured(sshd: Sshd) -> None:
    sshd.configure("  AddressFamily inet6\n")
    with pytest.raises(LinkError, match=r"cannot resolve 127\.0\.0\.1"):
        log_in()
