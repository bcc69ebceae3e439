"""`loadwatch users`: how many users a rate is, or the limit that a session found."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any

from loadwatch.verbs.ending import say
from loadwatch.verbs.named import add_session
from loadwatch.verbs.planned import duration

if TYPE_CHECKING:
    from loadwatch.analysis.users import Day, Habits


def add(verbs: Any) -> None:
    """Declare the verb."""
    text = "how many users a rate is, or the limit that a session found"
    command = verbs.add_parser("users", help=text, description=f"{text[0].upper()}{text[1:]}.")
    command.set_defaults(verb=_carry_out)
    add_session(command, "rate", "RATE|SESSION", help="requests per second; or a session's limit")
    command.add_argument("--requests-per-visit", type=positive, metavar="N", help="3")
    command.add_argument("--visits-per-day", type=positive, metavar="N", help="of one user; 3")
    command.add_argument("--visit-length", type=duration, metavar="D", help="60s")
    command.add_argument(
        "--peak-to-average", type=peak, metavar="N", help="busiest rate over the mean; 3"
    )
    command.add_argument(
        "--profile", type=profile, metavar="HOURS:USERS,…",
        help="active users over a day, as 6:200,6:100,12:10, instead of --peak-to-average",
    )  # fmt: skip
    command.add_argument(
        "--access-log", metavar="FILE",
        help="take from a log of nginx or Apache what is not given; `-` is stdin",
    )  # fmt: skip
    command.add_argument(
        "--utilisation", type=utilisation, default=0.7, metavar="SHARE",
        help="of the rate at the peak; 0.7",
    )  # fmt: skip
    command.add_argument("--json", action="store_true", help="one object")


def positive(text: str) -> float:
    """A finite number above 0."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1e9:
        raise argparse.ArgumentTypeError(f"expected a number above 0, got {text!r}")
    return value


def peak(text: str) -> float:
    """A ratio from 1 on: no rate is busier on average than at its busiest."""
    value = positive(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected a ratio from 1 on, got {text!r}")
    return value


def utilisation(text: str) -> float:
    """A share of a whole, as `0.7`, above 0."""
    value = positive(text)
    if value > 1:
        raise argparse.ArgumentTypeError(f"expected a share such as 0.7, got {text!r}")
    return value


def profile(text: str) -> Day:
    """Hours of a day with the users that are active in them, as `6:200,6:100,12:10`."""
    from loadwatch.analysis.users import Day

    try:
        pairs = [part.split(":") for part in text.split(",")]
        parts = tuple((float(hours), float(users)) for hours, users in pairs)
    except ValueError:
        parts = ()
    if not parts or min(min(part) for part in parts) < 0 or not 0 < sum(h for h, _ in parts) <= 24:
        raise argparse.ArgumentTypeError(f"expected HOURS:USERS,… within 24 hours, got {text!r}")
    if not any(hours * users for hours, users in parts):
        raise argparse.ArgumentTypeError("nobody is active in that day")
    return Day(parts)


def _carry_out(arguments: argparse.Namespace) -> int:
    from loadwatch.analysis.users import as_json, assumptions, audience, audience_text

    low, high = _rates(arguments.rate)
    habits = _habits(arguments)
    here = audience(low, habits)
    above = None if high is None else audience(high, habits)
    day = None if arguments.profile is None else arguments.profile.audience(habits)
    if arguments.json:
        found = as_json(here, above, habits)
        if day is not None:
            found["profile"] = as_json(day, None, habits)
        say(json.dumps(found, ensure_ascii=False))
        return 0
    lines = [f"{low:g}/s is {audience_text(here, above)}"]
    if day is not None:
        lines.append(f"the profile as it stands takes {day.rate:g}/s at its peak:"
                     f" {audience_text(day)}")  # fmt: skip
    say("\n".join([*lines, "if", *(f"  {line}" for line in assumptions(habits))]))
    return 0


def _habits(arguments: argparse.Namespace) -> Habits:
    from loadwatch.analysis.users import Habits
    from loadwatch.core.errors import PlanError

    day, names = arguments.profile, Habits.__dataclass_fields__
    if day is not None and arguments.peak_to_average is not None:
        raise PlanError("--profile and --peak-to-average exclude each other")
    seen = _seen(arguments.access_log) if arguments.access_log else {}
    shape = {} if day is None else {"peak_to_average": day.peak_to_average}
    given = {name: getattr(arguments, name) for name in names}
    told = [{name: value for name, value in source.items() if value is not None and name in names}
            for source in (seen, shape, given)]  # fmt: skip
    return Habits(**told[0] | told[1] | told[2])


def _seen(log: str) -> dict[str, float | None]:
    """What an access log tells of its users, and on stderr what that rests on."""
    from loadwatch.importing.visitors import visitors
    from loadwatch.verbs.import_plan import opened, text_lines

    with opened(log) as file:
        found = visitors(text_lines(file), log)
    for line in found.told:
        print(f"loadwatch: {line}", file=sys.stderr)
    if found.peak_to_average is None:
        print("loadwatch: less than a day: it does not tell how much busier its peak is",
              file=sys.stderr)  # fmt: skip
    return {name: value for name, value in found._asdict().items() if name != "told"}


def _rates(text: str) -> tuple[float, float | None]:
    """The rate that is meant; of a session the last limit that was found, which is a pair."""
    from loadwatch.core.errors import PlanError
    from loadwatch.recorded import plan_of, result_of
    from loadwatch.session import open_session, resolve

    try:
        return positive(text), None
    except argparse.ArgumentTypeError:
        pass
    with open_session(resolve(text)) as session:
        limits = result_of(session).get("limits", [])
        of_visits = any(scenario.steps for scenario in plan_of(session).scenarios)
    found = [one for one in limits if one["sustained"] is not None]
    if not found:
        raise PlanError(f"{text}: no limit was found in this session")
    low, high = found[-1]["sustained"], found[-1]["fails_at"]
    if not of_visits:
        return low, high
    # The rates are those of visits then; users are told by requests.
    seen = next(one["completed"] for one in reversed(found[-1]["trials"]) if one["rate"] == low)
    print(f"loadwatch: the limit of {low:g} visits per second is {seen:g} requests per second",
          file=sys.stderr)  # fmt: skip
    return seen, None if high is None else high * seen / low
