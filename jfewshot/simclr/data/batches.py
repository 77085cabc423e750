"""Which utterances make up step n, and which piece of each: pure functions of seed and step."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import jax
import numpy as np

from jfewshot.errors import UserError
from jfewshot.simclr.data.manifest import Utterance
from jfewshot.training.plan import LengthBuckets


class Batch(NamedTuple):
    """One step's utterances (or, with several processes, this process's rows of them); on the device, JAX's arrays."""

    waves: np.ndarray | jax.Array
    """float32 (rows, samples), zero past each length."""
    lengths: np.ndarray | jax.Array
    """int32 (rows,)."""
    rows: np.ndarray | jax.Array
    """int32 (rows,): place within the whole batch, from which views and dropout are drawn."""
    speakers: np.ndarray | jax.Array
    """int32 (rows,): number of the speaker whose statistics normalise; 0 with global ones."""


class BatchPlan(LengthBuckets):
    """Epochs of batches of utterances; see `LengthBuckets`.

    Args:
      utterances: in a fixed order.
      batch: utterances per step.
      crop_samples: longest piece.
      buckets: padded sizes; at most so many.
      sample_rate: Hz.
      seed: of everything random.
      speakers_per_batch: fill a batch from so many speakers, where they have enough utterances; None: from all.

    Raises:
      UserError: fewer utterances than a batch; speakers asked for where none is known, or more than a batch holds.
    """

    def __init__(
        self,
        utterances: Sequence[Utterance],
        batch: int,
        crop_samples: int,
        buckets: int,
        sample_rate: int,
        seed: int,
        speakers_per_batch: int | None = None,
    ):
        self.utterances, self.sample_rate, self.crop_samples = utterances, sample_rate, crop_samples
        seconds = np.array([utterance.duration_s for utterance in utterances])
        tenth = sample_rate // 10
        groups, together = None, 1
        if speakers_per_batch is not None:
            if not 1 <= speakers_per_batch <= batch:
                raise UserError(f"--data.speakers-per-batch {speakers_per_batch}: needs 1 to --batch ({batch})")
            speakers = [utterance.speaker for utterance in utterances]
            if not any(speakers):
                raise UserError(
                    "--data.speakers-per-batch needs to know who speaks: give a manifest with a column 'speaker', or leave it out"
                )
            groups, together = np.unique(speakers, return_inverse=True)[1], batch // speakers_per_batch
        super().__init__(
            seconds * sample_rate,
            batch,
            crop_samples,
            buckets,
            lambda samples: math.ceil(samples / tenth) * tenth,
            seed,
            groups=groups,
            together=together,
        )

    def names(self, step: int) -> list[str]:
        """What the utterances of a step are called."""
        return [self.utterances[index].name for index in self.step(step)[1]]

    def crop_start(self, step: int, row: int, samples: int) -> int:
        """Where the piece of an utterance begins that is used in a step.

        Args:
          step: number of the training step, counted from 0.
          row: place of the utterance in the batch of that step.
          samples: length of the utterance in samples.

        Returns:
          the first sample of the piece; 0 for an utterance of at most `crop_samples` samples.
        """
        if samples <= self.crop_samples:
            return 0
        return int(np.random.default_rng([self.seed, 3, step, row]).integers(samples - self.crop_samples + 1))
