"""Padded batches of frames with their labels."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from jfewshot.downstream.batches import by_length, filled_up
from jfewshot.downstream.frames import Frames, padded_size


class Batch(NamedTuple):
    """A batch of utterances."""

    frames: np.ndarray
    """float32 (rows, frames, dim), zero past each length."""
    n_frames: np.ndarray
    """int32 (rows,): number of true frames."""
    labels: np.ndarray
    """int32 (rows,): number of the class."""
    rows: np.ndarray
    """int32 (rows,): place in the batch, with which dropout is drawn."""


def make_batch(frames: Frames, labels: Int[np.ndarray, " n"], utterances: np.ndarray, size: int) -> Batch:
    """Load some utterances as one batch, padded or cut to `size` frames.

    Args:
      frames: frames of all utterances.
      labels: number of each utterance's class.
      utterances: numbers of the utterances in the batch.
      size: padded number of frames.

    Returns:
      the batch, one row for each utterance.
    """
    padded, counts = frames.padded(utterances, size)
    return Batch(padded, counts, labels[utterances].astype(np.int32), np.arange(len(utterances), dtype=np.int32))


def every_batch(
    frames: Frames, labels: Int[np.ndarray, " n"], utterances: Sequence[int] | np.ndarray, rows: int, longest: int
) -> Iterator[tuple[np.ndarray, Batch]]:
    """Yield every utterance once, in batches of similar length; the last batch is filled up with empty rows.

    Args:
      frames: frames of all utterances.
      labels: number of each utterance's class.
      utterances: numbers of the utterances to yield.
      rows: rows of each batch.
      longest: longest utterance in frames; longer utterances are cut.

    Yields:
      the utterances' numbers, and the batch: its first rows belong to these utterances.
    """
    for part in by_length(frames.n_frames, np.asarray(utterances), rows):
        size = min(padded_size(int(frames.n_frames[part].max())), longest)
        yield part, filled_up(make_batch(frames, labels, part, size), rows)
