"""docs/keys.md lists every key, and the tests that it names press them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages

import pytest
from textual.binding import Binding
from textual.dom import DOMNode

import loadwatch.ui

OTHERS = ("test_terminal.py", "test_replay.py")
ROOT = Path(__file__).parent.parent
ROW = re.compile(r"\| `(\S+)` \| (\w+) \| (.+?) \| `(\w+)` \|")
SIGNS = {"/": "slash", "?": "question_mark", ".": "full_stop", ",": "comma"}
SHOWN = {name: sign for sign, name in SIGNS.items()}


def declared() -> Iterator[tuple[str, str, str]]:
    """(key, class, what it does) of every key that the screen declares."""
    for info in walk_packages(loadwatch.ui.__path__, "loadwatch.ui."):
        for thing in vars(import_module(info.name)).values():
            is_own = isinstance(thing, type) and thing.__module__ == info.name
            if not is_own or not issubclass(thing, DOMNode):
                continue
            seen: set[str] = set()
            for binding in vars(thing).get("BINDINGS", ()):
                assert isinstance(binding, Binding)
                for key in binding.key.split(","):
                    if (
                        key not in seen
                    ):  # a closed loop takes the keys of rates to say that it has none
                        yield key, thing.__name__, binding.tooltip or binding.description
                    seen.add(key)


def listed() -> list[tuple[str, str, str, str]]:
    """The rows of docs/keys.md."""
    rows = ROW.findall((ROOT / "docs" / "keys.md").read_text(encoding="utf-8"))
    return [(SIGNS.get(key, key), where, does, test) for key, where, does, test in rows]


def pressed() -> dict[str, set[str]]:
    """Every test -> the texts in it, and in the constants of its module that it names."""
    found = {}
    for path in (*ROOT.glob("tests/test_ui_*.py"), *(ROOT / "tests" / name for name in OTHERS)):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        constants = {
            target.id: texts(node.value)
            for node in tree.body
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        for node in tree.body:
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                names = {one.id for one in ast.walk(node) if isinstance(one, ast.Name)}
                own = texts(node).union(*(constants[name] for name in names & constants.keys()))
                found[node.name] = own
    return found


def texts(tree: ast.AST) -> set[str]:
    return {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def test_every_key_is_listed_with_what_it_does() -> None:
    assert [row[:3] for row in listed()] == sorted(declared(), key=lambda row: row[1])


TESTS = pressed()


@pytest.mark.parametrize(("key", "where", "does", "test"), listed())
def test_the_named_test_presses_the_key(key: str, where: str, does: str, test: str) -> None:
    assert test in TESTS, f"{where}: no such test"
    assert any(is_in(key, text) or is_in(SHOWN.get(key, key), text) for text in TESTS[test])


def is_in(key: str, text: str) -> bool:
    """Whether `text` is the key, or several keys in a row of which it is one."""
    several = not key.isalnum() or text.isdigit() or text.isupper()
    return key == text or (len(key) == 1 and several and key in text)
