"""The process table, and what is known of the life of each process."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest
from rich.cells import cell_len

from loadwatch.core.reading import Process
from loadwatch.core.tick import HostProcess, Late, Tick
from loadwatch.ui.canvas import Row, plain
from loadwatch.ui.columns import sparkline
from loadwatch.ui.lives import TRACK, Life, Lives
from loadwatch.ui.panes.processes import FIELDS, ProcessesPane
from loadwatch.ui.view import View
from tests.ui_fakes import MIB, seen, story, text_of, tick


def processes(*rows: Process, second: int = 0, groups: tuple[str, ...] = ()) -> Tick:
    found = tuple(HostProcess("web", process, groups) for process in rows)
    return tick(second, {"host.web.cpu.us": 1.0}, processes=found)


def table(at: View, height: int = 8, pane: ProcessesPane | None = None) -> list[str]:
    return text_of((pane or ProcessesPane()).draw(at, 78, height))


def names(at: View, pane: ProcessesPane, height: int = 30) -> list[str]:
    """The commands in the table, in its order."""
    lines = table(at, height, pane)
    head = next(line for line in lines if "COMMAND" in line)
    return [line[head.index("COMMAND") :].strip() for line in lines[lines.index(head) + 1 :]]


def test_processes_by_rss() -> None:
    small = Process(7, "root", 2 * MIB, 0.5, "S", "init")
    large = Process(123456, "www-data", 300 * MIB, 120.0, "R", "gunicorn: worker [wall]")
    head, *rows = table(seen([processes(small, large)]))
    assert head.split() == ["PID", "USER", "▾RSS", "TREND", "GROWTH", "CPU", "COMMAND"]
    assert [row.split() for row in rows] == [
        ["▸", "123456", "www-data", "300", "MiB", "▁", "120", "%", "gunicorn:", "worker", "[wall]"],
        ["7", "root", "2", "MiB", "▁", "0.5", "%", "init"],
    ]
    assert head.index("COMMAND") == rows[0].index("gunicorn")
    assert head.index("RSS") + 3 == rows[0].index("MiB") + 3


def follow(*frames: Iterable[Process], groups: tuple[str, ...] = ("pool",)) -> list[Life]:
    """The lives after these frames, a second each."""
    lives = Lives()
    for second, rows in enumerate(frames):
        lives.add(processes(*rows, second=second, groups=groups))
    return list(lives.before(10_000, "web"))


def worker(pid: int = 7, rss: int = 100, command: str = "a") -> Process:
    return Process(pid, "u", rss * MIB, 0, "S", command)


def test_growth_counts_from_the_first_sight() -> None:
    frames = [[worker(rss=rss)] for rss in (100, 130, 150, 90)]
    growths = [follow(*frames[:count])[0].growth // MIB for count in (1, 2, 3, 4)]
    assert growths == [0, 30, 50, -10]
    other = [worker(rss=85, command="b")]
    assert follow(*frames, other)[0].growth == 0  # another command is another process
    assert follow(*frames, [worker(8)], [worker(rss=200)])[0].growth == 0  # it was gone
    ticks = [processes(worker(rss=rss), second=at) for at, rss in enumerate((80, 85))]
    assert "+5 MiB" in table(seen(ticks))[1]


def test_frames_that_came_late_are_part_of_a_life() -> None:
    frames = [[worker(rss=rss)] for rss in (100, 130, 150, 90)]
    lives = Lives()
    lives.add(processes(*frames[0], second=0, groups=("pool",)))
    missed = [processes(*frames[at], second=at, groups=("pool",)) for at in (1, 2)]
    late = tuple(Late(tick.second, tick.values, tick.processes) for tick in missed)
    lives.add(replace(processes(*frames[3], second=3, groups=("pool",)), late=late))
    assert list(lives.before(10_000, "web")) == follow(*frames)


@pytest.mark.parametrize(
    ("frames", "replaced"),
    [
        ([[1, 2]], []),  # the first frame replaces nobody
        ([[1, 2], [1, 2, 3]], []),  # the pool grows
        ([[1, 2], [1]], []),  # or shrinks
        ([[1, 2], [1, 3]], [3]),
        ([[1, 2], [3, 4]], [3, 4]),
        ([[1, 2], [1, 3, 4]], [3]),  # one went, two came
        ([[1, 2], [1, 3], [1, 3]], [3]),  # it stays marked
        ([[1, 2], [1, 3], [1, 2]], [2]),
    ],
)
def test_who_came_when_another_went_is_a_restart(
    frames: list[list[int]], replaced: list[int]
) -> None:
    lives = follow(*([worker(pid) for pid in pids] for pids in frames))
    assert [life.process.pid for life in lives if life.replaced] == replaced
    assert not any(one.replaced for one in follow([worker(1)], [worker(2)], groups=()))


def test_a_restart_is_marked_in_the_table() -> None:
    ticks = [processes(worker(pid), second=at, groups=("p",)) for at, pid in enumerate((1, 2))]
    assert table(seen(ticks))[1].endswith("↻ a" + " " * (78 - table(seen(ticks))[1].index("↻") - 3))


def test_the_track_spans_the_life_and_stays_small() -> None:
    (life,) = follow(*([worker(rss=100 + at)] for at in range(1000)))
    assert 8 <= len(life.track) <= TRACK
    assert life.track[0] == 100 * MIB
    distances = {b - a for a, b in zip(life.track, life.track[1:], strict=False)}
    assert len(distances) == 1  # even steps
    assert life.track[-1] > 1000 * MIB


@pytest.mark.parametrize(
    ("values", "drawn"),
    [
        ([], ""),
        ([5], "▁"),
        ([100, 101, 102], "▁▂▃"),  # little more than nothing is no mountain
        ([0, 50, 100], "▁▄▇"),
        ([100, 50, 0], "▇▄▁"),
        (list(range(17)), "▁▂▃▃▄▅▅▇"),  # in eight columns, the last one the newest
    ],
)
def test_sparklines(values: list[float], drawn: str) -> None:
    assert sparkline(values, 8) == drawn


HOSTILE = [
    "[@click=app.quit]x",
    "[bold red]not bold[/]",
    "\x1b[31mred\x1b]0;title\x07",
    "line\nbreak\ttab",
    "right\u202eleft",
    "\ud800",
    "コマンド漢字👩‍💻" * 9,
    "=cmd|' /C calc'!A0",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_process_name_is_only_text(name: str) -> None:
    rows = ProcessesPane().draw(seen([processes(Process(1, name, MIB, 0.0, "S", name))]), 78, 8)
    said = text_of(rows)[1]
    assert said.isprintable()
    assert plain(name)[:10] in said or "…" in said
    assert cells(rows[1]) == 78


def cells(row: Row) -> int:
    return sum(cell_len(text) for text, _ in row)


# -- keys ----------------------------------------------------------------------------------------


MANY = [Process(n, f"u{n % 2}", (100 - n) * MIB, n % 7, "S", f"p{n}") for n in range(1, 21)]


def test_the_table_follows_the_choice_and_stops_at_its_ends() -> None:
    at, pane = seen([processes(*MANY)]), ProcessesPane()
    assert names(at, pane, 8)[0] == "p1"
    pane.action_move(9)
    assert names(at, pane, 8)[-1] == "p10"
    pane.action_move(500)
    assert names(at, pane, 8)[-1] == "p20"
    assert table(at, 8, pane)[-1].startswith("▸")
    pane.action_move(-500)
    assert names(at, pane, 8)[0] == "p1"
    assert len(table(at, 8, pane)) == 8


@pytest.mark.parametrize("field", range(len(FIELDS)), ids=[field.name for field in FIELDS])
def test_any_column_sorts_both_ways(field: int) -> None:
    at, pane = seen([processes(*MANY)]), ProcessesPane()
    pane._by = -1
    pane.sort_by(field)
    down = [FIELDS[field].order(one) for one in pane._lines(at)]
    pane.sort_by(field)
    up = [FIELDS[field].order(one) for one in pane._lines(at)]
    assert down == sorted(down, reverse=FIELDS[field].right)
    assert up == sorted(up, reverse=not FIELDS[field].right)
    head = table(at, 8, pane)[0]
    assert (f"▴{FIELDS[field].name}" if FIELDS[field].right else f"{FIELDS[field].name}▾") in head


@pytest.mark.parametrize(
    ("pattern", "found"),
    [("p1", 11), ("P20", 1), ("u0", 10), ("19", 1), ("none", 0), ("[", 0), ("", 20)],
)
def test_a_filter_looks_at_pid_user_and_command(pattern: str, found: int) -> None:
    at, pane = seen([processes(*MANY)]), ProcessesPane()
    pane.filter(pattern)
    assert len(names(at, pane, 40)) == found
    headline = text_of(pane.host_headline(at))
    assert (f"“{pattern}”: {found} of 20" in headline) is bool(pattern)


def test_pools_have_heads_with_their_sums() -> None:
    at, pane = seen(story(10)), ProcessesPane()
    pane.action_group()
    lines = table(at, 40, pane)
    heads = [line.strip() for line in lines if " × " in line]
    assert [head.split(" × ")[0] for head in heads] == ["backends", "db", "others"]
    assert heads[0].startswith("backends × 5  264 MiB  CPU ")
    own = lines.index(next(line for line in lines if "backends ×" in line))
    assert all("gunicorn" in line for line in lines[own + 1 : own + 6])


@pytest.mark.parametrize(("count", "head"), [(49, "others × 49"), (50, "largest others × 50")])
def test_that_more_others_may_run_than_are_kept_is_told(count: int, head: str) -> None:
    pane = ProcessesPane()
    pane.action_group()
    rows = [worker(pid) for pid in range(1, count + 1)]
    lines = table(seen([processes(*rows, groups=())]), 40, pane)
    assert any(line.strip().startswith(head) for line in lines)


def test_below_heads_the_choice_moves_too() -> None:
    at, pane = seen(story(10)), ProcessesPane()
    pane.action_group()
    table(at, 40, pane)
    pane.action_move(3)
    rows = [line for line in table(at, 40, pane) if line.startswith("▸")]
    assert len(rows) == 1
    assert "gunicorn" in rows[0]


def test_who_is_followed_stays_chosen_and_says_when_it_is_gone() -> None:
    pane = ProcessesPane()
    first = seen([processes(worker(1, 50, "a"), worker(2, 40, "b"))])
    names(first, pane)
    pane.action_move(1)
    names(first, pane)
    pane.action_follow()
    grown = seen([processes(worker(1, 50, "a"), worker(2, 90, "b"))])
    assert [line[0] for line in table(grown, 8, pane)[1:]] == ["◆", " "]
    assert "◆ 2 90 MiB" in text_of(pane.host_headline(grown))
    gone = seen([processes(worker(1, 50, "a"))])
    assert "◆ 2 is gone" in text_of(pane.host_headline(gone))
    names(grown, pane)
    pane.action_follow()
    assert "◆" not in "".join(table(grown, 8, pane))


def test_groups_are_charted_above_the_table() -> None:
    grown = seen(story(300), seconds=300)
    rows = table(grown, 14)
    assert "┤" in rows[0]
    assert [row for row in rows if "COMMAND" in row]
    said = "  ".join(text_of(ProcessesPane().headline(grown)))
    assert "backends 1.1" in said
    assert "× 10" in said


def test_room_that_the_filter_leaves_goes_to_the_chart() -> None:
    at, pane = seen(story(60)), ProcessesPane()
    before = table(at, 20, pane)
    pane.filter("postgres")
    after = table(at, 20, pane)
    assert len(after) == len(before) == 20
    assert "postgres" in after[-1]


def test_the_processes_of_any_time_so_far() -> None:
    frames = [[worker(1, 100 + at), worker(10 + at // 5, 50)] for at in range(20)]
    lives = Lives()
    for second, rows in enumerate(frames):
        lives.add(processes(*rows, second=second, groups=("pool",)))
    for end in (1, 4, 5, 6, 20):
        assert list(lives.before(end, "web")) == follow(*frames[:end])
    assert lives.before(0, "web") == () == lives.before(20, "other")
    lives.add(processes(worker(3), second=0))  # a replay went back
    assert [one.process.pid for one in lives.before(20, "web")] == [3]


def test_frames_of_many_hours_are_thinned_the_older_ones_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("loadwatch.ui.lives.ROWS", 100)
    lives = Lives()
    for second in range(1000):
        lives.add(processes(worker(rss=second), second=second))
    sizes = [lives.before(end, "web")[0].process.rss // MIB for end in range(1, 1001)]
    assert len(set(sizes)) <= 100
    assert sizes[-25:] == list(range(975, 1000))
    assert all(shown <= end for end, shown in enumerate(sizes))


def test_numbers_have_room_as_large_as_they_get() -> None:
    size = 1023 * MIB
    first = Process(1234567, "www-data", 0, 0.0, "S", "worker")
    later = Process(1234567, "www-data", size, 6400.0, "S", "worker")
    row = table(seen([processes(first), processes(later, second=1)]))[1]
    assert row.split()[1:] == [
        "1234567", "www-data", "1,023", "MiB", "▁▇", "+1,023", "MiB", "6400", "%", "worker",
    ]  # fmt: skip


def test_the_choice_is_a_process_wherever_it_is_sorted_to() -> None:
    pane = ProcessesPane()
    rows = [worker(pid, 100 - pid, f"w{pid}") for pid in range(1, 6)]
    at = seen([processes(*rows)])
    pane._view = at
    assert chosen(at, pane) == "w1"
    pane.action_move(2)
    assert chosen(at, pane) == "w3"
    pane.action_reverse()
    pane.sort_by(0)
    assert chosen(at, pane) == "w3"
    grown = [worker(one.pid, 100 + one.pid**2, one.command) for one in rows]
    assert chosen(seen([processes(*grown)]), pane) == "w3"
    left = seen([processes(*(one for one in grown if one.pid != 3))])
    assert chosen(left, pane) in ("w2", "w4")  # the one in its place
    assert chosen(seen([processes(*grown)]), pane) == chosen(left, pane)


def chosen(at: View, pane: ProcessesPane) -> str:
    (line,) = [line for line in table(at, pane=pane) if line.startswith("▸")]
    return line.split()[-1]


def test_a_process_that_claims_to_be_larger_than_any_is_shown_as_it_claims() -> None:
    lives = Lives()
    lives.add(processes(worker(1, rss=2**50), worker(2, rss=-1)))
    assert [one.process.rss // MIB for one in lives.before(1, "web")] == [2**50, -1]
