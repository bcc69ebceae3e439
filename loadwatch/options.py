"""The command line's options, applied to a plan."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping
from typing import Any

import msgspec

from loadwatch.config import check
from loadwatch.core.address import parse_address
from loadwatch.core.errors import PlanError
from loadwatch.core.naming import plain_name, unique
from loadwatch.core.plan import HIGHEST_RATE, Group, Host, Plan, Scenario, Seconds

CLOSED_CONNECTIONS = 10
"""Connections of `--rate max` without `--connections`."""


def apply(plan: Plan, options: Any) -> Plan:
    """`plan` with the command line's options, by their names there; an absent one changes nothing.

    PlanError for a rate above the ceiling, or options that exclude each other.
    """
    replace = msgspec.structs.replace
    load = {
        name: value
        for name in ("arrival", "seed", "workers", "requests", "connections", "engine", "proxy")
        if (value := getattr(options, name)) is not None
    }
    if options.http2:
        load["http2"] = True
    if options.http2 or options.proxy:
        load.setdefault("engine", "httpx")
    scenarios = plan.scenarios
    if options.rate == "max":
        load.setdefault("connections", CLOSED_CONNECTIONS)
    elif options.connections is not None:
        raise PlanError("--connections belongs to --rate max")
    elif options.rate is not None:
        load["connections"] = None
        scenarios = scaled(scenarios, _rate(options.rate))
    if options.header:
        headers = dict(map(_header, options.header))
        scenarios = tuple(replace(s, headers=_merged(s.headers, headers)) for s in scenarios)
    target = plan.target
    if options.timeout is not None:
        target = replace(target, timeout=Seconds(options.timeout))
    if options.insecure:
        target = replace(target, verify=False)
    if options.ca is not None:
        target = replace(target, ca=options.ca)
    hosts = plan.hosts
    for address in options.host:
        hosts = (*hosts, host_for(address, [host.name for host in hosts]))
    hosts = tuple(watched(host, options) for host in hosts)
    stages = () if options.duration is not None else plan.stages
    changed = replace(
        plan, target=target, load=replace(plan.load, **load), scenarios=scenarios, hosts=hosts,
        stages=stages,
    )  # fmt: skip
    return check(changed, "command line")


def scaled(scenarios: tuple[Scenario, ...], rate: float) -> tuple[Scenario, ...]:
    """The scenarios with their rates scaled so that they sum to `rate` (1/s)."""
    total = sum(scenario.rate for scenario in scenarios)
    share = [s.rate / total if total else 1 / len(scenarios) for s in scenarios]
    return tuple(
        msgspec.structs.replace(scenario, rate=rate * part)
        for scenario, part in zip(scenarios, share, strict=True)
    )


def alone(plan: Plan, name: str) -> Plan:
    """`plan` with only scenario `name` fired, the others at 0; PlanError where there is none."""
    names = [scenario.name for scenario in plan.scenarios]
    if name not in names:
        raise PlanError(f"no scenario {name!r}; there are: {', '.join(names)}")
    least = min(1.0, plan.load.max_rate or 1.0)  # of one that the plan leaves at 0
    scenarios = tuple(
        msgspec.structs.replace(one, rate=(one.rate or least) if one.name == name else 0.0)
        for one in plan.scenarios
    )
    return msgspec.structs.replace(plan, scenarios=scenarios)


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = math.nan
    if not 0 <= rate <= HIGHEST_RATE:
        raise PlanError(f"--rate: expected requests per second or `max`, got {text!r}")
    return rate


def _merged(headers: Mapping[str, str], given: Mapping[str, str]) -> dict[str, str]:
    """`headers` with those of the command line instead of or beside them; case does not matter."""
    named = {name.lower() for name in given}
    return {name: v for name, v in headers.items() if name.lower() not in named} | dict(given)


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon:
        raise PlanError(f"--header: expected 'Name: value', got {name!r}")
    return name.strip(), value.strip()


def watched(host: Host, options: Any) -> Host:
    """`host` with the interval and the groups that the command line gives to every host."""
    groups = host.groups
    for user in options.process_user:
        groups = (*groups, Group(name=plain_name(user, "user"), user=user))
    for command in options.process_command:
        groups = (*groups, Group(name=plain_name(command, "command"), command=command))
    if options.process_pid is not None:
        groups = (*groups, Group(name="pids", pids=options.process_pid))
    interval = host.interval if options.interval is None else Seconds(options.interval)
    return msgspec.structs.replace(host, interval=interval, groups=groups)


def host_for(address: str, taken: Collection[str]) -> Host:
    """`--host user@a.b.c` as a Host named `a`, or `a-2` where that name is taken.

    PlanError if it is no address.
    """
    try:
        host = parse_address(address).host
    except ValueError as error:
        raise PlanError(f"--host: {error}") from None
    label = host if re.fullmatch(r"[\d.]+", host) else host.split(".")[0]
    return Host(name=unique(plain_name(label, "host"), taken), ssh=address)
