"""Repeated splits of a dataset's clips: some are held out throughout, the others may be labelled, in a random order."""

import math
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Int

from jfewshot.errors import UserError
from jfewshot.randomness import random_pairs, stream_key
from jfewshot.store.clips import ClipTable


class Splits(NamedTuple):
    """Splits of the same clips. Rows are padded with clip 0 to one length.

    Attributes:
      pool: clips that may be labelled, in a random order, by repetition.
      in_pool: which entries of `pool` are not padding.
      held_out: clips on which accuracy is measured, by repetition.
      in_held_out: which entries of `held_out` are not padding.
    """

    pool: Int[np.ndarray, "repeats n_pool"]
    in_pool: Bool[np.ndarray, "repeats n_pool"]
    held_out: Int[np.ndarray, "repeats n_held_out"]
    in_held_out: Bool[np.ndarray, "repeats n_held_out"]


def split_repeatedly(
    clips: ClipTable, repeats: int, share: float, seed: int, group_aware: bool, dataset: str
) -> Splits:
    """Hold out whole groups, drawn in a random order, until their clips are the given share of all labelled clips.

    The splits depend on the seed and the clip table alone, so that all encoders get the same ones.

    Args:
      clips: the clip table; clips without a class take no part.
      repeats: how many splits.
      share: of the clips to hold out.
      seed: of the random numbers.
      group_aware: whether clips of one group stay together; clips without a group are groups of their own.
      dataset: its name, for messages.

    Returns:
      the splits.

    Raises:
      UserError: if all clips of a class are of one group, so that the class could never be both labelled and asked for.
    """
    labelled = np.flatnonzero(clips.class_number >= 0)
    unit = np.arange(len(labelled))
    if group_aware:
        unit = np.unique(clips.group_number[labelled], return_inverse=True)[1].reshape(-1)
        pairs = np.unique(np.stack([clips.class_number[labelled], unit]), axis=1)
        single = np.flatnonzero(np.bincount(pairs[0], minlength=len(clips.classes)) == 1)
        if len(single):
            raise UserError(
                f"{dataset}: all clips of class '{clips.classes[single[0]]}' are of one group, so the class cannot be held out "
                "and labelled at once; pass --no-group-aware, or take other groups"
            )
    n_units, n = int(unit.max()) + 1, len(labelled)
    key = stream_key(seed, clips.digest, "active labels")
    episode = np.repeat(np.arange(repeats, dtype=np.uint32), n_units + n)
    number = np.tile(np.arange(n_units + n, dtype=np.uint32), repeats)
    words = np.asarray(random_pairs(*map(jnp.asarray, (key, episode, number)))[0]).reshape(repeats, n_units + n)
    sizes = np.bincount(unit, minlength=n_units)
    wanted = min(max(math.ceil(share * n), 1), n - 1)
    pools, held = [], []
    for own in words:
        order = np.argsort(own[:n_units], kind="stable")
        n_held = int(np.searchsorted(np.cumsum(sizes[order]), wanted)) + 1
        is_held = np.isin(unit, order[:n_held])
        by_chance = np.argsort(own[n_units:], kind="stable")
        pools.append(labelled[by_chance[~is_held[by_chance]]])
        held.append(labelled[is_held])
    return Splits(*_padded(pools), *_padded(held))


def _padded(rows: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    longest = max(map(len, rows))
    inside = np.arange(longest)[None] < np.array([len(row) for row in rows])[:, None]
    padded = np.zeros(inside.shape, np.int32)
    padded[inside] = np.concatenate(rows)
    return padded, inside
