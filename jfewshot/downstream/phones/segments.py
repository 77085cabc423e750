"""Stretches of speech that each have a phone. A frame gets the phone of the stretch that contains the middle of the frame.

All times are in samples at 16,000 Hz, counted from the utterance's first sample, as in TIMIT's .PHN files. A stretch contains
the instants t with begin <= t < end. An instant outside all stretches has no label.
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
"""Stands in place of a class's number for frames that are neither trained on nor scored."""
# Kaldi's frames are 25 ms long and 10 ms apart, so the middle of frame k is sample 200 + 160 k.
_FIRST, _HOP = 200.0, 160.0
# One day. This limits the memory that a damaged number could demand.
_LONGEST = 86_400.0 * RATE


@dataclasses.dataclass(frozen=True, eq=False)
class Segments:
    """The labelled stretches of one utterance, in the order of their beginnings.

    Attributes:
      begin, end: samples at 16,000 Hz; the end is the first sample after the stretch.
      phones: the label of each stretch, as it is in the file.
    """

    begin: Float[np.ndarray, " n"]
    end: Float[np.ndarray, " n"]
    phones: tuple[str, ...]

    def as_lists(self) -> list[list[float] | list[str]]:
        """Begins, ends and phones as lists, for digests."""
        return [self.begin.tolist(), self.end.tolist(), list(self.phones)]

    def labels_at(self, instants: Float[np.ndarray, " m"], numbers: Mapping[str, int]) -> Int[np.ndarray, " m"]:
        """Look up the class at some instants.

        Args:
          instants: samples at 16,000 Hz, in any order.
          numbers: from a phone to the number of its class; other phones have no class.

        Returns:
          the number of the class at each instant, or `UNLABELLED`. Where stretches overlap, the one that begins last counts.
        """
        classes = np.array([numbers.get(phone, UNLABELLED) for phone in self.phones], np.int64)
        place = np.searchsorted(self.begin, instants, side="right") - 1
        inside = (place >= 0) & (instants < self.end[place])
        return np.where(inside, classes[place], UNLABELLED)

    def scored_instants(self) -> Float[np.ndarray, " n_scored"]:
        """The instants at which all kinds of features are scored: every 10 ms from 12.5 ms to the end of the last stretch.

        These are the middles of FBANK frames. Encoders whose frames are farther apart are scored at the same instants.
        """
        return np.arange(_FIRST, self.end[-1], _HOP)


class FrameTimes(NamedTuple):
    """The times of frames: the middle of frame t is at first + t * hop.

    Attributes:
      first, hop: middle of the first frame, and distance of frames, in samples at 16,000 Hz.
    """

    first: float
    hop: float

    def middles(self, n_frames: int) -> Float[np.ndarray, " n_frames"]:
        """The middle of each frame."""
        return self.first + self.hop * np.arange(n_frames, dtype=np.float64)

    def nearest(self, instants: Float[np.ndarray, " m"], n_frames: int) -> Int[np.ndarray, " m"]:
        """The frame whose middle is nearest to each instant; of two equally near frames the earlier."""
        place = np.ceil((instants - self.first) / self.hop - 0.5)
        return np.clip(place, 0, n_frames - 1).astype(np.int64)


def check_rate(title: str, times: FrameTimes, frames: Frames, ends: Float[np.ndarray, " n"]) -> None:
    """Refuse frames that do not cover their utterances, since a wrong distance between frames would shift all labels.

    Args:
      title: name of the features, for the message.
      times: times of the frames.
      frames: frames of some utterances.
      ends: end of the last label of each utterance, in samples at 16,000 Hz.

    Raises:
      UserError: if the frames of the median utterance end more than a tenth before or after its labels.
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
      UserError: if a line is no stretch, or ends before it begins; the message gives the line.
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
                f"{path}, line {number}, should be begin, end and phone, with the end after the begin; it is "
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
