"""Stretches of speech with a phone each, and the label of a frame: the phone in whose stretch the middle of the frame lies.

All times are in samples at 16,000 Hz, counted from the utterance's first sample, as in TIMIT's .PHN files. A stretch holds the
instants t with begin <= t < end. An instant between two stretches, before the first or after the last one has no label.
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from jfewshot.downstream.frames import Frames
from jfewshot.errors import UserError

RATE = 16_000
"""Samples per second of all times in this package."""
UNLABELLED = -1
"""In place of a class's number, for frames that are neither trained on nor scored."""
# Kaldi's frames: 25 ms every 10 ms, so that the middle of frame k is sample 200 + 160 k.
_FIRST, _HOP = 200.0, 160.0
# A day: a damaged number must not ask for memory without end.
_LONGEST = 86_400.0 * RATE


@dataclasses.dataclass(frozen=True, eq=False)
class Segments:
    """The labelled stretches of one utterance, by their beginnings.

    Attributes:
      begin, end: in samples at 16,000 Hz; the end is the first sample that no longer belongs to the stretch.
      phones: the label of each stretch, as it is in the file.
    """

    begin: Float[np.ndarray, " n"]
    end: Float[np.ndarray, " n"]
    phones: tuple[str, ...]

    def as_lists(self) -> list[list[float] | list[str]]:
        """For digests."""
        return [self.begin.tolist(), self.end.tolist(), list(self.phones)]

    def labels_at(self, instants: Float[np.ndarray, " m"], numbers: Mapping[str, int]) -> Int[np.ndarray, " m"]:
        """The class at some instants.

        Args:
          instants: in samples at 16,000 Hz, in any order.
          numbers: from a phone to the number of its class; phones that are not there have no class.

        Returns:
          the number of the class at each instant, or `UNLABELLED`. Where stretches overlap, the one that begins last counts.
        """
        classes = np.array([numbers.get(phone, UNLABELLED) for phone in self.phones], np.int64)
        place = np.searchsorted(self.begin, instants, side="right") - 1
        inside = (place >= 0) & (instants < self.end[place])
        return np.where(inside, classes[place], UNLABELLED)

    def scored_instants(self) -> Float[np.ndarray, " n_scored"]:
        """The instants at which every kind of features is scored: every 10 ms from 12.5 ms on, up to the last stretch's end.

        These are the middles of FBANK's frames. Encoders whose frames are farther apart are asked at the same instants.
        """
        return np.arange(_FIRST, self.end[-1], _HOP)


class FrameTimes(NamedTuple):
    """Where the middles of frames are: frame t's at first + t * hop.

    Attributes:
      first, hop: in samples at 16,000 Hz.
    """

    first: float
    hop: float

    def middles(self, n_frames: int) -> Float[np.ndarray, " n_frames"]:
        """The middle of each frame."""
        return self.first + self.hop * np.arange(n_frames, dtype=np.float64)

    def nearest(self, instants: Float[np.ndarray, " m"], n_frames: int) -> Int[np.ndarray, " m"]:
        """The frame whose middle is nearest to each instant; of two equally near ones the earlier."""
        place = np.ceil((instants - self.first) / self.hop - 0.5)
        return np.clip(place, 0, n_frames - 1).astype(np.int64)


def check_rate(title: str, times: FrameTimes, frames: Frames, ends: Float[np.ndarray, " n"]) -> None:
    """Refuse frames that do not cover their utterances: a wrong distance between frames would shift all labels.

    Args:
      title: the features, for the message.
      times: where their frames are.
      frames: of some utterances.
      ends: last label's end of each, in samples at 16,000 Hz.

    Raises:
      UserError: if the frames of half of the utterances end more than a tenth before or behind the labels.
    """
    covered = float(np.median(frames.n_frames * times.hop / ends))
    if not 0.9 <= covered <= 1.1:
        raise UserError(
            f"{title} has {frames.n_frames.sum() / ends.sum() * RATE:.1f} frames per second of labelled speech, and "
            f"{RATE / times.hop:.1f} are expected: give --frame-hop-ms, or extract whole utterances (--segment whole)"
        )


def read_segments(path: Path) -> Segments:
    """Read a file of lines "begin end phone".

    In a file whose name ends in .phn (in any case), times are samples at 16,000 Hz, as in TIMIT. In any other file they are
    seconds, as in the label tracks of Audacity.

    Raises:
      UserError: naming the line that is no stretch, or that ends before it begins.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is no text in UTF-8; it should have lines of begin, end and phone") from error
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror or error})") from error
    unit = 1.0 if path.suffix.lower() == ".phn" else float(RATE)
    found: list[tuple[float, float, str]] = []
    for number, line in enumerate(lines, 1):
        parts = line.split()
        if not parts:
            continue
        begin, end = (unit * _time(part) for part in [*parts, "", ""][:2])
        if len(parts) != 3 or not 0.0 <= begin < end <= _LONGEST:
            raise UserError(
                f"{path}, line {number}, should be begin, end and phone, with the end behind the begin; it is "
                f"{line.strip()[:60]!r}"
            )
        found.append((begin, end, parts[2].lower()))
    if not found:
        raise UserError(f"{path} has no line of begin, end and phone; copy it again")
    found.sort(key=lambda each: each[0])
    begins, ends, phones = zip(*found, strict=True)
    return Segments(np.array(begins, np.float64), np.array(ends, np.float64), tuple(phones))


def _time(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")
