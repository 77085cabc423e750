"""Embeddings of windows in one `.npy` file per recording."""

import functools
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from jfewshot.errors import UserError
from jfewshot.store.given import as_view, load_array


class FileVectors:
    """Embeddings in one `.npy` file per recording; a window's key is its number over all recordings.

    Args:
      paths: of the files, one per recording.
      first: int64, the key of each recording's first window, followed by the number of all windows.
    """

    def __init__(self, paths: Sequence[Path], first: np.ndarray):
        self._paths = paths
        self._first = first
        shown = next((array for path in paths if path.is_file() and len(array := _array(path))), None)
        if shown is None:
            first_one = f" (the first would be {paths[0]})" if len(paths) else ""
            raise UserError(f"no file of embeddings is there{first_one}; copy all files of the folder, or embed again")
        self._dim, self._dtype = int(shown.shape[1]), np.dtype(shown.dtype)

    @property
    def dim(self) -> int:
        """The number of dimensions of an embedding."""
        return self._dim

    @property
    def dtype(self) -> np.dtype:
        """float16 or float32."""
        return self._dtype

    def has(self, keys: np.ndarray) -> np.ndarray:
        """Which windows have an embedding: their file exists and has enough rows."""
        owner, row = self._places(keys)
        n_rows = {
            int(at): len(_array(self._paths[at])) if self._paths[at].is_file() else 0 for at in set(owner.tolist())
        }
        return row < np.array([n_rows[at] for at in owner.tolist()], np.int64)

    def read(self, keys: np.ndarray) -> np.ndarray:
        """The embeddings of some windows, windows x dim."""
        owner, row = self._places(keys)
        found = np.empty((len(keys), self.dim), self.dtype)
        for at in sorted(set(owner.tolist())):
            array, own = _array(self._paths[at]), owner == at
            if array.shape[1] != self.dim:
                raise UserError(
                    f"{self._paths[at]} has embeddings of {array.shape[1]} numbers, and others have {self.dim}; embed all "
                    "recordings with one model"
                )
            found[own] = array[row[own]]
        return found

    def _places(self, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        owner = np.searchsorted(self._first, keys, side="right") - 1
        return owner, keys - self._first[owner]


@functools.lru_cache(maxsize=8)
def _array(path: Path) -> np.ndarray:
    array = load_array(path)
    return as_view(array[None] if array.ndim == 1 else array, path.name)
