"""Join two stores of the same classes: queries from the first, supports from the second (noisy copies, other microphones)."""

import dataclasses
import functools

import numpy as np
from jaxtyping import Bool, Int

from jfewshot.errors import UserError
from jfewshot.files import sha256_of_json
from jfewshot.store.clips import ClipTable


@dataclasses.dataclass(frozen=True)
class JoinedTable(ClipTable):
    """The clips of two stores, those of the first store first; make one with `join_tables`.

    A clip that is in both stores is in the table twice, once for each recording of it.

    Attributes:
      first: the clips that queries are drawn from.
      second: the clips that supports are drawn from.
    """

    first: ClipTable = dataclasses.field(kw_only=True)
    second: ClipTable = dataclasses.field(kw_only=True)

    @functools.cached_property
    def digest(self) -> str:
        """SHA-256 of both tables' digests."""
        return sha256_of_json([self.first.digest, self.second.digest])

    @property
    def stream(self) -> str:
        """The stream of the queries' table, so that the queries are the same clips whatever store the supports come from."""
        return self.first.digest

    @property
    def is_first(self) -> Bool[np.ndarray, "clips"]:
        """Which rows of the table belong to the first store."""
        return np.arange(len(self)) < len(self.first)

    @functools.cached_property
    def unit(self) -> Int[np.ndarray, "clips"]:
        """A number per row, equal for the two recordings of one clip."""
        return np.unique(self.clip_id, return_inverse=True)[1].reshape(-1)

    @functools.cached_property
    def group_number(self) -> np.ndarray:
        """The numbers of groups, as in any table; two recordings of one clip with unknown group also share a number."""
        number = np.unique(self.group, return_inverse=True)[1].astype(np.int32)
        unknown = self.group == ""
        number[unknown] = len(self) + self.unit[unknown].astype(np.int32)
        return number


def join_tables(first: ClipTable, second: ClipTable, names: tuple[str, str]) -> JoinedTable:
    """Put the clips of two stores into one table.

    The rows of the second store's views follow those of the first store, `first.n_rows` of them.

    Args:
      first: the clips that queries are drawn from.
      second: the clips that supports are drawn from.
      names: of the two datasets, for messages.

    Returns:
      the table of both.

    Raises:
      UserError: if a clip that is in both stores has two classes, or two groups.
    """
    _, mine, theirs = np.intersect1d(first.clip_id, second.clip_id, assume_unique=True, return_indices=True)
    for what, one, other in (
        ("class", first.class_name, second.class_name),
        ("group", first.group, second.group),
    ):
        differ = np.flatnonzero(one[mine] != other[theirs])
        if len(differ):
            at = int(differ[0])
            raise UserError(
                f"clip '{first.clip_id[mine][at]}' has {what} '{one[mine][at]}' in {names[0]} and '{other[theirs][at]}' in "
                f"{names[1]}; a clip id names one recording and its copies, so give other clips other ids"
            )
    texts = ("clip_id", "class_name", "group", "split", "n_segments")
    columns = sorted({*first.further, *second.further})
    nothing = [np.full(len(table), "") for table in (first, second)]
    return JoinedTable(
        **{name: np.concatenate([getattr(first, name), getattr(second, name)]) for name in texts},
        first_segment=np.concatenate([first.first_segment, second.first_segment + first.n_rows]),
        further={
            name: np.concatenate([first.further.get(name, nothing[0]), second.further.get(name, nothing[1])])
            for name in columns
        },
        first=first,
        second=second,
    )


def join_views(first: np.ndarray, n_first: int, second: np.ndarray, n_second: int, most_bytes: int) -> np.ndarray:
    """Join the embeddings of two stores in one array, with the row numbers of `join_tables`.

    Args:
      first: a view of the first store, segments x dim.
      n_first: `n_rows` of its table.
      second: the same view of the second store.
      n_second: `n_rows` of its table.
      most_bytes: largest allowed size of the array.

    Returns:
      a read-only copy in memory, float16 if both are float16, else float32.

    Raises:
      UserError: if the copy would be larger.
    """
    dtype = np.result_type(first.dtype, second.dtype)
    size = (n_first + n_second) * first.shape[1] * dtype.itemsize
    if size > most_bytes:
        raise UserError(
            f"supports of another store need both stores' embeddings side by side in memory, {size / 2**30:.2g} GiB, and "
            f"{most_bytes / 2**30:.2g} GiB may be used; raise --memory-gb, or keep fewer clips in the stores"
        )
    joined = np.empty((n_first + n_second, first.shape[1]), dtype)
    joined[:n_first], joined[n_first:] = first[:n_first], second[:n_second]
    joined.flags.writeable = False
    return joined
