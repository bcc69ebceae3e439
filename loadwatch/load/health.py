"""Is the generator itself the limit? Its numbers are then worth nothing, and this says so.

Gates of send lag, drops and shortage are judged over the whole run. A busy core alone is none: it
shows in `generator.cpu`.
"""

from __future__ import annotations

from collections.abc import Mapping

from loadwatch.core.summary import Summary

LAG_FLOOR = 0.010
"""Seconds of send lag (p99) that are forgiven in any case."""

LAG_SHARE = 0.25
"""Share of the median response time that the send lag (p99) may reach."""

DROPPED_SHARE = 0.001
"""What may be dropped of what was offered."""


def judge(summary: Summary) -> tuple[str, ...]:
    """Why a stretch's result is invalid, one line each; empty where the generator kept up."""
    reasons = []
    offered, dropped = summary.count("load.offered"), summary.count("load.dropped")
    lag = summary.histogram("lag")
    lag_p99, median = lag.percentile(0.99), summary.histogram("response").percentile(0.5)
    if lag_p99 is not None:  # every request's lag is on record: there is nothing to estimate
        gate = max(LAG_FLOOR, LAG_SHARE * (median or 0.0))
        if lag_p99 > gate:
            reasons.append(f"send lag p99 {lag_p99 * 1000:.0f} ms, above {gate * 1000:.0f} ms")
    if dropped > DROPPED_SHARE * offered:
        reasons.append(f"{dropped} of {offered} requests dropped at the limit of open requests")
    if shortage := summary.count("load.errors.generator"):
        reasons.append(f"{shortage} requests found no descriptor or port of ours")
    return tuple(reasons)


def live(values: Mapping[str, float]) -> dict[str, float]:
    """`generator.healthy` of one second, from that second's own values."""
    offered = values.get("load.offered", 0)
    late = values.get("load.lag.p99", 0) > max(
        LAG_FLOOR, LAG_SHARE * values.get("load.response.p50", 0)
    )
    dropped = values.get("load.dropped", 0) > DROPPED_SHARE * offered
    short = values.get("load.errors.generator", 0) > 0
    return {"generator.healthy": 0.0 if late or dropped or short else 1.0}
