"""The few-shot paper's filters: clips that are too long, classes that are too small."""

import collections
import concurrent.futures
import dataclasses
from collections.abc import Sequence

from extraction.datasets.base import Recording
from jfewshot.audio import AudioError, duration_s

_READERS = 16


def leave_out_longer_than(recordings: Sequence[Recording], limit_s: float) -> list[Recording]:
    """Mark clips that are longer; a file that cannot be read is left for the decoder to report.

    Args:
      recordings: some may be left out already; these are not opened.
      limit_s: seconds; a clip of exactly this length stays.
    """

    def checked(recording: Recording) -> Recording:
        if recording.left_out:
            return recording
        try:
            length_s = duration_s(recording.path)
        except AudioError:
            return recording
        if length_s <= limit_s:
            return recording
        return dataclasses.replace(recording, left_out=f"{length_s:.0f} s long, more than {limit_s:g} s")

    # Opening tens of thousands of files is waiting for the disk: threads overlap it.
    with concurrent.futures.ThreadPoolExecutor(_READERS) as readers:
        return list(readers.map(checked, recordings))


def leave_out_small_classes(recordings: Sequence[Recording], min_clips: int) -> list[Recording]:
    """Mark the clips of classes with fewer clips than `min_clips`, counting those not left out before."""
    counts = collections.Counter(recording.label for recording in recordings if not recording.left_out)

    def checked(recording: Recording) -> Recording:
        if recording.left_out or counts[recording.label] >= min_clips:
            return recording
        reason = f"class '{recording.label}' has {counts[recording.label]} clips, fewer than {min_clips}"
        return dataclasses.replace(recording, left_out=reason)

    return [checked(recording) for recording in recordings]
