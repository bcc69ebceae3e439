"""Which tools a server shows, and which probes are run because of it."""

from __future__ import annotations

import getpass
import os
import threading
from collections.abc import Iterable
from pathlib import Path

import pytest

from loadwatch.core.plan import Host
from loadwatch.core.reading import HostStatus, Reading
from loadwatch.remote.detection import LIMIT, TIMEOUT, Server, choose, detect
from loadwatch.remote.link import LinkError
from loadwatch.remote.local import LocalLink
from loadwatch.remote.monitor import HostMonitor
from loadwatch.remote.probe import Tool, version_in
from loadwatch.remote.probes import all_probes, top, vmstat
from tests.sshd import Start, eventually, find, log_in, require, start_sshd
from tests.test_remote_monitor import ScriptedStream, Sink, Time, nonce_of

__all__ = ["start_sshd"]  # the fixture

HOST = Host("web", "web")
PROBES = all_probes()
SAMPLES = Path(__file__).with_name("samples")


class Shell:
    """A link whose only command prints `output`, in which NONCE stands for what was asked for."""

    def __init__(self, output: str, *, ends: bool = True) -> None:
        self._output = output
        self._ends = ends

    def open(self, command: str) -> ScriptedStream:
        self.stream = ScriptedStream(command)
        nonce = nonce_of(command).decode()
        self.stream.give(self._output.replace("NONCE", nonce).encode())
        if self._ends:
            self.stream.give(b"")
        return self.stream

    def close(self) -> None:
        raise AssertionError("not ours to close")


def look(output: str) -> dict[str, Tool]:
    return dict(detect(Shell(output), PROBES, threading.Event()).tools)


# -- what is shown -------------------------------------------------------------------------------

PROC = "LW1 NONCE look proc\n/usr/bin/awk\nmawk 1.3.4 20200120\nsee proc\nsee processes\n"
TOP = (
    "LW1 NONCE look top\n/usr/bin/top\nprocps-ng 4.0.2\ntop - 1\n"
    " PID USER PR NI VIRT RES SHR S %CPU %MEM TIME+ COMMAND\n"
)
VMSTAT = "LW1 NONCE look vmstat\n/usr/bin/vmstat\nvmstat from procps-ng 4.0.2\nr b us sy id\n"
READY, END = "LW1 NONCE ready\n", "LW1 NONCE look end\n"


def test_a_debian_server() -> None:
    tools = look(f"motd\n{READY}{PROC}{TOP}{VMSTAT}{END}")
    assert {name: (tool.path, tool.version, tool.lacks) for name, tool in tools.items()} == {
        "proc": ("/usr/bin/awk", "mawk 1.3.4", ""),
        "top": ("/usr/bin/top", "procps-ng 4.0.2", ""),
        "vmstat": ("/usr/bin/vmstat", "procps-ng 4.0.2", ""),
    }
    assert [probe.name for probe in choose(HOST, PROBES, tools)] == ["top", "vmstat", "proc"]
    assert "-v V=0 -v T=0" in choose(HOST, PROBES, tools)[-1].command(1.0)


def test_an_alpine_server() -> None:
    busybox = (
        "LW1 NONCE look top\n/usr/bin/top\ntop: unrecognized option: V\nBusyBox v1.36.1 (2024)\n"
        "Mem: 1K used\n  PID  PPID USER     STAT   VSZ %VSZ CPU %CPU COMMAND\n"
        "LW1 NONCE look vmstat\n"
    )
    tools = look(f"{READY}{PROC}{busybox}{END}")
    assert (tools["top"].version, tools["top"].lacks) == ("BusyBox v1.36.1", "it shows no RSS")
    assert tools["vmstat"] == Tool(lacks="vmstat is not on the login's PATH")
    (proc,) = choose(HOST, PROBES, tools)
    assert proc.name == "proc" and "-v V=1 -v T=1" in proc.command(1.0)


def test_without_awk_there_is_nothing_to_stand_in() -> None:
    tools = look(f"{READY}LW1 NONCE look proc\n{TOP}LW1 NONCE look vmstat\n{END}")
    assert tools["proc"].lacks == "awk is not on the login's PATH"
    assert [probe.name for probe in choose(HOST, PROBES, tools)] == ["top", "vmstat"]


def test_a_login_that_runs_nothing_shows_nothing() -> None:
    assert look("This account is closed.\n") == {}
    assert [probe.name for probe in choose(HOST, PROBES, {})] == ["top", "vmstat", "proc"]


@pytest.mark.parametrize(
    "forged",
    [
        "LW1 0123456789abcdef look proc\n",
        "LW1  look vmstat\n",
        # the script, as a list of processes shows it
        " 7 root {sh} sh -c echo LW1 NONCE look proc\n",
    ],
)
def test_a_process_name_cannot_forge_a_section(forged: str) -> None:
    tools = look(f"{READY}{PROC}{TOP}{forged}/tmp/evil\n{VMSTAT}{END}")
    assert {tool.path for tool in tools.values()} == {
        "/usr/bin/awk", "/usr/bin/top", "/usr/bin/vmstat",
    }  # fmt: skip


def test_paths_and_versions_are_disarmed() -> None:
    evil = PROC.replace("/usr/bin/awk", "/usr/\x1b[31mawk" + "x" * 5000)
    tool = look(f"{READY}{evil}{END}")["proc"]
    assert tool.path.startswith("/usr/\ufffd[31mawk") and len(tool.path) == 200


# -- time and size -------------------------------------------------------------------------------


class Ticking(Time):
    """A clock that goes on with every look at it."""

    def __call__(self) -> float:
        self.now += 1.0
        return self.now


def test_a_tool_that_hangs_takes_nothing_from_the_others() -> None:
    shell = Shell(f"{READY}{PROC}LW1 NONCE look top\n/usr/bin/top\n", ends=False)
    tools = detect(shell, PROBES, threading.Event(), Ticking()).tools
    assert set(tools) == {"proc"}
    assert [probe.name for probe in choose(HOST, PROBES, tools)] == ["top", "vmstat", "proc"]


def test_a_login_without_an_answer_is_a_lost_link() -> None:
    shell = Shell("Loading profile ...\n", ends=False)
    with pytest.raises(LinkError, match=f"no answer within {TIMEOUT:.0f} s"):
        detect(shell, PROBES, threading.Event(), Ticking())


def test_a_slow_login_leaves_the_tools_their_time() -> None:
    shell = Shell("", ends=False)
    opened = shell.open

    def slow(command: str) -> ScriptedStream:
        stream = opened(command)
        nonce = nonce_of(command).decode()
        texts = iter([None, READY, None, f"{PROC}{END}", ""])

        def read(timeout: float) -> bytes | None:
            text = next(texts)
            return None if text is None else text.replace("NONCE", nonce).encode()

        stream.read = read  # type: ignore[method-assign]
        return stream

    shell.open = slow  # type: ignore[method-assign]
    assert set(detect(shell, PROBES, threading.Event(), Ticking()).tools) == {"proc"}


def test_a_link_that_breaks_meanwhile_is_lost() -> None:
    shell = Shell(READY, ends=False)
    opened = shell.open

    def breaking(command: str) -> ScriptedStream:
        stream = opened(command)
        stream._coming.get()
        stream.give(LinkError("connection lost"), LinkError("connection lost"))
        return stream

    shell.open = breaking  # type: ignore[method-assign]
    with pytest.raises(LinkError, match="connection lost"):
        detect(shell, PROBES, threading.Event(), Ticking())


def test_it_does_not_keep_a_run_from_ending() -> None:
    stopping = threading.Event()
    stopping.set()
    assert detect(Shell("", ends=False), PROBES, stopping, Time()) == Server()


def test_endless_output_takes_no_memory() -> None:
    assert look(f"{READY}{PROC}LW1 NONCE look top\n/usr/bin/top\n" + "x" * 3 * LIMIT)["proc"]


def test_a_tool_that_hangs_is_ended_with_the_look(
    start_sshd: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loadwatch.remote.detection.TIMEOUT", 1.0)
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "vmstat").write_text("#!/bin/sh\nexec sleep 777\n")
    (tools / "vmstat").chmod(0o755)
    server = start_sshd(environment={"PATH": f"{tools}:{os.environ['PATH']}"})
    link = log_in()
    assert "vmstat" not in detect(link, PROBES, threading.Event()).tools
    assert eventually(lambda: not server.leftovers())
    link.close()


# -- real tools ----------------------------------------------------------------------------------


def test_this_machine() -> None:
    require("top", "vmstat", "awk")
    server = detect(LocalLink(), PROBES, threading.Event())
    tools = server.tools
    assert server.system == f"{os.uname().sysname} {os.uname().release}"
    assert server.user == getpass.getuser()
    assert {name: tool.lacks for name, tool in tools.items()} == dict.fromkeys(tools, "")
    assert set(tools) == {"proc", "top", "vmstat"}
    assert tools["top"].path == find("top")
    assert "procps" in tools["vmstat"].version


def only(directory: Path, *names: str, busybox: Iterable[str] = ()) -> str:
    directory.mkdir()
    for name in (*names, *busybox):
        place = find("busybox" if name in busybox else name)
        assert place is not None
        (directory / name).symlink_to(place)
    return str(directory)


def test_a_server_with_busybox_only_is_watched_by_proc(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    require("busybox")
    path = only(tmp_path / "bin", busybox=("sh", "sleep", "ls", "awk", "top", "uname"))
    monkeypatch.setenv("PATH", path)
    sink = Sink()
    monitor = HostMonitor(Host("alpine", "local"), sink)
    monitor.start()

    def is_complete() -> bool:
        return any("cpu.us" in item.values and item.processes for item in sink.readings)

    assert eventually(is_complete)
    monitor.stop()
    assert monitor.join(10)
    assert sink.statuses[-2].probes == ("proc",)
    assert monitor.server.tools["top"].version.startswith("BusyBox v1.")
    assert {reading.probe for reading in sink.readings} == {"proc"}


def test_unreadable_rows_are_counted_in_the_status() -> None:
    class Vmstat(Shell):
        """Prints a row that makes no sense, and then one that does."""

        def open(self, command: str) -> ScriptedStream:
            stream = super().open(command)
            tool = b"vmstat" if "exec vmstat" in command else b""
            if tool:
                stream.give(b"r b us sy id\n1 0 1 1 98\n1 0 1\n1 0 1 1 98\n")
            return stream

        def close(self) -> None:
            pass

    sink = Sink()
    monitor = HostMonitor(
        HOST,
        sink,
        clock=Time(),
        link_to=lambda host, answers, note: Vmstat(READY, ends=False),
        detecting=lambda link, probes, stopping: Server(tools={"proc": Tool(lacks="no /proc")}),
    )
    monitor.start()
    assert eventually(lambda: sink.statuses[-1].skipped == 1)
    monitor.stop()
    assert monitor.join(10)


# -- what tools say of themselves ----------------------------------------------------------------

VERSIONS = [
    ("top from procps-ng 4.0.2\n", "procps-ng 4.0.2"),
    (
        "top: unknown option 'V'\nUsage:\n  top -hv\n  procps-ng version 3.3.10\n",
        "procps-ng version 3.3.10",
    ),
    ("top: procps version 3.2.8\nusage: top -hv\n", "procps version 3.2.8"),
    ("BusyBox v1.35.0 (Debian 1:1.35.0-4) multi-call binary.\n", "BusyBox v1.35.0"),
    ("GNU Awk 5.2.1, API 3.2\n", "GNU Awk 5.2.1"),
    ("mawk 1.3.3 Nov 1996\n", "mawk 1.3.3"),
    ("toybox 0.8.9\n", "toybox 0.8.9"),
    ("original-awk: unknown option -W ignored\n", ""),
]


@pytest.mark.parametrize(("text", "version"), VERSIONS)
def test_versions(text: str, version: str) -> None:
    assert version_in(text) == version


USABLE = [
    # whose top and vmstat print what the probes need, and which do not
    ("top", "local/top_procps4.0.7_w200.out", ""),
    ("top", "web/procps3.2_debian6_top.txt", ""),
    ("top", "local/toybox0.8.9_top.out", ""),
    ("top", "local/busybox1.35_top_b.out", "it shows no RSS"),
    ("top", "composed/busybox1.38_top_b.out", "BusyBox's counts CPU in shares of all CPUs"),
    ("vmstat", "local/vmstat_n.out", ""),
    ("vmstat", "local/toybox0.8.9_vmstat.out", ""),
    ("vmstat", "composed/busybox1.38_vmstat.out", "BusyBox's counts swap traffic in pages"),
    ("vmstat", "local/top_H.out", "it prints no table"),
    ("top", "local/vmstat_n.out", "it prints no table of processes"),
]


@pytest.mark.parametrize(("tool", "sample", "lacks"), USABLE)
def test_what_a_tool_must_print(tool: str, sample: str, lacks: str) -> None:
    banner = "BusyBox v1.38.0 (2026) multi-call binary.\n" if "busybox" in sample else ""
    shown = banner + (SAMPLES / sample).read_bytes().decode("utf-8", "replace")
    recognise = top.recognise if tool == "top" else vmstat.recognise
    assert recognise(shown).lacks == lacks


def test_a_monitor_tells_its_tools(tmp_path: Path) -> None:
    items: list[Reading | HostStatus] = []
    monitor = HostMonitor(
        HOST,
        items.append,
        clock=Time(),
        link_to=lambda host, answers, note: Shell(f"{READY}{PROC}{END}"),
    )
    assert monitor.server == Server()
