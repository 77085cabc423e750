"""From frames to one vector: mean, min, max or standard deviation over time."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32

from jfewshot.errors import UserError

_POOLINGS = {
    # Sums over hundreds of frames in double precision: the order of summation then leaves no trace in float32.
    "mean": lambda frames: frames.mean(axis=1, dtype=np.float64),
    "std": lambda frames: frames.std(axis=1, dtype=np.float64),
    "min": lambda frames: frames.min(axis=1),
    "max": lambda frames: frames.max(axis=1),
}
POOLINGS = tuple(_POOLINGS)


def check_poolings(names: Sequence[str]) -> None:
    """Refuse a pooling that does not exist.

    Raises:
      UserError: naming it and the ones there are.
    """
    for name in names:
        if name not in _POOLINGS:
            raise UserError(f"unknown pooling '{name}': there are {', '.join(POOLINGS)}")


def pool(frames: Float32[np.ndarray, "batch frames dim"], name: str) -> Float32[np.ndarray, "batch dim"]:
    """Reduce true frames over time.

    Args:
      frames: at least one frame per item; a single one has a standard deviation of zero.
      name: one of `POOLINGS`; `std` divides by the number of frames (ddof 0).
    """
    return _POOLINGS[name](frames).astype(np.float32)
