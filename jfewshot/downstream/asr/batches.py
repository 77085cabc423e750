"""Padded batches of waves or frames, with transcripts."""

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from jfewshot.audio import read_audio
from jfewshot.downstream.batches import by_length, filled_up
from jfewshot.downstream.frames import Frames, padded_size


class Batch(NamedTuple):
    """A batch of utterances."""

    signal: np.ndarray
    """float32: waves (rows, samples), or frames (rows, frames, dim); zero past each length."""
    lengths: np.ndarray
    """int32 (rows,): number of true samples or frames."""
    units: np.ndarray
    """int32 (rows, longest): units of the transcripts, zero past their ends."""
    n_units: np.ndarray
    """int32 (rows,): number of units of each transcript."""
    rows: np.ndarray
    """int32 (rows,): place in the batch, with which augmentation and dropout are drawn."""


@dataclasses.dataclass(frozen=True, eq=False)
class FrameSignals:
    """Frames that were computed before training.

    Attributes:
      frames: frames of some utterances.
      place: for each utterance of the dataset, its number among `frames`; -1 if it has no frames.
    """

    frames: Frames
    place: Int[np.ndarray, " n"]

    @property
    def lengths(self) -> np.ndarray:
        """Number of frames of each utterance; 0 if it has no frames."""
        return np.where(self.place >= 0, self.frames.n_frames[self.place], 0)

    def load(self, utterances: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
        """Frames of some utterances, padded to `size`, and the number of true frames of each."""
        return self.frames.padded(self.place[utterances], size)

    def round_up(self, length: float | int | np.number) -> int:
        """Round a number of frames up as `padded_size` does."""
        return padded_size(length)


@dataclasses.dataclass(frozen=True, eq=False)
class WaveSignals:
    """Audio files, which are decoded when a batch needs these.

    Attributes:
      paths: audio file of each utterance.
      samples: number of samples of each utterance, from the header of its file.
      sample_rate: sample rate in Hz to which audio is resampled.
    """

    paths: Sequence[Path]
    samples: Int[np.ndarray, " n"]
    sample_rate: int

    @property
    def lengths(self) -> np.ndarray:
        """Number of samples of each utterance."""
        return self.samples

    def load(self, utterances: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
        """Waves of some utterances, padded to `size`, and the number of true samples of each."""
        waves, lengths = np.zeros((len(utterances), size), np.float32), np.zeros(len(utterances), np.int32)
        for row, utterance in enumerate(utterances):
            # A file may have a few samples more than its header says; the bucket has no room for more.
            wave = read_audio(self.paths[utterance], self.sample_rate)[:size]
            waves[row, : len(wave)], lengths[row] = wave, len(wave)
        return waves, lengths

    def round_up(self, length: float | int | np.number) -> int:
        """Round a number of samples up to a number of tenths of a second that `padded_size` gives."""
        tenth = self.sample_rate // 10
        return padded_size(np.ceil(length / tenth)) * tenth


Signals = FrameSignals | WaveSignals


@dataclasses.dataclass(frozen=True, eq=False)
class Transcripts:
    """The transcript of each utterance as numbers of units."""

    units: Sequence[Sequence[int]]

    @property
    def lengths(self) -> np.ndarray:
        """Number of units of each transcript."""
        return np.array([len(each) for each in self.units], np.int64)

    def padded(self, utterances: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
        """Transcripts of some utterances, padded with zeros to `size`, and the number of units of each."""
        rows, lengths = np.zeros((len(utterances), size), np.int32), np.zeros(len(utterances), np.int32)
        for row, utterance in enumerate(utterances):
            mine = self.units[utterance]
            rows[row, : len(mine)], lengths[row] = mine, len(mine)
        return rows, lengths


def longest_by_size(sizes: Sequence[int], lengths: np.ndarray, units: np.ndarray, of: np.ndarray) -> dict[int, int]:
    """Choose a padded size of the transcripts for each padded size of the signals.

    Every utterance that fits the size of the signals has a transcript that fits the size of the transcripts.

    Args:
      sizes: padded sizes of the signals, ascending.
      lengths: length of every utterance's signal.
      units: number of units of every utterance's transcript.
      of: numbers of the utterances that occur.

    Returns:
      from a padded size of the signals to the padded number of units.
    """
    return {size: _eights(max([units[each] for each in of if lengths[each] <= size], default=1)) for size in sizes}


def _eights(n: int | np.integer) -> int:
    return -(-int(n) // 8) * 8


def make_batch(signals: Signals, transcripts: Transcripts, utterances: np.ndarray, size: int, longest: int) -> Batch:
    """Load some utterances as one padded batch.

    Args:
      signals: waves or frames of all utterances.
      transcripts: units of all utterances.
      utterances: numbers of the utterances in the batch.
      size: padded length of the signals, in samples or frames.
      longest: padded number of units of the transcripts.

    Returns:
      the batch, one row for each utterance.
    """
    signal, lengths = signals.load(utterances, size)
    units, n_units = transcripts.padded(utterances, longest)
    return Batch(signal, lengths, units, n_units, np.arange(len(utterances), dtype=np.int32))


def every_batch(
    signals: Signals, transcripts: Transcripts, utterances: np.ndarray, rows: int
) -> Iterator[tuple[np.ndarray, Batch]]:
    """Yield every utterance once, in batches of similar length; the last batch is filled up with empty rows.

    Args:
      signals: waves or frames of all utterances.
      transcripts: units of all utterances.
      utterances: numbers of the utterances to yield.
      rows: rows of each batch.

    Yields:
      the utterances' numbers, and the batch: its first rows belong to these utterances.
    """
    lengths, units = signals.lengths, transcripts.lengths
    sizes = sorted({signals.round_up(lengths[each]) for each in utterances})
    longest = longest_by_size(sizes, lengths, units, utterances)
    for part in by_length(lengths, utterances, rows):
        size = signals.round_up(lengths[part].max())
        yield part, filled_up(make_batch(signals, transcripts, part, size, longest[size]), rows)
