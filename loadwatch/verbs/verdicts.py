"""`loadwatch verdicts`: what is said to hold a server back, and when."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from loadwatch.verbs.ending import say

if TYPE_CHECKING:
    from loadwatch.core.plan import Signs

HEAD = """\
# Verdicts

What holds the server back in a step is told by a table of rules: on the screen, in the result of
a run, in reports. The first rule that holds gives the verdict, others are seen besides it. Numbers
are means over the step; nothing is said before it has fired for {seconds} s. Printed by
`loadwatch verdicts`, with a plan's own signs by `loadwatch verdicts PLAN.toml`.

| verdict | when |
|---|---|
| client-limited | the load generator was the limit (`[load.gates]`): nothing is said of the rest |
"""

TAIL = """\
| unknown | none of these: what was seen is shown, and what it would take to tell |

Signs can be changed in the plan:

```toml
[verdict]
{signs}
```"""


def add(verbs: Any) -> None:
    """Declare the verb."""
    text = "what is said to hold a server back, and when"
    command = verbs.add_parser("verdicts", help=text)
    command.set_defaults(verb=_carry_out)
    command.add_argument("plan", metavar="PLAN.toml", nargs="?", help="whose signs to show")


def _carry_out(arguments: argparse.Namespace) -> int:
    from pathlib import Path

    from loadwatch.analysis.evidence import JUDGED_SECONDS
    from loadwatch.analysis.rules import RULES
    from loadwatch.config import load_plan
    from loadwatch.core.plan import SIGNS

    signs = SIGNS if arguments.plan is None else load_plan(Path(arguments.plan)).verdict
    rows = (f"| {rule.name} | {rule.when(signs)} |\n" for rule in RULES)
    head, tail = HEAD.format(seconds=JUDGED_SECONDS), TAIL.format(signs=_as_toml(signs))
    say(head + "".join(rows) + tail)
    return 0


def _as_toml(signs: Signs) -> str:
    import msgspec

    from loadwatch.core.metric import Unit, format_value
    from loadwatch.core.plan import ByteRate

    lines = []
    for name, value in msgspec.structs.asdict(signs).items():
        rate = format_value(value, Unit.BYTES_PER_SECOND).replace(" ", "")
        lines.append(f'{name} = "{rate}"' if isinstance(value, ByteRate) else f"{name} = {value:g}")
    return "\n".join(lines)
