"""Histograms as HdrHistogram's own V2 compressed encoding, which every HdrHistogram library reads.

The layout (a cookie, a length, a deflated payload of ZigZag LEB128 counts) is that of
`encodeIntoCompressedByteBuffer` in https://github.com/HdrHistogram/HdrHistogram; the hdrhistogram
package writes it. In a `.hlog` line it stands in base64.
"""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Mapping

from hdrh.histogram import HdrHistogram

from loadwatch.core.histogram import HIGHEST_SECONDS, MICRO

HIGHEST = HIGHEST_SECONDS * MICRO
DIGITS = 3

HEADER = struct.Struct(">iiiiqqd")
"""Of the payload: cookie, bytes of counts, offset, digits, lowest, highest, ratio."""


class Encoder:
    """Turns `core.histogram` counts into blobs.

    One histogram is filled and emptied again and again: a new one, with its 23,552 counters, would
    cost more than the encoding.
    """

    def __init__(self) -> None:
        self._histogram = HdrHistogram(1, HIGHEST, DIGITS)

    def encode(self, counts: Mapping[int, int]) -> bytes:
        """The blob of `counts` (bucket index -> count), which holds one at least."""
        return base64.b64decode(self.encode_text(counts))

    def encode_text(self, counts: Mapping[int, int]) -> str:
        """The same in base64, as it stands in a `.hlog` file."""
        own = self._histogram
        first, last = min(counts), max(counts)
        if not 0 <= first <= last < own.counts_len:
            raise IndexError(f"no such bucket: {first if first < 0 else last}")
        for index, count in counts.items():
            own.counts[index] = count
        own.set_internal_tacking_values(first, last, sum(counts.values()))
        text: str = own.encode().decode("ascii")
        for index in counts:
            own.counts[index] = 0
        return text


def decode(blob: bytes) -> dict[int, int]:
    """The counts of a blob; ValueError for anything that `Encoder` did not write.

    Read here, because the hdrhistogram package makes all its 23,552 counters for the few hundred
    that a second fills: twenty times the time, and a report of an hour decodes 20,000 blobs.
    """
    try:
        payload = zlib.decompress(blob[8:])
        _, length, _, digits, lowest, highest, _ = HEADER.unpack_from(payload)
    except (zlib.error, struct.error) as error:
        raise ValueError(f"not a histogram: {error}") from None
    if (lowest, highest, digits) != (1, HIGHEST, DIGITS):
        raise ValueError("a histogram of another shape")
    counts: dict[int, int] = {}
    index = value = shift = 0
    for byte in payload[HEADER.size : HEADER.size + length]:
        value |= (byte & 0x7F) << shift
        if byte & 0x80:
            shift += 7
            continue
        if value & 1:  # ZigZag: a negative number is a run of empty buckets
            index += (value + 1) >> 1
        else:
            counts[index] = value >> 1
            index += 1
        value = shift = 0
    return counts
