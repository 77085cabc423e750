"""Find by trying how short a wave an unknown encoder bears."""

from collections.abc import Callable, Sequence

import torch

from jfewshot.errors import UserError

# 12.5 ms to 4 s at 16 kHz; half-octave steps, since the answer only guards against NaN.
LENGTHS = (200, 280, 400, 560, 800, 1120, 1600, 2240, 3200, 4800, 6400, 9600, 12800, 16000, 32000, 64000)
# What torch, torchaudio and assertions raise for too short an input.
TOO_SHORT = (RuntimeError, ValueError, AssertionError, IndexError, ZeroDivisionError)


def shortest_finite(
    name: str, states_of: Callable[[torch.Tensor], Sequence[torch.Tensor]], device: torch.device
) -> int:
    """The first of `LENGTHS` from which on every hidden state is finite and has a frame.

    Args:
      name: for the message.
      states_of: waves, batch x samples, to hidden states.
      device: where the waves should lie.

    Raises:
      UserError: not even 4 s give a finite feature.
    """
    generator = torch.Generator().manual_seed(0)
    wave = 0.1 * torch.randn(1, LENGTHS[-1], generator=generator)
    cause: Exception | None = None
    for length in LENGTHS:
        try:
            states = states_of(wave[:, :length].to(device))
        except UserError:
            raise
        except TOO_SHORT as error:
            cause = error
            continue
        if all(state.shape[1] > 0 and bool(torch.isfinite(state).all()) for state in states):
            return length
    raise UserError(f"{name} gives no finite feature for up to 4 s of noise ({cause})") from cause
