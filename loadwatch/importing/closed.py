"""Command lines of the closed-loop tools: ab (ab.1), hey (its --help), wrk and wrk2 (their --help).

Each keeps so many connections busy. So does the plan, unless a rate is known: then it is an open
loop at that rate.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from loadwatch.config import duration
from loadwatch.core.errors import PlanError
from loadwatch.core.plan import Load, Seconds, Stage, Target
from loadwatch.importing.draft import FIRST_RATE, Draft, Request, Step, basic
from loadwatch.importing.words import options


class Tool(NamedTuple):
    """What a tool's options mean, in the words of `_Line`, and what it does unless told otherwise.

    `silent` options change nothing about the requests.
    """

    short: str
    long: tuple[str, ...]
    names: Mapping[str, str]
    silent: frozenset[str]
    defaults: Mapping[str, str]


TOOLS = {
    "ab": Tool(
        "n:c:t:s:b:T:p:u:v:lrkVhwiIx:y:z:C:H:P:A:g:X:de:SqB:m:Z:f:E:", (),
        {"n": "requests", "c": "connections", "t": "seconds", "s": "timeout", "T": "content-type",
         "p": "post-file", "u": "put-file", "k": "keep-alive", "i": "head", "C": "cookie",
         "H": "header", "A": "user", "X": "proxy", "m": "method"},
        frozenset("lrvwxyzgdeSqbI"),
        {"requests": "1", "connections": "1", "timeout": "30"},
    ),
    "hey": Tool(
        "",
        ("n=", "c=", "q=", "z=", "o=", "m=", "H=", "t=", "A=", "d=", "D=", "T=", "a=", "x=", "h2",
         "host=", "U=", "disable-compression", "disable-keepalive", "disable-redirects", "cpus=",
         "more"),
        {"n": "requests", "c": "connections", "q": "rate-each", "z": "seconds", "m": "method",
         "H": "header", "t": "timeout", "A": "accept", "d": "data", "D": "data-file",
         "T": "content-type", "a": "user", "x": "proxy", "h2": "http2", "host": "host",
         "U": "user-agent", "disable-keepalive": "new-connections"},
        frozenset({"o", "cpus", "more", "disable-compression"}),
        {"requests": "200", "connections": "50", "timeout": "20", "keep-alive": "",
         "content-type": "text/html"},
    ),
    "wrk": Tool(
        "c:d:t:s:H:LUvR:B",
        ("connections=", "duration=", "threads=", "script=", "header=", "latency", "u_latency",
         "timeout=", "rate=", "version", "batch_latency"),
        {"c": "connections", "d": "seconds", "duration": "seconds", "H": "header", "s": "script",
         "R": "rate"},
        frozenset({"t", "threads", "L", "latency", "U", "u_latency", "B", "batch_latency"}),
        {"connections": "10", "seconds": "10", "timeout": "2", "keep-alive": ""},
    ),
}  # fmt: skip
TOOLS["wrk2"] = TOOLS["wrk"]


def read(words: list[str], rate: float | None = None) -> Draft:
    """The plan of one command line; with `rate` (1/s) an open loop. PlanError for a wrong one."""
    name = words[0].rpartition("/")[2]
    tool = TOOLS.get(name)
    if tool is None:
        raise PlanError(f"expected an ab, hey or wrk command, got {words[0]!r}")
    draft = Draft(f"the command line of {name}")
    if not tool.short:  # Go's flags: long names, with one dash or two
        words = [words[0], *(_two_dashes(word, tool.long) for word in words[1:])]
    given, rest = options(words, tool.short, tool.long, dict(tool.names))
    line = _Line(draft)
    for option, value in [*tool.defaults.items(), *given]:
        try:
            is_known = line.take(option, value)
        except ValueError:
            raise PlanError(f"{name}: {option}: {value!r} is none") from None
        if not is_known and option not in tool.silent:
            draft.leave_out(f"{name}'s option {option}: no such thing in a plan")
    if len(rest) != 1:
        raise PlanError(f"{name}: expected one URL, got {len(rest)}")
    line.compose(rest[0], name, rate)
    return draft


def _two_dashes(word: str, long: tuple[str, ...]) -> str:
    bare = word.lstrip("-")
    name = bare.partition("=")[0]
    is_flag = word.startswith("-") and (name in long or f"{name}=" in long)
    return f"--{bare}" if is_flag else word


@dataclass
class _Line:
    """What a command line says, in words common to the tools."""

    draft: Draft
    numbers: dict[str, float] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    method: str = "GET"
    data: str | None = None
    file: str | None = None
    is_kept: bool = False
    load: dict[str, object] = field(default_factory=dict)

    def take(self, option: str, value: str) -> bool:
        """Whether a plan can hold `option`; ValueError for a number that is none."""
        match option:
            case "requests" | "connections":
                self.numbers[option] = int(value)
            case "rate" | "rate-each":
                self.numbers[option] = float(value)
            case "seconds" | "timeout":
                self.numbers[option] = duration(f"{value}s" if value.isdecimal() else value)
            case "header":
                name, _, content = value.partition(":")
                self.headers[name.strip()] = content.strip()
            case "cookie" | "accept" | "content-type" | "user-agent" | "host":
                self.headers[option.title()] = value
            case "user":
                self.headers.update([basic(*value.partition(":")[::2])])
            case "method" | "head":
                self.method = value or "HEAD"
            case "data":
                self.data = value
            case "post-file" | "put-file" | "data-file":
                self.file = value
                self.method = {"post-file": "POST", "put-file": "PUT"}.get(option, self.method)
            case "keep-alive" | "new-connections":
                self.is_kept = option == "keep-alive"
            case "http2":
                self.load |= {"engine": "httpx", "http2": True}
            case "proxy":
                self.load |= {"engine": "httpx", "proxy": self.draft.secrets.proxy(value)}
            case _:
                return False
        return True

    def compose(self, url: str, tool: str, rate: float | None) -> None:
        """Make the draft's plan."""
        numbers, draft = self.numbers, self.draft
        of_tool = numbers.get("rate") or numbers.get("rate-each", 0) * numbers["connections"]
        open_rate = rate or of_tool
        why = f"as {tool} has it" if of_tool and not rate else "as asked for by --rate"
        if not open_rate:
            self.load["connections"] = int(numbers["connections"])
            draft.comments["load.connections"] = (
                f"a closed loop, as {tool}'s; without this line the load is open, at the rate below"
            )
            why = "of no effect in a closed loop"
        stages: tuple[Stage, ...] = ()
        if "seconds" in numbers:
            stages = (Stage(Seconds(numbers["seconds"])),)
        else:
            self.load["requests"] = int(numbers["requests"])
        if tool == "ab":
            draft.leave_out("HTTP/1.0, which ab speaks: loadwatch speaks HTTP/1.1")
        request = Request(url, self.method, tuple(self.headers.items()), self.data, self.file)
        draft.compose(
            [((Step(request),), open_rate or FIRST_RATE)],
            why,
            Target("", timeout=Seconds(numbers["timeout"])),
            Load(keep_alive=self.is_kept, **self.load),  # type: ignore[arg-type]
            stages,
        )
