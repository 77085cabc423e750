"""The input features of MT-SLVR's network: log mel power, and the mel-projected complex spectrum as log magnitude and
phase."""

import functools

import torch

from extraction.upstreams.mel import htk_filters

RATE = 16_000
_WINDOW, _HOP, _BANDS = 1024, 512, 128
_EPS = 2.220446049250313e-16

# The edges are padded by reflection of half a window, which needs one sample more than half a window.
MIN_SAMPLES = _WINDOW // 2 + 1


def features(waves: torch.Tensor) -> torch.Tensor:
    """Compute three channels of 128 mel bands.

    Args:
      waves: batch x samples at 16 kHz, float32, at least `MIN_SAMPLES` of them.

    Returns:
      batch x 3 x 128 x (1 + samples // 512), float32. The channels are: power in dB with a Hann window; magnitude with a
      rectangular window, as 10 log10 of the amplitude (the original uses this too; decibels would be 20 log10); and the phase of
      that spectrum in radians. In the first frame, which reflection makes symmetric, the phase is 0 or pi up to rounding, and
      its sign has no meaning.
    """
    filters = _filters(waves.device)
    hann = _spectrum(waves, torch.hann_window(_WINDOW, device=waves.device))
    # The original passes no window to the Fourier transform, so its window is rectangular.
    plain = _spectrum(waves, torch.ones(_WINDOW, device=waves.device))
    power = (hann.abs() ** 2).mT @ filters
    real, imaginary = plain.real.mT @ filters, plain.imag.mT @ filters
    magnitude = torch.sqrt(real**2 + imaginary**2)
    channels = [_ten_log10(power), _ten_log10(magnitude), torch.atan2(imaginary, real)]
    return torch.stack(channels, 1).mT


def _spectrum(waves: torch.Tensor, window: torch.Tensor) -> torch.Tensor:
    return torch.stft(waves, _WINDOW, _HOP, window=window, center=True, pad_mode="reflect", return_complex=True)


def _ten_log10(x: torch.Tensor) -> torch.Tensor:
    return 10 * torch.log10(x + _EPS)


@functools.lru_cache(4)
def _filters(device: torch.device) -> torch.Tensor:
    """513 frequencies x 128 bands: triangles of height 1, evenly spaced on HTK's mel scale."""
    return torch.from_numpy(htk_filters(RATE, _WINDOW, _BANDS).T.copy()).to(device)
