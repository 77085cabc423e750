"""The vectors of a Hoplite database, in an index of USearch, which is memory-mapped and not loaded."""

from pathlib import Path
from typing import Any

import numpy as np

from jfewshot.errors import UserError
from jfewshot.files.not_tables import LFS_FIX, is_lfs_pointer

INDEX = "usearch.index"


def need_usearch(what: str) -> Any:
    """Import the module `usearch.index`.

    Args:
      what: the current action, for the message.

    Raises:
      UserError: if USearch is not installed.
    """
    try:
        import usearch.index
    except ModuleNotFoundError as error:
        raise UserError(f"{what} needs the Python package usearch: pip install 'jfewshot[databases]'") from error
    return usearch.index


class IndexVectors:
    """The vectors of an index, by the ids of windows.

    Args:
      path: the file of the index.

    Raises:
      UserError: if the file is missing, incomplete or not an index.
    """

    def __init__(self, path: Path):
        module = need_usearch(f"reading {path}")
        self._path = path
        if not path.is_file():
            raise UserError(f"{path} is missing: it holds the embeddings of the database; copy it too")
        try:
            self._index = module.Index.restore(str(path), view=True)
        except Exception as error:  # RuntimeError or ValueError, or others in later versions
            why = LFS_FIX if is_lfs_pointer(path) else f"USearch says: {error}"
            raise UserError(f"{path} is not a whole index of embeddings ({why}); copy it again") from error
        # USearch returns vectors of other types (bfloat16, int8) as float32.
        self._dtype = np.dtype(np.float16 if self._index.dtype == module.ScalarKind.F16 else np.float32)
        self._kind = module.ScalarKind.F16 if self._dtype == np.float16 else module.ScalarKind.F32

    @property
    def dim(self) -> int:
        """The number of dimensions of an embedding."""
        return int(self._index.ndim)

    @property
    def dtype(self) -> np.dtype:
        """float16 if the index stores float16, as all indices of Hoplite do; else float32."""
        return self._dtype

    def has(self, keys: np.ndarray) -> np.ndarray:
        """Which ids of windows have a vector."""
        return np.asarray(self._index.contains(keys.astype(np.uint64)), bool).reshape(len(keys))

    def read(self, keys: np.ndarray) -> np.ndarray:
        """The vectors of some ids, ids x dim."""
        found = self._index.get(keys.astype(np.uint64), self._kind)
        if any(vector is None or vector.shape != (self.dim,) for vector in found):
            raise UserError(
                f"{self._path}: a vector has not {self.dim} numbers, as the index says; copy the file again"
            )
        return np.stack(found) if len(found) else np.empty((0, self.dim), self._dtype)
