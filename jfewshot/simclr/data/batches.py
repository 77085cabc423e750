"""Which utterances make up step n, and which piece of each: pure functions of seed and step."""

import logging
import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import jax
import numpy as np

from jfewshot.errors import UserError
from jfewshot.simclr.data.manifest import Utterance
from jfewshot.training.groups import EqualGroups
from jfewshot.training.plan import LengthBuckets

log = logging.getLogger(__name__)

_NAMED = 10


class Batch(NamedTuple):
    """The utterances of one step; with several processes, the rows of this process. On the device, the arrays are JAX arrays."""

    waves: np.ndarray | jax.Array
    """float32 (rows, samples), zero past each length; (rows, 2, samples) if each view has its own piece."""
    lengths: np.ndarray | jax.Array
    """int32 (rows,) or (rows, 2): number of true samples."""
    rows: np.ndarray | jax.Array
    """int32 (rows,): place within the whole batch, with which views and dropout are drawn."""
    speakers: np.ndarray | jax.Array
    """int32 (rows,): number of the speaker whose statistics normalise the row; 0 with global statistics."""


class BatchPlan(LengthBuckets):
    """Divides utterances into batches of similar length, epoch by epoch; see `LengthBuckets`.

    Args:
      utterances: utterances in a fixed order.
      batch: utterances per step.
      crop_samples: number of samples of the longest piece.
      buckets: largest number of padded sizes.
      sample_rate: sample rate in Hz.
      seed: seed of all random choices.
      speakers_per_batch: number of speakers in every batch, with equally many utterances of each; None for any speakers.
      pieces: number of random pieces of each utterance; 2 gives each view a piece of its own.

    Raises:
      UserError: if there are fewer utterances than a batch. With `speakers_per_batch`, also if some speakers are not known, the
        batch does not divide among the speakers, or too few speakers have enough utterances.
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
        pieces: int = 1,
    ):
        self.utterances, self.sample_rate, self.crop_samples = utterances, sample_rate, crop_samples
        self.pieces = pieces
        seconds = np.array([utterance.duration_s for utterance in utterances])
        tenth = sample_rate // 10
        by_speakers = None if speakers_per_batch is None else _by_speakers(utterances, speakers_per_batch, batch)
        super().__init__(
            seconds * sample_rate,
            batch,
            crop_samples,
            buckets,
            lambda samples: math.ceil(samples / tenth) * tenth,
            seed,
            by_groups=by_speakers,
        )
        if by_speakers is not None:
            self._check_speakers(by_speakers)

    def names(self, step: int) -> list[str]:
        """The names of the utterances of a step."""
        return [self.utterances[index].name for index in self.step(step)[1]]

    def _check_speakers(self, by_speakers: EqualGroups) -> None:
        counts = by_speakers.counts(np.arange(len(self.utterances)))
        names = sorted({utterance.speaker for utterance in self.utterances})
        if not self.n_batches:
            enough = int(np.sum(counts >= by_speakers.share))
            raise UserError(
                f"--data.speakers-per-batch {by_speakers.per_batch}: a batch of {self.batch} needs {by_speakers.share} "
                f"utterances of similar length of each, which {enough} of {len(names)} speakers have; lower --batch or "
                "--data.buckets"
            )
        few = [f"{name} ({count})" for name, count in zip(names, counts, strict=True) if count < by_speakers.share]
        if few:
            log.warning(
                "%d of %d speakers have fewer than the %d utterances that a batch takes of each, and are not used: %s%s",
                len(few),
                len(names),
                by_speakers.share,
                ", ".join(few[:_NAMED]),
                " ..." * (len(few) > _NAMED),
            )
        used = self.n_batches * self.batch
        log.info("%d of %d utterances are used in an epoch, others in each", used, len(self.utterances))

    def substitutes(self, step: int, row: int, index: int) -> Iterator[int]:
        """List utterances that may replace one that cannot be decoded, in the order in which these are tried.

        Substitutes have similar lengths. If batches have a fixed number of speakers, utterances of the same speaker come first.
        Utterances of the batch itself come last, since the batch would then contain one twice. If there are enough utterances,
        two rows of a batch have no substitute in common.

        Args:
          step: number of the training step, counted from 0.
          row: place of the utterance in the batch of that step.
          index: index of the utterance that cannot be decoded.

        Returns:
          indices of the substitutes.
        """
        similar, members = np.flatnonzero(self.bucket == self.bucket[index]), self.step(step)[1]
        others = np.random.default_rng([self.seed, 5, step]).permutation(np.setdiff1d(similar, members))
        order = np.concatenate([others[row :: self.batch], np.delete(others, np.s_[row :: self.batch])])
        if self.by_groups is not None:
            speakers = self.by_groups.groups
            order = order[np.argsort(speakers[order] != speakers[index], kind="stable")]
        return map(int, [*order, *np.intersect1d(similar, members)])

    def crop_start(self, step: int, row: int, samples: int, piece: int = 0) -> int:
        """Draw where the piece of an utterance begins that a step uses.

        Args:
          step: number of the training step, counted from 0.
          row: place of the utterance in the batch of that step.
          samples: length of the utterance in samples.
          piece: number of the piece, from 0; each piece is drawn independently.

        Returns:
          the first sample of the piece; 0 for an utterance of at most `crop_samples` samples.
        """
        if samples <= self.crop_samples:
            return 0
        draw = [self.seed, 3, step, row, *([piece] * (piece > 0))]
        return int(np.random.default_rng(draw).integers(samples - self.crop_samples + 1))


def _by_speakers(utterances: Sequence[Utterance], speakers_per_batch: int, batch: int) -> EqualGroups:
    asked = f"--data.speakers-per-batch {speakers_per_batch}"
    if not 1 <= speakers_per_batch <= batch:
        raise UserError(f"{asked}: needs 1 to --batch ({batch})")
    if batch % speakers_per_batch:
        raise UserError(f"{asked}: --batch {batch} does not divide among the speakers; give a multiple")
    speakers = [utterance.speaker for utterance in utterances]
    unknown = speakers.count("")
    if unknown:
        raise UserError(
            f"{asked} needs to know who speaks, and {unknown} of {len(speakers)} utterances have no speaker: give a manifest "
            "with a column 'speaker', or leave the option out"
        )
    return EqualGroups(np.unique(speakers, return_inverse=True)[1], speakers_per_batch, batch)
