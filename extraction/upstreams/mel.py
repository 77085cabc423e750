"""Mel filter banks, on Slaney's scale as in librosa, and on HTK's scale as in torchaudio."""

from typing import Literal

import numpy as np
from jaxtyping import Float32, Float64

# Slaney's Auditory Toolbox: linear up to 1 kHz with 200/3 Hz per mel, then logarithmic with 27 steps per factor of 6.4.
_LINEAR_HZ_PER_MEL = 200 / 3
_BREAK_HZ = 1000.0
_LOG_STEP = np.log(6.4) / 27


def slaney_filters(sample_rate: int, n_fft: int, n_mels: int) -> Float32[np.ndarray, "n_mels n_fft//2+1"]:
    """Triangular filters of unit area on Slaney's mel scale, from 0 Hz to half the sample rate.

    Args:
      sample_rate: Hz.
      n_fft: length of the Fourier transform.
      n_mels: number of filters.

    Returns:
      weight of each frequency bin in each filter.
    """
    top_mel = _hz_to_mel(np.array([sample_rate / 2]))[0]
    edges = _mel_to_hz(np.linspace(0, top_mel, n_mels + 2))
    triangles = _triangles(edges, sample_rate, n_fft)
    return (triangles * (2 / (edges[2:] - edges[:-2]))[:, None]).astype(np.float32)


def htk_filters(sample_rate: int, n_fft: int, n_mels: int) -> Float32[np.ndarray, "n_mels n_fft//2+1"]:
    """Triangular filters of height 1 on HTK's mel scale, 2595 log10(1 + Hz / 700), from 0 Hz to half the sample rate.

    Args:
      sample_rate: Hz.
      n_fft: length of the Fourier transform.
      n_mels: number of filters.

    Returns:
      weight of each frequency bin in each filter.
    """
    top_mel = 2595 * np.log10(1 + sample_rate / 2 / 700)
    edges = 700 * (10 ** (np.linspace(0, top_mel, n_mels + 2) / 2595) - 1)
    return _triangles(edges, sample_rate, n_fft).astype(np.float32)


def _triangles(
    edges: Float64[np.ndarray, " n_mels+2"], sample_rate: int, n_fft: int
) -> Float64[np.ndarray, "n_mels n_fft//2+1"]:
    """Filters of height 1, each over three neighbouring edges in Hz."""
    bins = np.fft.rfftfreq(n_fft, 1 / sample_rate)
    rising = (bins[None, :] - edges[:-2, None]) / np.diff(edges)[:-1, None]
    falling = (edges[2:, None] - bins[None, :]) / np.diff(edges)[1:, None]
    return np.maximum(0, np.minimum(rising, falling))


def power_spectrogram(
    wave: Float32[np.ndarray, " samples"], n_fft: int, hop_length: int, pad_mode: Literal["constant", "reflect"]
) -> Float32[np.ndarray, "n_fft//2+1 frames"]:
    """|STFT|^2 with a periodic Hann window and 1 + samples // hop_length centred frames.

    Args:
      wave: mono samples; more than n_fft // 2 of them if pad_mode is `reflect`.
      n_fft: length of the window and of the Fourier transform.
      hop_length: number of samples between two frames.
      pad_mode: how numpy.pad extends the wave at its ends: `constant` (with zeros) or `reflect`.

    Returns:
      power of each frequency bin in each frame.
    """
    padded = np.pad(wave, n_fft // 2, mode=pad_mode)
    frames = np.lib.stride_tricks.sliding_window_view(padded, n_fft)[::hop_length]
    window = np.hanning(n_fft + 1)[:-1].astype(np.float32)
    spectrum = np.fft.rfft(frames * window, axis=1)
    return (spectrum.real**2 + spectrum.imag**2).astype(np.float32).T


def _hz_to_mel(hz: Float64[np.ndarray, " n"]) -> Float64[np.ndarray, " n"]:
    linear = hz / _LINEAR_HZ_PER_MEL
    logarithmic = _BREAK_HZ / _LINEAR_HZ_PER_MEL + np.log(np.maximum(hz, 1e-9) / _BREAK_HZ) / _LOG_STEP
    return np.where(hz < _BREAK_HZ, linear, logarithmic)


def _mel_to_hz(mel: Float64[np.ndarray, " n"]) -> Float64[np.ndarray, " n"]:
    break_mel = _BREAK_HZ / _LINEAR_HZ_PER_MEL
    return np.where(mel < break_mel, mel * _LINEAR_HZ_PER_MEL, _BREAK_HZ * np.exp(_LOG_STEP * (mel - break_mel)))
