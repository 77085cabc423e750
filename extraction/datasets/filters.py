"""Leave out clips in unreadable formats and overlapping stretches, and the clips that the few-shot paper filters out."""

import collections
import concurrent.futures
import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path

from extraction.datasets.base import Recording
from jfewshot.audio import MIN_DURATION_S, AudioError, duration_s, is_unread, why_not_read
from jfewshot.errors import UserError

_READERS = 16


def leave_out_unread(recordings: Sequence[Recording]) -> list[Recording]:
    """Mark clips in formats that the decoder cannot read (`.m4a`, `.wma`, by the ending of the file); the reason has the fix.

    Args:
      recordings: recordings, of which some may be left out already.
    """
    return [
        dataclasses.replace(recording, left_out=why_not_read(recording.path))
        if not recording.left_out and is_unread(recording.path)
        else recording
        for recording in recordings
    ]


def leave_out_longer_than(recordings: Sequence[Recording], limit_s: float) -> list[Recording]:
    """Mark clips that are longer than a limit. A file that cannot be read stays, and the decoder reports it.

    Args:
      recordings: recordings; those that are left out already are not opened.
      limit_s: limit in seconds; a clip of exactly this length stays.
    """

    def checked(recording: Recording) -> Recording:
        if recording.left_out:
            return recording
        try:
            length_s = length_of(recording)
        except AudioError:
            return recording
        if length_s <= limit_s:
            return recording
        return dataclasses.replace(recording, left_out=f"{length_s:.0f} s long, more than {limit_s:g} s")

    # Opening tens of thousands of files means waiting for the disk; with threads, many files wait at the same time.
    with concurrent.futures.ThreadPoolExecutor(_READERS) as readers:
        return list(readers.map(checked, leave_out_unread(recordings)))


def length_of(recording: Recording) -> float:
    """Length of a clip in seconds, without decoding it.

    Raises:
      AudioError: if its file cannot be read.
    """
    if recording.start_s is None or recording.end_s is None:
        return duration_s(recording.path)
    return recording.end_s - recording.start_s


def with_windows(recordings: Sequence[Recording], pad_s: float = 0.0, fixed_s: float | None = None) -> list[Recording]:
    """Widen stretches, or replace them by windows of one length. The clip ids still state the annotated times.

    Args:
      recordings: recordings; whole files and clips that are left out already stay unchanged.
      pad_s: seconds to add on both sides.
      fixed_s: length in seconds of a window around a stretch's middle; None to keep the lengths.

    Returns:
      the recordings. A window never leaves its recording; if the recording is shorter, the window is the whole recording.

    Raises:
      UserError: if a number is negative, or if both numbers are given.
    """
    if not 0 <= pad_s < math.inf or (fixed_s is not None and not MIN_DURATION_S <= fixed_s < math.inf):
        raise UserError(
            f"--pad-s is {pad_s} and --fixed-s {fixed_s}; --pad-s takes 0 seconds or more, --fixed-s {MIN_DURATION_S} or more"
        )
    if pad_s and fixed_s is not None:
        raise UserError(
            "--pad-s and --fixed-s exclude each other: a window of fixed length already includes its surroundings"
        )
    if not pad_s and fixed_s is None:
        return list(recordings)
    stretches = [one for one in recordings if one.start_s is not None and one.end_s is not None and not one.left_out]

    def measured(path: Path) -> float | None:
        try:
            return duration_s(path)
        except AudioError:
            return None  # the decoder reports this file

    with concurrent.futures.ThreadPoolExecutor(_READERS) as readers:
        paths = list(dict.fromkeys(one.path for one in stretches))
        length_of_file = dict(zip(paths, readers.map(measured, paths), strict=True))

    def widened(one: Recording) -> Recording:
        held = length_of_file.get(one.path)
        # A stretch that ends after the end of its recording stays unchanged, and the decoder refuses it.
        if (
            one.left_out
            or one.start_s is None
            or one.end_s is None
            or held is None
            or one.end_s > held + MIN_DURATION_S
        ):
            return one
        if fixed_s is None:
            return dataclasses.replace(one, start_s=max(0.0, one.start_s - pad_s), end_s=min(held, one.end_s + pad_s))
        start_s = max(0.0, min((one.start_s + one.end_s - fixed_s) / 2, held - fixed_s))
        return dataclasses.replace(one, start_s=start_s, end_s=min(held, start_s + fixed_s))

    return [widened(one) for one in recordings]


def leave_out_overlaps(recordings: Sequence[Recording]) -> list[Recording]:
    """Mark stretches of one file that overlap with a stretch of another class: sound in the overlap belongs to both classes.

    Args:
      recordings: recordings; whole files and clips that are left out already stay unchanged.
    """
    of_file = collections.defaultdict(list)
    for number, one in enumerate(recordings):
        if one.start_s is not None and one.end_s is not None and not one.left_out:
            of_file[one.path].append((one.start_s, one.end_s, number))
    other_of: dict[int, int] = {}
    for stretches in of_file.values():
        going_on: list[tuple[float, float, int]] = []
        for begin, end, number in sorted(stretches):
            going_on = [one for one in going_on if one[1] > begin]
            for *_, other in going_on:
                if recordings[other].label != recordings[number].label:
                    other_of.setdefault(number, other)
                    other_of.setdefault(other, number)
            going_on.append((begin, end, number))

    def checked(number: int, one: Recording) -> Recording:
        if number not in other_of:
            return one
        other = recordings[other_of[number]]
        reason = f"overlaps with '{other.label}' from {other.start_s:g} to {other.end_s:g} s of the same recording"
        return dataclasses.replace(one, left_out=reason)

    return [checked(number, one) for number, one in enumerate(recordings)]


def leave_out_small_classes(recordings: Sequence[Recording], min_clips: int) -> list[Recording]:
    """Mark the clips of classes with fewer than `min_clips` clips. Clips that are left out already do not count."""
    recordings = leave_out_unread(recordings)
    counts = collections.Counter(recording.label for recording in recordings if not recording.left_out)

    def checked(recording: Recording) -> Recording:
        if recording.left_out or counts[recording.label] >= min_clips:
            return recording
        reason = f"class '{recording.label}' has {counts[recording.label]} clips, fewer than {min_clips}"
        return dataclasses.replace(recording, left_out=reason)

    return [checked(recording) for recording in recordings]
