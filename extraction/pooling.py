"""Pool frames to one vector: mean, min, max or standard deviation over time, or mean and standard deviation side by side. Or keep
the frames."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32

from jfewshot.errors import UserError

_POOLINGS = {
    # Sums over hundreds of frames in double precision, so that the order of summation does not change the float32
    # result.
    "mean": lambda frames: frames.mean(axis=1, dtype=np.float64),
    "std": lambda frames: frames.std(axis=1, dtype=np.float64),
    "min": lambda frames: frames.min(axis=1),
    "max": lambda frames: frames.max(axis=1),
    "mean_std": lambda frames: np.concatenate(
        [frames.mean(axis=1, dtype=np.float64), frames.std(axis=1, dtype=np.float64)], axis=1
    ),
}
# A view that keeps the frames, with one row for each frame. All views of a store have the same rows, so it must be the
# only view.
FRAMES = "frames"
POOLINGS = (*_POOLINGS, FRAMES)


def check_poolings(names: Sequence[str]) -> None:
    """Refuse a pooling that does not exist.

    Raises:
      UserError: if a pooling is unknown (the message lists the known ones), or if frames is combined with another.
    """
    for name in names:
        if name not in POOLINGS:
            raise UserError(f"unknown pooling '{name}': there are {', '.join(POOLINGS)}")
    if FRAMES in names and len(names) > 1:
        raise UserError(
            "pooling 'frames' keeps a row per frame, other poolings a row per segment: extract them to two --out folders"
        )


def pool(frames: Float32[np.ndarray, "batch frames dim"], name: str) -> Float32[np.ndarray, "batch pooled"]:
    """Pool true frames over time.

    Args:
      frames: at least one frame per item; a single one has a standard deviation of zero.
      name: one of `POOLINGS` except `frames`; `std` divides by the number of frames (ddof 0), and `mean_std` is the mean followed
        by the standard deviation, twice as wide.
    """
    return _POOLINGS[name](frames).astype(np.float32)


def rows_of(frames: Float32[np.ndarray, "batch frames dim"], name: str) -> Float32[np.ndarray, "batch rows pooled"]:
    """The rows of each item in a view: one pooled row, or every frame."""
    return frames.astype(np.float32) if name == FRAMES else pool(frames, name)[:, None]
