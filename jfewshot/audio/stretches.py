"""Decode a stretch of a long recording without the rest, if the format allows that."""

import functools
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32

from jfewshot.audio.base import MIN_DURATION_S, AudioError
from jfewshot.audio.decoding import as_mono, decode, opened, pieces_of, usable

# Formats in which libsndfile seeks exactly. In Vorbis, Opus and MP3, samples after a seek differ from those of a full
# decode (tests/audio/test_stretches.py), so these files are decoded from the start.
_EXACT = frozenset(("WAV", "WAVEX", "RF64", "W64", "AIFF", "AU", "CAF", "FLAC", "NIST", "RAW"))
_SAMPLES = ("PCM_", "FLOAT", "DOUBLE", "ULAW", "ALAW")


class Stretch(NamedTuple):
    """A part of a recording.

    Attributes:
      path: the recording.
      start_s: where the part begins, in seconds.
      end_s: where it ends.
    """

    path: Path
    start_s: float
    end_s: float

    def __str__(self) -> str:
        return f"{self.path} ({self.start_s:g} to {self.end_s:g} s)"


def decode_stretch(stretch: Stretch) -> tuple[Float32[np.ndarray, " samples"], int]:
    """Decode a stretch to mono at the recording's own rate.

    Args:
      stretch: the samples from round(start_s x rate) to round(end_s x rate), the last one left out.

    Returns:
      float32 samples, identical to those of a full decode, and their sample rate in Hz.

    Raises:
      AudioError: as for `decode`; also if the stretch ends more than `MIN_DURATION_S` after the recording.
    """
    path, start_s, end_s = stretch
    status = os.stat(path) if os.path.isfile(path) else None
    seekable = status is not None and _is_exact(path, status.st_mtime_ns, status.st_size)
    if seekable:
        with opened(path, None) as file:
            rate, held = file.samplerate, file.frames
            first, last = _samples(stretch, rate, held)
            file.seek(first)
            wave = as_mono(file.read(last - first, dtype="float32", always_2d=True))
        if last - first - len(wave) >= MIN_DURATION_S * rate:
            raise AudioError(
                path, f"cut short: {len(wave)} of {last - first} samples from {start_s:g} s on can be read"
            )
    else:
        whole, rate = decode(path, max_duration_s=end_s + MIN_DURATION_S)
        first, last = _samples(stretch, rate, len(whole))
        wave = whole[first:last]
    return usable(wave, rate, path), rate


def _samples(stretch: Stretch, rate: int, held: int) -> tuple[int, int]:
    first, last = round(stretch.start_s * rate), round(stretch.end_s * rate)
    if last - held >= MIN_DURATION_S * rate:
        raise AudioError(
            stretch.path,
            f"the stretch from {stretch.start_s:g} to {stretch.end_s:g} s ends behind the recording ({held / rate:.2f} s)",
        )
    return first, min(last, held)


@functools.lru_cache(maxsize=64)
def _is_exact(path: Path, mtime_ns: int, size: int) -> bool:
    """Whether seeking is exact: the file agrees with its header, and its format allows seeking."""
    if pieces_of(path, None) != [None]:
        return False
    with opened(path, None) as file:
        return file.seekable() and file.format in _EXACT and file.subtype.startswith(_SAMPLES)
