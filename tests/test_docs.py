"""What the documents point at exists, and what they tabulate is so."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from loadwatch.remote import sshconfig
from loadwatch.remote.probes import all_probes
from loadwatch.schema import plan_schema
from tests import flavours

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_and_named_files_exist(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)#]+)\)", text)
    missing = [
        link for link in links if "://" not in link and not (document.parent / link).exists()
    ]
    named = re.findall(r"`((?:tests|docs|configs|loadwatch|benchmarks)/[\w./-]+)`", text)
    missing += [name for name in named if not (ROOT / name).exists()]
    assert missing == []


def test_every_setting_of_ssh_config_that_is_read_is_documented() -> None:
    source = (ROOT / "loadwatch/remote/sshconfig.py").read_text(encoding="utf-8")
    read = set(re.findall(r'settings\.(?:first|words|is_yes)\(\s*"(\w+)"', source))
    read |= {names[0] for names in sshconfig.METHODS.values()} | set(sshconfig._NOT_HONOURED)
    assert len(read) > 25
    text = (ROOT / "docs/ssh.md").read_text(encoding="utf-8")
    assert [name for name in sorted(read) if f"`{name}`" not in text] == []


def test_the_table_of_flavours_is_that_of_the_samples() -> None:
    assert flavours.table() in (ROOT / "docs" / "probes.md").read_text(encoding="utf-8")


def test_every_metric_of_a_probe_is_explained() -> None:
    text = (ROOT / "docs" / "probes.md").read_text(encoding="utf-8")
    section = re.search(r"(?s)## What is measured\n(.*?)\n## What may", text)
    assert section is not None
    named = set(re.findall(r"`([a-z]\S*?)`", section[1]))
    keys = {metric.key for probe in all_probes() for metric in probe.metrics}
    assert {key.removeprefix("group.*.") for key in keys} <= named


def test_the_schema_for_editors_is_that_of_the_plan() -> None:
    """With LOADWATCH_DOCS=write it is written anew instead."""
    document = ROOT / "docs/plan.schema.json"
    made = json.dumps(plan_schema(), indent=2, ensure_ascii=False) + "\n"
    if os.environ.get("LOADWATCH_DOCS") == "write":
        document.write_text(made, encoding="utf-8")
    assert document.read_text(encoding="utf-8") == made


EXAMPLE = re.compile(
    r"```sh\n(loadwatch import .*?)```\n\n```toml\n(.*?)```\n(?:\n```text\n(.*?)```\n)?", re.DOTALL
)


def test_every_plan_in_import_md_is_what_is_imported(tmp_path: Path) -> None:
    """With LOADWATCH_DOCS=write the document is written anew instead."""
    shutil.copytree(ROOT / "docs/examples/import", tmp_path, dirs_exist_ok=True)
    document = ROOT / "docs/import.md"

    def imported(match: re.Match[str]) -> str:
        command = f'loadwatch() {{ "{sys.executable}" -m loadwatch "$@"; }}\n{match[1]}'
        done = subprocess.run(
            ["bash", "-c", command], capture_output=True, text=True, check=True, cwd=tmp_path
        )
        told = f"\n```text\n{done.stderr}```\n" if done.stderr else ""
        return f"```sh\n{match[1]}```\n\n```toml\n{done.stdout}```\n{told}"

    text = document.read_text(encoding="utf-8")
    made = EXAMPLE.sub(imported, text)
    if os.environ.get("LOADWATCH_DOCS") == "write":
        document.write_text(made, encoding="utf-8")
        return
    assert made.count("```toml") > 4
    assert made == text
