"""Reverberation as in SoX: Freeverb (Jezar at Dreampoint), with eight comb filters in parallel and four all-passes in series.

SoX's `reverb` is linear and time-invariant. With the paper's settings (reverberance 50, damping 50) it is a family of impulse
responses with one parameter, the room scale. A bank has 101 of these responses, which are applied by FFT. For a room scale
between whole percents, the device evaluates the transfer function in closed form instead.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float, Int, Key

from jfewshot.simclr.augmentation.resample import fft_size

# Delays in samples at 44.1 kHz, and the difference of the second channel's delays.
_COMBS = (1116, 1188, 1277, 1356, 1422, 1491, 1557, 1617)
_ALL_PASSES = (225, 341, 441, 556)
_STEREO_SPREAD = 12
_WET_GAIN = 0.015
_ALL_PASS_FEEDBACK = 0.5
# Feedback at reverberance 0 and at reverberance 100.
_LEAST_FEEDBACK, _MOST_FEEDBACK = 0.3, 0.98
# At room scale 100 the tail has fallen by 80 dB after 2 s.
TAIL_S = 2.0


def feedback_of(reverberance: float) -> float:
    """Feedback of the comb filters for a reverberance of 0 to 100."""
    a = -1 / math.log(1 - _LEAST_FEEDBACK)
    b = 100 / (math.log(1 - _MOST_FEEDBACK) * a + 1)
    return 1 - math.exp((reverberance - b) / (a * b))


def damping_of(damping: float) -> float:
    """Low-pass coefficient of the comb filters for a damping of 0 to 100."""
    return damping / 100 * 0.3 + 0.2


def transfer(room_scale, n_fft: int, sample_rate: int, reverberance: float, damping: float, xp=jnp):
    """Compute the spectrum of the reverberation, dry sound included, at the bins of a real FFT of size `n_fft`.

    The result is that of SoX for a mono file: the mean of its two channels at full stereo depth. Reverberation that is longer
    than `n_fft` samples wraps around.

    Args:
      room_scale: size of the room, 0 to 100; may be traced.
      n_fft: size of the Fourier transform; even.
      sample_rate: Hz; delays are rounded to its samples, as SoX rounds them.
      reverberance: 0 to 100, as in SoX; larger values ring longer.
      damping: 0 to 100, as in SoX; larger values damp high frequencies more.
      xp: the array module that computes: `numpy` or `jax.numpy`.

    Returns:
      complex, (n_fft / 2 + 1,).
    """
    rate = sample_rate / 44_100
    scale = room_scale / 100 * 0.9 + 0.1
    feedback, low_pass = feedback_of(reverberance), damping_of(damping)
    bins = np.arange(n_fft // 2 + 1, dtype=np.int64 if xp is np else np.int32)
    real = np.float64 if xp is np else np.float32

    def delayed(samples):
        # In float32, bins * samples would lose its last digits. So whole turns are removed while it is an integer.
        turns = ((bins * samples) % n_fft).astype(real) * (2 * np.pi / n_fft)
        return (xp.cos(turns) - 1j * xp.sin(turns)) if xp is np else jax.lax.complex(jnp.cos(turns), -jnp.sin(turns))

    smoothing = (1 - low_pass) / (1 - low_pass * delayed(1))
    wet = 0.0
    for spread in (0, _STEREO_SPREAD):
        channel = 0.0
        for number, delay in enumerate(_COMBS):
            # The sign of the second channel's offset alternates from filter to filter, for combs and all-passes.
            exact = scale * rate * (delay + (-1) ** number * spread) + 0.5
            echo = delayed(exact.astype(xp.int32) if hasattr(exact, "astype") else int(exact))
            channel = channel + echo / (1 - feedback * smoothing * echo)
        for number, delay in enumerate(_ALL_PASSES):
            echo = delayed(int(rate * (delay + (-1) ** number * spread) + 0.5))
            channel = channel * ((1 + _ALL_PASS_FEEDBACK) * echo - 1) / (1 - _ALL_PASS_FEEDBACK * echo)
        wet = wet + channel / 2
    return 1 + _WET_GAIN * wet


def impulse_responses(
    sample_rate: int = 16_000,
    reverberance: float = 50.0,
    damping: float = 50.0,
    n_rooms: int = 101,
    tail_s: float = TAIL_S,
) -> np.ndarray:
    """Make the bank of impulse responses, dry sound included, with evenly spaced room scales from 0 to 100.

    Args:
      sample_rate: Hz.
      reverberance: 0 to 100, as in SoX; larger values ring longer.
      damping: 0 to 100, as in SoX; larger values damp high frequencies more.
      n_rooms: number of rooms.
      tail_s: length of each response in seconds.

    Returns:
      float32, (n_rooms, tail_s * sample_rate). 101 rooms at 16 kHz take 13 MB and about 3 s to compute.
    """
    rooms = np.linspace(0, 100, n_rooms)
    return np.stack([impulse_response(room, sample_rate, reverberance, damping, tail_s) for room in rooms])


def impulse_response(
    room_scale: float,
    sample_rate: int = 16_000,
    reverberance: float = 50.0,
    damping: float = 50.0,
    tail_s: float = TAIL_S,
) -> np.ndarray:
    """Compute the impulse response of one room, dry sound included.

    Args:
      room_scale: size of the room, 0 to 100.
      sample_rate: Hz.
      reverberance: 0 to 100, as in SoX; larger values ring longer.
      damping: 0 to 100, as in SoX; larger values damp high frequencies more.
      tail_s: length of the response in seconds.

    Returns:
      float32, tail_s * sample_rate samples.
    """
    samples = int(tail_s * sample_rate)
    # The FFT has twice the length of the tail, so that what wraps around has fallen by 160 dB.
    n_fft = fft_size(2 * samples)
    spectrum = transfer(room_scale, n_fft, sample_rate, reverberance, damping, xp=np)
    return np.fft.irfft(spectrum, n=n_fft)[:samples].astype(np.float32)


def reverb(
    key: Key[Array, ""],
    wave: Float[Array, "samples"],
    length: Int[Array, ""],
    bank: Float[Array, "rooms tail"],
) -> tuple[Float[Array, "samples"], Int[Array, ""]]:
    """Put a wave into one room of a bank, drawn uniformly.

    The reverberation that continues past the end of the wave is cut off.

    Args:
      key: random key that decides the room.
      wave: samples; zero past `length`.
      length: number of true samples.
      bank: impulse responses from `impulse_responses`, (rooms, tail).

    Returns:
      the reverberant wave, as long as `wave`, and its number of true samples, which has not changed.
    """
    # Reverberation after the end of the wave is cut off below, so the response need not be longer than the wave.
    response = bank[jax.random.randint(key, (), 0, bank.shape[0])][: wave.shape[0]]
    n_fft = fft_size(wave.shape[0] + response.shape[0])
    return _apply(wave, length, jnp.fft.rfft(response, n=n_fft), n_fft), length


def reverb_continuous(
    key: Key[Array, ""],
    wave: Float[Array, "samples"],
    length: Int[Array, ""],
    sample_rate: int = 16_000,
    reverberance: float = 50.0,
    damping: float = 50.0,
) -> tuple[Float[Array, "samples"], Int[Array, ""]]:
    """Put a wave into a room whose scale is drawn from U(0, 100), without a bank.

    The room's spectrum is computed for every wave, so that any fraction of a scale can occur.

    Args:
      key: random key that decides the room.
      wave: samples; zero past `length`.
      length: number of true samples.
      sample_rate: Hz.
      reverberance: 0 to 100, as in SoX; larger values ring longer.
      damping: 0 to 100, as in SoX; larger values damp high frequencies more.

    Returns:
      the reverberant wave, as long as `wave`, and its number of true samples, which has not changed.
    """
    room = jax.random.uniform(key, maxval=100.0)
    n_fft = fft_size(wave.shape[0] + int(TAIL_S * sample_rate))
    return _apply(wave, length, transfer(room, n_fft, sample_rate, reverberance, damping), n_fft), length


def _apply(wave: Float[Array, "samples"], length: Int[Array, ""], spectrum: Complex[Array, "bins"], n_fft: int):
    wet = jnp.fft.irfft(jnp.fft.rfft(wave, n=n_fft) * spectrum, n=n_fft)[: wave.shape[0]]
    return jnp.where(jnp.arange(wave.shape[0]) < length, wet, 0.0)
