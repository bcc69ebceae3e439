"""Every plan in configs/ is run against the demo site, shortened, as it stands otherwise."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from loadwatch import config
from loadwatch.demo.launch import Site
from loadwatch.demo.pages import PASSWORD

ROOT = Path(__file__).resolve().parent.parent
PLANS = sorted((ROOT / "configs").glob("*.toml"))

SHORTER = (
    (r'(?m)^url = ".*?"', 'url = "{url}"'),
    (r'(?m)^ssh = ".*?"', 'ssh = "local"'),
    (r'(?m)^duration = ".*?"', 'duration = "400ms"'),
)


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with Site() as site:
        yield site


def shortened(path: Path, site: Site, directory: Path) -> Path:
    """The plan against `site`, watching this machine, its stages short; its data beside it."""
    text = path.read_text(encoding="utf-8")
    for pattern, instead in SHORTER:
        text = re.sub(pattern, instead.format(url=site.url), text)
    for table in path.parent.glob("*.csv"):
        shutil.copy(table, directory)
    plan = directory / path.name
    plan.write_text(text, encoding="utf-8")
    return plan


def command(verb: str, plan: Path, *options: str) -> list[str]:
    session = plan.with_suffix(".loadwatch")
    return [sys.executable, "-m", "loadwatch", verb, str(plan), "--json", "--session", str(session),
            *options]  # fmt: skip


def environment(site: Site) -> dict[str, str]:
    session = site.cookie.partition("=")[2]
    return {**os.environ, "HEYWALL_SESSION": session, "HEYWALL_PASSWORD": PASSWORD}


@pytest.mark.parametrize("path", PLANS, ids=lambda path: path.stem)
def test_it_runs(path: Path, site: Site, tmp_path: Path) -> None:
    plan = shortened(path, site, tmp_path)
    loaded = config.load_plan(plan)
    options = [] if loaded.stages else ["--duration", "1500ms"]
    done = subprocess.run(
        command("run", plan, *options),
        env=environment(site), capture_output=True, text=True, timeout=50,
    )  # fmt: skip
    # 99: a threshold that so few requests, or a busy machine, do not hold; 4: a stall of it.
    assert done.returncode in (0, 4, 99), done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    assert set(result["scenarios"]) == {scenario.name for scenario in loaded.scenarios}
    assert result["completed"] > 0
    known = {"304"} if loaded.load.revalidate else set()
    assert set(result["status"]) - known == {"200"}  # no login page, nothing missing
    assert result["errors"] == {}
    assert {host["state"] for host in result["hosts"].values()} <= {"live"}
    assert len(result["hosts"]) == len(loaded.hosts)
    assert {outcome["key"] for outcome in result["thresholds"]} >= {
        key for key in loaded.thresholds if "*" not in key
    }


def test_the_search_of_find_limit_begins(site: Site, tmp_path: Path) -> None:
    """And says what it found so far when it is interrupted."""
    plan = shortened(ROOT / "configs/find-limit.toml", site, tmp_path)
    with subprocess.Popen(
        command("limit", plan, "--quick"), env=environment(site),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as search:  # fmt: skip
        assert search.stdout is not None and search.stderr is not None
        next(line for line in search.stderr if "completed" in line)
        search.send_signal(signal.SIGINT)
        said, _ = search.communicate(timeout=40)
    assert search.returncode == 130
    assert json.loads(said)["sustained"] is None  # nothing is claimed of half a trial


@pytest.mark.parametrize("path", PLANS, ids=lambda path: path.stem)
def test_it_is_commented_and_named_in_the_readme(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    schema, *head = text.partition("\n\n")[0].splitlines()
    assert schema == "#:schema ../docs/plan.schema.json"
    assert all(line.startswith("#") for line in head)
    assert f"configs/{path.name}" in "\n".join(head)  # the command that it is for
    assert f"(configs/{path.name})" in (ROOT / "README.md").read_text(encoding="utf-8")
