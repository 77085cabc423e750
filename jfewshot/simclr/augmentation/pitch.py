"""Shifts the pitch at constant speed: a phase vocoder stretches time, and resampling restores the old length.

The vocoder (Flanagan and Golden, 1966; Dolson, 1986) reads the wave at positions hop / ratio apart and writes frames
`hop` apart. The phase that each bin gains in a written hop is not estimated but measured, from a second spectrum that is read
exactly `hop` before the first. So no phase needs unwrapping, and at ratio one the output equals the input.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float, Int, Key

from jfewshot.simclr.augmentation.resample import resample, resampled_length

N_FFT = 1024
HOP = N_FFT // 4
_WINDOW = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(N_FFT) / N_FFT)).astype(np.float32)
# The sum of squared Hann windows that are a quarter of a window apart is 1.5 everywhere.
_OVERLAP = 1.5
# Below this squared magnitude, 200 dB below a full-scale tone, the phase of a bin has no meaning. Products of two such values and
# their reciprocal square roots are still normal numbers.
_SILENT = 1e-15


def pitch(
    key: Key[Array, ""],
    wave: Float[Array, "samples"],
    length: Int[Array, ""],
    lowest: float = -300.0,
    highest: float = 300.0,
) -> tuple[Float[Array, "samples"], Int[Array, ""]]:
    """Shift the pitch by U(lowest, highest) cents; the length stays the same.

    Args:
      key: random key that decides the shift.
      wave: samples; zero past `length`.
      length: number of true samples.
      lowest: smallest shift in cents (1,200 to the octave); the paper's -300.
      highest: largest shift in cents; the paper's 300.

    Returns:
      the shifted wave, as long as `wave`, and its number of true samples, which has not changed.
    """
    cents = jax.random.uniform(key, minval=lowest, maxval=highest)
    return shift(wave, cents, highest, length), length


def shift(
    wave: Float[Array, "samples"], cents: Float[Array, ""] | float, highest: float, length: Int[Array, ""]
) -> Float[Array, "samples"]:
    """Shift the pitch of a wave by a number of cents; its length stays the same.

    Args:
      wave: samples; zero past `length`.
      cents: shift, at most `highest`; 1,200 cents make an octave.
      highest: largest possible shift in cents; it sets the static size of the stretched wave.
      length: number of true samples.

    Returns:
      the shifted wave, (samples,).
    """
    return replay(wave, length, 1.0, cents, highest, wave.shape[0])[0]


def replay(
    wave: Float[Array, "samples"],
    length: Int[Array, ""],
    factor: Float[Array, ""] | float,
    cents: Float[Array, ""] | float,
    highest: float,
    n_out: int,
) -> tuple[Float[Array, "n_out"], Int[Array, ""]]:
    """Change the speed, which also changes the pitch, and additionally shift the pitch; one resampling does both.

    Args:
      wave: samples; zero past `length`.
      length: number of true samples.
      factor: factor of the speed, 0.5 to 2.
      cents: shift in cents, at most `highest` and at least -1,200.
      highest: largest possible shift in cents, at most 1,200; it sets the static size of the stretched wave.
      n_out: static size of the result.

    Returns:
      the wave, zero past its new length, floor(length / factor).
    """
    ratio = 2.0 ** (jnp.asarray(cents, jnp.float32) / 1200.0)
    longest = math.ceil(wave.shape[0] * max(2.0 ** (highest / 1200.0), 1.0))
    out = resample(stretch(wave, ratio, longest), ratio * factor, n_out)
    new_length = jnp.minimum(resampled_length(length, factor), n_out)
    return jnp.where(jnp.arange(n_out) < new_length, out, 0.0), new_length


def stretch(wave: Float[Array, "samples"], ratio: Float[Array, ""], n_out: int) -> Float[Array, "n_out"]:
    """Make a wave `ratio` times as long at the same pitch.

    Frames are computed one after the other, and each is added to the overlap from earlier frames. So only one frame is in memory,
    which on a CPU is also several times faster than transforming all frames at once.

    Args:
      wave: samples; silence is assumed around them.
      ratio: length of the output divided by the length of the input.
      n_out: static number of output samples.

    Returns:
      the stretched wave, (n_out,).
    """
    # Windows that are centred before the first output sample contribute to it, so frames begin half a window early.
    early = N_FFT // 2 // HOP
    n_frames = early + -(-n_out // HOP) + N_FFT // HOP
    # Silence before the start is needed for the early frames, which are read at up to twice their distance, for half a window,
    # and for the spectra one hop earlier.
    before_start = 2 * early * HOP + N_FFT // 2 + HOP
    padded = jnp.pad(wave, (before_start, N_FFT + HOP))
    centre = jnp.round(jnp.arange(-early, n_frames - early, dtype=jnp.float32) * (HOP / ratio)).astype(jnp.int32)
    position = before_start - N_FFT // 2 + centre

    def one_frame(carry, start):
        phase, tail = carry
        # A slice is much faster than a gather of samples. A slice that would reach past the end is moved back, which changes
        # nothing, because both places are silent.
        both = jax.lax.dynamic_slice(padded, (start - HOP,), (N_FFT + HOP,))
        now, before = jnp.fft.rfft(jnp.stack([both[HOP:], both[:N_FFT]]) * _WINDOW)
        phase, turned = _turn(phase, now, before)
        frame = (jnp.fft.irfft(turned, n=N_FFT) * (_WINDOW / _OVERLAP)).at[: N_FFT - HOP].add(tail)
        return (phase, frame[HOP:]), frame[:HOP]

    silent = jnp.zeros(N_FFT // 2 + 1, jnp.float32)
    _, out = jax.lax.scan(one_frame, ((silent, silent), jnp.zeros(N_FFT - HOP, jnp.float32)), position)
    start = early * HOP + N_FFT // 2
    return out.reshape(-1)[start : start + n_out]


def _turn(
    phase: tuple[Float[Array, "bins"], Float[Array, "bins"]],
    now: Complex[Array, "bins"],
    before: Complex[Array, "bins"],
) -> tuple[tuple[Float[Array, "bins"], Float[Array, "bins"]], Complex[Array, "bins"]]:
    """Give the spectrum `now` the phase of the last written spectrum plus the phase gained since `before`, a hop earlier.

    Phases are complex numbers of length one (real and imaginary part; both zero before the first frame). So differences and sums
    of angles become products, and no angle is computed. The first frame keeps its own phase, and so does a bin after silence.
    """
    size, size_before = _square(now.real, now.imag), _square(before.real, before.imag)
    heard, follows = size > _SILENT, (size_before > _SILENT) & (_square(*phase) > 0.5)
    old_re, old_im = (jnp.where(follows, part, one) for part, one in zip(phase, (1.0, 0.0), strict=True))
    re_before, im_before = jnp.where(follows, before.real, 1.0), jnp.where(follows, before.imag, 0.0)
    gained_re = now.real * re_before + now.imag * im_before
    gained_im = now.imag * re_before - now.real * im_before
    re, im = gained_re * old_re - gained_im * old_im, gained_re * old_im + gained_im * old_re
    scale = jax.lax.rsqrt(jnp.where(heard, _square(re, im), 1.0))
    re, im = jnp.where(heard, re * scale, phase[0]), jnp.where(heard, im * scale, phase[1])
    root = jnp.sqrt(size)
    return (re, im), jax.lax.complex(root * re, root * im)


def _square(re: Float[Array, "bins"], im: Float[Array, "bins"]) -> Float[Array, "bins"]:
    return re * re + im * im
