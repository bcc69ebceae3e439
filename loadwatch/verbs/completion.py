"""`loadwatch completion`: what makes a shell complete verbs, options and sessions."""

from __future__ import annotations

import argparse
from typing import Any

from loadwatch.verbs.ending import say

DESCRIPTION = """\
Prints a script for your shell. For bash: source <(loadwatch completion bash), in ~/.bashrc.
For zsh the same in ~/.zshrc, after compinit. For fish: loadwatch completion fish | source, in
~/.config/fish/config.fish."""


def add(verbs: Any) -> None:
    """Declare the verb."""
    command = verbs.add_parser(
        "completion", help="complete verbs, options and sessions in your shell",
        description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    command.set_defaults(verb=_carry_out)
    command.add_argument("shell", choices=["bash", "zsh", "fish"])


def _carry_out(arguments: argparse.Namespace) -> int:
    from argcomplete.shell_integration import shellcode

    say(shellcode(["loadwatch"], shell=arguments.shell))
    return 0
