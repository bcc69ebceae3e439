"""How large bodies are: as they come, and without their content coding.

One answer a second is weighed. It is decoded in a thread, and not again if it was seen before.
"""

from __future__ import annotations

import asyncio
import hashlib

from loadwatch.core.bucket import ScenarioBucket
from loadwatch.load.answer import Answer

HEAVIEST = 1 << 20
"""Bytes of a coded body that is decoded at most: a larger one would take time from the load."""

REMEMBERED = 10_000
"""Bodies whose size is remembered, by their digest."""


class Scales:
    """Weighs a scenario's answers into the bucket of the second in which their size is known.

    `free` says that the next answer is to be weighed: whoever takes it holds its body.
    """

    __slots__ = ("_bucket", "_busy", "_known", "free")

    def __init__(self) -> None:
        self._bucket = ScenarioBucket()
        self._known: dict[bytes, int | None] = {}
        self._busy = False
        self.free = False

    def begin(self, bucket: ScenarioBucket) -> None:
        """Another second, whose sizes go to `bucket`."""
        self._bucket = bucket
        self.free = not self._busy

    def take(self) -> bool:
        """Whether the answer that begins now is to be weighed; no other one is then."""
        taken, self.free = self.free, False
        return taken

    def weigh(self, status: int, answer: Answer) -> None:
        """An answer that was taken; of one that is no page (2xx) another one takes the place."""
        if not 200 <= status < 300:
            self.free = True
        elif not answer.codings:
            self._note(answer.size, answer.size)
        elif answer.size <= HEAVIEST:
            self._busy = True
            decoding = asyncio.get_running_loop().run_in_executor(None, self._decoded, answer)
            decoding.add_done_callback(lambda done: self._done(answer.size, done.result()))

    def _decoded(self, answer: Answer) -> int | None:
        """Called in the thread, for one answer at a time."""
        digest = hashlib.blake2b(answer.body, digest_size=16).digest()
        if digest not in self._known:
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            self._known[digest] = answer.plain_size
        return self._known[digest]

    def _done(self, compressed: int, decompressed: int | None) -> None:
        self._busy = False
        self._note(compressed, decompressed)

    def _note(self, compressed: int, decompressed: int | None) -> None:
        bucket = self._bucket
        if decompressed is None:
            bucket.undecoded += 1
        else:
            bucket.weighed += 1
            bucket.compressed += compressed
            bucket.decompressed += decompressed
