"""The key `f`: the search for the limit in the dashboard, on a virtual clock."""

from __future__ import annotations

from loadwatch.core.bus import TickBus
from loadwatch.core.history import History
from loadwatch.core.limit import CAREFUL
from loadwatch.ui.app import LoadwatchApp
from tests.ui_fakes import CATALOGUE, shown
from tests.virtual import VirtualControls, by_command, controls


class Shown:
    """The dashboard on a virtual run, second by second."""

    def __init__(self, run: VirtualControls) -> None:
        self.run = run
        self.bus, self.history = TickBus(), History()
        self.bus.subscribe(self.history.add)
        self.app = LoadwatchApp(self.bus, self.history, run, CATALOGUE)

    def seconds(self, most: int) -> None:
        for _ in range(most):
            if not self.run.ends:
                self.bus.publish(self.run.step())


async def test_the_key_and_the_command_run_the_same_search() -> None:
    shown_run = Shown(controls())
    async with shown_run.app.run_test(size=(160, 45)) as pilot:
        await pilot.press("f", "enter")
        shown_run.seconds(1000)
        await pilot.pause()
    told = by_command()
    assert shown_run.run.searching.found == told.searching.found
    assert shown_run.run.told == told.told
    assert told.searching.found[0]["sustained"] > 60
    assert told.ends == 1


async def test_the_search_is_drawn_while_it_goes_on() -> None:
    one = Shown(controls())
    async with one.app.run_test(size=(160, 45)) as pilot:
        await pilot.press("f", "enter")
        one.seconds(45)
        await one.app._dashboard.advance()
        await pilot.pause()
        text = shown(one.app)
        assert "✓ PASS" in text and "20/s" in text
        assert "about" in text and "left" in text and "finding the range" in text
        one.seconds(1000)
        await one.app._dashboard.advance()
        await pilot.pause()
        text = shown(one.app)
        assert "✗ FAIL" in text and "sustains" in text and "fails at" in text


async def test_space_stops_the_search_at_once() -> None:
    one = Shown(controls())
    async with one.app.run_test(size=(160, 45)) as pilot:
        await pilot.press("f", "enter")
        one.seconds(20)
        await pilot.press("space")
        assert one.run.run.rate == 0.0
        assert one.run.searching.status is not None
        assert one.run.searching.status.ended == "stopped"
        assert one.run.status.rates == {"home": 10.0}  # what they were before the search
        found = one.run.searching.found[0]
        assert (found["sustained"], found["fails_at"]) == (10.0, None)


async def test_a_closed_loop_has_no_limit_to_find() -> None:
    run = controls()
    run.change(connections=10)
    one = Shown(run)
    async with one.app.run_test(size=(160, 45)) as pilot:
        await pilot.press("f", "enter")
        assert ["closed loop" in one.message for one in one.app._notifications] == [True]


async def test_the_picture_of_a_search_has_the_pair_and_the_knee() -> None:
    one = Shown(controls())
    async with one.app.run_test(size=(160, 45)) as pilot:
        await pilot.press("f", "enter")
        one.seconds(1000)
        await one.app._dashboard.advance()
        await pilot.pause()
        assert "answers per second" not in shown(one.app)  # there is no room for it
        await pilot.press("I", "z")
        await pilot.pause()
        text = shown(one.app)
    search = one.run.searching.status
    assert search is not None and search.knee is not None
    picture, _, told = text.partition("✓ PASS")
    assert "answers per second over the rate" in picture
    assert "response time p95 over the rate" in picture
    # Once in each chart; the pair in the title too.
    assert [picture.count(word) for word in ("knee", "sustains", "fails")] == [2, 3, 3]
    order = ["■", search.explained[0][:40], "Little's law", "concurrent users", "a visit is 3"]
    places = [told.index(part) for part in order]
    assert places == sorted(places)


async def test_a_search_is_asked_for_as_typed_or_not_at_all() -> None:
    one = Shown(controls())
    async with one.app.run_test(size=(80, 24)) as pilot:
        await pilot.press("f")
        assert "trials of 10 s from 10/s on" in shown(one.app)
        await pilot.press("escape")
        assert one.run.searching.status is None
        await pilot.press("f", "x")  # takes the place of what stands there
        assert "a number of requests per second" in shown(one.app)
        await pilot.press("enter")  # is not taken
        await pilot.press("backspace", *"careful 3", "enter")
        await pilot.pause()
    search = one.run.searching.status
    assert search is not None
    assert (search.goal.start, search.goal.pace) == (3.0, CAREFUL)
