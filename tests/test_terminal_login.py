"""Logins that ask, by the real program in a real terminal: before a run, and over the dashboard."""

from __future__ import annotations

import subprocess
import sys
import termios
from pathlib import Path

from tests.sshd import PASSPHRASE, Sshd, Start, eventually, sshd, start_sshd
from tests.terminal import Terminal, terminal
from tests.test_remote_login import key_of

__all__ = ["sshd", "start_sshd"]  # the fixtures

LOADWATCH = (sys.executable, "-m", "loadwatch")
WATCHED = (0, 4)
"""Exit codes where the host was watched: on a busy machine the generator may be the limit."""

TARGET = "http://127.0.0.1:9/"  # nobody listens: every request is an error, and counted


def run(tmp_path: Path) -> tuple[str, ...]:
    return (
        *LOADWATCH, "run", TARGET, "--host", "web", "--duration", "1s",
        "--session", str(tmp_path / "session"),
    )  # fmt: skip


def is_echoing(shown: Terminal) -> bool:
    return bool(termios.tcgetattr(shown.process.child_fd)[3] & termios.ECHO)


def test_first_contact_and_passphrase_before_a_run(sshd: Sshd, tmp_path: Path) -> None:
    sshd.known_hosts.unlink()
    sshd.lock()
    with terminal(*run(tmp_path)) as shown:
        text = shown.wait_for("or the fingerprint:")
        assert f"ssh-ed25519 {key_of(sshd.host_key)}" in text
        assert not sshd.known_hosts.exists()
        shown.press("yes\r")
        shown.wait_for("Passphrase:")
        assert eventually(lambda: not is_echoing(shown))
        shown.press("wrong\r")
        shown.wait_for("not it")
        assert eventually(lambda: not is_echoing(shown))
        shown.press(f"{PASSPHRASE}\r")
        code, said = shown.end(60)
    assert code in WATCHED, said
    assert PASSPHRASE not in said and "wrong" not in said
    assert PASSPHRASE.encode() not in (tmp_path / "session").read_bytes()
    assert "is now in" in said  # an event of the run
    assert "host web: live (top, vmstat, proc)" in said
    assert len(sshd.known_hosts.read_text().splitlines()) == 1


def test_a_password_that_is_wrong_is_said_before_the_first_request(
    start_sshd: Start, tmp_path: Path
) -> None:
    server = start_sshd(options="PasswordAuthentication yes\nPubkeyAuthentication no")
    server.key.unlink()
    with terminal(*run(tmp_path)) as shown:
        shown.wait_for("Password:")
        assert eventually(lambda: not is_echoing(shown))
        shown.press("not the password\r")
        shown.wait_for("not it")
        assert eventually(lambda: not is_echoing(shown))
        shown.press("\4")  # Ctrl-D: nothing more to say
        code, said = shown.end(60)
    assert code == 3
    assert "not the password" not in said
    assert "host web: " in said and "login refused; tried password" in said
    assert not (tmp_path / "session").exists()


def test_ctrl_c_at_a_question_leaves_the_terminal_as_it_was(sshd: Sshd, tmp_path: Path) -> None:
    sshd.lock()
    with terminal(*run(tmp_path)) as shown:
        shown.wait_for("Passphrase:")
        assert eventually(lambda: not is_echoing(shown))
        shown.press("\3")
        assert eventually(lambda: not shown.process.isalive())
        assert is_echoing(shown)
        assert shown.process.exitstatus == 130


def test_without_a_terminal_nobody_is_asked(sshd: Sshd, tmp_path: Path) -> None:
    sshd.lock()
    done = subprocess.run(
        run(tmp_path), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert done.returncode == 3
    (line,) = done.stderr.splitlines()
    assert f"locked by a passphrase: {sshd.key}" in line
    assert "there is no terminal to ask" in line


def test_a_passphrase_over_the_dashboard_while_the_load_goes_on(sshd: Sshd, tmp_path: Path) -> None:
    sshd.lock()
    command = ("watch", TARGET, "--host", "web", "--session", str(tmp_path / "session"))
    with terminal(*LOADWATCH, *command) as shown:
        shown.wait_for("Passphrase")
        shown.wait_for("● firing")  # it does not wait for the answer
        shown.press(f"{PASSPHRASE}\r")
        shown.wait_for("web ● live")
        shown.press("q")
        code, said = shown.end(60)
    assert code in WATCHED, said
    assert PASSPHRASE not in said
