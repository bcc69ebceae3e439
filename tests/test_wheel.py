"""What users install: the wheel alone, outside the checkout."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import httpx
import pytest

from tests.terminal import terminal
from tests.test_cli import INVALID

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> str:
    """`loadwatch`, installed from a wheel that was built just now; its dependencies are ours."""
    place = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", str(place), str(ROOT)],
        check=True, capture_output=True, timeout=300,
    )  # fmt: skip
    (wheel,) = place.glob("loadwatch-*.whl")
    venv.create(place / "venv", with_pip=False)
    python = place / "venv" / "bin" / "python"
    subprocess.run(
        [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps",
         str(wheel)],
        check=True, capture_output=True, timeout=120,
    )  # fmt: skip
    # A path in a .pth file makes ours importable, but not what *our* .pth files point at: the
    # checkout.
    (site,) = (place / "venv" / "lib").glob("python*/site-packages")
    ours = sysconfig.get_paths()["purelib"]
    (site / "dependencies.pth").write_text(f"{ours}\n", encoding="utf-8")
    found = subprocess.run(
        [str(python), "-c", "import loadwatch; print(loadwatch.__file__)"],
        check=True, capture_output=True, text=True, cwd=place,
    ).stdout  # fmt: skip
    assert found.startswith(str(place)), found
    return str(place / "venv" / "bin" / "loadwatch")


def demonstrated(command: str, session: Path) -> tuple[int | None, str]:
    """Show the demo until its page and its server are seen; its exit code, and what it showed."""
    with terminal(command, "demo", "--session", str(session)) as shown:
        # Styles and templates travel: the panes stand, and pages come from the site.
        shown.wait_for(lambda text: " Rate " in text and " Swap " in text and "● live" in text)
        shown.wait_for(lambda text: "2xx" in text and "step 1" in text)
        shown.press("q")
        return shown.end()


def test_the_demo_runs_from_the_wheel(command: str, tmp_path: Path) -> None:
    session = tmp_path / "a.loadwatch"
    code, said = demonstrated(command, session)
    if code == INVALID:
        session = tmp_path / "b.loadwatch"
        code, said = demonstrated(command, session)
    assert code == 0, said
    assert session.exists()


def test_the_site_alone_from_the_wheel(command: str, tmp_path: Path) -> None:
    with subprocess.Popen(
        [command, "demo", "--site-only"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        cwd=tmp_path,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        page = httpx.get(url)
        process.terminate()
        process.communicate(timeout=20)
    assert page.status_code == 200
    assert "<html" in page.text
