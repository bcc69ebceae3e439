"""The site as a child process, and the plan that fires at it."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from types import TracebackType

from loadwatch.core.errors import PlanError
from loadwatch.core.plan import Group, Host, Plan, Scenario, Target
from loadwatch.demo.title import QUERIES, WORKER

ENDING = 2.0
"""Seconds that the site has to end by itself."""


class Site:
    """A running site, with `options` of `loadwatch.demo.site`; ends with its `with` block.

    It ends as well when this process does, however that happens.
    """

    def __init__(self, options: Sequence[str] = ()) -> None:
        self._options = tuple(options)
        self.url = ""
        self.cookie = ""
        self.pid = 0
        self.workers: tuple[int, ...] = ()

    def __enter__(self) -> Site:
        """Start it; PlanError, in its own words, where it does not serve."""
        # Its stderr goes to a file, since the terminal may be the dashboard's, and a Ctrl-C there
        # is ours to handle.
        self._stderr = tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "loadwatch.demo.site", "--parent-pipe", *self._options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            start_new_session=True,
        )
        try:
            assert self._process.stdout is not None
            line = self._process.stdout.readline()
            if not line:
                raise PlanError(self._last_words())
            ready = json.loads(line)
            self.url, self.cookie, self.pid = ready["url"], ready["cookie"], ready["pid"]
            self.workers = tuple(ready["workers"])
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def wait(self) -> int:
        """Wait until it ends; its exit code."""
        return self._process.wait()

    def close(self) -> None:
        """End it and wait until it is gone."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(ENDING)
        except subprocess.TimeoutExpired:
            self._process.kill()  # its workers end when they see that it is gone
            self._process.wait()
        self._process.stdout.close()
        self._stderr.close()

    def _last_words(self) -> str:
        self._process.wait()
        self._stderr.seek(0)
        lines = self._stderr.read().decode(errors="replace").splitlines()
        own = [line for line in lines if line.startswith("heywall: ")]  # amid those of its workers
        said = (own or lines or ["the demo site did not start"])[-1]
        return said.removeprefix("heywall: ").removeprefix("error: ")


def plan_for(site: Site) -> Plan:
    """Both scenarios at a gentle rate, and this machine watched, the site's workers as a group."""
    return Plan(
        target=Target(site.url, server_timing=("Server-Timing", QUERIES)),
        scenarios=(
            Scenario("home", "/", 10.0),
            Scenario("wall", "/wall/42/", 2.0, headers={"Cookie": site.cookie}),
        ),
        hosts=(Host("local", "local", groups=(Group("backends", command=f"^{WORKER}$"),)),),
    )
