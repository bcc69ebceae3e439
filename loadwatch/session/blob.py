"""Histograms as HdrHistogram's own V2 compressed encoding, which every HdrHistogram library reads.

The layout (a cookie, a length, a deflated payload of ZigZag LEB128 counts) is that of
`encodeIntoCompressedByteBuffer` in https://github.com/HdrHistogram/HdrHistogram; the hdrhistogram
package writes and reads it. In a `.hlog` line it stands in base64.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping

from hdrh.histogram import HdrHistogram

from loadwatch.core.histogram import HIGHEST_SECONDS, MICRO

HIGHEST = HIGHEST_SECONDS * MICRO
DIGITS = 3


class Encoder:
    """Turns `core.histogram` counts into blobs.

    One histogram is filled and emptied again and again: a new one, with its 23,552 counters, would
    cost more than the encoding.
    """

    def __init__(self) -> None:
        self._histogram = HdrHistogram(1, HIGHEST, DIGITS)

    def encode(self, counts: Mapping[int, int]) -> bytes:
        """The blob of `counts` (bucket index -> count), which holds one at least."""
        own = self._histogram
        first, last = min(counts), max(counts)
        if not 0 <= first <= last < own.counts_len:
            raise IndexError(f"no such bucket: {first if first < 0 else last}")
        for index, count in counts.items():
            own.counts[index] = count
        own.set_internal_tacking_values(first, last, sum(counts.values()))
        blob = base64.b64decode(own.encode())
        for index in counts:
            own.counts[index] = 0
        return blob


def decode(blob: bytes) -> dict[int, int]:
    """The counts of a blob; ValueError for anything that `Encoder` did not write."""
    try:
        found = HdrHistogram.decode(base64.b64encode(blob))
    except Exception as error:  # the package documents several kinds, and its C part has more
        raise ValueError(f"not a histogram: {error!r}") from None
    if (found.highest_trackable_value, found.significant_figures) != (HIGHEST, DIGITS):
        raise ValueError("a histogram of another shape")
    first = found.get_counts_array_index(found.min_value)
    last = found.get_counts_array_index(found.max_value)
    return {
        index: count for index, count in enumerate(found.counts[first : last + 1], first) if count
    }
