"""The guard around every tool: what it lets through, and that nothing outlives its end."""

from __future__ import annotations

import os
import re
import secrets
import signal
import subprocess
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadwatch.remote.guard import BEAT, Preamble, answering, command
from loadwatch.remote.local import LocalLink
from loadwatch.remote.process import ProcessStream
from tests.sshd import MARK, children, eventually, find, marked, require

NONCE = "0123456789abcdef"
READY = f"LW1 {NONCE} ready\n".encode()


@pytest.fixture
def mark(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """What every process that a test starts carries; none may be left in the end."""
    require("top", "vmstat")
    token = secrets.token_hex(8)
    monkeypatch.setenv(MARK, token)
    yield f"{MARK}={token}"
    left = marked(f"{MARK}={token}")
    for pid in left:
        os.kill(pid, signal.SIGKILL)


def is_gone(mark: str) -> bool:
    return eventually(lambda: not marked(mark))


def drain(stream: ProcessStream) -> bytes:
    """Everything up to the end, which must come."""
    output: list[bytes | None] = []

    def is_over() -> bool:
        output.append(stream.read(1.0))
        return output[-1] == b""

    assert eventually(is_over), output
    return b"".join(data or b"" for data in output)


def read_until(stream: ProcessStream, wanted: bytes) -> bytes:
    output = b""
    while wanted not in output:
        data = stream.read(10.0)
        assert data, (output, stream.complaints)
        output += data
    return output


# -- the command ---------------------------------------------------------------------------------


def test_the_command_is_one_line_without_what_some_shell_would_expand() -> None:
    script = command("vmstat", "exec vmstat 1", NONCE)
    inside = script.removeprefix("exec sh -c '").removesuffix("' loadwatch")
    assert inside != script
    assert not set("'!\\\n`").intersection(inside.replace("$!", ""))


@pytest.mark.parametrize("line", ["echo 'x'", "a\nb", "a!b", "a\\b"])
def test_nothing_that_breaks_the_quoting_gets_in(line: str) -> None:
    with pytest.raises(ValueError, match="not safe"):
        command("vmstat", line, NONCE)


@pytest.mark.parametrize("tool", ["", "a b", "a;b", "../x", "$x"])
def test_a_tool_is_a_plain_name(tool: str) -> None:
    with pytest.raises(ValueError, match="not safe"):
        command(tool, "exec x", NONCE)


# -- the preamble --------------------------------------------------------------------------------

PREAMBLES = [
    (READY + b"out", b"out", True, False),
    (b"Welcome!\nlast login: ...\n" + READY + b"out", b"out", True, False),
    (b"no newline" + READY + b"out\n", b"out\n", True, False),
    # another's announcement is noise
    (b"LW1 feedfeedfeedfeed ready\nold" + READY + b"new", b"new", True, False),
    # only the first of ours counts
    (READY + b"a" + READY, b"a" + READY, True, False),
    (f"motd\nLW1 {NONCE} missing\n".encode(), b"", False, True),
    (b"This account is currently not available.\n", b"", False, False),
    (b"", b"", False, False),
]


@pytest.mark.parametrize(("data", "output", "ready", "missing"), PREAMBLES)
@given(cuts=st.lists(st.integers(0, 80), max_size=6))
def test_the_preamble_in_any_chunking(
    data: bytes, output: bytes, ready: bool, missing: bool, cuts: list[int]
) -> None:
    preamble = Preamble(NONCE)
    edges = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    found = b"".join(preamble.feed(data[a:b]) for a, b in pairwise(edges))
    assert (found, preamble.ready, preamble.missing) == (output, ready, missing)


def test_endless_noise_takes_no_memory() -> None:
    preamble = Preamble(NONCE)
    for _ in range(100):
        assert preamble.feed(b"noise\n" * 10_000) == b""
    assert len(preamble.noise) == 200
    assert preamble.feed(READY + b"out") == b"out"


# -- real shells, real tools ---------------------------------------------------------------------

SHELLS = [s for s in ("sh", "bash", "busybox", "mksh", "zsh", "tcsh", "fish") if find(s)]


@pytest.mark.parametrize("shell", SHELLS)
def test_any_login_shell_runs_it_and_ends_it(mark: str, shell: str) -> None:
    login = [shell, "sh"] if shell == "busybox" else [shell]
    guarded = command("vmstat", "exec vmstat 1", NONCE, lease=60)
    with subprocess.Popen(
        [*login, "-c", guarded],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
    ) as process:
        assert process.stdin and process.stdout
        assert process.stdout.readline() == READY
        process.stdin.write(BEAT)
        assert b"procs" in process.stdout.readline()
        process.stdin.close()
        assert is_gone(mark)
    assert process.returncode == 0


INNER = [s for s in ("dash", "bash", "busybox", "mksh", "ksh93", "yash", "zsh") if find(s)]


@pytest.mark.parametrize("shell", INNER)
def test_any_sh_of_a_server_does(
    mark: str, shell: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sh").symlink_to(str(find(shell)))
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    silent = LocalLink().open(command("vmstat", "exec vmstat 1", NONCE, lease=1))
    failing = LocalLink().open(command("vmstat", "exec vmstat --nonsense", NONCE, lease=600))
    closed = LocalLink().open(command("vmstat", "vmstat 1; echo", NONCE, lease=600))
    output = b""
    while len(re.findall(rb"^ *\d", output, re.MULTILINE)) < 2:
        closed.write(BEAT)
        output += read_until(closed, b"\n")
    closed.close()
    assert drain(failing) == READY
    assert drain(silent).startswith(READY)
    drain(closed)
    assert is_gone(mark)


@pytest.mark.parametrize("shell", INNER)
def test_an_answer_that_nobody_takes_does_not_delay_the_end(
    mark: str, shell: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sh").symlink_to(str(find(shell)))
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    guarded = answering(NONCE, "echo here;", lease=600)
    with subprocess.Popen(
        ["sh", "-c", guarded], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
    ) as process:
        assert process.stdin and process.stdout
        assert process.stdout.readline() == READY
        process.stdin.write(BEAT)
        assert process.stdout.readline() == b"here\n"
        process.stdout.close()
        process.stdin.write(BEAT)
        time.sleep(0.05)
        process.stdin.close()
        assert is_gone(mark)


def test_a_server_need_not_give_a_process_group_of_its_own(mark: str) -> None:
    guarded = command("vmstat", "exec vmstat 1", NONCE, lease=1)
    with subprocess.Popen(
        ["sh", "-c", guarded], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
    ) as process:
        assert eventually(lambda: len(marked(mark)) >= 3)
        assert is_gone(mark)
    assert process.returncode == 0


def test_heartbeats_leave_no_zombies(mark: str) -> None:
    stream = LocalLink().open(command("vmstat", "exec vmstat 1", NONCE, lease=600))
    read_until(stream, b"swpd")
    for _ in range(20):
        stream.write(BEAT)
        time.sleep(0.02)
    guard = min(marked(mark))
    states = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2] for pid in children(guard)]
    assert sum(state.split()[0] == "Z" for state in states) <= 1
    stream.close()
    drain(stream)
    assert is_gone(mark)


@pytest.mark.parametrize("line", ["exec vmstat 1", "exec top -b -d 1 -w 300"])
def test_closing_ends_everything(mark: str, line: str) -> None:
    stream = LocalLink().open(command(line.split()[1], line, NONCE, lease=60))
    stream.write(BEAT)
    read_until(stream, b"\n\n" if "top" in line else b"swpd")
    assert len(marked(mark)) > 1
    stream.close()
    drain(stream)
    assert is_gone(mark)


def test_without_heartbeats_everything_ends(mark: str) -> None:
    stream = LocalLink().open(command("vmstat", "exec vmstat 1", NONCE, lease=1))
    output = drain(stream)  # ends by itself, though nobody closed it
    assert output.startswith(READY)
    assert is_gone(mark)


def test_heartbeats_keep_it_alive_however_they_bunch_up(mark: str) -> None:
    stream = LocalLink().open(command("vmstat", "exec vmstat 1", NONCE, lease=2))
    output = b""
    while len(re.findall(rb"^ *\d", output, re.MULTILINE)) < 4:  # at 0, 1, 2 and 3 s
        stream.write(BEAT * 3)
        output += read_until(stream, b"\n")
    stream.close()
    drain(stream)
    assert is_gone(mark)


def test_the_end_of_the_tool_is_seen_at_once_with_its_complaint(mark: str) -> None:
    stream = LocalLink().open(command("vmstat", "exec vmstat --nonsense", NONCE, lease=600))
    assert drain(stream) == READY
    assert stream.complaints[0].startswith("vmstat: unrecognized option")
    assert is_gone(mark)


def test_a_killed_guard_leaves_nothing(mark: str) -> None:
    stream = LocalLink().open(command("vmstat", "exec vmstat 1", NONCE, lease=1))
    read_until(stream, b"swpd")
    guards = [pid for pid, line in marked(mark).items() if line.startswith("sh -c")]
    os.kill(min(guards), signal.SIGKILL)
    stream.close()
    drain(stream)
    assert is_gone(mark)


def test_a_missing_tool_is_said(mark: str) -> None:
    stream = LocalLink().open(command("nosuchtool", "exec nosuchtool", NONCE))
    assert drain(stream) == f"LW1 {NONCE} missing\n".encode()
    assert is_gone(mark)


def test_the_environment_cannot_change_what_a_tool_prints(
    mark: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("LC_ALL", "de_DE.UTF-8"), ("COLUMNS", "20"), ("TERM", "xterm")):
        monkeypatch.setenv(name, value)
    output = drain(LocalLink().open(command("env", "exec env", NONCE))).decode()
    variables = dict(line.split("=", 1) for line in output.splitlines() if "=" in line)
    assert variables["LC_ALL"] == "C"
    assert variables["HOME"] == variables["XDG_CONFIG_HOME"] == "/dev/null"
    assert variables["TERM"] == "dumb"
    assert "COLUMNS" not in variables


def test_a_tool_that_does_not_let_go_is_killed(mark: str, tmp_path: Path) -> None:
    stubborn = tmp_path / "stubborn"
    stubborn.write_text("#!/bin/sh\ntrap : 1 2 13 15\nwhile :; do sleep 1; done\n")
    stubborn.chmod(0o755)
    stream = LocalLink().open(command("sh", f"exec {stubborn}", NONCE))
    read_until(stream, READY)
    stream.close()
    drain(stream)
    assert is_gone(mark)


def test_ctrl_c_on_our_terminal_is_not_for_them(mark: str) -> None:
    stream = LocalLink().open(command("vmstat", "exec vmstat 1", NONCE))
    read_until(stream, b"swpd")
    assert os.getpgid(0) not in {os.getpgid(pid) for pid in marked(mark)}
    stream.close()
    drain(stream)


def test_writing_to_what_is_closed_is_an_os_error(mark: str) -> None:
    stream = LocalLink().open(command("vmstat", "exec vmstat 1", NONCE))
    stream.close()
    with pytest.raises(OSError, match="closed"):
        stream.write(BEAT)
    stream.close()
    drain(stream)
