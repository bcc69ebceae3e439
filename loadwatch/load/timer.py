"""A one-shot timer with an absolute deadline, as precise as the system allows.

uvloop's own timers have steps of 1 ms; a timerfd wakes the loop within some tens of microseconds.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import sys
from collections.abc import Callable
from typing import Protocol


class Timer(Protocol):
    """Calls back once at an instant of the monotonic clock; arming again replaces the deadline."""

    def arm(self, at: float) -> None:
        """Call back at `at` (seconds); infinity disarms."""
        ...

    def close(self) -> None:
        """Never call back again."""
        ...


def precise_timer(loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> Timer:
    """The best timer this system has, on `loop`, whose clock must be the monotonic one."""
    if sys.platform == "linux":
        try:
            return TimerFd(loop, callback)
        except (OSError, AttributeError):
            pass
    return LoopTimer(loop, callback)


class LoopTimer:
    """The event loop's own timer: the fallback."""

    def __init__(self, loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
        self._loop = loop
        self._callback = callback
        self._handle: asyncio.TimerHandle | None = None

    def arm(self, at: float) -> None:
        """Call back at `at` (seconds); infinity disarms."""
        self.close()
        if at != float("inf"):
            self._handle = self._loop.call_at(at, self._callback)

    def close(self) -> None:
        """Never call back again."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None


class _ITimerSpec(ctypes.Structure):
    """struct itimerspec of timerfd_settime(2); the interval stays 0."""

    _fields_ = (
        ("interval_s", ctypes.c_long),
        ("interval_ns", ctypes.c_long),
        ("value_s", ctypes.c_long),
        ("value_ns", ctypes.c_long),
    )


_CLOCK_MONOTONIC = 1
_TFD_FLAGS = 0o2000000 | 0o4000  # TFD_CLOEXEC | TFD_NONBLOCK
_TFD_TIMER_ABSTIME = 1


class TimerFd:
    """Linux's timerfd (timerfd_create(2)); by ctypes, since `os` has it from Python 3.13 only."""

    def __init__(self, loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._settime = libc.timerfd_settime
        self._fd = libc.timerfd_create(_CLOCK_MONOTONIC, _TFD_FLAGS)
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")
        self._spec = _ITimerSpec()
        self._pointer = ctypes.byref(self._spec)
        self._loop = loop
        self._callback = callback
        loop.add_reader(self._fd, self._fired)

    def arm(self, at: float) -> None:
        """Call back at `at` (seconds); infinity disarms."""
        spec = self._spec
        if at == float("inf"):
            spec.value_s = spec.value_ns = 0
        else:
            whole = int(at)
            spec.value_s = whole
            # Zero would disarm: an instant in the past must still fire.
            spec.value_ns = max(1, int((at - whole) * 1e9))
        # Setting the timer also clears its readability, so that the descriptor is never read.
        self._settime(self._fd, _TFD_TIMER_ABSTIME, self._pointer, None)

    def _fired(self) -> None:
        self.arm(float("inf"))
        self._callback()

    def close(self) -> None:
        """Never call back again."""
        if self._fd >= 0:
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1
