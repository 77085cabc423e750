"""Cut a wave into segments of equal length."""

import numpy as np
from jaxtyping import Float


def cut_segments(
    wave: Float[np.ndarray, " samples"], segment_samples: int | None, min_tail_samples: int = 1
) -> Float[np.ndarray, "n_segments segment_samples"]:
    """Cut into consecutive segments; a short last one is repeated circularly to full length.

    Args:
      wave: mono samples, at least one.
      segment_samples: length of a segment; None: the whole wave is one segment.
      min_tail_samples: a last segment shorter than this is dropped if there is a full one before it.

    Returns:
      `ceil(samples / segment_samples)` segments, or one less where the tail was dropped.
    """
    if not len(wave):
        raise ValueError("cannot cut a wave without samples")
    if segment_samples is None:
        return wave[None, :]
    n_full, n_left = divmod(len(wave), segment_samples)
    segments = wave[: n_full * segment_samples].reshape(n_full, segment_samples)
    if n_left and (n_left >= min_tail_samples or not n_full):
        # np.resize repeats an array from its start until the length is reached.
        tail = np.resize(wave[n_full * segment_samples :], segment_samples)
        segments = np.concatenate([segments, tail[None, :]])
    return segments
