"""Which utterances make up step n, and which piece of each: pure functions of seed and step."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jfewshot.errors import UserError
from jfewshot.simclr.data.manifest import Utterance


class Batch(NamedTuple):
    """One step's utterances (or, with several processes, this process's rows of them)."""

    waves: np.ndarray
    """float32 (rows, samples), zero past each length."""
    lengths: np.ndarray
    """int32 (rows,)."""
    rows: np.ndarray
    """int32 (rows,): place within the whole batch, from which views and dropout are drawn."""
    speakers: np.ndarray
    """int32 (rows,): number of the speaker whose statistics normalise; 0 with global ones."""


class BatchPlan:
    """Epochs of batches in length buckets.

    Within an epoch, utterances are shuffled, sorted into buckets by padded size, and cut into full batches; what does
    not fill a batch moves up into the next larger bucket, and what is left of the largest waits for another epoch.
    Then the batches are shuffled. How many there are depends on the durations alone, so step n of a run is batch n
    mod n_batches of epoch n div n_batches.

    Args:
      utterances: in a fixed order.
      batch: utterances per step.
      crop_samples: longest piece.
      buckets: padded sizes; at most so many.
      sample_rate: Hz.
      seed: of everything random.

    Raises:
      UserError: fewer utterances than a batch.
    """

    def __init__(
        self, utterances: Sequence[Utterance], batch: int, crop_samples: int, buckets: int, sample_rate: int, seed: int
    ):
        if len(utterances) < batch:
            raise UserError(
                f"{len(utterances)} utterances do not fill a batch of {batch}: lower --batch, or give more speech"
            )
        self.utterances, self.batch, self.seed = utterances, batch, seed
        self.sample_rate, self.crop_samples = sample_rate, crop_samples
        seconds = np.array([utterance.duration_s for utterance in utterances])
        lengths = np.minimum(np.ceil(seconds * sample_rate), crop_samples)
        # Sizes with about equally many utterances below each, rounded up to a tenth of a second.
        step = sample_rate // 10
        edges = np.quantile(lengths, np.arange(1, buckets + 1) / buckets)
        self.sizes = sorted({min(math.ceil(edge / step) * step, crop_samples) for edge in edges})
        self.bucket = np.searchsorted(self.sizes, lengths)
        counts = np.bincount(self.bucket, minlength=len(self.sizes))
        self._latest: tuple[int, list] = (-1, [])
        self.n_batches = int(sum(self._full_batches(counts)))

    def _full_batches(self, counts: np.ndarray) -> list[int]:
        full, carried = [], 0
        for count in counts:
            full.append(int(count + carried) // self.batch)
            carried = int(count + carried) % self.batch
        return full

    def epoch(self, number: int) -> list[tuple[int, np.ndarray]]:
        """All batches of an epoch: (padded samples, indices of utterances)."""
        rng = np.random.default_rng([self.seed, 2, number])
        order = rng.permutation(len(self.utterances))
        batches, carried = [], np.zeros(0, int)
        for bucket, size in enumerate(self.sizes):
            # Those carried up go first, so that nobody is left out twice in an epoch.
            members = np.concatenate([carried, order[self.bucket[order] == bucket]])
            n_full = len(members) // self.batch
            batches += [(size, part) for part in members[: n_full * self.batch].reshape(n_full, self.batch)]
            carried = members[n_full * self.batch :]
        return [batches[place] for place in rng.permutation(len(batches))]

    def step(self, number: int) -> tuple[int, np.ndarray]:
        """Batch of step `number`, counted from 0."""
        epoch, place = divmod(number, self.n_batches)
        latest, batches = self._latest
        if latest != epoch:
            batches = self.epoch(epoch)
            self._latest = (epoch, batches)
        return batches[place]

    def names(self, step: int) -> list[str]:
        """What the utterances of a step are called."""
        return [self.utterances[index].name for index in self.step(step)[1]]

    def crop_start(self, step: int, row: int, samples: int) -> int:
        """Where the piece of a longer utterance begins."""
        if samples <= self.crop_samples:
            return 0
        return int(np.random.default_rng([self.seed, 3, step, row]).integers(samples - self.crop_samples + 1))
