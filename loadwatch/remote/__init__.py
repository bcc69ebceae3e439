"""Watches the servers: `top` and `vmstat` over SSH, or from this machine."""

from __future__ import annotations

from loadwatch.remote.credentials import needs_secret
from loadwatch.remote.monitor import HostMonitor
from loadwatch.remote.probes import host_metrics

__all__ = ["HostMonitor", "host_metrics", "needs_secret"]
