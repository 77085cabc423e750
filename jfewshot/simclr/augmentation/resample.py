"""Resampling by any ratio near one: through the spectrum onto a grid twice as fine, then by polynomials in the position.

The spectrum does what depends on the ratio: everything from the lower of the two Nyquist frequencies up is taken out,
over a transition of 500 Hz (at 16 kHz), and twice the samples come back. On that grid a signal fills less than half of
the band, so a kernel six samples wide suffices to read it anywhere. It is a polynomial of degree four between samples
(Niemitalo, 2001), the one that leaves least of the images; that it also bends the pass band costs nothing, since the
spectrum is divided by its response before.

The pass band reaches from 0 to min(1, 1 / ratio) * 8,000 Hz - 500 Hz; images and aliases of what lies in it are below
-75 dB. At ratio one the wave comes back exactly, up to that filter.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

TAPS = 6
DEGREE = 4
# In cycles per sample; 500 Hz at 16 kHz.
TRANSITION = 1 / 32
# Positions are exact fractions of this, so that they do not drift: in float32, sample 200,000 would be off by 1/64. Not
# a bit more, or the products below overflow.
_GRID_BITS = 14
GRID = 1 << _GRID_BITS
# Silence between a wave's end and its beginning, which the spectrum joins: the filter's ringing dies away in it.
_SILENCE = 256


def resample(wave: Float[Array, "samples"], ratio: Float[Array, ""] | float, n_out: int) -> Float[Array, "n_out"]:
    """Read a wave `ratio` times as fast: output sample n is the band-limited wave at position n * ratio.

    Args:
      wave: samples; silence is assumed around them.
      ratio: above 0 and up to 4; rounded to 1/32,768 (0.05 cents at one).
      n_out: static number of output samples.

    Returns:
      the wave at the new speed, (n_out,).
    """
    # In steps of the finer grid.
    steps = jnp.round(jnp.asarray(ratio, jnp.float32) * (2 * GRID)).astype(jnp.int32)
    fine = _twice_as_fine(wave, steps.astype(jnp.float32) / (2 * GRID))
    n = jnp.arange(n_out, dtype=jnp.int32)
    # n * steps / GRID without overflowing 32 bits: n = q * GRID + r. Up to ratio 4, r * steps stays below 2^31.
    within = (n & (GRID - 1)) * steps
    start = (n >> _GRID_BITS) * steps + (within >> _GRID_BITS) + (_SILENCE - (TAPS // 2 - 1))
    # From the middle between two samples, where the kernel is even: pairs of taps share their coefficients.
    u = (within & (GRID - 1)).astype(jnp.float32) * (1 / GRID) - 0.5

    def read(tap):
        # One gather per tap and no array of pieces: XLA fuses them into a single loop. Reads past the wave find silence.
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
    """How many output samples lie within the wave."""
    return jnp.floor(length.astype(jnp.float32) / ratio).astype(jnp.int32)


def fft_size(n: int) -> int:
    """The next even size whose only factors are 2, 3 and 5: at most a seventh more than needed."""
    sizes = (2**a * 3**b * 5**c for a in range(1, 25) for b in range(4) for c in range(4))
    return min(size for size in sizes if size >= n)


def _twice_as_fine(wave: Float[Array, "samples"], ratio: Float[Array, ""]) -> Float[Array, "fine"]:
    """Two samples for each, without what lies above the lower Nyquist frequency; `_SILENCE` of them before the first."""
    n_fft = fft_size(wave.shape[0] + _SILENCE)
    padded = jnp.pad(wave, (_SILENCE // 2, n_fft - wave.shape[0] - _SILENCE // 2))
    frequency = np.arange(n_fft // 2 + 1, dtype=np.float32) / n_fft
    below = jnp.clip((0.5 * jnp.minimum(1.0, 1.0 / ratio) - frequency) / TRANSITION, 0.0, 1.0)
    # The factor two makes up for the twice as many samples that the inverse transform divides by.
    gain = below * below * (3.0 - 2.0 * below) * (2.0 / _response(frequency / 2))
    kept = jnp.fft.rfft(padded)
    kept = jnp.pad(jax.lax.complex(kept.real * gain, kept.imag * gain), (0, n_fft - n_fft // 2))
    return jnp.fft.irfft(kept, n=2 * n_fft)


def _spectra(frequency: np.ndarray) -> np.ndarray:
    """What each coefficient of the kernel contributes to its response: (TAPS / 2, DEGREE + 1, frequencies).

    The integral over one segment and its mirror image of (t - middle)^power cos(2 pi f t), by Gauss's quadrature.
    """
    node, weight = np.polynomial.legendre.leggauss(40)
    node, weight = node / 2, weight / 2
    powers = node ** np.arange(DEGREE + 1)[:, None] * weight
    middles = np.arange(TAPS // 2) + 0.5
    waves = np.cos(2 * np.pi * frequency * (middles[:, None] + node)[..., None])
    return 2 * np.einsum("pn,snf->spf", powers, waves)


def _kernel() -> np.ndarray:
    """Least squares: no images of the lower half of the band, a response of one at zero, and not far from it elsewhere.

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
    """The frequency response of the kernel, float32, at 0 to 0.25 cycles per sample; from a table, since it is
    smooth."""
    return np.interp(frequency, _BAND, _BAND_RESPONSE).astype(np.float32)


_KERNEL = _kernel()
_BAND = np.linspace(0, 0.25, 2001)
_BAND_RESPONSE = np.einsum("sp,spf->f", _KERNEL, _spectra(_BAND))
