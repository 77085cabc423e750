"""Make a class of windows of annotated recordings without any annotation, for detecting whether there is any sound at all."""

import collections
import dataclasses
import hashlib
import logging
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from extraction.datasets.base import Recording
from jfewshot.audio import AudioError, duration_s
from jfewshot.errors import UserError
from jfewshot.printable import counted

logger = logging.getLogger(__name__)

BACKGROUND = "background"
Span = tuple[int, int]  # milliseconds


def add_background(
    annotated: Sequence[Recording], used: Sequence[Recording], root: Path, at_most: int
) -> list[Recording]:
    """Add windows without any annotation, as clips of the class `background`.

    A window is as long as a randomly chosen used stretch, so that the class cannot be recognised by its durations. It overlaps
    with no annotation (whether the annotation's clip is used or left out), with no window around an annotation, and with no other
    window of the class. The random choice depends on the recording's name, its annotations, and the lengths of the used
    stretches.

    Args:
      annotated: stretches as they were annotated. For a recording that was annotated without finding anything, the list has a
        clip without times that is left out.
      used: the same clips in the same order, with the windows that are encoded.
      root: folder of the recordings, for the names of windows.
      at_most: number of windows for each recording; a recording with too little room gets fewer.

    Returns:
      `used`, followed by the new clips.

    Raises:
      UserError: if the number is negative, if no clip is a stretch, if a class already has this name, or if no recording has
        room.
    """
    if at_most < 0:
        raise UserError(f"--background is {at_most}; give the number of windows of each recording, for instance 20")
    lengths = sorted(
        round(1000 * (one.end_s - one.start_s))
        for one in used
        if one.start_s is not None and one.end_s is not None and not one.left_out
    )
    if not lengths:
        raise UserError(
            "--background draws windows between labelled stretches, and no clip here is a stretch of a recording"
        )
    if any(one.label == BACKGROUND for one in used):
        raise UserError(
            f"--background makes a class called '{BACKGROUND}', and there is one already; rename it, or leave the option out"
        )
    of_file: dict[Path, list[tuple[Recording, Recording]]] = collections.defaultdict(list)
    for before, after in zip(annotated, used, strict=True):
        of_file[before.path].append((before, after))
    found: list[Recording] = []
    for path, clips in sorted(of_file.items()):
        if any(before.start_s is None and not before.left_out for before, _ in clips):
            continue  # the whole file is a clip with a class, so it has no room for background
        try:
            held_ms = math.floor(1000 * duration_s(path))
        except AudioError:
            continue  # the decoder reports it
        name = path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name
        taken = [_span(one) for pair in clips for one in pair if one.start_s is not None and one.end_s is not None]
        like = _common([before for before, _ in clips if before.start_s is not None], name, used)
        for start_ms, end_ms in _draw(name, taken, held_ms, lengths, at_most):
            start_s, end_s = start_ms / 1000, end_ms / 1000
            clip_id = f"{name}:{start_s:.10g}-{end_s:.10g}:{BACKGROUND}"
            found.append(dataclasses.replace(like, clip_id=clip_id, path=path, start_s=start_s, end_s=end_s))
    if not found:
        raise UserError(
            f"--background found no room between the annotations of {counted(len(of_file), 'recording')}; the shortest window is "
            f"{lengths[0] / 1000:g} s. Lower --fixed-s or --pad-s, or leave the option out"
        )
    if len(found) < at_most * len(of_file):
        logger.warning(
            "--background: %s of %d contain no annotation; there was no room for more",
            counted(len(found), "window"),
            at_most * len(of_file),
        )
    return [*used, *found]


def _draw(name: str, taken: Sequence[Span], held_ms: int, lengths: Sequence[int], at_most: int) -> list[Span]:
    """Draw windows that do not overlap with occupied stretches. Every start in whole milliseconds is equally likely."""
    generator = np.random.default_rng(list(hashlib.sha256(name.encode()).digest()))
    occupied, windows = list(taken), []
    for _ in range(at_most):
        length = lengths[int(generator.integers(len(lengths)))]
        gaps, end = [], 0
        for begin, stop in [*sorted(occupied), (held_ms, held_ms)]:
            if begin - end >= length:
                gaps.append((end, begin - length - end + 1))  # first start, number of starts
            end = max(end, stop)
        room = sum(count for _, count in gaps)
        chosen = int(generator.integers(max(room, 1)))
        for first, count in gaps:
            if chosen < count:
                occupied.append((first + chosen, first + chosen + length))
                windows.append(occupied[-1])
                break
            chosen -= count
    return sorted(windows)


def _span(one: Recording) -> Span:
    assert one.start_s is not None
    assert one.end_s is not None
    return math.floor(1000 * min(one.start_s, one.end_s)), math.ceil(1000 * max(one.start_s, one.end_s))


def _common(clips: Sequence[Recording], name: str, used: Sequence[Recording]) -> Recording:
    """The background clip of a recording, with group, split and further columns if all its clips share them; else empty."""
    groups, splits = {one.group for one in clips}, {one.split for one in clips}
    columns = list(dict.fromkeys(key for one in used for key, _ in one.further))
    values = [{dict(one.further).get(key, "") for one in clips} for key in columns]
    return Recording(
        clip_id="",
        path=Path(),
        label=BACKGROUND,
        group=groups.pop() if len(groups) == 1 else "" if groups else name,
        split=splits.pop() if len(splits) == 1 else "",
        further=tuple((key, seen.pop() if len(seen) == 1 else "") for key, seen in zip(columns, values, strict=True)),
    )
