"""Pitch without speed: a phase vocoder stretches time, the resampler plays it back at the old length.

The vocoder (Flanagan and Golden, 1966; Dolson, 1986) reads the wave at positions hop / ratio apart and writes frames
`hop` apart. The phase that each bin gains per written hop is measured, not estimated: from a second spectrum read
exactly `hop` before the first. So no phase needs unwrapping, and at ratio one the wave comes back.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

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
    taps = jnp.arange(N_FFT)

    def spectra(position):
        frames = padded.at[position[:, None] + taps].get(mode="fill", fill_value=0)
        return jnp.fft.rfft(frames * _WINDOW)

    now, before = spectra(position), spectra(position - HOP)
    # Two angles, not the angle of a product: out of silence, whose angle is zero, a bin then takes up its own phase.
    gained = jnp.angle(now) - jnp.angle(before)
    # The first frame keeps its own phase; from there on, phases add up.
    phase = jnp.cumsum(gained.at[0].set(jnp.angle(now[0])), axis=0)
    size = jnp.abs(now)
    frames = jnp.fft.irfft(jax.lax.complex(size * jnp.cos(phase), size * jnp.sin(phase)), n=N_FFT) * (
        _WINDOW / _OVERLAP
    )
    start = early * HOP + N_FFT // 2
    return _overlap_add(frames)[start : start + n_out]


def _overlap_add(frames: Float[Array, "frames n_fft"]) -> Float[Array, "samples"]:
    quarters = frames.reshape(frames.shape[0], N_FFT // HOP, HOP)
    n_quarters = N_FFT // HOP
    total = sum(
        jnp.pad(quarters[:, number], ((number, n_quarters - 1 - number), (0, 0))) for number in range(n_quarters)
    )
    return total.reshape(-1)
