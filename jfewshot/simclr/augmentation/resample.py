"""Resamples by any ratio near one: first with the spectrum onto a grid twice as fine, then with polynomials in the position.

The step in the spectrum depends on the ratio: it removes everything above the lower of the two Nyquist frequencies, with a
transition of 500 Hz (at 16 kHz), and returns twice as many samples. On this grid a signal fills less than half of the band, so a
kernel of six samples suffices to read it at any position. The kernel is a polynomial of degree four between samples (Niemitalo,
2001), the one that suppresses images best. It also attenuates the pass band, so the spectrum is divided by the kernel's response
beforehand.

The pass band reaches from 0 to min(1, 1 / ratio) * 8,000 Hz - 500 Hz. Images and aliases of signals in the pass band are below
-75 dB. At ratio one the output equals the input, except for this filter.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

TAPS = 6
DEGREE = 4
# Width of the transition in cycles per sample: 500 Hz at 16 kHz.
TRANSITION = 1 / 32
# Positions are exact multiples of 1 / GRID, so that rounding errors do not add up: in float32, sample 200,000 would be off by
# 1/64. With one bit more, the products below would overflow.
_GRID_BITS = 14
GRID = 1 << _GRID_BITS
# Silence between the end and the beginning of a wave, which are neighbours for the Fourier transform. The ringing of the filter
# fades within it.
_SILENCE = 256


def resample(wave: Float[Array, "samples"], ratio: Float[Array, ""] | float, n_out: int) -> Float[Array, "n_out"]:
    """Read a wave `ratio` times as fast: output sample n is the band-limited wave at position n * ratio.

    Args:
      wave: samples; silence is assumed around them.
      ratio: above 0 and at most 4; rounded to a multiple of 1/32,768 (0.05 cents at ratio one).
      n_out: static number of output samples.

    Returns:
      the wave at the new speed, (n_out,).
    """
    # The ratio in steps of the finer grid.
    steps = jnp.round(jnp.asarray(ratio, jnp.float32) * (2 * GRID)).astype(jnp.int32)
    fine = _twice_as_fine(wave, steps.astype(jnp.float32) / (2 * GRID))
    n = jnp.arange(n_out, dtype=jnp.int32)
    # n * steps / GRID without overflowing 32 bits: n = q * GRID + r. Up to ratio 4, r * steps stays below 2^31.
    within = (n & (GRID - 1)) * steps
    start = (n >> _GRID_BITS) * steps + (within >> _GRID_BITS) + (_SILENCE - (TAPS // 2 - 1))
    # The position is counted from the middle between two samples. There the kernel is symmetric, so pairs of taps share
    # coefficients.
    u = (within & (GRID - 1)).astype(jnp.float32) * (1 / GRID) - 0.5

    def read(tap):
        # With one gather per tap, XLA fuses all taps into a single loop. Positions past the wave are silent.
        place = jnp.minimum(start + tap, fine.shape[0] - 1)
        return fine.at[place].get(mode="promise_in_bounds", wrap_negative_indices=False)

    pairs = [(read(TAPS // 2 - 1 - k), read(TAPS // 2 + k)) for k in range(TAPS // 2)]
    sums, differences = [after + before for before, after in pairs], [before - after for before, after in pairs]
    total = jnp.zeros(n_out, fine.dtype)
    for power in reversed(range(DEGREE + 1)):
        terms = differences if power % 2 else sums
        weighted = [float(_KERNEL[k, power]) * term for k, term in enumerate(terms)]
        total = total * u + sum(weighted[1:], weighted[0])
    return total


def resampled_length(length: Int[Array, ""], ratio: Float[Array, ""] | float) -> Int[Array, ""]:
    """Number of output samples that lie within the wave."""
    return jnp.floor(length.astype(jnp.float32) / ratio).astype(jnp.int32)


def fft_size(n: int) -> int:
    """The smallest even size of at least n whose only prime factors are 2, 3 and 5; at most a seventh more than needed."""
    sizes = (2**a * 3**b * 5**c for a in range(1, 25) for b in range(4) for c in range(4))
    return min(size for size in sizes if size >= n)


def _twice_as_fine(wave: Float[Array, "samples"], ratio: Float[Array, ""]) -> Float[Array, "fine"]:
    """Double the sampling rate and remove everything above the lower Nyquist frequency; `_SILENCE` samples precede the first."""
    n_fft = fft_size(wave.shape[0] + _SILENCE)
    padded = jnp.pad(wave, (_SILENCE // 2, n_fft - wave.shape[0] - _SILENCE // 2))
    frequency = np.arange(n_fft // 2 + 1, dtype=np.float32) / n_fft
    below = jnp.clip((0.5 * jnp.minimum(1.0, 1.0 / ratio) - frequency) / TRANSITION, 0.0, 1.0)
    # The factor two is needed because the inverse transform divides by twice as many samples.
    gain = below * below * (3.0 - 2.0 * below) * (2.0 / _response(frequency / 2))
    kept = jnp.fft.rfft(padded)
    kept = jnp.pad(jax.lax.complex(kept.real * gain, kept.imag * gain), (0, n_fft - n_fft // 2))
    return jnp.fft.irfft(kept, n=2 * n_fft)


def _spectra(frequency: np.ndarray) -> np.ndarray:
    """Contribution of each coefficient of the kernel to its response: (TAPS / 2, DEGREE + 1, frequencies).

    It is the integral of (t - middle)^power cos(2 pi f t) over one segment and its mirror image, by Gaussian quadrature.
    """
    node, weight = np.polynomial.legendre.leggauss(40)
    node, weight = node / 2, weight / 2
    powers = node ** np.arange(DEGREE + 1)[:, None] * weight
    middles = np.arange(TAPS // 2) + 0.5
    waves = np.cos(2 * np.pi * frequency * (middles[:, None] + node)[..., None])
    return 2 * np.einsum("pn,snf->spf", powers, waves)


def _kernel() -> np.ndarray:
    """Fit the kernel by least squares: no images of the lower half of the band, a response of one at zero, and near one
    elsewhere.

    Returns:
      coefficients by segment and power, (TAPS / 2, DEGREE + 1), float64.
    """
    band = np.linspace(0, 0.25, 60)
    images = np.concatenate([k + sign * band for k in range(1, 9) for sign in (-1, 1)])
    wanted = [(images, 0.0, 300.0), (np.zeros(1), 1.0, 1e4), (band, 1.0, 1.0)]
    rows = [_spectra(frequency).reshape(-1, len(frequency)).T * weight for frequency, _, weight in wanted]
    values = [np.full(len(frequency), value * weight) for frequency, value, weight in wanted]
    found = np.linalg.lstsq(np.concatenate(rows), np.concatenate(values), rcond=None)[0]
    return found.reshape(TAPS // 2, DEGREE + 1)


def _response(frequency: np.ndarray) -> np.ndarray:
    """The frequency response of the kernel, float32, at 0 to 0.25 cycles per sample. It is smooth, so a table is enough."""
    return np.interp(frequency, _BAND, _BAND_RESPONSE).astype(np.float32)


_KERNEL = _kernel()
_BAND = np.linspace(0, 0.25, 2001)
_BAND_RESPONSE = np.einsum("sp,spf->f", _KERNEL, _spectra(_BAND))
