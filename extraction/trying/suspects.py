"""Find clips that look mislabelled: they are nearly always taken for one other class, and their class is else recognised well."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Integer

_LEAST_TIMES = 20  # number of episodes in which the clip was a test clip
_TAKEN, _RIGHT, _OWN_CLASS = 0.6, 0.25, 0.6
MOST = 20


class Suspect(NamedTuple):
    """A clip that may have a wrong label.

    Attributes:
      clip_id: id of the clip.
      label: the class of its label.
      taken_for: the class that is predicted most often instead.
      taken: share of the episodes with both classes in which this other class is predicted.
      right: share of all episodes with the clip in which its own class is predicted.
      class_right: the same share for all clips of its class.
    """

    clip_id: str
    label: str
    taken_for: str
    taken: float
    right: float
    class_right: float


def find_suspects(
    predicted: Integer[np.ndarray, "n_episodes n_queries"], draws: Mapping[str, np.ndarray], protocol: Mapping[str, Any]
) -> list[Suspect]:
    """Find the clips that are hardly ever right and nearly always taken for one other class.

    Args:
      predicted: the predicted slot of each query; queries are ordered by class.
      draws: the clips that the episodes drew, in the form of a result folder.
      protocol: protocol of the record.

    Returns:
      the clips, the clearest first.
    """
    n_way, k_shot = protocol["n_way"], protocol["k_shot"]
    names, class_of_clip = np.unique(draws["class"], return_inverse=True)
    clips = draws["clips"].astype(np.int64)
    n_query = clips.shape[2] - k_shot
    queries = clips[:, :, k_shot:].reshape(len(clips), -1)
    slot_class = class_of_clip[clips[:, :, 0]]
    given = np.take_along_axis(slot_class, predicted.astype(np.int64), axis=1)
    n_clips, n_classes = len(class_of_clip), len(names)
    counts = np.bincount((queries * n_classes + given).ravel(), minlength=n_clips * n_classes).reshape(
        n_clips, n_classes
    )
    together = np.zeros((n_clips, n_classes), dtype=np.int64)
    for slot in range(n_way):
        other = np.repeat(slot_class[:, slot], n_way * n_query)
        together += np.bincount(queries.ravel() * n_classes + other, minlength=n_clips * n_classes).reshape(
            n_clips, n_classes
        )
    times = counts.sum(axis=1)
    own = counts[np.arange(n_clips), class_of_clip]
    right = own / np.maximum(times, 1)
    class_right = np.bincount(class_of_clip, own, n_classes) / np.maximum(
        np.bincount(class_of_clip, times, n_classes), 1
    )
    taken = counts / np.maximum(together, 1)
    taken[together < _LEAST_TIMES // 4] = 0.0
    taken[np.arange(n_clips), class_of_clip] = 0.0
    most = taken.argmax(axis=1)
    share = taken.max(axis=1)
    sure = (times >= _LEAST_TIMES) & (share >= _TAKEN) & (right <= _RIGHT) & (class_right[class_of_clip] >= _OWN_CLASS)
    order = sorted(np.flatnonzero(sure).tolist(), key=lambda clip: (-share[clip], right[clip]))
    return [
        Suspect(
            str(draws["clip_id"][clip]),
            str(names[class_of_clip[clip]]),
            str(names[most[clip]]),
            float(share[clip]),
            float(right[clip]),
            float(class_right[class_of_clip[clip]]),
        )
        for clip in order
    ]


def agreed(found: Sequence[Sequence[Suspect]]) -> list[Suspect]:
    """Find clips that more than half of the encoders, and at least two if there are two, take for the same other class.

    Args:
      found: for each encoder, its suspects.

    Returns:
      at most `MOST` clips, the clearest first, with the shares of the encoder that is surest.
    """
    votes: dict[tuple[str, str], list[Suspect]] = {}
    for own in found:
        for one in own:
            votes.setdefault((one.clip_id, one.taken_for), []).append(one)
    needed = min(max(len(found) // 2 + 1, 2), len(found))
    kept = [max(own, key=lambda one: one.taken) for own in votes.values() if len(own) >= needed]
    return sorted(kept, key=lambda one: (-one.taken, one.right, one.clip_id))[:MOST]


def confused(confusion: np.ndarray, names: Sequence[str], at_most: int = 3) -> list[tuple[str, str, float]]:
    """Find the classes that are confused most often.

    Args:
      confusion: share of the queries of one class (row) that are given to another class (column), in episodes with both
          classes; NaN if there are no such episodes.
      names: names of the classes.
      at_most: largest number of pairs.

    Returns:
      for each pair: the class, the class for which it is taken, and the share. Shares below 5% are left out.
    """
    others = np.where(np.eye(len(names), dtype=bool), 0.0, np.nan_to_num(confusion))
    order = np.argsort(-others.ravel(), kind="stable")[:at_most]
    pairs = [(int(place) // len(names), int(place) % len(names)) for place in order]
    return [
        (names[row], names[column], float(others[row, column])) for row, column in pairs if others[row, column] >= 0.05
    ]
