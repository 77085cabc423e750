"""Examine each file before any encoder runs: duration, format, level, and a fingerprint with which copies are found."""

import concurrent.futures
import dataclasses
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy import fft

from extraction.datasets.base import Recording
from extraction.decoding import decode_audio
from jfewshot.audio import AudioError
from jfewshot.commandline.progress import Progress
from jfewshot.threads import cores

SLICES, BANDS = 12, 20
_SILENT_DB = -60.0  # a recording is silent if the level of its loudest sample is lower, in decibels of full scale
_CLIPPED = 0.999  # absolute value, relative to full scale, from which a sample counts as clipped
_LOWEST_HZ = 50.0


@dataclasses.dataclass(frozen=True, eq=False)
class Facts:
    """The facts about one recording.

    Attributes:
      clip_id: id of the recording.
      reason: why the file cannot be read; empty if it can.
      duration_s: duration in seconds.
      rate: sample rate in Hz.
      channels: number of channels.
      kind: container and coding, for instance `WAV PCM_16`.
      peak_db: level of the loudest sample, in decibels of full scale.
      clipped: share of the samples at full scale.
      sha256: hash of the decoded samples; equal for equal samples, whatever the names of the files.
      fingerprint: level in `SLICES` slices of time and `BANDS` bands of frequency, in decibels.
    """

    clip_id: str
    reason: str = ""
    duration_s: float = 0.0
    rate: int = 0
    channels: int = 0
    kind: str = ""
    peak_db: float = 0.0
    clipped: float = 0.0
    sha256: str = ""
    fingerprint: Float[np.ndarray, "slices bands"] | None = None

    @property
    def is_silent(self) -> bool:
        """Whether even the loudest sample is too quiet to be heard."""
        return not self.reason and self.peak_db < _SILENT_DB


def examine(recordings: Sequence[Recording]) -> list[Facts]:
    """Read every file once.

    Args:
      recordings: the clips.

    Returns:
      facts about each recording, in the same order; for a file that cannot be read, the facts have a reason.
    """
    found: list[Facts] = []
    # Threads are enough: libsndfile and NumPy release Python's lock while they work.
    with (
        Progress("checking the recordings", len(recordings), "clips") as progress,
        concurrent.futures.ThreadPoolExecutor(max(cores(), 1)) as readers,
    ):
        for facts in readers.map(examine_one, recordings):
            found.append(facts)
            progress.advance()
    return found


def examine_one(recording: Recording) -> Facts:
    """Read one file.

    Args:
      recording: the clip.
    """
    try:
        wave, rate = decode_audio(recording.audio)
    except AudioError as error:
        return Facts(recording.clip_id, error.reason)
    channels, kind = _format_of(recording.path)
    level = np.abs(wave)
    return Facts(
        clip_id=recording.clip_id,
        duration_s=len(wave) / rate,
        rate=rate,
        channels=channels,
        kind=kind,
        peak_db=float(20 * np.log10(max(float(level.max()), 1e-10))),
        clipped=float((level >= _CLIPPED).mean()),
        sha256=hashlib.sha256(wave.tobytes()).hexdigest(),
        fingerprint=fingerprint(wave, rate),
    )


def fingerprint(wave: Float[np.ndarray, " samples"], rate: int) -> Float[np.ndarray, "slices bands"]:
    """Compute the level in equal slices of time and in frequency bands of equal ratio from 50 Hz to 4 kHz, in decibels.

    The fingerprint of a copy in another format, at another level or sample rate differs by a constant and a small random part.

    Args:
      wave: mono samples.
      rate: sample rate in Hz.
    """
    edges = np.geomspace(_LOWEST_HZ, 4000.0, BANDS + 1)
    length = max(len(wave) // SLICES, 1)
    cut = np.resize(wave, SLICES * length) if len(wave) < SLICES else wave[: SLICES * length]
    size = fft.next_fast_len(max(length, 2), real=True)
    power = np.abs(fft.rfft(cut.reshape(SLICES, length) * np.hanning(length).astype(np.float32), size)) ** 2
    places = np.minimum(np.ceil(edges * size / rate).astype(int), power.shape[1] - 1)
    total = np.concatenate([np.zeros((SLICES, 1)), np.cumsum(power, axis=1, dtype=np.float64)], axis=1)
    ends = np.maximum(places[1:], places[:-1] + 1)
    band = (total[:, np.minimum(ends, total.shape[1] - 1)] - total[:, places[:-1]]) / (ends - places[:-1])
    return (10 * np.log10(np.maximum(band, 1e-9))).astype(np.float32)


def _format_of(path: Path) -> tuple[int, str]:
    import soundfile

    try:
        info: Any = soundfile.info(str(path))
    except (soundfile.LibsndfileError, OSError):
        return 0, path.suffix.lstrip(".").upper()  # a file that other packages decode
    return int(info.channels), f"{info.format} {info.subtype}"
