"""Audio as the encoders want it: decoded, mono, resampled, cut into segments.

The recipe of the few-shot papers (Heggan et al., arXiv 2402.01274): consecutive, non-overlapping segments of 5 s; a
short last segment, or a short clip, is repeated circularly to full length. No normalisation of loudness. One
departure: a tail of under 25 ms behind a full segment is dropped. It is a codec's rounding (380 of ESC-10's 400 OGG
files end 16 samples after 5 s), and repeated 5,000 times it is a tone that nobody recorded, yet would vote like the
clip's own 5 s.

Needs soundfile and soxr (extras `extraction` and `pretrain`); they are imported when first used.
"""

import importlib
import io
from pathlib import Path
from types import ModuleType

import numpy as np
from jaxtyping import Float, Float32

from jfewshot.errors import UserError
from jfewshot.files import files_below

# What libsndfile reads.
AUDIO_SUFFIXES = (".wav", ".flac", ".ogg", ".opus", ".mp3", ".aiff", ".aif")

# One analysis frame of nearly every encoder: clips, and tails behind a full segment, that are shorter say nothing.
MIN_DURATION_S = 0.025

# Per channel, six hours at 48 kHz. FLAC streams may leave their length open, which libsndfile tells as 2^63 - 1 samples and
# cannot read; it asks for room for whatever a damaged header promises before it looks.
MOST_PROMISED = 2**30

PREPROCESSING = (
    "decoded with libsndfile, channels averaged, resampled with soxr (HQ) where the rate differs, "
    "not normalised in loudness"
)
"""What `read_audio` does, in a sentence for a store's manifest."""


class AudioError(UserError):
    """A recording that cannot be used; `reason` is a short phrase for lists."""

    def __init__(self, path: Path | str, reason: str):
        super().__init__(f"{path}: {reason}")
        self.reason = reason


def audio_below(folder: Path | str) -> list[Path]:
    """Every audio file below a folder, hidden ones left out, in the order of their paths; linked folders are followed."""
    return [path for path in files_below(folder) if path.suffix.lower() in AUDIO_SUFFIXES]


def read_audio(
    path: Path | str, sample_rate: int, *, max_duration_s: float | None = None
) -> Float32[np.ndarray, " samples"]:
    """Decode a file to mono at a sample rate.

    Args:
      path: anything that libsndfile reads: WAV, FLAC, OGG, MP3, AIFF, ...
      sample_rate: Hz wanted.
      max_duration_s: read no more than this from the start; None for all.

    Returns:
      Samples in [-1, 1] (files of floats, and lossy codecs, may overshoot a little; nothing is clipped).

    Raises:
      AudioError: if the file is missing, unreadable, empty, silent (every sample the same), shorter than
        `MIN_DURATION_S`, or holds NaN or infinities.
      UserError: if soundfile or soxr is not installed.
    """
    return resample(*decode(path, max_duration_s=max_duration_s), sample_rate)


def decode(
    path: Path | str, *, max_duration_s: float | None = None, content: bytes | None = None
) -> tuple[Float32[np.ndarray, " samples"], int]:
    """Decode a file to mono at its own rate, and say the rate in Hz; raises as `read_audio` does.

    Args:
      path: the file.
      max_duration_s: decode no more than this.
      content: the file's bytes, where they were read already; `path` is then only what errors name.
    """
    soundfile = _package("soundfile")
    try:
        with soundfile.SoundFile(str(path) if content is None else io.BytesIO(content)) as file:
            rate = file.samplerate
            _check_length(path, file.frames)
            frames = -1 if max_duration_s is None else max(1, round(max_duration_s * rate))
            channels = file.read(frames, dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, OSError) as error:
        is_there = content is not None or Path(path).exists()
        reason = f"cannot be decoded ({_first_line(error)})" if is_there else "no such file"
        raise AudioError(path, reason) from error
    if not len(channels):
        raise AudioError(path, "empty: no samples")
    if len(channels) < MIN_DURATION_S * rate:
        raise AudioError(
            path, f"too short: {len(channels)} samples at {rate} Hz, less than {MIN_DURATION_S * 1000:.0f} ms"
        )
    # Summed in double precision: the mean of equal channels is then the channel itself.
    wave = channels[:, 0] if channels.shape[1] == 1 else channels.mean(axis=1, dtype=np.float64).astype(np.float32)
    if not np.isfinite(wave).all():
        raise AudioError(path, "holds NaN or infinite samples")
    if wave.min() == wave.max():
        raise AudioError(path, "silent: every sample is the same")
    return np.ascontiguousarray(wave), rate


def resample(wave: Float32[np.ndarray, " samples"], rate: int, wanted_rate: int) -> Float32[np.ndarray, " wanted"]:
    """Resample with soxr's HQ recipe; the same array where the rates are equal.

    Args:
      wave: mono samples.
      rate: the wave's, in Hz.
      wanted_rate: in Hz.
    """
    if rate == wanted_rate:
        return wave
    return _package("soxr").resample(wave, rate, wanted_rate, quality="HQ")


def cut_segments(
    wave: Float[np.ndarray, " samples"], segment_samples: int | None, min_tail_samples: int = 1
) -> Float[np.ndarray, "n_segments segment_samples"]:
    """Cut into consecutive segments; a short last one is repeated circularly to full length.

    Args:
      wave: mono samples, at least one.
      segment_samples: length of a segment; None: the whole wave is one segment.
      min_tail_samples: a last segment shorter than this is dropped if there is a full one before it.

    Returns:
      `ceil(samples / segment_samples)` segments, or one less where the tail was dropped.
    """
    if not len(wave):
        raise ValueError("cannot cut a wave without samples")
    if segment_samples is None:
        return wave[None, :]
    n_full, n_left = divmod(len(wave), segment_samples)
    segments = wave[: n_full * segment_samples].reshape(n_full, segment_samples)
    if n_left and (n_left >= min_tail_samples or not n_full):
        # np.resize repeats what it is given, from its start, until the length is reached.
        tail = np.resize(wave[n_full * segment_samples :], segment_samples)
        segments = np.concatenate([segments, tail[None, :]])
    return segments


def duration_s(path: Path | str) -> float:
    """Seconds of audio that a file's header promises, without decoding it.

    Raises:
      AudioError: if the file is missing or unreadable.
    """
    soundfile = _package("soundfile")
    try:
        info = soundfile.info(str(path))
    except (soundfile.LibsndfileError, OSError) as error:
        reason = "no such file" if not Path(path).exists() else f"cannot be decoded ({_first_line(error)})"
        raise AudioError(path, reason) from error
    _check_length(path, info.frames)
    return info.frames / info.samplerate


def _check_length(path: Path | str, frames: int) -> None:
    if frames > MOST_PROMISED:
        raise AudioError(path, "cannot be decoded (its header does not tell how long it is; encode it anew)")


def _package(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise UserError(
            f"reading audio needs the Python package '{name}', which is not installed: "
            "pip install 'jfewshot[extraction]'"
        ) from error


def _first_line(error: Exception) -> str:
    """What a library said, without the path that our message names already."""
    text = getattr(error, "error_string", None) or str(error)
    return text.strip().splitlines()[0].rstrip(".") if text.strip() else type(error).__name__
