"""Synthetic embeddings with the difficulties of encoders' embeddings.

They have a large common mean, and nearly all variance lies in a few directions. Classes overlap, and the segments of a clip are
similar.

The numbers come from the sample stores (jfewshot/data/stores: Whisper, Moonshine, YAMNet, speech_embedding on four tasks). The
mean of unit-length embeddings has a squared length of 0.7 to 0.95. The eigenvalues of the covariance fall as i^-1.3 to i^-2, and
64 directions hold 88 to 98% of the variance. Classes explain between a tenth and a half of the variance.
"""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np

_DIRECTIONS = 64
_ROWS_AT_ONCE = 16_384


@dataclasses.dataclass(frozen=True)
class Look:
    """Statistics of the embeddings.

    Attributes:
      mean_cosine: approximate cosine between two embeddings of different classes.
      falls_as: exponent with which the eigenvalues of the leading directions fall.
      leading: share of the variance in the leading directions; the rest is white noise.
      classes, clips: shares of the variance between classes, and between the clips of a class; the rest is between
        the segments of a clip.
      length: Euclidean length of an embedding.
    """

    mean_cosine: float = 0.88
    falls_as: float = -1.4
    leading: float = 0.9
    classes: float = 0.35
    clips: float = 0.45
    length: float = 15.0


class Synthetic:
    """Embeddings of clips.

    Args:
      class_of_clip: class number of each clip.
      n_segments: number of segments of each clip.
      dim: dimension of the embeddings.
      seed: seed of the directions and of the mean, which differ between encoders.
      look: statistics of the embeddings.
    """

    def __init__(
        self, class_of_clip: np.ndarray, n_segments: np.ndarray, dim: int, seed: int = 0, look: Look | None = None
    ):
        look = look or Look()
        rng = np.random.default_rng([seed, dim])
        directions = min(_DIRECTIONS, dim)
        spread = np.arange(1, directions + 1) ** (look.falls_as / 2)
        spread *= look.length * np.sqrt((1 - look.mean_cosine) * look.leading / (spread**2).sum())
        basis = np.linalg.qr(rng.normal(size=(dim, directions)))[0].T
        self._basis = (spread[:, None] * basis).astype(np.float32)
        mean = rng.normal(size=dim)
        self._mean = (look.length * np.sqrt(look.mean_cosine) * mean / np.linalg.norm(mean)).astype(np.float32)
        white = look.length * np.sqrt((1 - look.mean_cosine) * (1 - look.leading) / dim)
        # White noise is cut from one long array at random places, which is faster than drawing new noise for every row.
        self._strip = (white * rng.standard_normal(2**22, np.float32)).astype(np.float32)
        self._clip_of_segment = np.repeat(np.arange(len(class_of_clip)), n_segments)
        self._class_of_clip = class_of_clip
        self._classes = rng.standard_normal((int(class_of_clip.max()) + 1, directions), np.float32)
        self._scales = [np.float32(np.sqrt(x)) for x in (look.classes, look.clips, 1 - look.classes - look.clips)]
        self._seed, self.dim = seed, dim

    def __len__(self) -> int:
        return len(self._clip_of_segment)

    def blocks(self, dtype: str = "float32") -> Iterator[np.ndarray]:
        """The rows, in blocks of some thousands."""
        directions = len(self._basis)
        for number, start in enumerate(range(0, len(self), _ROWS_AT_ONCE)):
            rng = np.random.default_rng([self._seed, self.dim, number])
            clips = self._clip_of_segment[start : start + _ROWS_AT_ONCE]
            # A clip with segments in two blocks gets two different centres. This changes no time, and time is all that is
            # measured.
            distinct, which = np.unique(clips, return_inverse=True)
            of_class, of_clip, of_segment = self._scales
            place = of_class * self._classes[self._class_of_clip[clips]]
            place += of_clip * rng.standard_normal((len(distinct), directions), np.float32)[which]
            place += of_segment * rng.standard_normal((len(clips), directions), np.float32)
            rows = place @ self._basis
            rows += self._mean
            for row, at in zip(rows, rng.integers(0, len(self._strip) - self.dim, len(clips)).tolist(), strict=True):
                row += self._strip[at : at + self.dim]
            yield rows.astype(dtype)

    def array(self, dtype: str = "float32") -> np.ndarray:
        """All rows in memory."""
        return np.concatenate(list(self.blocks(dtype)))

    def save(self, path: Path, dtype: str = "float32") -> None:
        """Write all rows to a `.npy` file, block by block."""
        with open(path, "wb") as file:
            header = {"descr": np.dtype(dtype).str, "fortran_order": False, "shape": (len(self), self.dim)}
            np.lib.format.write_array_header_1_0(file, header)
            for block in self.blocks(dtype):
                file.write(block.data)
