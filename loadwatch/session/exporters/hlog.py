"""A session's distributions as HdrHistogram logs: a file per scenario and kind of time.

The format is that of HistogramLogWriter in https://github.com/HdrHistogram/HdrHistogram, version
1.3: an interval a second, relative to the start, with histograms of microseconds and the largest
value in milliseconds.
"""

from __future__ import annotations

from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from loadwatch.core.histogram import Histogram
from loadwatch.core.tick import Kind
from loadwatch.session.blob import Encoder
from loadwatch.session.excerpt import Excerpt
from loadwatch.session.files import exporting_to, replacing

HEADER = """\
#[Histogram log format version 1.3]
#[StartTime: {start:.3f} (seconds since epoch), {iso}]
#[BaseTime: {start:.3f} (seconds since epoch)]
"StartTimestamp","Interval_Length","Interval_Max","Interval_Compressed_Histogram"
"""


def export(excerpt: Excerpt, directory: Path) -> list[Path]:
    """Write `<scenario>.<kind>.hlog` for all that has values; returns the paths.

    SessionError where that fails.
    """
    files: dict[tuple[str, Kind], TextIO] = {}
    paths = []
    encoder = Encoder()
    with exporting_to(directory), ExitStack() as stack:
        for tick in excerpt.ticks():
            for (scenario, kind), counts in tick.histograms.items():
                if scenario not in excerpt.scenarios or not counts:
                    continue
                if (scenario, kind) not in files:
                    paths.append(directory / f"{scenario}.{kind}.hlog")
                    files[scenario, kind] = stack.enter_context(replacing(paths[-1]))
                    files[scenario, kind].write(_header(excerpt.start))
                largest = (Histogram(counts).max or 0.0) * 1000
                text = encoder.encode_text(counts)
                files[scenario, kind].write(f"{tick.second:.3f},1.000,{largest:.3f},{text}\n")
    return sorted(paths)


def _header(start: float) -> str:
    return HEADER.format(start=start, iso=datetime.fromtimestamp(start, UTC).isoformat())
