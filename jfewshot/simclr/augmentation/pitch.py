"""Pitch without speed: a phase vocoder stretches time, the resampler plays it back at the old length.

The vocoder (Flanagan and Golden, 1966; Dolson, 1986) reads the wave at positions hop / ratio apart and writes frames
`hop` apart. The phase that each bin gains per written hop is measured, not estimated: from a second spectrum read
exactly `hop` before the first. So no phase needs unwrapping, and at ratio one the wave comes back.
"""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float, Int, Key

from jfewshot.simclr.augmentation.resample import resample

N_FFT = 1024
HOP = N_FFT // 4
_WINDOW = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(N_FFT) / N_FFT)).astype(np.float32)
# The squares of Hann windows a quarter apart add up to 1.5 everywhere.
_OVERLAP = 1.5


def pitch(
    key: Key[Array, ""],
    wave: Float[Array, "samples"],
    length: Int[Array, ""],
    lowest: float = -300.0,
    highest: float = 300.0,
) -> tuple[Float[Array, "samples"], Int[Array, ""]]:
    """Shift the pitch by U(lowest, highest) cents; length and size stay.

    Args:
      key: decides the shift.
      wave: zero past `length`.
      length: true samples.
      lowest, highest: cents, 1,200 to the octave; the paper's -300 and 300.
    """
    cents = jax.random.uniform(key, minval=lowest, maxval=highest)
    return shift(wave, cents, highest, length), length


def shift(
    wave: Float[Array, "samples"], cents: Float[Array, ""] | float, highest: float, length: Int[Array, ""]
) -> Float[Array, "samples"]:
    """Shift by a number of cents, at most `highest` (which sets the static size in between)."""
    ratio = 2.0 ** (jnp.asarray(cents, jnp.float32) / 1200.0)
    n = wave.shape[0]
    longest = math.ceil(n * max(2.0 ** (highest / 1200.0), 1.0))
    out = resample(stretch(wave, ratio, longest), ratio, n)
    return jnp.where(jnp.arange(n) < length, out, 0.0)


def stretch(wave: Float[Array, "samples"], ratio: Float[Array, ""], n_out: int) -> Float[Array, "n_out"]:
    """Make a wave `ratio` times as long at the same pitch."""
    # The first output sample lies under windows centred before it: begin half a window early.
    early = N_FFT // 2 // HOP
    n_frames = early + -(-n_out // HOP) + N_FFT // HOP
    # Silence before the start for those, read at up to twice their distance, for half a window, and for the earlier
    # spectra.
    before_start = 2 * early * HOP + N_FFT // 2 + HOP
    padded = jnp.pad(wave, (before_start, N_FFT + HOP))
    centre = jnp.round(jnp.arange(-early, n_frames - early, dtype=jnp.float32) * (HOP / ratio)).astype(jnp.int32)
    position = before_start - N_FFT // 2 + centre

    def spectra(position):
        # Whole slices, not a gather of every sample. One that would begin past the end begins at its last place instead:
        # silence either way.
        frames = jax.vmap(lambda first: jax.lax.dynamic_slice(padded, (first,), (N_FFT,)))(position)
        return jnp.fft.rfft(frames * _WINDOW)

    now, before = spectra(position), spectra(position - HOP)
    # Phases as unit numbers: differences and sums of angles become products, and no angle is ever computed. The first
    # frame keeps its own phase; from there on, phases add up. Out of silence a bin takes up its own.
    gained = _direction(now) * jnp.conj(_direction(before)).at[0].set(1.0)
    phase = jax.lax.associative_scan(jnp.multiply, gained)
    size, phase = jnp.abs(now), _direction(phase)
    frames = jnp.fft.irfft(jax.lax.complex(size * phase.real, size * phase.imag), n=N_FFT) * (_WINDOW / _OVERLAP)
    start = early * HOP + N_FFT // 2
    return _overlap_add(frames)[start : start + n_out]


def _direction(z: Complex[Array, "*any"]) -> Complex[Array, "*any"]:
    """z / |z|; one where z is zero."""
    square = jnp.square(z.real) + jnp.square(z.imag)
    # Below the smallest normal number the reciprocal root would overflow.
    heard = square > 1e-30
    scale = jax.lax.rsqrt(jnp.where(heard, square, 1.0))
    return jax.lax.complex(jnp.where(heard, z.real * scale, 1.0), jnp.where(heard, z.imag * scale, 0.0))


def _overlap_add(frames: Float[Array, "frames n_fft"]) -> Float[Array, "samples"]:
    quarters = frames.reshape(frames.shape[0], N_FFT // HOP, HOP)
    n_quarters = N_FFT // HOP
    moved = [jnp.pad(quarters[:, number], ((number, n_quarters - 1 - number), (0, 0))) for number in range(n_quarters)]
    return functools.reduce(jnp.add, moved).reshape(-1)
