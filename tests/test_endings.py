"""Every way to end, under every login shell: after 20 s nothing of ours is left on the server.

All at once, since silence takes its time: a client per way to end, which watches a server of its
own by as many logins as there are shells. `pytest -s` shows how long what was left.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from benchmarks.peers import nginx, table
from loadwatch.core.plan import Host
from loadwatch.remote import HostMonitor
from tests.accounts import accounts, server_for
from tests.cable import Cable, cable
from tests.sshd import Sshd, eventually, require
from tests.terminal import Terminal, terminal
from tests.test_remote_monitor import Sink

__all__ = ["cable"]  # the fixture

SHELLS = ("sh", "bash", "dash", "zsh", "fish", "tcsh")
LIMIT = 20.0
"""Seconds after which nothing may be left."""


@dataclass
class Client:
    """A loadwatch in a terminal, which watches `server` by every login, until `end` happens to it.

    What is left of it are the processes there whose command holds `trace`.
    """

    server: Sshd
    shown: Terminal
    end: Callable[[], None]
    trace: str

    def left(self) -> set[int]:
        """The users of whom a process is there."""
        return self._owners(lambda line: self.trace in line)

    def watching(self) -> set[int]:
        """The users who run top."""
        return self._owners(lambda line: line.startswith("top "))

    def _owners(self, counts: Callable[[str], bool]) -> set[int]:
        owners = set()
        for pid, line in self.server.leftovers().items():
            with contextlib.suppress(OSError):
                if counts(line):
                    owners.add(Path(f"/proc/{pid}").stat().st_uid)
        return owners


def plan(path: Path, url: str, spool: bool) -> str:
    hosts = "".join(
        f'[[host]]\nname = "{shell}"\nssh = "{shell}"\ninterval = "2s"\n'
        f"spool = {str(spool).lower()}\n"
        for shell in SHELLS
    )
    path.write_text(f'[target]\nurl = "{url}"\n[[scenario]]\nname = "home"\nrate = 5\n{hosts}')
    return str(path)


@contextlib.contextmanager
def clients(users: dict[str, str], cable: Cable) -> Iterator[dict[str, Client]]:
    """By what happens to them; every one watches by all of its logins."""
    with contextlib.ExitStack() as stack:
        started: list[Client] = []
        url = stack.enter_context(nginx())
        place = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        place.chmod(0o755)
        (place / "vmstat").write_text("#!/bin/sh\necho vmstat: out of luck >&2\nexit 1\n")
        (place / "vmstat").chmod(0o755)

        def client(
            verb: str,
            end: Callable[[Terminal], None],
            spool: bool = True,
            trace: str = "",
            **settings: object,
        ) -> Client:
            server = stack.enter_context(server_for(users, **settings))
            path = place / f"{server.port}.toml"
            options = ["--duration", "5m"] if verb == "run" else []
            shown = stack.enter_context(
                terminal(
                    sys.executable, "-m", "loadwatch", verb, plan(path, url, spool), *options,
                    "--session", str(path.with_suffix(".loadwatch")),
                    env={"HOME": str(server.home)},
                )
            )  # fmt: skip
            started.append(Client(server, shown, lambda: end(shown), trace))
            # One after the other: so many logins at once would take longer than they may.
            assert eventually(
                lambda: read(started) and len(started[-1].watching()) == len(users), 60
            ), shown.text
            return started[-1]

        def send(number: int) -> Callable[[Terminal], None]:
            return lambda shown: os.kill(shown.process.pid, number)

        yield {
            "`q`": client("watch", lambda shown: shown.press("q")),
            "Ctrl-C": client("run", lambda shown: shown.press("\x03")),
            "SIGTERM": client("run", send(signal.SIGTERM)),
            "SIGKILL": client("run", send(signal.SIGKILL)),
            "suspended": client("run", send(signal.SIGSTOP), spool=False),
            "cable cut": client(
                "run", lambda shown: cable.cut(), spool=False,
                address=cable.far, within=("ip", "netns", "exec", cable.name),
            ),
            "vmstat fails": client(
                "watch", lambda shown: None, spool=False, trace="exec vmstat",
                environment={"PATH": f"{place}:{os.environ['PATH']}"},
            ),
        }  # fmt: skip


def read(started: Iterable[Client]) -> bool:
    """A program whose terminal nobody reads would wait for it."""
    return all(client.shown.text for client in started)


def directories(users: set[int]) -> list[Path]:
    """The spools of these users."""
    return [place for place in Path("/tmp").glob("loadwatch.*") if place.stat().st_uid in users]


def test_whatever_ends_us_nothing_is_left(cable: Cable) -> None:
    require("top", "vmstat", "nginx")
    with accounts(SHELLS) as users, clients(users, cable) as running:
        ids = {int(subprocess.check_output(["id", "-u", user])): s for s, user in users.items()}

        shown = {how: one.shown.text for how, one in running.items()}
        assert len(directories(set(ids))) == 4 * len(SHELLS), shown
        for client in running.values():
            client.end()
        struck = time.monotonic()
        last = {how: dict.fromkeys(SHELLS, 0.0) for how in running}
        while (seen := {how: one.left() for how, one in running.items()}) and (
            passed := time.monotonic() - struck
        ) < LIMIT:
            read(running.values())
            for how, owners in seen.items():
                last[how] |= dict.fromkeys((ids[owner] for owner in owners), passed)
            if not any(seen.values()):
                break
        rows = [(how, *(f"{last[how][shell]:.1f}" for shell in SHELLS)) for how in running]
        print("\n" + table(("seconds until nothing was left", *SHELLS), rows))
        assert not any(seen.values()), {how: one.server.leftovers() for how, one in running.items()}
        assert directories(set(ids)) == []


RESTRICTED = {
    "rbash": "the login runs no commands: rbash: line 1: exec: restricted",
    "nologin": "the login runs no commands: This account is currently not available.",
    "false": "the login runs no commands: no output",
}


def test_a_restricted_login_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    with accounts(RESTRICTED) as users, server_for(users) as server:
        monkeypatch.setenv("HOME", str(server.home))
        monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
        for shell, said in RESTRICTED.items():
            sink = Sink()
            monitor = HostMonitor(Host(shell, shell), sink)
            monitor.start()
            assert sink.reaches("failed", said), sink.statuses
            assert "it takes a shell that may start sh" in sink.statuses[-1].detail
            assert monitor.join(20)
        assert eventually(lambda: not server.leftovers())
