"""Decode a file to mono, resample it, and find its length. The length in a header is compared with the file."""

import importlib
import io
import os
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from jaxtyping import Float32

from jfewshot.audio.base import (
    MIN_DURATION_S,
    MOST_BYTES,
    MOST_CHANNELS,
    MOST_DURATION_S,
    MOST_SAMPLES,
    MOST_VALUES,
    RATES,
    SILENT,
    AudioError,
    Unusable,
    cut_short,
)
from jfewshot.audio.containers import with_true_size
from jfewshot.audio.flac import flac_pieces
from jfewshot.audio.kinds import no_audio
from jfewshot.audio.mp3 import mp3_pieces
from jfewshot.audio.ogg import ogg_pieces
from jfewshot.errors import UserError

PREPROCESSING = (
    "decoded with libsndfile, channels averaged, resampled with soxr (HQ) where the rate differs, "
    "not normalised in loudness"
)
"""What `read_audio` does, in a sentence for a store's manifest."""

_HEAD = 512
_OTHER_HEADS = tuple(b"RIFF RIFX RF64 FORM .snd dns. riff caff NIST Crea".split())


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
      AudioError: if the file is missing, unreadable, cut short, empty, silent (every sample the same), shorter than
        `MIN_DURATION_S`, beyond the limits of `jfewshot.audio.base`, or holds NaN or infinities.
      UserError: if soundfile or soxr is not installed.
    """
    wave, rate = decode(path, max_duration_s=max_duration_s)
    try:
        return resample(wave, rate, sample_rate)
    except Unusable as error:
        raise AudioError(path, str(error)) from error


def decode(
    path: Path | str, *, max_duration_s: float | None = None, content: bytes | None = None
) -> tuple[Float32[np.ndarray, " samples"], int]:
    """Decode a file to mono at its own rate, and say the rate in Hz; raises as `read_audio` does.

    Args:
      path: the file.
      max_duration_s: decode no more than this.
      content: the file's bytes, where they were read already; `path` is then only what errors name.

    Returns:
      float32 mono samples, and their sample rate in Hz.
    """
    waves: list[np.ndarray] = []
    rate = 0
    for piece in pieces_of(path, content):
        left_s = None if max_duration_s is None else max_duration_s - sum(map(len, waves)) / max(rate, 1)
        if left_s is not None and waves and left_s * rate < 1:
            break
        wave, its_rate = _decode_piece(path, piece, left_s)
        if waves and its_rate != rate:
            raise AudioError(path, f"joined of parts at {rate} and {its_rate} Hz: split it, or encode it again")
        waves.append(wave)
        rate = its_rate
    return usable(waves[0] if len(waves) == 1 else np.concatenate(waves), rate, path), rate


def usable(wave: Float32[np.ndarray, " samples"], rate: int, path: Path | str) -> Float32[np.ndarray, " samples"]:
    """Refuse samples that cannot be used: too few, all equal, or not finite.

    Args:
      wave: mono samples.
      rate: of these, in Hz.
      path: the file, for messages.

    Returns:
      the samples, contiguous.

    Raises:
      AudioError: if there are none, or they are shorter than `MIN_DURATION_S`, NaN or infinite, or all the same.
    """
    if not len(wave):
        raise AudioError(path, "empty: no samples")
    if len(wave) < MIN_DURATION_S * rate:
        raise AudioError(path, f"too short: {len(wave)} samples at {rate} Hz, less than {MIN_DURATION_S * 1000:.0f} ms")
    if not np.isfinite(wave).all():
        raise AudioError(path, "holds NaN or infinite samples")
    if wave.min() == wave.max():
        raise AudioError(path, SILENT)
    return np.ascontiguousarray(wave)


def resample(wave: Float32[np.ndarray, " samples"], rate: int, wanted_rate: int) -> Float32[np.ndarray, " wanted"]:
    """Resample with soxr's HQ recipe; returns the same array if the rates are equal.

    Args:
      wave: mono samples.
      rate: the wave's, in Hz.
      wanted_rate: in Hz.

    Returns:
      float32 samples at the wanted rate.

    Raises:
      Unusable: the result would be longer than `MOST_SAMPLES`.
    """
    if rate == wanted_rate:
        return wave
    if len(wave) / rate * wanted_rate > MOST_SAMPLES:
        raise Unusable(
            f"too long: {len(wave) / rate / 3600:.1f} h at {wanted_rate} Hz are more than {MOST_SAMPLES:,} samples; cut it into "
            "shorter files"
        )
    return _package("soxr").resample(wave, rate, wanted_rate, quality="HQ")


def duration_s(path: Path | str, *, content: bytes | None = None) -> float:
    """Duration of a file in seconds, from its header, which is compared with the file without decoding it.

    Args:
      path: the file.
      content: the file's bytes, where they were read already; `path` is then only what errors name.

    Raises:
      AudioError: if the file is missing, unreadable, cut short or beyond the limits.
    """
    seconds = 0.0
    for piece in pieces_of(path, content):
        with opened(path, piece) as file:
            seconds += file.frames / file.samplerate
    return seconds


def _decode_piece(path: Path | str, piece: bytes | None, most_s: float | None) -> tuple[np.ndarray, int]:
    soundfile = _package("soundfile")
    with opened(path, piece) as file:
        rate = file.samplerate
        wanted = file.frames if most_s is None else min(file.frames, max(1, round(most_s * rate)))
        try:
            # Not -1, which fails for files in which libsndfile cannot seek (GSM 6.10).
            channels = file.read(wanted, dtype="float32", always_2d=True)
        except (soundfile.LibsndfileError, OSError, MemoryError) as error:
            raise AudioError(path, f"cannot be decoded ({_first_line(error)})") from error
    if wanted - len(channels) >= MIN_DURATION_S * rate:
        raise AudioError(path, str(cut_short(wanted / rate, len(channels) / rate)))
    return as_mono(channels), rate


def as_mono(channels: Float32[np.ndarray, "samples channels"]) -> Float32[np.ndarray, " samples"]:
    """The mean of the channels, summed in double precision, so that the mean of equal channels equals the channel."""
    return channels[:, 0] if channels.shape[1] == 1 else channels.mean(axis=1, dtype=np.float64).astype(np.float32)


def opened(path: Path | str, piece: bytes | None) -> Any:
    """Open a piece of a file in libsndfile, after checking the size that its header claims.

    Args:
      path: the file.
      piece: bytes of the file with a correct header; None for the unchanged file.

    Returns:
      soundfile's SoundFile.

    Raises:
      AudioError: if it cannot be decoded, or is beyond the limits.
    """
    soundfile = _package("soundfile")
    try:
        file = soundfile.SoundFile(str(path) if piece is None else io.BytesIO(piece))
    except UnicodeEncodeError as error:
        raise AudioError(path, "its name is not UTF-8 text: rename it") from error
    except (soundfile.LibsndfileError, OSError) as error:
        raise AudioError(path, f"cannot be decoded ({_first_line(error)})") from error
    reason = _beyond_limits(file.samplerate, file.channels, file.frames)
    if reason:
        file.close()
        raise AudioError(path, reason)
    return file


def _beyond_limits(rate: int, channels: int, frames: int) -> str:
    if not RATES[0] <= rate <= RATES[1]:
        return f"its header tells a sample rate of {rate} Hz; {RATES[0]} to {RATES[1]:,} are read: mend the header"
    if channels > MOST_CHANNELS:
        return f"its header tells {channels} channels; at most {MOST_CHANNELS} are read"
    if frames > MOST_SAMPLES or frames / rate > MOST_DURATION_S or frames * channels > MOST_VALUES:
        return (
            f"too long: {frames:,} samples of {channels} channels, {frames / rate / 3600:,.1f} h; at most {MOST_SAMPLES:,} "
            f"samples, {MOST_DURATION_S // 3600} h, and {MOST_VALUES:,} samples of all channels together are read: cut it into "
            "shorter files"
        )
    return ""


def pieces_of(path: Path | str, content: bytes | None) -> list[bytes | None]:
    """The pieces of a file that are decoded one after the other, each with its true length in the header.

    Args:
      path: the file.
      content: its bytes, where they were read already.

    Returns:
      bytes; None stands for the file as it is.

    Raises:
      AudioError: if the file cannot be read, or is no audio.
    """
    try:
        if content is not None:
            pieces = _look_at(io.BytesIO(content), path, named=False)
            return [content if piece is None else piece for piece in pieces]
        with open(path, "rb") as file:
            return _look_at(file, path, named=Path(path).suffix.lower() == ".mp3")
    except Unusable as error:
        raise AudioError(path, str(error)) from error
    except FileNotFoundError as error:
        raise AudioError(path, "no such file") from error
    except IsADirectoryError as error:
        raise AudioError(path, "a folder, not a file") from error
    except (OSError, ValueError) as error:  # a name with a zero byte is a ValueError
        raise AudioError(path, f"cannot be read ({getattr(error, 'strerror', None) or error})") from error


def _look_at(file: io.BufferedIOBase, path: Path | str, named: bool) -> list[bytes | None]:
    head = file.read(_HEAD)
    if not head:
        raise Unusable("empty: no samples, the file has 0 bytes")
    reason = no_audio(head, path)
    if reason:
        raise Unusable(reason)
    if head.startswith(b"OggS"):
        return ogg_pieces(_all_of(file))
    if head.startswith(b"fLaC"):
        return flac_pieces(_all_of(file))
    if head.startswith(b"ID3"):
        data = _all_of(file)
        return flac_pieces(data) if _after_tag(data).startswith(b"fLaC") else mp3_pieces(data, as_it_is=named)
    if not head.startswith(_OTHER_HEADS) and (
        (head[0] == 0xFF and head[1:2] >= b"\xe0") or Path(path).suffix.lower() in (".mp3", ".mp2")
    ):
        return mp3_pieces(_all_of(file), as_it_is=named)
    return [with_true_size(file)]


def _after_tag(data: bytes) -> bytes:
    """The four bytes after an ID3 tag."""
    size = 0
    for byte in data[6:10]:
        size = size << 7 | byte & 0x7F
    return data[10 + size : 14 + size]


def _all_of(file: io.BufferedIOBase) -> bytes:
    size = file.seek(0, os.SEEK_END)
    if size > MOST_BYTES:
        raise Unusable(
            f"too large: {size / 1e9:.1f} GB; at most {MOST_BYTES / 1e9:.1f} GB of one file are read: cut it"
        )
    file.seek(0)
    return file.read()


def _package(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise UserError(
            f"reading audio needs the Python package '{name}', which is not installed: pip install 'jfewshot[audio]'"
        ) from error


def _first_line(error: Exception) -> str:
    """The first line of a library's error, without the path, which our message names already."""
    text = getattr(error, "error_string", None) or str(error)
    return text.strip().splitlines()[0].rstrip(".") if text.strip() else type(error).__name__
