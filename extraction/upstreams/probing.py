"""Find by trying how short a wave an unknown encoder bears."""

from collections.abc import Callable, Iterable

import numpy as np
from jaxtyping import Float, Float32

from jfewshot.errors import UserError

# In seconds; half-octave steps, since the answer only guards against NaN and errors.
LENGTHS_S = (0.0125, 0.0175, 0.025, 0.035, 0.05, 0.07, 0.1, 0.14, 0.2, 0.3, 0.4, 0.6, 0.8, 1.0, 2.0, 4.0)

# What torch, NumPy and assertions raise for too short an input.
TOO_SHORT = (RuntimeError, ValueError, AssertionError, IndexError, ZeroDivisionError)


def shortest_finite(
    name: str,
    states_of: Callable[[Float32[np.ndarray, "1 samples"]], Iterable[Float[np.ndarray, "1 frames dim"]]],
    sample_rate: int,
    errors: tuple[type[Exception], ...] = TOO_SHORT,
) -> int:
    """The first of `LENGTHS_S`, in samples, from which on every layer has frames and all of them are finite.

    Args:
      name: name of the upstream, for the message.
      states_of: computes the hidden states of one wave, one array for each layer.
      sample_rate: Hz.
      errors: what `states_of` may raise for too short a wave.

    Returns:
      number of samples.

    Raises:
      UserError: not even 4 s of noise give a finite feature.
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
