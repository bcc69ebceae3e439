"""The formats of `loadwatch import` that become a plan: TOML to stdout or a file."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from loadwatch.verbs.ending import say
from loadwatch.verbs.planned import count

if TYPE_CHECKING:
    from loadwatch.importing.draft import Draft

Reader = Callable[[argparse.Namespace], "Draft"]

LINES = {
    "curl": "curl commands, as browsers copy them",
    "httperf": "a command line of httperf",
    "ab": "a command line of ApacheBench",
    "hey": "a command line of hey",
    "wrk": "a command line of wrk or wrk2",
}

STATIC = "with images, style sheets, scripts, fonts"


def add(formats: Any) -> None:
    """Declare the formats."""
    for tool, text in LINES.items():
        command = _add(formats, tool, text, _of_line)
        command.set_defaults(tool=tool)
        command.add_argument(
            "line", nargs="+", metavar="LINE",
            help="the command in quotes, or word by word after `--`; `-` reads it from stdin,"
            " which keeps its secrets out of the process list",
        )  # fmt: skip
    urls = _add(formats, "urls", "a list of URLs, one a line", _of_urls)
    urls.add_argument("file", metavar="FILE", help="or `-` for stdin")
    har = _add(formats, "har", "a HAR file, as browsers export it", _of_har)
    har.add_argument("file", metavar="FILE", help="or `-` for stdin")
    har.add_argument(
        "--only", action="append", default=[], metavar="HOST",
        help="requests to this host; repeatable. Unless given: the first one's",
    )  # fmt: skip
    har.add_argument("--static", action="store_true", help=STATIC)
    log = _add(
        formats, "access-log", "an access log of nginx or Apache, common or combined", _of_log
    )
    log.add_argument("file", metavar="FILE", help="or `-` for stdin")
    log.add_argument("--target", required=True, metavar="URL", help="the site: a log does not say")
    log.add_argument("--most", type=count, metavar="N", help="kinds of pages; 20 unless given")
    log.add_argument("--visits", type=count, metavar="N", help="so many visits, for all of them")
    log.add_argument("--static", action="store_true", help=STATIC)


def _add(formats: Any, name: str, text: str, read: Reader) -> argparse.ArgumentParser:
    """A format with what is common to all."""
    command: argparse.ArgumentParser = formats.add_parser(
        name, help=text, description=f"A plan from {text}."
    )
    command.set_defaults(verb=_carry_out, read=read)
    command.add_argument("-o", "--output", type=Path, metavar="FILE", help="a new file")
    command.add_argument("--rate", type=_rate, metavar="R", help="per second, all together")
    return command


def _rate(text: str) -> float:
    """Requests per second, above 0."""
    from loadwatch.core.plan import HIGHEST_RATE

    try:
        rate = float(text)
    except ValueError:
        rate = 0.0
    if not 0 < rate <= HIGHEST_RATE:
        raise argparse.ArgumentTypeError(f"expected a rate per second, got {text!r}")
    return rate


def _carry_out(arguments: argparse.Namespace) -> int:
    import tomllib

    from loadwatch import config
    from loadwatch.importing.writing import as_toml

    draft: Draft = arguments.read(arguments)
    text = as_toml(draft)
    config.decode(tomllib.loads(text), "the plan that it would make")
    if arguments.output is None:
        say(text.rstrip())
    else:
        _write(arguments.output, text)
    for line in draft.narration():
        print(f"loadwatch: {line}", file=sys.stderr)
    return 0


def _write(path: Path, text: str) -> None:
    from loadwatch.core.errors import PlanError

    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise PlanError(f"{path}: it exists already; nothing was written") from None
    except OSError as error:
        raise PlanError(f"{path}: cannot be written: {error.strerror}") from None


def _of_line(arguments: argparse.Namespace) -> Draft:
    """A draft of the command line of a tool."""
    from loadwatch.core.errors import PlanError
    from loadwatch.importing import closed, curl, httperf
    from loadwatch.importing.words import commands

    words: list[str] = arguments.line
    if words == ["-"]:
        found = commands(sys.stdin.read())
    else:
        found = commands(words[0]) if len(words) == 1 else [words]
    if not found:
        raise PlanError("the command line is empty")
    if arguments.tool == "curl":
        return curl.read(found, arguments.rate)
    if len(found) > 1:
        raise PlanError(f"expected one {arguments.tool} command, got {len(found)}")
    read = httperf.read if arguments.tool == "httperf" else closed.read
    return read(found[0], arguments.rate)


def _of_urls(arguments: argparse.Namespace) -> Draft:
    """A draft of a file of URLs."""
    from loadwatch.importing import urls

    with opened(arguments.file) as file:
        return urls.read(text_lines(file), arguments.file, arguments.rate)


def _of_har(arguments: argparse.Namespace) -> Draft:
    """A draft of a recording."""
    from loadwatch.importing import har

    with opened(arguments.file) as file:
        data = file.read()
    return har.read(data, arguments.file, arguments.rate, arguments.only, arguments.static)


def _of_log(arguments: argparse.Namespace) -> Draft:
    """A draft of an access log."""
    from loadwatch.importing import accesslog

    with opened(arguments.file) as file:
        return accesslog.read(
            text_lines(file), arguments.file, arguments.target, arguments.rate, arguments.static,
            arguments.most or accesslog.MOST, arguments.visits or 0,
        )  # fmt: skip


def text_lines(file: BinaryIO) -> Iterator[str]:
    """Lines of text; bytes that are none as surrogates (PEP 383)."""
    return (line.decode(errors="surrogateescape") for line in file)


@contextmanager
def opened(name: str) -> Iterator[BinaryIO]:
    """A file to import, or stdin for `-`; PlanError if it cannot be read."""
    from loadwatch.core.errors import PlanError

    if name == "-":
        yield sys.stdin.buffer
        return
    try:
        with Path(name).open("rb") as file:
            yield file
    except OSError as error:
        raise PlanError(f"{name}: {error.strerror}") from None
