"""Is the generator itself the limit? Its numbers are then worth nothing, and this says so.

Gates (`core.plan.Gates`) of send lag, of what was sent, of drops and shortages make a result
invalid, judged over the whole run. What is suspicious alone (a busy core, a single stall of the
loop) only warns. A closed loop has no schedule and records no lag: no gate of it applies.
"""

from __future__ import annotations

import ipaddress
import math
import resource
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from loadwatch.core.interval import wilson
from loadwatch.core.plan import Gates, Plan
from loadwatch.core.summary import Summary

LATE = 0.01
"""Share of the requests that may be sent late: a gate of the send lag is one of its p99."""

WARN_LAG = 0.002
WARN_LAG_SHARE = 0.10
"""Send lag (p99, seconds; share of the median response time) from which on a result warns."""

WARN_SENT = 0.99
"""Share of what was due that should be sent."""

WARN_CPU = 0.8
"""Share of a core that a worker may take on average."""

WARN_LOOP_LAG = 0.1
"""Seconds that the event loop may be held up."""

WARN_USED = 0.7
"""Share of the file descriptors that may be taken, or of the local ports."""

TIME_WAIT = 60
"""Seconds for which Linux keeps the port of a connection that we closed (TCP_TIMEWAIT_LEN)."""

_PORTS = Path("/proc/sys/net/ipv4/ip_local_port_range")


@dataclass(frozen=True, slots=True)
class Limits:
    """What this machine lends a worker: file descriptors, and local ports towards one address."""

    descriptors: float = math.inf
    ports: float = math.inf

    @classmethod
    def here(cls) -> Limits:
        """Those of this machine. A worker raises its own soft limit of descriptors to the hard."""
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        try:
            low, high = map(int, _PORTS.read_text(encoding="ascii").split())
        except (OSError, ValueError):
            low, high = 0, -1
        return cls(
            descriptors=math.inf if hard == resource.RLIM_INFINITY else hard,
            ports=high - low + 1 or math.inf,
        )


class Health:
    """Judges the generator of one run: `workers` processes, each within `limits`."""

    def __init__(self, plan: Plan, workers: int, limits: Limits) -> None:
        self._plan = plan
        self._gates = plan.load.gates
        self._workers = workers
        self._limits = limits

    def foreseen(self) -> tuple[str, ...]:
        """What may get scarce at the plan's highest rate, before anything is fired."""
        load, warnings = self._plan.load, []
        scale = max([1.0, *(stage.scale for stage in self._plan.stages)])
        rate = scale * sum(scenario.rate for scenario in self._plan.scenarios)
        open_at_once = scale * sum(
            s.rate * (s.timeout or self._plan.target.timeout) for s in self._plan.scenarios
        )
        could = min(load.max_in_flight, open_at_once)
        needed = (load.connections or could) / self._workers
        if needed > WARN_USED * self._limits.descriptors:
            warnings.append(
                f"up to {needed:.0f} requests may be open at once, but only"
                f" {self._limits.descriptors:.0f} files (`ulimit -Hn`)"
            )
        if not load.keep_alive and not load.connections:
            warnings += self._short_of_ports(rate)
        return tuple(warnings)

    def _short_of_ports(self, connections: float) -> list[str]:
        """Whether so many new connections per second use up the local ports."""
        if _is_loopback(self._plan.target.url):
            return []  # Linux takes waiting ports again there (tcp_tw_reuse = 2)
        budget = self._limits.ports / TIME_WAIT
        if connections <= WARN_USED * budget:
            return []
        return [
            f"{connections:.0f} new connections per second; {self._limits.ports:.0f} local ports"
            f" allow {budget:.0f} in the long run, as each waits {TIME_WAIT} s after its use"
        ]

    def reasons(self, summary: Summary) -> tuple[str, ...]:
        """Why a stretch's result is invalid, a line each; empty where the generator kept up."""
        gates, reasons = self._gates, []
        seen = _Seen(summary)
        gate = max(gates.send_lag, gates.send_lag_share * seen.median)
        # Of few requests the p99 is the latest one, and a single one says nothing about the rest.
        late = seen.lags.above(gate)
        if late > 1 and wilson(late, seen.lags.total)[0] > LATE:
            reasons.append(f"{seen.lag_text}, above {_ms(gate)}")
        if seen.dropped > gates.dropped * seen.offered:
            reasons.append(
                f"{seen.dropped} of {seen.offered} requests dropped at the limit of open requests"
            )
        for name, count in seen.shortages.items():
            reasons.append(f"{count} requests found no {name} of ours free")
        if seen.sent < gates.sent:
            reasons.append(f"only {seen.sent:.1%} of what was due was sent")
        return tuple(reasons)

    def warnings(self, summary: Summary) -> tuple[str, ...]:
        """What looks suspicious, though the result is valid."""
        if self.reasons(summary):
            return ()
        seen, warnings = _Seen(summary), []
        if seen.lag > max(WARN_LAG, WARN_LAG_SHARE * seen.median):
            warnings.append(seen.lag_text)
        if seen.dropped:
            warnings.append(f"{seen.dropped} of {seen.offered} requests dropped")
        if seen.sent < WARN_SENT:
            warnings.append(f"{seen.sent:.1%} of what was due was sent")
        if seen.cpu > WARN_CPU:
            warnings.append(f"a load worker took {seen.cpu:.0%} of a core; --workers adds some")
        if seen.loop_lag > WARN_LOOP_LAG:
            warnings.append(f"a load worker was held up for {_ms(seen.loop_lag)}")
        if seen.descriptors > WARN_USED:
            warnings.append(f"connections took {seen.descriptors:.0%} of the file descriptors")
        warnings += self._short_of_ports(seen.connections)
        return tuple(warnings)

    def live(self, values: Mapping[str, float]) -> dict[str, float]:
        """`generator.healthy` of one second, from that second's own values."""
        gates: Gates = self._gates
        lag_gate = max(gates.send_lag, gates.send_lag_share * values.get("load.response.p50", 0.0))
        late = values.get("load.lag.p99", 0.0) > lag_gate
        dropped = values.get("load.dropped", 0.0)
        over = dropped > gates.dropped * values.get("load.offered", 0.0)
        short = any(values.get(f"load.errors.{name}") for name in _SHORTAGES)
        return {"generator.healthy": 0.0 if late or over or short else 1.0}


_SHORTAGES = {"descriptors": "file descriptor", "ports": "local port"}


class _Seen:
    """The signals of a stretch, as far as they are known."""

    def __init__(self, summary: Summary) -> None:
        self.lags = summary.histogram("lag")
        self.lag = self.lags.percentile(1 - LATE) or 0.0
        self.median = summary.histogram("response").percentile(0.5) or 0.0
        self.offered = summary.count("load.offered")
        self.dropped = summary.count("load.dropped")
        self.shortages = {
            words: count
            for name, words in _SHORTAGES.items()
            if (count := summary.count(f"load.errors.{name}"))
        }
        unsent = self.dropped + sum(self.shortages.values())
        self.sent = 1 - unsent / self.offered if self.offered else 1.0
        self.connections = summary.rate("load.connections")
        self.cpu = summary.mean("generator.cpu") or 0.0
        self.loop_lag = summary.maximum("generator.loop_lag") or 0.0
        self.descriptors = summary.maximum("generator.descriptors") or 0.0

    @property
    def lag_text(self) -> str:
        return f"send lag {'p99' if self.lags.is_known(1 - LATE) else 'up to'} {_ms(self.lag)}"


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms"


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
