"""The spool: a collector on the server that outlives a connection, so that no sample is lost.

It runs every tool into a file of a private directory and adds, behind whatever came, the server's
uptime at which it came. A lane reads the file on from the byte up to which it has it, and every
reading gets the time at which it was made. Heartbeats prolong the collector's lease; with its end
everything there vanishes.

A file that has grown to a segment is followed by a new one, and is deleted as soon as it has been
read; a collector whose reader is two segments behind ends. All clocks here are the server's uptime.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from loadwatch.core.plan import Host
from loadwatch.core.reading import Reading
from loadwatch.remote.clock import Clock
from loadwatch.remote.guard import HEARTBEAT, fill, make_nonce
from loadwatch.remote.probe import Probe
from loadwatch.remote.text import clean

LEASE = 120
"""Seconds that a collector goes on after the last heartbeat of a connection that fell silent."""

FAREWELL = 12
"""The same after a connection was closed while its heartbeats came: by us, or by our end."""

LOOK = 2
"""Seconds between two looks of the collector at its lease."""

SEGMENT = 8 << 20
"""Bytes of a probe's output in one file; there are two at most."""

BYE = b"bye\n"
"""A heartbeat that ends the collector."""

HELD = 256 << 10
"""Bytes without a mark that are kept back: a collector marks every 64 KiB at least."""

PLACE = "/tmp/loadwatch."
"""The beginning of a directory's name; mktemp makes the rest."""

_UPTIME = re.compile(r"\d{1,12}\.\d{1,9}")
_DIRECTORY = re.compile(re.escape(PLACE) + r"[A-Za-z0-9]{10}")

# Directories of ours whose collector is gone, as after the server's restart, are swept.
_BEGIN = """
umask 077; u=; read -r u v </proc/uptime; u=${u%.*}; d=@directory@; e=0; k=0;
test -O "$d" && read -r e <$d/lease && read -r k <$d/keeper;
if test $e -gt $((u + 3)); then echo LW1 @nonce@ spool old $d;
else
  for f in @place@??????????; do
    test -O "$f" && test -d "$f" || continue;
    e=0; test -f "$f/lease" && read -r e <"$f/lease";
    test "$e" -gt $u && test "$e" -lt $((u + 2 * @lease@)) || rm -rf "$f";
  done;
  if test -n "$u" && d=$(mktemp -d @place@XXXXXXXXXX); then
    echo $((u + @farewell@)) >$d/lease; @files@ @keeper@ echo LW1 @nonce@ spool new $d;
  else echo LW1 @nonce@ spool none; fi;
fi;
"""
# The keeper lives apart from the connection. At every look it forgets whoever has ended, so that it
# never kills a process that has got an old number.
_KEEPER = """
take() {
  f=$1 g=1 n=0 s=ended;
  while :; do
    set -- $(dd bs=65536 count=1 2>&1 >>$f.$g);
    case $1 in 0+0) break;; *+*) ;; *) break;; esac;
    read -r u v </proc/uptime; read -r e <lease; test ${u%.*} -lt "$e" || exit;
    echo LW1 @mark@ at $u >>$f.$g; n=$((n + ${7:-65536}));
    test $n -lt @segment@ && continue;
    test -e $f.$((g - 1)) && s=full && break;
    echo LW1 @mark@ next >>$f.$g; g=$((g + 1)) n=0; : >$f.$g;
  done;
  while read -r x; do echo "LW1 @mark@ said $x"; done <$f.err >>$f.$g;
  echo LW1 @mark@ $s >>$f.$g;
};
(cd $d || exit; w=; @tools@
 exec >/dev/null 2>&1 </dev/null;
 while sleep @look@; do
   read -r u v </proc/uptime; read -r e <lease; test ${u%.*} -lt "$e" || break;
   a=; for p in $w; do kill -0 $p && a="$a $p"; done; w=$a;
 done;
 kill -9 $w; cd /; rm -rf $d) & k=$!; echo $k >$d/keeper;
"""
_TOOL = """
command -v @tool@ >/dev/null && mkfifo @name@.in && {
  (ulimit -f 64; exec </dev/null >@name@.in 2>@name@.err; @line@) & w="$w $!";
  (exec <@name@.in >/dev/null 2>&1; take @name@) & w="$w $!";
};
"""
# Written over in place: whoever reads the lease never finds it empty.
_KEEP = """
case $x in bye) echo 0 1<>$d/lease; break;; esac;
test -e $d/lease && echo $((${u%.*} + @lease@)) 1<>$d/lease;
"""
# Closed while heartbeats came: somebody closed it. Closed after they failed: the network may have.
_END = """
case $x in bye) ;; *) test -e $d/lease && read -r v w </proc/uptime &&
  test $((${v%.*} - ${u%.*})) -lt @fresh@ && echo $((${v%.*} + @farewell@)) 1<>$d/lease;;
esac;
"""


class Track:
    """One probe's output as a collector keeps it: what was read of it, and what it means.

    `ended`: see `lane.Source`. What the tool printed is the same as without a spool, in one stream
    over all connections; a mark follows whatever came at once, and tells when that was.
    """

    restarts = False

    def __init__(self, probe: Probe, host: Host, place: str, mark: str, clock: Clock) -> None:
        self.ended: str | None = None
        self._name = probe.name
        self._place = place
        self._clock = clock
        self._parser = probe.parser(host.name)
        self._marks = re.compile(rb"LW1 %s ([a-z]+) ?([^\n]{0,300})\n" % mark.encode())
        self._segment = 1
        self._offset = 0
        self._held = b""
        self._said = ""

    def begin(self) -> str:
        """The shell line that carries on from the first byte that is not here yet."""
        self.ended = None
        name, segment = self._name, self._segment
        return (
            f"cd {self._place} && rm -f {name}.{segment - 1} && "
            f"exec tail -c +{self._offset + 1} -f {name}.{segment}"
        )

    def feed(self, data: bytes, at: float) -> list[Reading]:
        """The readings that `data`, arrived at `at`, completes, each at its own time."""
        self._offset += len(data)
        self._held += data
        readings: list[Reading] = []
        while match := self._marks.search(self._held):
            piece, self._held = self._held[: match.start()], self._held[match.end() :]
            came = self._heed(match[1].decode(), match[2].decode("utf-8", "replace"), at)
            readings += self._parser.feed(piece, came)
        if len(self._held) > HELD:  # no collector of ours
            readings += self._parser.feed(self._held, at)
            self._held = b""
        return readings

    def _heed(self, word: str, text: str, at: float) -> float:
        """Do what a mark says; when, on our clock, came what is before it."""
        if word == "at" and (match := _UPTIME.match(text)):
            came = self._clock.local(float(match[0]))
            return at if came is None else min(came, at)
        if word == "next":
            self.ended = ""
            self._segment += 1
            self._offset = 0
        elif word == "said":
            self._said = clean(text, 200)
        elif word == "ended":
            self.ended = f"{self._name} ended: {self._said or 'without a word'}"
        elif word == "full":
            self.ended = f"{self._name}: the spool was full"
        return at

    def flush(self) -> list[Reading]:
        """The reading that silence, or the stream's end, completes."""
        return self._parser.flush()


class Spool:
    """A collector on `host`, and how far each probe's output has been read.

    `settled` once the server has said over a connection how it stands; `ready` if there is a
    directory to read from.
    """

    def __init__(self, host: Host, clock: Clock, lease: int = LEASE) -> None:
        self.settled = False
        self._host = host
        self._probes: tuple[Probe, ...] = ()
        self._clock = clock
        self._lease = lease
        self._mark = make_nonce()
        self._directory = ""
        self._tracks: dict[str, Track] = {}

    @property
    def ready(self) -> bool:
        """Whether there is a directory to read from."""
        return self.settled and bool(self._directory)

    def track(self, probe: Probe) -> Track:
        """Where a lane of `probe` reads."""
        return self._tracks[probe.name]

    def is_spent(self, name: str) -> bool:
        """Whether nothing more will come of the probe of that name."""
        track = self._tracks.get(name)
        return track is not None and bool(track.ended)

    def connect(self, probes: Iterable[Probe]) -> None:
        """A new connection, over which `probes` are to be read: what is kept of others is not."""
        self.settled = False
        before, self._probes = self._probes, tuple(probes)
        if [probe.name for probe in before] != [probe.name for probe in self._probes]:
            self.forget()

    def waive(self) -> None:
        """The server has not said how it stands: do without, unless something is kept there."""
        if not self._directory:
            self.settled = True

    def forget(self) -> None:
        """Begin anew with the next connection."""
        self._directory = ""

    def begin(self, nonce: str) -> str:
        """What a guard does first: go on with the collector that there was, or start one."""
        lines = {probe: probe.command(probe.interval(self._host)) for probe in self._probes}
        tools = "".join(
            fill(_TOOL, name=probe.name, tool=probe.tool, line=line)
            for probe, line in lines.items()
        )
        files = "".join(f": >$d/{probe.name}.1; " for probe in self._probes)
        keeper = fill(_KEEPER, mark=self._mark, segment=SEGMENT, look=LOOK, tools=tools)
        return fill(
            _BEGIN,
            directory=self._directory, place=PLACE, nonce=nonce, keeper=keeper, files=files,
            lease=self._lease, farewell=FAREWELL,
        )  # fmt: skip

    def keep(self) -> str:
        """What a guard does with every heartbeat."""
        return fill(_KEEP, lease=self._lease)

    def end(self) -> str:
        """What a guard does when its connection has ended."""
        return fill(_END, fresh=round(2 * HEARTBEAT), farewell=FAREWELL)

    def hear(self, line: str) -> list[str]:
        """Take what the guard says of the spool; what there is to remark."""
        word, _, directory = line.partition(" spool ")[2].partition(" ")
        if self.settled or word not in ("old", "new", "none"):
            return []
        self.settled = True
        if word == "old" and directory == self._directory:
            return []
        is_lost = bool(self._directory)
        place = self._directory = directory if _DIRECTORY.fullmatch(directory) else ""
        self._tracks = {
            probe.name: Track(probe, self._host, place, self._mark, self._clock)
            for probe in self._probes
        }
        if not place:
            return ["no spool: the server can make no directory for it"]
        return ["the spool of the lost connection is gone: the gap stays"] if is_lost else []
