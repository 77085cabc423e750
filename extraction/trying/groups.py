"""Find parts of file names that seem to be groups: speakers, sites, or recordings that were cut into pieces.

A part of the name that many clips share may be a group, a class, or the number of a take. Groups that matter are audible: two
clips of one class sound more alike if they share the part than if they do not. The share of comparisons in which this holds is
the area under a ROC curve; chance is 0.5. On the sample recordings it is 0.75 to 0.93 for speakers, and 0.43 to 0.56 for the
numbers of takes, texts and folds.
"""

import dataclasses
import re
from collections.abc import Sequence
from pathlib import PurePosixPath

import numpy as np
from jaxtyping import Float

LEAST_AREA = 0.65
_LEAST_PAIRS = 30
_MOST_CLIPS = 1500  # of a class with more clips, only so many random clips are compared
_MOST_PARTS = 8


@dataclasses.dataclass(frozen=True)
class NamedGroups:
    """A part of file names that seems to be a group.

    Attributes:
      part: position of the part in the name, counted from 1.
      n_groups: number of its different values.
      examples: a few values.
      area: how often clips with the same value are more alike than clips with different values; chance is 0.5.
    """

    part: int
    n_groups: int
    examples: tuple[str, ...]
    area: float


def parts_of(clip_id: str) -> list[str]:
    """Split a file's name, without folders and ending, into runs of letters and of digits: `03_anna-b7.wav` -> 03, anna, b, 7.

    Args:
      clip_id: path of the clip, with forward slashes.
    """
    return re.findall(r"[^\W\d_]+|\d+", PurePosixPath(clip_id).stem)


def groups_in_names(
    clip_ids: Sequence[str], labels: Sequence[str], sound: Float[np.ndarray, "n_clips n_numbers"]
) -> NamedGroups | None:
    """Find the part of file names whose values agree most clearly with how alike clips of one class sound.

    Args:
      clip_ids: ids of the clips.
      labels: classes of the clips.
      sound: a description of the sound of each clip; clips that sound alike are close.

    Returns:
      the part; None if no part seems to be a group.
    """
    names = [parts_of(clip_id) for clip_id in clip_ids]
    n_parts = min(min(map(len, names), default=0), _MOST_PARTS)
    scaled = (sound - sound.mean(axis=0)) / np.maximum(sound.std(axis=0), 1e-9)
    found = []
    for place in range(n_parts):
        values = np.array([parts[place] for parts in names])
        seen, counts = np.unique(values, return_counts=True)
        # The mean number of clips with one value is at least two, and no value belongs to nearly all clips.
        if not 2 <= len(seen) <= len(values) / 2 or counts.max() > 0.9 * len(values):
            continue
        area = _area(values, np.array(labels), scaled)
        if area is not None and area >= LEAST_AREA:
            found.append(NamedGroups(place + 1, len(seen), tuple(map(str, seen[:3])), area))
    return max(found, key=lambda one: one.area, default=None)


def _area(values: np.ndarray, labels: np.ndarray, sound: Float[np.ndarray, "n_clips n_numbers"]) -> float | None:
    """How often a pair with the same value is closer than a pair with different values, over pairs within classes."""
    rng = np.random.default_rng(0)
    wins = comparisons = 0.0
    n_same = 0
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        if len(rows) > _MOST_CLIPS:
            rows = np.sort(rng.choice(rows, _MOST_CLIPS, replace=False))
        own = sound[rows]
        squares = (own**2).sum(axis=1)
        distance = squares[:, None] + squares[None, :] - 2 * own @ own.T
        first, second = np.triu_indices(len(rows), 1)
        pairs = distance[first, second]
        same = values[rows][first] == values[rows][second]
        if not same.any() or same.all():
            continue
        apart = np.sort(pairs[~same])
        # Ties count half.
        closer = len(apart) - 0.5 * (
            np.searchsorted(apart, pairs[same], "left") + np.searchsorted(apart, pairs[same], "right")
        )
        wins += closer.sum() / len(apart)
        comparisons += len(closer)
        n_same += int(same.sum())
    return wins / comparisons if n_same >= _LEAST_PAIRS else None
