"""The guard: the shell script around every tool that we start, so that nothing outlives us.

It announces itself with a line that holds a nonce, so that what a login prints before (motd,
.bashrc) can be told from the tool's output. It ends the tool when its standard input ends, and when
no heartbeat came for a lease. No terminal is used: a tool on a terminal survives its connection.
The tool alone holds standard output, so that its end is seen at once.

The script runs in any login shell (sh, csh or fish syntax): one line, in single quotes, and inside
them no quote, no backslash, no `!` other than in `$!`. Only our own constants and numbers are put
into it.
"""

from __future__ import annotations

import re
import secrets

HEARTBEAT = 5.0
"""Seconds between two heartbeats of ours."""

BEAT = b"\n"
"""One heartbeat; the first is due at once."""

LEASE = 15
"""Seconds without a heartbeat after which the guard ends everything."""

_SCRIPT = (
    # A saved configuration or a locale would change what top and vmstat print.
    "LC_ALL=C LANGUAGE= TERM=dumb HOME=/dev/null XDG_CONFIG_HOME=/dev/null; "
    "export LC_ALL LANGUAGE TERM HOME XDG_CONFIG_HOME; unset COLUMNS LINES; "
    "command -v {tool} >/dev/null 2>&1 || {{ echo LW1 {nonce} missing; exit 127; }}; "
    "echo LW1 {nonce} ready; "
    "t= w=; finish() {{ kill -9 $t $w; }}; trap finish 0; trap {quote}exit 129{quote} 1 2 13; "
    "{{ {line}; }} </dev/null & t=$!; exec >/dev/null 2>&1; "
    # The watchdog sleeps in short bits, so that nothing is left of it a second after its end.
    # SIGKILL, because a shell that has just forked may lose any other signal, and because none of
    # these has anything to save.
    "arm() {{ (for i in {bits}; do sleep 1; done; kill -9 $t $$) </dev/null & w=$!; }}; "
    "arm; while read -r x; do kill -9 $w; arm; done; exit 0"
)
_TOOL = re.compile(r"[a-z]{1,32}")
_UNSAFE = re.compile(r"['!\\\n]")


def make_nonce() -> str:
    """What marks the begin of one command's output."""
    return secrets.token_hex(8)


def command(tool: str, line: str, nonce: str, lease: int = LEASE) -> str:
    """The command to run in a login shell: `line`, which starts `tool`, under guard."""
    if not _TOOL.fullmatch(tool) or _UNSAFE.search(line):
        raise ValueError(f"not safe inside the guard: {tool}: {line}")
    bits = " ".join(str(second) for second in range(lease))
    script = _SCRIPT.format(tool=tool, line=line, nonce=nonce, bits=bits, quote='"')
    return f"exec sh -c '{script}' loadwatch"


class Preamble:
    """Discards everything before the guard's own line.

    `ready` once the tool was started, `missing` if there is none; `noise` is the beginning of what
    came before.
    """

    def __init__(self, nonce: str) -> None:
        self._ready = f"LW1 {nonce} ready\n".encode()
        self._missing = f"LW1 {nonce} missing\n".encode()
        self._held = b""
        self.ready = False
        self.missing = False
        self.noise = b""

    def feed(self, data: bytes) -> bytes:
        """The tool's own output in `data`."""
        if self.ready:
            return data
        self.noise = (self.noise + data)[:200]
        self._held += data
        before, found, output = self._held.partition(self._ready)
        if found:
            self.ready = True
            self._held = b""
            return output
        self.missing = self.missing or self._missing in before
        self._held = before[-len(self._missing) :]
        return b""
