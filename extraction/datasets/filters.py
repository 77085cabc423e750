"""Clips of formats that are not read; and the few-shot paper's filters: clips too long, classes too small."""

import collections
import concurrent.futures
import dataclasses
from collections.abc import Sequence

from extraction.datasets.base import Recording
from jfewshot.audio import AudioError, duration_s, is_unread, why_not_read

_READERS = 16


def leave_out_unread(recordings: Sequence[Recording]) -> list[Recording]:
    """Mark clips whose files end in the name of a format that the decoder does not read (`.m4a`, `.wma`), with the fix.

    Args:
      recordings: some may be left out already.
    """
    return [
        dataclasses.replace(recording, left_out=why_not_read(recording.path))
        if not recording.left_out and is_unread(recording.path)
        else recording
        for recording in recordings
    ]


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
            length_s = length_of(recording)
        except AudioError:
            return recording
        if length_s <= limit_s:
            return recording
        return dataclasses.replace(recording, left_out=f"{length_s:.0f} s long, more than {limit_s:g} s")

    # Opening tens of thousands of files is waiting for the disk: threads overlap it.
    with concurrent.futures.ThreadPoolExecutor(_READERS) as readers:
        return list(readers.map(checked, leave_out_unread(recordings)))


def length_of(recording: Recording) -> float:
    """Seconds of a clip, without decoding it.

    Raises:
      AudioError: if its file cannot be read.
    """
    if recording.start_s is None or recording.end_s is None:
        return duration_s(recording.path)
    return recording.end_s - recording.start_s


def leave_out_overlaps(recordings: Sequence[Recording]) -> list[Recording]:
    """Mark stretches of one file that overlap with a stretch of another class: what is heard there belongs to both.

    Args:
      recordings: some may be whole files, or left out already; these are passed over.
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
    """Mark the clips of classes with fewer clips than `min_clips`, counting those not left out before."""
    recordings = leave_out_unread(recordings)
    counts = collections.Counter(recording.label for recording in recordings if not recording.left_out)

    def checked(recording: Recording) -> Recording:
        if recording.left_out or counts[recording.label] >= min_clips:
            return recording
        reason = f"class '{recording.label}' has {counts[recording.label]} clips, fewer than {min_clips}"
        return dataclasses.replace(recording, left_out=reason)

    return [checked(recording) for recording in recordings]
