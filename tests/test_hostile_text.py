"""What a server writes, from its bytes to the screen and to the CSV: shown, and no more."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from unicodedata import category
from xml.etree import ElementTree

import pytest

from loadwatch.core.bus import TickBus
from loadwatch.core.history import History
from loadwatch.core.plan import Group, Host
from loadwatch.core.reading import HostStatus, Reading
from loadwatch.core.tick import Event, Tick
from loadwatch.core.ticker import Ticker
from loadwatch.remote.probes import top
from loadwatch.remote.procfs import ProcParser
from loadwatch.remote.text import HIDDEN
from loadwatch.session import Recorder, export_beside
from loadwatch.ui.app import LoadwatchApp
from loadwatch.watching import catalogue
from tests.sshd import eventually
from tests.test_remote_monitor import ScriptedLink, ScriptedStream, Sink, monitoring
from tests.ui_fakes import STATUS, FakeControls, shown

SAMPLES = Path(__file__).with_name("samples")
HOST = Host("web", "web", groups=(Group("all", command="."),))

# 15 bytes each, as many as a process may have in its name
TRICKS = [
    b"[@click=app.quit",
    b"[/][red]x",
    b"=1+1",
    b"@SUM(A1)",
    b"\x1b]0;title\x07",
    b"\x1b[2J\x1b[H",
    b"\xc2\x9b31m",
    "\u202eexe.txt".encode(),
    "\u2066a\u2069b\u200f".encode(),
    "zero\u200bwidth".encode(),
    "\ue000\U000e0041".encode(),
    b"\xed\xa0\x80bad\xff",
    b"a\tb\x00c\x7f",
    b"</text><script>",
    b"&amp;&#27;",
]


def of_top(name: str) -> Reading:
    """The frame of a sample; of BusyBox, which lists no processes, by way of /proc."""
    data = (SAMPLES / "local" / name).read_bytes()
    parser = top.TopParser("web")
    (reading,) = parser.feed(data, 0.5) + parser.flush()
    return reading


def of_proc() -> Reading:
    rows = b"".join(
        b"p %d 0 S 1 1 1 %d %s\n" % (at + 1, 9000 - at, name) for at, name in enumerate(TRICKS)
    )
    frame = b"up 1.0\nload 1.0 1 1 1/1 1\nuser 0 ro\xe2\x80\xaeot\n" + rows + b"end\n"
    (reading,) = ProcParser("web").feed(frame, 0.5)
    return reading


READINGS = {
    **{
        path.name: lambda path=path: of_top(path.name)
        for path in sorted((SAMPLES / "local").glob("*evilnames*"))
    },
    "tricks": of_proc,
}


def tick_of(reading: Reading) -> Tick:
    """A second with that frame, and an event with all of its names."""
    ticker = Ticker(["home"], [HOST], lambda values: {}, 1_800_000_000.0)
    ticker.reading(0, reading)
    text = " ".join(process.command for process in reading.processes or ())
    ticker.event(Event(0.5, "host", text, "web"))
    return ticker.close()


def hidden(text: str) -> set[str]:
    """The characters that steer a terminal or hide, but for the ends of lines."""
    return {char for char in text if category(char) in HIDDEN} - {"\n"}


@pytest.mark.parametrize("name", READINGS)
async def test_on_the_screen(name: str) -> None:
    tick = tick_of(READINGS[name]())
    bus, history = TickBus(), History()
    bus.subscribe(history.add)
    status = replace(STATUS, hosts=(HostStatus("web", "live"),), groups={"web": (Group("all"),)})
    app = LoadwatchApp(bus, history, FakeControls(status), catalogue())
    async with app.run_test(size=(200, 140)) as pilot:
        bus.publish(tick)
        await pilot.press("P", "z")
        await pilot.pause()
        text = shown(app)
        picture = app.export_screenshot()
        assert not app._exit
    assert not hidden(text)
    assert not hidden(picture)
    tree = ElementTree.fromstring(picture)
    assert "script" not in {element.tag.rpartition("}")[2] for element in tree.iter()}
    drawn = " ".join(tree.itertext()).replace("\N{NO-BREAK SPACE}", " ")
    for row in tick.processes[:20]:
        assert row.process.command.split(" ")[0] in text
        assert row.process.command.split(" ")[0] in drawn


@pytest.mark.parametrize("name", READINGS)
def test_in_the_csv(name: str, tmp_path: Path) -> None:
    tick = tick_of(READINGS[name]())
    session = tmp_path / "a.loadwatch"
    recorder = Recorder(session, {"target": "http://127.0.0.1/"}, catalogue())
    recorder.add(tick)
    recorder.close()
    for path in export_beside(session).iterdir():
        text = path.read_text(encoding="utf-8")
        assert not hidden(text.replace("\r\n", "\n")), path.name
        rows = list(csv.reader(text.splitlines()))
        for row in rows:
            assert not any(cell.startswith(("=", "+", "@", "\t", "\r")) for cell in row)
        if path.name == "processes.csv":
            assert len(rows) == 1 + len(tick.processes)


async def test_what_a_login_prints(monkeypatch: pytest.MonkeyPatch) -> None:
    """The noise before the guard, and what a tool complains, as the status says it."""
    evil = b"\x1b]0;x\x07\xe2\x80\xae[@click=app.quit]closed\xc2\x9b1m " + b"x" * 9000 + b"\n"

    class Closed(ScriptedLink):
        def open(self, command: str) -> ScriptedStream:
            stream = super().open(command)
            stream.give(evil, b"")
            return stream

    sink = Sink()
    with monitoring(Closed(top="", vmstat=""), sink=sink):
        assert eventually(lambda: sink.states[-1:] == ["failed"])
    detail = next(status.detail for status in sink.statuses if status.state == "failed")
    assert "[@click=app.quit]closed" in detail
    assert not hidden(detail) and len(detail) <= 500
    bus, history = TickBus(), History()
    bus.subscribe(history.add)
    status = replace(STATUS, hosts=(HostStatus("web", "failed", detail),), groups={})
    app = LoadwatchApp(bus, history, FakeControls(status), catalogue())
    async with app.run_test(size=(160, 45)) as pilot:
        bus.publish(Tick(0, 0.0, 1, "", {}, {}))
        await pilot.pause()
        text = shown(app)
        assert not app._exit
    assert "[@click=app.quit]closed" in text and not hidden(text)
