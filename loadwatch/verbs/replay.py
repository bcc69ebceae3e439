"""`loadwatch replay`: a recorded run under the dashboard, at the speed that you like."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path
from typing import Any

from loadwatch.verbs.ledger import telling
from loadwatch.verbs.named import add_session, comparing


def add(verbs: Any) -> None:
    """Declare the verb."""
    text = "a recorded run under the dashboard: play, step, seek, jump to marks"
    command = verbs.add_parser("replay", help=text, description=f"{text[0].upper()}{text[1:]}.")
    command.set_defaults(verb=_carry_out)
    add_session(command)


def _carry_out(arguments: argparse.Namespace) -> int:
    from loadwatch.session import resolve

    return replay(resolve(arguments.session), follow=False)


def replay(path: Path, follow: bool) -> int:
    """Show the session at `path` until the user leaves; with `follow` as it is being recorded."""
    from loadwatch.core.errors import PlanError
    from loadwatch.core.metric import Catalogue
    from loadwatch.recorded import plan_of, reasons_of
    from loadwatch.session import Player, open_session
    from loadwatch.ui.others import Others
    from loadwatch.ui.panes import all_panes
    from loadwatch.ui.screens.replay import ReplayApp
    from loadwatch.watching import catalogue

    with open_session(path) as session:
        # What this program measures no more may still be in an old session.
        metrics = Catalogue([*session.metrics.values(), *catalogue()])
        reasons, plan = reasons_of(session), plan_of(session)
    if not sys.stdout.isatty() or not sys.stdin.isatty():
        raise PlanError("the dashboard needs a terminal; `loadwatch report` does without")

    # What this program shows no more may still be named by an old one.
    known = {pane.word(): pane for pane in all_panes()}

    async def show() -> int:
        player = Player(path, reasons, follow, plan.verdict)
        try:
            app = ReplayApp(
                player.bus, player.history, player, metrics, startup=player.play,
                panes=[known[name] for name in plan.ui.panes if name in known],
                others=Others(comparing(path), telling(path)),
            )  # fmt: skip
            await app.run_async()
            if app.failure is not None:
                raise app.failure
        finally:
            player.close()
        return app.return_code or 0

    return asyncio.run(show())
