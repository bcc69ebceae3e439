"""Watches the servers: `top` and `vmstat` over SSH, or from this machine."""

from __future__ import annotations

from loadwatch.remote.answers import Answers
from loadwatch.remote.inspection import inspect
from loadwatch.remote.monitor import HostMonitor, host_metrics

__all__ = ["Answers", "HostMonitor", "host_metrics", "inspect"]
