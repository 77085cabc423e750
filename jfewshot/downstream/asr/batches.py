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
    """Some utterances."""

    signal: np.ndarray
    """float32: waves (rows, samples), or frames (rows, frames, dim); zero past each length."""
    lengths: np.ndarray
    """int32 (rows,)."""
    units: np.ndarray
    """int32 (rows, longest): the transcripts, zero past their ends."""
    n_units: np.ndarray
    """int32 (rows,)."""
    rows: np.ndarray
    """int32 (rows,): place in the batch, from which augmentation and dropout are drawn."""


@dataclasses.dataclass(frozen=True, eq=False)
class FrameSignals:
    """Frames that were computed before.

    Attributes:
      frames: of some utterances.
      place: for each utterance of the dataset, which of them; -1 where there are none.
    """

    frames: Frames
    place: Int[np.ndarray, " n"]

    @property
    def lengths(self) -> np.ndarray:
        """Frames of each utterance; 0 where there are none."""
        return np.where(self.place >= 0, self.frames.n_frames[self.place], 0)

    def load(self, utterances: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
        """Padded to `size`, and the true numbers."""
        return self.frames.padded(self.place[utterances], size)

    def round_up(self, length: float | int | np.number) -> int:
        """See `padded_size`."""
        return padded_size(length)


@dataclasses.dataclass(frozen=True, eq=False)
class WaveSignals:
    """Audio files, decoded when they are asked for.

    Attributes:
      paths: of all utterances.
      samples: by their headers.
      sample_rate: Hz.
    """

    paths: Sequence[Path]
    samples: Int[np.ndarray, " n"]
    sample_rate: int

    @property
    def lengths(self) -> np.ndarray:
        """Samples of each utterance."""
        return self.samples

    def load(self, utterances: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
        """Padded to `size`, and the true lengths."""
        waves, lengths = np.zeros((len(utterances), size), np.float32), np.zeros(len(utterances), np.int32)
        for row, utterance in enumerate(utterances):
            # A header may promise a few samples fewer than there are: never more than the bucket holds.
            wave = read_audio(self.paths[utterance], self.sample_rate)[:size]
            waves[row, : len(wave)], lengths[row] = wave, len(wave)
        return waves, lengths

    def round_up(self, length: float | int | np.number) -> int:
        """To a tenth of a second, on the grid of `padded_size`."""
        tenth = self.sample_rate // 10
        return padded_size(np.ceil(length / tenth)) * tenth


Signals = FrameSignals | WaveSignals


@dataclasses.dataclass(frozen=True, eq=False)
class Transcripts:
    """Numbers of every utterance's units."""

    units: Sequence[Sequence[int]]

    @property
    def lengths(self) -> np.ndarray:
        """Units of each."""
        return np.array([len(each) for each in self.units], np.int64)

    def padded(self, utterances: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
        """Some of them, and their true lengths."""
        rows, lengths = np.zeros((len(utterances), size), np.int32), np.zeros(len(utterances), np.int32)
        for row, utterance in enumerate(utterances):
            mine = self.units[utterance]
            rows[row, : len(mine)], lengths[row] = mine, len(mine)
        return rows, lengths


def longest_by_size(sizes: Sequence[int], lengths: np.ndarray, units: np.ndarray, of: np.ndarray) -> dict[int, int]:
    """For each padded size of the signals, choose a padded size of the transcripts.

    The size of the transcripts holds the transcript of every utterance that fits the size of the signals.

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
