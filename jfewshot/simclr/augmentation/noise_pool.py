"""Provides any amount of recorded noise in limited memory: a bank of random pieces, which is regularly replaced by another.

MUSAN has 109 hours of noise, music and speech, which do not fit on a device. Bank number n depends only on the seed, on n and on
the recordings, so a continued run gets the same noise as a run that was never interrupted.
"""

import concurrent.futures
import logging
from collections import defaultdict
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from jfewshot.audio import (
    AUDIO_SUFFIXES,
    SILENT,
    AudioError,
    Stretch,
    decode_stretch,
    duration_s,
    is_unread,
    resample,
    sound_below,
    why_not_read,
)
from jfewshot.commandline.progress import Progress
from jfewshot.errors import UserError

log = logging.getLogger(__name__)

_READERS = 4
_NAMED = 10
_MOST_TRIES = 20
_SHORTEST_S = 0.05  # the decoder refuses shorter pieces as too short


class NoisePool:
    """Recordings of noise. Each second of all recordings is equally likely to be drawn.

    A piece begins at a random time in all recordings together. At the end of its recording it continues with the recording's
    beginning, so that short recordings and the edges of long ones are neither more nor less likely.

    Args:
      folder: folder of the recordings, searched recursively.
      samples: number of samples of each piece.
      sample_rate: sample rate of the pieces in Hz.
      seed: decides which pieces are drawn.
      pieces: most pieces in a bank, which bound its memory: 256 of 15 s at 16 kHz are 246 MB. A bank has fewer where so few
        hold four times as much as there is.

    Attributes:
      files: the usable recordings, sorted by name.
      hours: length of all usable recordings together.

    Raises:
      UserError: if the folder has no usable recordings.
    """

    def __init__(self, folder: Path, samples: int, sample_rate: int, seed: int, pieces: int = 256):
        self.samples, self.sample_rate, self.seed = samples, sample_rate, seed
        found = sound_below(folder)
        with (
            concurrent.futures.ThreadPoolExecutor(_READERS) as readers,
            Progress("reading lengths of noise", len(found), "files") as progress,
        ):
            lengths = []
            for length in readers.map(_length_s, found):
                lengths.append(length)
                progress.advance()
        unusable = [f"{path}: {why}" for path, why in zip(found, lengths, strict=True) if isinstance(why, str)]
        for reason in unusable[:_NAMED]:
            log.warning("noise left out: %s", reason)
        if len(unusable) > _NAMED:
            log.warning("%d of %d recordings of noise left out", len(unusable), len(found))
        usable = [(path, s) for path, s in zip(found, lengths, strict=True) if not isinstance(s, str)]
        if not usable:
            raise UserError(
                f"no noise in {folder}: it needs audio files ({', '.join(AUDIO_SUFFIXES)}) that are readable"
            )
        self.files = [path for path, _ in usable]
        self._lengths_s = np.array([s for _, s in usable])
        self._ends_s = np.cumsum(self._lengths_s)
        self.hours = float(self._ends_s[-1] / 3600)
        seconds = samples / sample_rate
        self.pieces = min(pieces, 4 * int(np.ceil(self._ends_s[-1] / seconds)))
        self._unreadable: set[Path] = set()
        parts: dict[str, float] = defaultdict(float)
        for path, s in usable:
            below = path.relative_to(folder).parts
            parts[below[0] if len(below) > 1 else "."] += s / 3600
        log.info(
            "noise: %d recordings, %.2f h (%s); %d pieces of %.1f s at a time, %.0f MB",
            len(self.files),
            self.hours,
            ", ".join(f"{name} {hours:.2f} h" for name, hours in sorted(parts.items())),
            self.pieces,
            seconds,
            self.pieces * samples * 4 / 1e6,
        )

    def bank(self, number: int) -> Float32[np.ndarray, "pieces samples"]:
        """Draw a bank.

        Args:
          number: number of the bank, from 0.

        Returns:
          pieces of one length, for `add_noise`.

        Raises:
          UserError: if many recordings in a row cannot be decoded.
        """
        with concurrent.futures.ThreadPoolExecutor(_READERS) as readers:
            return np.stack(list(readers.map(lambda piece: self._piece(number, piece), range(self.pieces))))

    def place(self, number: int, piece: int, attempt: int = 0) -> tuple[Path, float]:
        """Draw where a piece begins.

        Args:
          number: number of the bank.
          piece: number of the piece in the bank, from 0.
          attempt: 0 for the first draw; higher numbers draw a replacement for a piece that cannot be decoded.

        Returns:
          the recording, and the beginning of the piece in it, in seconds.
        """
        at_s = np.random.default_rng([self.seed, 7, number, piece, attempt]).uniform(0.0, self._ends_s[-1])
        file = min(int(np.searchsorted(self._ends_s, at_s, side="right")), len(self.files) - 1)
        return self.files[file], float(at_s - (self._ends_s[file] - self._lengths_s[file]))

    def _piece(self, number: int, piece: int) -> Float32[np.ndarray, " samples"]:
        reason = ""
        for attempt in range(_MOST_TRIES):
            path, start_s = self.place(number, piece, attempt)
            try:
                return self._circular(path, start_s)
            except AudioError as error:
                reason = str(error)
                if path not in self._unreadable:
                    self._unreadable.add(path)
                    log.warning("noise not used: %s", error)
        raise UserError(
            f"too many recordings of noise cannot be read, the last: {reason}. Is the disk with the noise there?"
        )

    def _circular(self, path: Path, start_s: float) -> Float32[np.ndarray, " samples"]:
        length_s = float(self._lengths_s[self.files.index(path)])
        wanted_s = self.samples / self.sample_rate
        tail = self._decoded(path, start_s, min(start_s + wanted_s, length_s))
        if start_s + wanted_s <= length_s:
            # Resampling may round a length down.
            return np.resize(tail, self.samples) if len(tail) < self.samples else tail[: self.samples]
        head = self._decoded(path, 0.0, min(start_s, wanted_s - (length_s - start_s)))
        return np.resize(np.concatenate([tail, head]), self.samples)

    def _decoded(self, path: Path, start_s: float, end_s: float) -> Float32[np.ndarray, " samples"]:
        wanted = round((end_s - start_s) * self.sample_rate)
        first_s = max(0.0, min(start_s, end_s - _SHORTEST_S))
        try:
            wave, rate = decode_stretch(Stretch(path, first_s, max(end_s, first_s + _SHORTEST_S)))
        except AudioError as error:
            if error.reason != SILENT:
                raise
            return np.zeros(wanted, np.float32)  # silence is part of a recording too
        wave = resample(wave, rate, self.sample_rate)
        return wave[round((start_s - first_s) * self.sample_rate) :][:wanted]


def _length_s(path: Path) -> float | str:
    """The length of a recording in seconds, or the reason why it cannot be used."""
    if is_unread(path):
        return why_not_read(path)
    try:
        length = duration_s(path)
    except AudioError as error:
        return error.reason
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    return length if length >= _SHORTEST_S else f"{length:.3f} s is shorter than {_SHORTEST_S:g} s"
