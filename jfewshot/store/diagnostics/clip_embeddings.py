"""One embedding for each clip, and a sample of clips from a large store."""

import numpy as np
from jaxtyping import Bool, Float, Int

from jfewshot.store.clips import ClipTable
from jfewshot.store.moments import digests_of_clips

_CLIPS_AT_ONCE = 4096


def draw_clips(clips: ClipTable, at_most: int) -> Int[np.ndarray, " drawn"]:
    """Draw clips uniformly, the same ones for every encoder and on every machine.

    The clips whose ids have the smallest digests are drawn (a bottom-k sample), so that a larger sample contains a smaller one.

    Args:
      clips: the table.
      at_most: how many clips are drawn; all clips, if the table has no more.

    Returns:
      indices of clips, ascending.
    """
    if len(clips) <= at_most:
        return np.arange(len(clips))
    return np.sort(np.argsort(digests_of_clips(clips), kind="stable")[:at_most])


def clip_embeddings(
    view: np.ndarray, clips: ClipTable, drawn: Int[np.ndarray, " drawn"]
) -> tuple[Float[np.ndarray, "drawn dim"], Bool[np.ndarray, " drawn"]]:
    """The mean of each clip's segments, scaled to unit length.

    A clip counts once, however long it is. The evaluator's default, `--preprocessing l2`, also scales a segment to unit
    length.

    Args:
      view: segments x dim, as stored.
      clips: the table of clips.
      drawn: indices of the clips.

    Returns:
      float32 embeddings, and which of them have a direction. Embeddings of silence (all zero) and embeddings with a NaN
      or an infinity have no direction, and are zero in the result.
    """
    means = np.zeros((len(drawn), view.shape[1]), np.float32)
    sound = np.zeros(len(drawn), bool)
    for start in range(0, len(drawn), _CLIPS_AT_ONCE):
        some = drawn[start : start + _CLIPS_AT_ONCE]
        rows, starts = clips.rows(some)
        sums = np.add.reduceat(np.asarray(view[rows], np.float64), starts, axis=0)
        norm = np.linalg.norm(sums, axis=1)
        good = np.isfinite(norm) & (norm > 0)
        means[start : start + len(some)][good] = (sums[good] / norm[good, None]).astype(np.float32)
        sound[start : start + len(some)] = good
    return means, sound
