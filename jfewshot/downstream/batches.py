"""Cuts utterances into batches of similar length, and fills up a batch that is not full."""

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

import numpy as np
from jaxtyping import Int

B = TypeVar("B", bound=tuple)


def by_length(
    lengths: Int[np.ndarray, " n"], utterances: Int[np.ndarray, " m"], rows: int
) -> Iterator[Int[np.ndarray, " _"]]:
    """Yield every utterance once, shortest first, so that utterances of similar length share a batch.

    Args:
      lengths: length of each utterance of the dataset.
      utterances: numbers of the utterances to yield.
      rows: utterances in a batch; the last batch may have fewer.

    Yields:
      the numbers of the utterances of a batch.
    """
    chosen = utterances[np.argsort(lengths[utterances], kind="stable")]
    for start in range(0, len(chosen), rows):
        yield chosen[start : start + rows]


def filled_up(batch: B, rows: int, empty: Mapping[str, int] | None = None) -> B:
    """Add empty rows to a batch, so that a batch with few utterances needs no compilation of its own.

    Args:
      batch: a NamedTuple of arrays whose first axis is the rows. Its field `rows` numbers the rows.
      rows: rows of the result.
      empty: by the name of a field, the value that its empty rows hold; 0 for fields that are not named.

    Returns:
      the batch with `rows` rows; the given batch if it has as many.
    """
    given: Any = batch
    missing = rows - len(given.rows)
    if not missing:
        return batch
    values = empty or {}
    padded = {
        name: np.pad(part, [(0, missing)] + [(0, 0)] * (part.ndim - 1), constant_values=values.get(name, 0))
        for name, part in given._asdict().items()
    }
    filled: B = given._replace(**padded | {"rows": np.arange(rows, dtype=np.int32)})
    return filled
