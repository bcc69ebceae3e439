"""What the trials of a search tell of how the server scales; beside the limit, never instead."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from loadwatch.analysis.scaling import Cost, Usl, concurrency, cost, fit_usl, knee
from loadwatch.core.limit import RateTrial
from loadwatch.core.metric import Unit, format_value
from loadwatch.core.summary import Summary


@dataclass(frozen=True, slots=True)
class Scalability:
    """`costs` of a request by host, at the highest rate that passed.

    There `little` is how many requests were in the server by Little's law, `seen` how many were
    open on average: they agree where the stretch was steady and everything was counted. `usl` is
    fitted over what passed, `knee` is the rate after which more brings little.
    """

    costs: dict[str, Cost]
    little: float | None
    seen: float | None
    usl: Usl | None
    knee: float | None

    def as_json(self) -> dict[str, Any]:
        """As JSON-ready data; rates in 1/s, times in ms, a peak only where it can be told."""
        usl, peak = self.usl, self.usl and self.usl.told_peak
        return {
            "cpu_ms_per_request": {h: round(c.demand * 1000, 3) for h, c in self.costs.items()},
            "cpu_ceiling": {host: round(c.ceiling, 1) for host, c in self.costs.items()},
            "in_server_by_little": self.little and round(self.little, 2),
            "open_requests": self.seen and round(self.seen, 2),
            "usl": usl and {
                "alpha": usl.alpha, "beta": usl.beta, "gamma": usl.gamma,
                "half_widths": list(usl.half_widths),
                "peak": peak and {"requests": round(peak[0], 1), "rate": round(peak[1], 1)},
            },
            "knee": self.knee,
        }  # fmt: skip


def scalability(
    trials: Sequence[RateTrial], stretches: Sequence[Summary], hosts: Iterable[str]
) -> Scalability:
    """Of trials and what each saw. Those that the generator spoilt tell nothing."""
    told = [
        (trial, seen)
        for trial, seen in zip(trials, stretches, strict=True)
        if trial.verdict != "INVALID" and seen.seconds
    ]
    passed = {trial.rate: seen for trial, seen in told if trial.verdict == "PASS"}
    top = passed[max(passed)] if passed else None
    fit = [point for seen in passed.values() if (point := _point(seen)) is not None]
    opened = {_mean_open(seen): trial.rate for trial, seen in told}
    bend = knee([(_mean_open(seen), _completed(seen)) for _, seen in told])
    return Scalability(
        costs={} if top is None else {h: c for h in hosts if (c := cost_of(top, h)) is not None},
        little=None if top is None or (point := _point(top)) is None else point[0],
        seen=None if top is None else _mean_open(top),
        usl=fit_usl(fit),
        knee=None if bend is None else opened[bend],
    )


def scalability_lines(found: Scalability) -> list[str]:
    """The same for people, a line each."""
    lines = [
        f"{host}: {format_value(one.demand, Unit.SECONDS)} of CPU per request, so that"
        f" {one.cpus:.0f} CPUs would be used up at {format_value(one.ceiling, Unit.PER_SECOND)}"
        for host, one in found.costs.items()
    ]
    if found.little is not None and found.seen is not None:
        lines.append(f"Little's law: {found.little:.1f} requests in the server,"
                     f" {found.seen:.1f} were open")  # fmt: skip
    if found.knee is not None:
        lines.append(f"knee: above {format_value(found.knee, Unit.PER_SECOND)} a higher rate"
                     " brings little but open requests")  # fmt: skip
    if found.usl is not None:
        peak = found.usl.told_peak
        what = ("no peak can be told" if peak is None
                else f"peak {peak[1]:.0f}/s with {peak[0]:.0f} requests in the server")  # fmt: skip
        lines.append(f"scalability law: contention {found.usl.alpha:.3g}, coherency"
                     f" {found.usl.beta:.2g}; {what}")  # fmt: skip
    return lines


def _completed(seen: Summary) -> float:
    return seen.count("load.completed") / seen.seconds


def _mean_open(seen: Summary) -> float:
    return sum(seen.open_requests) / max(len(seen.open_requests), 1)


def _point(seen: Summary) -> tuple[float, float] | None:
    """(requests in the server, answers per second): our own lateness is no time in the server."""
    service = seen.histogram("service").mean
    rate = _completed(seen)
    return None if service is None else (concurrency(rate, service), rate)


def cost_of(seen: Summary, host: str) -> Cost | None:
    """What a request costs `host`; None where its CPU is not known."""
    busy, cpus = (seen.mean(f"host.{host}.cpu.{part}") for part in ("us", "count"))
    if busy is None or cpus is None:
        return None
    return cost(busy + (seen.mean(f"host.{host}.cpu.sy") or 0.0), cpus, _completed(seen))
