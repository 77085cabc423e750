"""Find by trial the shortest wave that an unknown encoder accepts, and whether it accepts only a single length."""

from collections.abc import Callable, Iterable

import numpy as np
from jaxtyping import Float, Float32

from jfewshot.errors import UserError

# Lengths to try, in seconds. Steps of half an octave are enough, since the result only prevents NaN and errors.
LENGTHS_S = (0.0125, 0.0175, 0.025, 0.035, 0.05, 0.07, 0.1, 0.14, 0.2, 0.3, 0.4, 0.6, 0.8, 1.0, 2.0, 4.0)

# Errors that torch, NumPy and assertions raise for inputs that are too short.
TOO_SHORT = (RuntimeError, ValueError, AssertionError, IndexError, ZeroDivisionError)


def shortest_finite(
    name: str,
    states_of: Callable[[Float32[np.ndarray, "1 samples"]], Iterable[Float[np.ndarray, "1 frames dim"]]],
    sample_rate: int,
    errors: tuple[type[Exception], ...] = TOO_SHORT,
) -> int:
    """The shortest of `LENGTHS_S`, in samples, for which every layer has frames and all of them are finite.

    Args:
      name: name of the upstream, for the message.
      states_of: function that computes the hidden states of one wave, one array for each layer.
      sample_rate: sample rate in Hz.
      errors: errors that `states_of` may raise for waves that are too short.

    Returns:
      number of samples.

    Raises:
      UserError: if not even 4 s of noise give finite features.
    """
    noise = 0.1 * np.random.default_rng(0).standard_normal((1, round(LENGTHS_S[-1] * sample_rate)), np.float32)
    cause: Exception | None = None
    for length in (round(seconds * sample_rate) for seconds in LENGTHS_S):
        try:
            states = list(states_of(noise[:, :length]))
        except errors as error:
            cause = error
            continue
        if all(state.shape[1] > 0 and np.isfinite(state).all() for state in states):
            return length
    raise UserError(f"{name} gives no finite feature for up to {LENGTHS_S[-1]:.0f} s of noise ({cause})") from cause


def gives_finite(
    states_of: Callable[[Float32[np.ndarray, "1 samples"]], Iterable[Float[np.ndarray, "1 frames dim"]]], length: int
) -> bool:
    """Whether every layer has frames for a wave of noise, and all of them are finite.

    Args:
      states_of: function that computes the layers of one wave.
      length: length of the wave in samples.
    """
    noise = 0.1 * np.random.default_rng(0).standard_normal((1, length), np.float32)
    try:
        states = list(states_of(noise))
    except Exception:  # a network may raise any error for a length that it does not take
        return False
    return all(state.shape[1] > 0 and np.isfinite(state).all() for state in states)


def takes_one_length_only(
    states_of: Callable[[Float32[np.ndarray, "1 samples"]], Iterable[Float[np.ndarray, "1 frames dim"]]],
    segment_samples: int,
    sample_rate: int,
) -> bool:
    """Whether an encoder gives finite features for waves of its segment's length, but fails for all other tried lengths.

    The tried lengths are `LENGTHS_S`, and parts and multiples of the segment from a tenth to twice its length. An encoder that
    takes several lengths succeeds at one of the first of them, so it runs only two or three times.

    Args:
      states_of: function that computes the layers of one wave.
      segment_samples: segment length that the encoder declares, in samples.
      sample_rate: sample rate in Hz.

    Returns:
      True for an encoder that takes only one length.
    """
    others = [segment_samples * tenths // 10 for tenths in (8, 5, 9, 15, 20, 2, 1)]
    others += [round(seconds * sample_rate) for seconds in LENGTHS_S]
    lengths = [length for length in dict.fromkeys(others) if length > 0 and length != segment_samples]
    return gives_finite(states_of, segment_samples) and not any(gives_finite(states_of, length) for length in lengths)
