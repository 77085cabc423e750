"""Frame features of utterances of different lengths: one long array, and the number of frames of each utterance."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from jfewshot.simclr.features import Moments

_UTTERANCES_AT_ONCE = 64


@dataclasses.dataclass(frozen=True, eq=False)
class Frames:
    """Frame features.

    Attributes:
      values: float32 or float16, frames of all utterances x dim; may be a memory map.
      first: row of each utterance's first frame.
      n_frames: number of frames (consecutive rows) of each utterance, at least 1.
    """

    values: Float[np.ndarray, "total dim"]
    first: Int[np.ndarray, " n"]
    n_frames: Int[np.ndarray, " n"]

    @classmethod
    def joined(cls, parts: Sequence[Float[np.ndarray, "_ dim"]]) -> "Frames":
        """Join one array of frames x dim per utterance."""
        return cls.counted(np.concatenate(parts), np.array([len(part) for part in parts], np.int64))

    @classmethod
    def counted(cls, values: Float[np.ndarray, "total dim"], n_frames: Int[np.ndarray, " n"]) -> "Frames":
        """Frames of utterances whose rows follow each other."""
        return cls(values, np.concatenate([[0], np.cumsum(n_frames)[:-1]]).astype(np.int64), n_frames)

    def __len__(self) -> int:
        return len(self.n_frames)

    @property
    def dim(self) -> int:
        """Numbers per frame."""
        return self.values.shape[1]

    def of(self, utterance: int | np.integer) -> Float[np.ndarray, "frames dim"]:
        """The frames of one utterance."""
        return self.values[self.first[utterance] : self.first[utterance] + self.n_frames[utterance]]

    def select(self, utterances: Sequence[int] | np.ndarray) -> "Frames":
        """Some of the utterances; the values are not copied."""
        return Frames(self.values, self.first[utterances], self.n_frames[utterances])

    def padded(
        self, utterances: Sequence[int] | np.ndarray, size: int
    ) -> tuple[Float[np.ndarray, "rows size dim"], Int[np.ndarray, " rows"]]:
        """Frames of some utterances, padded with zeros to `size` frames, and the number of true frames of each.

        Of a longer utterance, the first `size` frames are kept.
        """
        rows = np.zeros((len(utterances), size, self.dim), np.float32)
        counts = np.minimum(self.n_frames[utterances], size).astype(np.int32)
        for row, (utterance, count) in enumerate(zip(utterances, counts, strict=True)):
            rows[row, :count] = self.of(utterance)[:count]
        return rows, counts

    def means(self, longest: int) -> "Frames":
        """One frame per utterance: the mean of its first `longest` frames (summed in double precision)."""
        values = np.stack([self.of(each)[:longest].mean(axis=0, dtype=np.float64) for each in range(len(self))])
        return Frames.counted(values.astype(np.float32), np.ones(len(self), np.int64))

    def moments(self, utterances: Sequence[int] | np.ndarray) -> Moments:
        """Mean and standard deviation of each number of a frame, over the true frames of some utterances."""
        moments = Moments()
        for start in range(0, len(utterances), _UTTERANCES_AT_ONCE):
            block = utterances[start : start + _UTTERANCES_AT_ONCE]
            moments.update(np.concatenate([np.asarray(self.of(each), np.float32) for each in block]))
        return moments


def padded_size(n_frames: float | int | np.number) -> int:
    """Round a number of frames up to one of 16, 20, 24, 28, 32, 40, 48, 56, 64, 80 ...: at most a quarter more than needed.

    Each size needs a compilation. These sizes, four per octave, do not depend on the data, so all folds share them.
    """
    size = 16
    while size < n_frames:
        size += 1 << (size.bit_length() - 3)
    return size
