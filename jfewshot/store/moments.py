"""Mean and covariance of a background: the statistics of other clips that preprocessings need."""

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int, UInt64

from jfewshot.errors import UserError
from jfewshot.files import sha256_of_json
from jfewshot.store.clips import ClipTable
from jfewshot.store.reading import Store
from jfewshot.store.view_checks import Wanted, check_finite, check_view
from jfewshot.threads import by_blocks

_ROWS_AT_ONCE = 4096
_DIGEST_BYTES = 8


@dataclasses.dataclass(frozen=True)
class Moments:
    """Mean and covariance of one encoder's embeddings of a corpus, without the embeddings.

    Attributes:
      about: the source of the statistics: `upstream` (name, revision), `view`, `corpus` (name), `clips`, `segments` and
        `embeddings`, the digests of the arrays that were read (docs/store.md).
      mean: mean of each feature.
      deviation: standard deviation of each feature; 0 for a constant feature.
      correlation: correlation of each two features: the rows of the upper triangle without the diagonal, one after the
          other, float16.
      clip_digests: digests of the clips' ids, sorted.
      row_digests: digests of the embeddings, sorted.
      path: the file from which the statistics were read; empty for none.
    """

    about: Mapping[str, Any]
    mean: Float[np.ndarray, "dim"]
    deviation: Float[np.ndarray, "dim"]
    correlation: Float[np.ndarray, "pairs"]
    clip_digests: UInt64[np.ndarray, "clips"]
    row_digests: UInt64[np.ndarray, "rows"]
    path: str = ""

    @property
    def upstream(self) -> str:
        return self.about["upstream"]["name"]

    @property
    def corpus(self) -> str:
        return self.about["corpus"]["name"]

    @property
    def digest(self) -> str:
        """SHA-256 of all numbers and of their source."""
        arrays = (self.mean, self.deviation, self.correlation, self.clip_digests, self.row_digests)
        return sha256_of_json([dict(self.about), [hashlib.sha256(array.tobytes()).hexdigest() for array in arrays]])

    def covariance(self) -> Float[np.ndarray, "dim dim"]:
        """The covariance, float64; its correlations have three digits."""
        dim = len(self.mean)
        full = np.zeros((dim, dim))
        full[np.triu_indices(dim, 1)] = self.correlation
        full += full.T
        full[np.diag_indices(dim)] = 1.0
        deviation = self.deviation.astype(np.float64)
        return full * np.outer(deviation, deviation)


def moments_of(stores: Sequence[Store], view: str, corpus: Mapping[str, Any]) -> Moments:
    """Compute mean and covariance of a view of some stores of one encoder; every segment counts once.

    Args:
      stores: stores of one upstream and one revision.
      view: the view's name.
      corpus: facts about the clips, at least their `name`.

    Returns:
      the moments; correlations are rounded to float16.

    Raises:
      UserError: if the stores are of several encoders, a view is damaged, or an embedding is NaN or infinite.
    """
    first = stores[0]
    for store in stores:
        wanted = [first.upstream, revision_of(first), first.view(view).shape[1]]
        if [store.upstream, revision_of(store), store.view(view).shape[1]] != wanted:
            raise UserError(
                f"{first.path} is of '{first.upstream}', revision {revision_of(first)}, and {store.path} of "
                f"'{store.upstream}', revision {revision_of(store)}; statistics are of one encoder, so name its stores alone"
            )
    views = [check_view(Wanted(store, view, store.clips)) for store in stores]
    rows = [store.clips.rows(np.arange(len(store.clips)))[0] for store in stores]
    mean, covariance = mean_and_covariance(list(zip(views, rows, strict=True)))
    if not (np.isfinite(mean).all() and np.isfinite(covariance).all()):
        for store, array, of_clips in zip(stores, views, rows, strict=True):
            check_finite(Wanted(store, view, store.clips), array, of_clips)
    deviation = np.sqrt(np.maximum(np.diag(covariance), 0.0))
    scale = np.where(deviation > 0, deviation, 1.0)
    correlation = (covariance / np.outer(scale, scale))[np.triu_indices(len(mean), 1)]
    about = {
        "upstream": {name: value for name, value in first.manifest["upstream"].items() if value is not None},
        "view": view,
        "corpus": dict(corpus),
        "clips": sum(len(store.clips) for store in stores),
        "segments": sum(map(len, rows)),
        "segment_samples": first.manifest.get("segment_samples"),
        "sample_rate": first.manifest.get("sample_rate"),
        "embeddings": [[store.view_digest(view), store.clips.segments_digest] for store in stores],
    }
    return Moments(
        about,
        mean.astype(np.float32),
        deviation.astype(np.float32),
        correlation.astype(np.float16),
        np.unique(np.concatenate([digests_of_clips(store.clips) for store in stores])),
        np.unique(np.concatenate([digests_of_rows(*each) for each in zip(views, rows, strict=True)])),
    )


def revision_of(store: Store) -> str | None:
    """The revision of a store's encoder; None if the store does not give it."""
    return store.manifest["upstream"].get("revision")


def mean_and_covariance(
    views: Sequence[tuple[np.ndarray, Int[np.ndarray, "rows"]]],
) -> tuple[Float[np.ndarray, "dim"], Float[np.ndarray, "dim dim"]]:
    """Mean and covariance of some rows of one view or of several; each row counts once.

    Products are in float32, relative to a point near the mean, and their sums in float64: 300,000 x 768 embeddings take
    seconds.

    Args:
      views: arrays as stored, segments x dim, each with the numbers of the rows to use.
    """
    n_rows, dim = sum(len(rows) for _, rows in views), views[0][0].shape[1]
    view, rows = views[0]
    near = np.asarray(view[rows[:_ROWS_AT_ONCE]], np.float64).mean(0).astype(np.float32)
    sums, products = np.zeros(dim), np.zeros((dim, dim))
    for view, rows in views:

        def work(start: int, stop: int, view=view, rows=rows):
            x = view[rows[start:stop]].astype(np.float32) - near
            return x.sum(0, dtype=np.float64), (x.T @ x).astype(np.float64)

        for some, squares in by_blocks(work, len(rows), _ROWS_AT_ONCE, 2):
            sums += some
            products += squares
    mean = sums / n_rows
    return mean + near, products / n_rows - np.outer(mean, mean)


def digests_of_clips(clips: ClipTable) -> UInt64[np.ndarray, "clips"]:
    """A hash of each clip's id, equal on every machine and almost never equal for two ids.

    Args:
      clips: the table.
    """
    return _numbers([text.encode("utf-8", "surrogatepass") for text in clips.clip_id.tolist()])


def digests_of_rows(view: np.ndarray, rows: Int[np.ndarray, "rows"]) -> UInt64[np.ndarray, "kept"]:
    """A hash of each embedding, equal on every machine, and equal for float32 and float16.

    Constant rows, such as those of silence, have no hash.

    Args:
      view: segments x dim.
      rows: numbers of the rows.
    """
    parts = []
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        with np.errstate(over="ignore"):
            block = np.asarray(view[rows[start : start + _ROWS_AT_ONCE]]).astype("<f2")
        block = block[(block != block[:, :1]).any(axis=1)]
        data, width = block.tobytes(), 2 * block.shape[1]
        parts.append(_numbers([data[i : i + width] for i in range(0, len(data), width)]))
    return np.concatenate([np.zeros(0, np.uint64), *parts])


def _numbers(texts: Sequence[bytes]) -> UInt64[np.ndarray, "texts"]:
    joined = b"".join(hashlib.blake2b(text, digest_size=_DIGEST_BYTES).digest() for text in texts)
    return np.frombuffer(joined, "<u8").astype(np.uint64)
