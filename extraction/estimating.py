"""Estimate times and sizes of an extraction.

Each encoder is timed for a few seconds on this machine, with batches like those of the extraction. Segments are counted
from the headers of some of a dataset's files if its folder exists; otherwise published counts and mean durations are
used. Decoding is not counted: it runs at the same time as the encoder (docs/extraction.md).
"""

import collections
import dataclasses
import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from extraction.datasets import dataset_names, load_dataset
from extraction.datasets.filters import leave_out_unread, length_of
from extraction.datasets.layout import folder_of
from extraction.encoding import BatchEncoder
from extraction.options import EstimateOptions
from extraction.upstreams import ALIASES, check_upstream_names, load_upstream, upstream_names
from extraction.upstreams.base import UpstreamOptions
from extraction.upstreams.paper_table import paper_table
from jfewshot.audio import AudioError
from jfewshot.commandline.progress import tracked
from jfewshot.errors import UserError

# Numbers of segments of 5 s, from published counts and durations. Those of BirdCLEF and Common Voice are rough.
PUBLISHED_SEGMENTS = {
    "esc50": 2_000,
    "nsynth": 306_000,
    "fsdkaggle18": 18_000,
    "voxceleb1": 330_000,
    "birdclef2020": 550_000,
    "scv2": 106_000,
    "watkins": 3_000,
    "crema_d": 7_500,
    "saa": 13_000,
    "commonvoice": 380_000,
}
_SAMPLED_CLIPS = 200


@dataclasses.dataclass(frozen=True)
class Speed:
    """The number of segments of 5 s that an encoder processes per second, and the dimension of its vectors."""

    segments_per_s: float
    dim: int


def estimate(asked: EstimateOptions) -> str:
    """Make two tables in Markdown: times, and disk space.

    Args:
      asked: datasets and encoders, and how to measure.

    Raises:
      UserError: if a name is unknown, or if an encoder cannot be loaded.
    """
    datasets = dataset_names([name for text in asked.datasets for name in text.split(",") if name])
    upstreams = upstream_names([name for text in asked.upstreams for name in text.split(",") if name])
    check_upstream_names(upstreams)
    options = asked.options.for_upstreams(upstreams)
    segments = dict(count_segments(name, asked.root, alone=len(datasets) == 1) for name in datasets)
    titles = {row["name"]: row["title"] for row in paper_table()}
    speeds: dict[str, Speed] = {}
    for given in tracked(upstreams, "loading and timing encoders", "encoders"):
        name = ALIASES.get(given, given)
        if asked.tflops is not None:
            speeds[titles.get(name, name)] = derived(name, asked.tflops)
        else:
            speeds[titles.get(name, name)] = measured(given, options, asked.seconds)
    return "\n".join([*times_table(speeds, segments), "", *disk_table(speeds, segments, asked.dtype)]) + "\n"


def count_segments(name: str, root: Path, *, alone: bool) -> tuple[str, int]:
    """Find a dataset's own name and its number of segments of 5 s.

    The lengths of some clips are read and extrapolated to all clips. Without a folder, the published number is used.

    Args:
      name: the dataset as written on the command line.
      root: folder that contains a folder for each dataset.
      alone: whether `root` may be the folder of this dataset itself.

    Returns:
      the name and the number of segments.

    Raises:
      UserError: if the dataset's folder is missing and its number of segments is not published.
    """
    dataset = load_dataset(name)
    folder = folder_of(dataset, root, alone=alone) or root
    try:
        clips = [clip for clip in leave_out_unread(dataset.recordings(folder)) if not clip.left_out]
    except UserError:
        clips = []
    if not clips:
        if dataset.info.name not in PUBLISHED_SEGMENTS:
            raise UserError(f"{name}: no clips below {folder}, and how many there are is not known; name its --root")
        return dataset.info.name, PUBLISHED_SEGMENTS[dataset.info.name]
    lengths = []
    for clip in clips[:: max(1, len(clips) // _SAMPLED_CLIPS)]:
        try:
            lengths.append(math.ceil(length_of(clip) / 5))
        except AudioError:
            continue  # the extraction will report this file
    return dataset.info.name, round(len(clips) * (sum(lengths) / max(1, len(lengths))))


def derived(name: str, tflops: float) -> Speed:
    """Derive an encoder's speed from its operations per segment and a rate of operations per second.

    Raises:
      UserError: if the encoder is not one of the paper's: operations are known only for these.
    """
    for row in paper_table():
        if row["name"] == name:
            return Speed(tflops * 1000 / float(row["gflop_5s"]), int(row["dim"]))
    raise UserError(f"{name}: operations are known only for the paper's encoders; leave --tflops out to measure")


def measured(name: str, options: UpstreamOptions, seconds: float) -> Speed:
    """Measure an encoder's speed on this machine, in batches of the same size as in an extraction.

    Args:
      name: name of the upstream.
      options: options of the upstream, such as its checkpoint.
      seconds: shortest duration of the measurement in seconds.

    Returns:
      segments of 5 s per second, and the dimension of the encoder's vectors.
    """
    upstream = load_upstream(name, options)
    length = upstream.segment_samples or 5 * upstream.sample_rate
    encoder = BatchEncoder(upstream, ["last"], ["mean"], length)
    noise = 0.1 * np.random.default_rng(0).standard_normal((encoder.batch_size, length), np.float32)
    dim = next(iter(encoder.encode_block(list(noise)).views.values())).shape[1]
    started, done = time.perf_counter(), 0
    while not done or time.perf_counter() - started < seconds:
        encoder.encode_block(list(noise))
        done += len(noise)
    seconds_of_sound = done * length / upstream.sample_rate
    return Speed(seconds_of_sound / 5 / (time.perf_counter() - started), dim)


def times_table(speeds: Mapping[str, Speed], segments: Mapping[str, int]) -> list[str]:
    """Tabulate the times: a row for each encoder."""
    total = sum(segments.values())
    rows = [
        [
            title,
            f"{speed.segments_per_s:.1f}" if speed.segments_per_s < 100 else f"{speed.segments_per_s:,.0f}",
            *(duration(count / speed.segments_per_s) for count in [*segments.values(), total]),
        ]
        for title, speed in speeds.items()
    ]
    everything = sum(total / speed.segments_per_s for speed in speeds.values())
    return [
        *_markdown(["", "segments/s", *segments, "all"], rows),
        "",
        f"All {len(speeds) * len(segments)} cells: {duration(everything)}.",
    ]


def disk_table(speeds: Mapping[str, Speed], segments: Mapping[str, int], dtype: str) -> list[str]:
    """Tabulate the disk space: a row for each dataset, a column for each dimension of the vectors.

    Args:
      speeds: speed and dimension of each upstream, by its title.
      segments: number of segments of 5 s of each dataset, by its name.
      dtype: type of the stored numbers, such as float32.

    Returns:
      lines of Markdown.
    """
    size = np.dtype(dtype).itemsize
    dims = collections.Counter(speed.dim for speed in speeds.values())
    widths = sorted(dims, reverse=True)
    rows = [
        [name, f"{count:,}", *(f"{count * dim * size / 1e6:.1f}" for dim in widths)]
        for name, count in [*segments.items(), ("all", sum(segments.values()))]
    ]
    everything = sum(segments.values()) * size * sum(dim * number for dim, number in dims.items()) / 1e9
    return [
        *_markdown(["dataset", "segments of 5 s", *(f"{dim}-d store, MB" for dim in widths)], rows),
        "",
        f"All {len(speeds) * len(segments)} stores in {dtype}, a view each: {everything:.3g} GB.",
    ]


def duration(seconds: float) -> str:
    """A duration with about two digits: 18 s, 46 min, 4.2 h."""
    if seconds < 90:
        return f"{max(1, seconds):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 90 * 60 else f"{seconds / 3600:.1f} h"


def _markdown(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return ["| " + " | ".join(row) + " |" for row in (headings, ["---"] * len(headings), *rows)]
