"""Padded batches of frames, with a label for each frame that the probe classifies."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from jfewshot.downstream.batches import by_length, filled_up
from jfewshot.downstream.frames import Frames, padded_size
from jfewshot.downstream.phones.segments import UNLABELLED
from jfewshot.simclr.encoder import EncoderConfig


class Batch(NamedTuple):
    """A batch of utterances."""

    frames: np.ndarray
    """float32 (rows, frames, dim), zero past each length."""
    n_frames: np.ndarray
    """int32 (rows,): number of true frames."""
    labels: np.ndarray
    """int32 (rows, out_frames): number of the class, -1 for frames without one and past the end."""
    rows: np.ndarray
    """int32 (rows,): place in the batch, with which dropout is drawn."""


@dataclasses.dataclass(frozen=True, eq=False)
class LabelledFrames:
    """Frames of all utterances with their labels.

    Attributes:
      frames: frames that the model receives.
      labels: for each utterance, a class for each frame that the model outputs; -1 for no class.
      encoder: the encoder that is trained too, which may output one frame for four.
    """

    frames: Frames
    labels: Sequence[Int[np.ndarray, " _"]]
    encoder: EncoderConfig | None = None

    def n_out(self, n_frames: int) -> int:
        """Number of frames that the model outputs for a number of frames."""
        return n_frames if self.encoder is None else self.encoder.n_frames(n_frames)

    def batch(self, utterances: np.ndarray, size: int) -> Batch:
        """Load some utterances, padded or cut to `size` frames."""
        padded, counts = self.frames.padded(utterances, size)
        labels = np.full((len(utterances), self.n_out(size)), UNLABELLED, np.int32)
        for row, utterance in enumerate(utterances):
            mine = self.labels[utterance][: labels.shape[1]]
            labels[row, : len(mine)] = mine
        return Batch(padded, counts, labels, np.arange(len(utterances), dtype=np.int32))

    def every_batch(self, utterances: np.ndarray, rows: int) -> Iterator[tuple[np.ndarray, Batch]]:
        """Yield every utterance once, in batches of similar length; the last batch is filled up with empty rows.

        Args:
          utterances: numbers of the utterances to yield.
          rows: rows of each batch.

        Yields:
          the utterances' numbers, and the batch: its first rows belong to these utterances.
        """
        for part in by_length(self.frames.n_frames, utterances, rows):
            batch = self.batch(part, padded_size(int(self.frames.n_frames[part].max())))
            yield part, filled_up(batch, rows, {"labels": UNLABELLED})
