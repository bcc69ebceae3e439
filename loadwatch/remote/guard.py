"""The guard: the shell script around everything that we start, so that nothing outlives us.

It announces itself with a line that holds a nonce, so that what a login prints before (motd,
.bashrc) can be told from the output. It ends what it guards when its standard input ends, and when
no heartbeat came for a lease. No terminal is used: a tool on a terminal survives its connection.
The tool alone holds standard output, so that its end is seen at once.

Two shells and a `sleep` make it: one shell reads heartbeats and tells the other one, which waits
for the `sleep` to end and begins another with every heartbeat. That costs one process each time.

The script runs in any login shell (sh, csh or fish syntax): one line, in single quotes, and inside
them no quote, no backslash, no `!` other than in `$!`. Only our own constants and numbers are put
into it.
"""

from __future__ import annotations

import re
import secrets

HEARTBEAT = 4.0
"""Seconds between two heartbeats of ours."""

BEAT = b"\n"
"""One heartbeat; the first is due at once."""

LEASE = 15
"""Seconds without a heartbeat after which the guard ends everything."""

# A saved configuration or a locale would change what top and vmstat print. SIGKILL, because a shell
# that has just forked may lose any other signal, and because none of these has anything to save.
# SIGPIPE (13) must not end the reader: it has to tell that its connection is gone.
_GUARD = """
LC_ALL=C LANGUAGE= TERM=dumb HOME=/dev/null XDG_CONFIG_HOME=/dev/null;
export LC_ALL LANGUAGE TERM HOME XDG_CONFIG_HOME; unset COLUMNS LINES;
@begin@
t= r=; finish() { kill -9 $t $r $!; @sweep@ };
trap finish 0; trap "exit 0" 1 2 13 15; trap : USR1; exec 3<&0 </dev/null;
@tool@
(trap "" 13; exec <&3 3<&- 2>/dev/null @hush@;
 while read -r x; do kill -USR1 $$ || break; @answer@ done;
 @end@ kill -9 $t; kill $$) & r=$!;
exec 3<&- >/dev/null 2>&1;
until sleep @lease@ & wait $!; do kill -9 $!; done;
exit 0
"""
_TOOL = re.compile(r"[a-z]{1,32}")
_UNSAFE = re.compile(r"['!\\\n]")


def make_nonce() -> str:
    """What marks the begin of one command's output."""
    return secrets.token_hex(8)


def fill(script: str, **parts: object) -> str:
    """`script` as one line, every `@name@` replaced by the part of that name."""
    line = " ".join(script.split())
    return re.sub(r"@(\w+)@", lambda match: str(parts[match[1]]), line)


def command(tool: str, line: str, nonce: str, lease: int = LEASE) -> str:
    """The command to run in a login shell: `line`, which starts `tool`, under guard."""
    if not _TOOL.fullmatch(tool):
        raise ValueError(f"not safe inside the guard: {tool}")
    return _guarded(
        begin=f"command -v {tool} >/dev/null 2>&1 || {{ echo LW1 {nonce} missing; exit 127; }}; "
        f"echo LW1 {nonce} ready;",
        # What the tool has started is in the guard's process group, if the server gave it one.
        sweep="trap : 15; kill -15 -$$;",
        tool=f"(exec 3<&-; {line}) & t=$!;",
        hush=">/dev/null",
        lease=lease,
    )


def answering(nonce: str, answer: str, begin: str = "", end: str = "", lease: int = LEASE) -> str:
    """The same without a tool: `answer` is run for every heartbeat, whose text is `$x`.

    Its output is what the stream carries. `begin` is run first, `end` when standard input ends.
    """
    begin = f"echo LW1 {nonce} ready; {begin}"
    return _guarded(begin=begin, answer=answer, end=end, lease=lease)


def _guarded(
    begin: str,
    lease: int,
    sweep: str = "",
    tool: str = "",
    hush: str = "",
    answer: str = "",
    end: str = "",
) -> str:
    script = fill(
        _GUARD,
        begin=begin, sweep=sweep, tool=tool, hush=hush, answer=answer, end=end, lease=lease,
    )  # fmt: skip
    if _UNSAFE.search(script.replace("$!", "")):
        raise ValueError(f"not safe inside the guard: {tool or answer}")
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
