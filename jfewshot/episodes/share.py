"""Divide a dataset without splits, for curves that end with all labels: some groups for queries, the others for supports.

The parts depend on the clip table alone, so all upstreams, seeds and classifiers share them. No group (speaker, recording, site)
is in both parts; a clip without a group is a group of its own.
"""

import hashlib

import numpy as np
from jaxtyping import Bool

from jfewshot.store.clips import ClipTable

QUERIES = 0.25  # smallest share of each class's clips that are queries


def query_part(clips: ClipTable) -> Bool[np.ndarray, "clips"]:
    """Which clips are in the queries' part.

    Groups are sorted by a digest of their name and of the clip table. A group goes to the queries if one of its classes
    has fewer than a quarter of its clips there, and if each of its classes keeps a group for the supports.

    Args:
      clips: the clip table.

    Returns:
      one truth value per clip; False for clips without a class.
    """
    if "query_part" not in clips.memo:
        clips.memo["query_part"] = _query_part(clips)
    return clips.memo["query_part"]


def _query_part(clips: ClipTable) -> Bool[np.ndarray, "clips"]:
    labelled = np.flatnonzero(clips.class_number >= 0)
    _, first, group = np.unique(clips.group_number[labelled], return_index=True, return_inverse=True)
    named = [
        f"group {clips.group[clip]}" if clips.group[clip] else f"clip {clips.clip_id[clip]}" for clip in labelled[first]
    ]
    digests = [hashlib.sha256(f"{clips.digest}/{name}".encode()).digest() for name in named]
    order = sorted(range(len(named)), key=digests.__getitem__)
    sizes = np.zeros((len(named), len(clips.classes)), np.int64)
    np.add.at(sizes, (group, clips.class_number[labelled]), 1)
    wanted, left, taken = sizes.sum(axis=0) * QUERIES, sizes.sum(axis=0), np.zeros(sizes.shape[1], np.int64)
    chosen = np.zeros(len(named), bool)
    for one in order:
        own = sizes[one] > 0
        if (taken[own] < wanted[own]).any() and (left[own] > sizes[one][own]).all():
            chosen[one] = True
            taken += sizes[one]
            left -= sizes[one]
    part = np.zeros(len(clips), bool)
    part[labelled] = chosen[group]
    return part
