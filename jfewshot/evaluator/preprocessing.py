"""The preprocessing of embeddings before inner products are computed, on the whole store (NumPy only)."""

import dataclasses
import typing
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, Int

from jfewshot.errors import UserError
from jfewshot.evaluator.backgrounds import Background, background_of, clips_in_common, evaluated_clips_in
from jfewshot.evaluator.whitening import SHRINKAGE, whitened, whitening_matrix
from jfewshot.files import sha256_of_json
from jfewshot.store.clips import ClipTable
from jfewshot.store.moments import Moments, mean_and_covariance
from jfewshot.store.reading import Store
from jfewshot.store.view_checks import Wanted, check_finite, check_view
from jfewshot.threads import by_blocks

Preprocessing = Literal["none", "l2", "center", "center_l2", "standardize", "whiten", "whiten_l2"]
PREPROCESSINGS: tuple[str, ...] = typing.get_args(Preprocessing)
_ROWS_AT_ONCE = 4096
_LARGEST_SHRINKAGE = 1e6
_ROWS_READ_AT_ONCE = 512  # rows that fit a core's cache
_ORIGIN_FROM = 2048  # rows
_ALIGNMENT = 64  # bytes
_WITHOUT_STATISTICS = ("none", "l2")
_SQUARES = (1e-25, 1e30)  # range of squared lengths that float32 sums without overflow or loss


@dataclasses.dataclass(frozen=True)
class Transform:
    """A preprocessing with its statistics; it takes rows as stored and returns float32.

    Attributes:
      name: the preprocessing.
      mean: subtracted from each embedding first; None for no subtraction.
      scale: divisor of each feature, used second; None for no division.
      matrix: multiplied with each embedding third (whitening.py); None for no multiplication.
      shrinkage: shrinkage of the matrix; None if there is no matrix.
      unit_length: whether embeddings are divided by their length last.
      statistics_from: "train", "transductive", the digest of another store's view, or corpus and digest of statistics that were
        computed before ("debian_speech:0123…"); None where there are no statistics.
      of_shared_clips: whether these statistics were computed from the clips that several stores share, and not from all
          clips of the store.
      origin: subtracted at the very end, for classifiers that do not depend on it (see `with_origin`); None for nothing.
    """

    name: str
    mean: Float[np.ndarray, "dim"] | None = None
    scale: Float[np.ndarray, "dim"] | None = None
    unit_length: bool = False
    statistics_from: str | None = None
    of_shared_clips: bool = False
    origin: Float[np.ndarray, "dim"] | None = None
    matrix: Float[np.ndarray, "dim dim"] | None = None
    shrinkage: float | None = None

    def __call__(self, rows: np.ndarray) -> Float[np.ndarray, "rows dim"]:
        """Transform some embeddings."""
        x = np.array(rows, np.float32)
        if self.mean is not None:
            x -= self.mean
        if self.scale is not None:
            x /= self.scale
        if self.matrix is not None:
            x = x @ self.matrix
        if self.unit_length:
            _divide_by_length(x)
        if self.origin is not None:
            x -= self.origin
        return x

    def read(
        self, view: np.ndarray, rows: Int[np.ndarray, "rows"], shape: tuple[int, int]
    ) -> Float[np.ndarray, "n dim"]:
        """Read and transform some rows of a view, block by block on all cores.

        Args:
          view: embeddings as stored, segments x dim.
          rows: numbers of the rows to read.
          shape: shape of the result, at least (rows, dim).

        Returns:
          float32; the transformed rows come first, everything else is zero.
        """
        out = aligned_zeros(shape)

        def fill(start: int, stop: int) -> None:
            out[start:stop, : view.shape[1]] = self(view[rows[start:stop]])

        by_blocks(fill, len(rows), _ROWS_READ_AT_ONCE)
        return out

    def identity(self) -> dict[str, Any]:
        """The settings and statistics on which a result depends."""
        identity: dict[str, Any] = {"name": self.name}
        if self.statistics_from:
            identity["center"] = self.statistics_from
        if self.of_shared_clips:
            identity["center_clips"] = "shared"
        if self.shrinkage is not None:
            identity["shrinkage"] = self.shrinkage
        return identity

    def on_copy(
        self, view: np.ndarray, rows: Int[np.ndarray, "rows"], most_bytes: int
    ) -> tuple[np.ndarray, Int[np.ndarray, "rows"], "Transform"]:
        """Apply the steps that mix features to a copy in memory, since readers of single rows cannot apply them.

        Args:
          view: embeddings as stored, segments x dim.
          rows: numbers of the rows that take part.
          most_bytes: largest allowed size of the copy.

        Returns:
          an array, the numbers of the rows in it, and the preprocessing that is still to be applied.

        Raises:
          UserError: if a copy would be larger.
        """
        if self.matrix is None or self.mean is None:
            return view, rows, self
        copy = whitened(view, rows, self.mean, self.matrix, most_bytes)
        return copy, np.arange(len(rows)), dataclasses.replace(self, mean=None, matrix=None)

    def with_origin(self, view: np.ndarray, rows: Int[np.ndarray, "rows"]) -> "Transform":
        """The same preprocessing, followed by subtracting the mean of some transformed embeddings (or of an even sample).

        A classifier that depends only on differences between embeddings gives the same results for any origin. Rounding
        in float32, however, is larger with a distant origin, because all inner products are then large and nearly
        equal.
        """
        sample = rows[:: -(-len(rows) // _ORIGIN_FROM)]
        return dataclasses.replace(self, origin=self(view[sample]).mean(0, dtype=np.float64).astype(np.float32))


def without_statistics(name: str) -> Transform:
    """A preprocessing that uses no statistics of other clips.

    Raises:
      UserError: on an unknown name, or one of a preprocessing that takes statistics from other clips.
    """
    _check_name(name)
    if name not in _WITHOUT_STATISTICS:
        raise UserError(
            f"preprocessing '{name}' takes statistics from training clips; make a store with splits (create_store), or take "
            f"{' or '.join(_WITHOUT_STATISTICS)}"
        )
    return Transform(name, unit_length=name == "l2")


def refuse_unused_statistics(name: str, given: Mapping[str, Any]) -> None:
    """Refuse arguments about statistics if the preprocessing uses none, since the user expects them to have an effect.

    Args:
      name: of the preprocessing.
      given: arguments by name; a value that is true was given.

    Raises:
      UserError: names the first argument that was given.
    """
    other = next((argument for argument, value in given.items() if value), None)
    if name in _WITHOUT_STATISTICS and other is not None:
        raise UserError(
            f"{other} is given, and preprocessing '{name}' uses no statistics of clips; take preprocessing='whiten_l2', or leave "
            f"{other} out"
        )


def _check_name(name: str) -> None:
    if name not in PREPROCESSINGS:
        raise UserError(f"unknown preprocessing '{name}'; there are {', '.join(PREPROCESSINGS)}")


def fit_transform(
    name: str,
    store: Store,
    view: str,
    *,
    clips: ClipTable | None = None,
    center_from: Background | None = None,
    transductive: bool = False,
    shrinkage: float = SHRINKAGE,
) -> Transform:
    """Choose and fit a preprocessing.

    Args:
      name: one of `PREPROCESSINGS`.
      store: the store to be evaluated.
      view: the name of the view to be evaluated.
      clips: the store's clips that take part; None for all. Statistics of the store itself are computed from these
          clips alone.
      center_from: another store, from whose view of the same name the statistics are computed; or several stores, of
          which those of the same upstream and of another dataset are used together; or statistics that were computed
          before, of which those of the same upstream and view are used.
      transductive: compute the statistics from the store's own clips of all splits, including test clips (the results
          record this); with `center_from`, allow the background to contain evaluated clips.
      shrinkage: of whitening, as a multiple of the mean eigenvalue of the covariance.

    Returns:
      the preprocessing with its statistics.

    Raises:
      UserError: if the name is unknown; if statistics are needed and the store has no training split; if the other
          store is damaged or is the evaluated one; if statistics belong to another encoder; or if an embedding that is
          used for the statistics is NaN or infinite.
    """
    _check_name(name)
    if name in _WITHOUT_STATISTICS:
        return without_statistics(name)
    if not 0 < shrinkage <= _LARGEST_SHRINKAGE:
        raise UserError(f"shrinkage is {shrinkage}; it must be positive and at most {_LARGEST_SHRINKAGE:g}")
    own = store.clips if clips is None else clips
    chosen = None if center_from is None else background_of(center_from, store, view)
    if isinstance(chosen, Moments):
        return _of_moments(chosen, name, store, view, own, transductive, shrinkage)
    others = chosen or []
    parts = [(source, source.clips, segment_rows(source.clips, None)) for source in others]
    shared = False
    if others:
        common = [clips_in_common(source, store, view, own, name) for source in others]
        if any(common) and not transductive:
            raise UserError(next(text for text in common if text))
        pairs = [[source.view_digest(view), source.clips.segments_digest] for source in others]
        label = "transductive" if any(common) else sha256_of_json(pairs[0] if len(pairs) == 1 else pairs)
    else:
        if transductive:
            rows, label = segment_rows(own, None), "transductive"
        elif (own.split == "train").any():
            rows, label = segment_rows(own, "train"), "train"
        else:
            raise UserError(
                f"preprocessing '{name}' needs a mean, and {store.path} has no training split to take it from. "
                "Pass --statistics-from STORE, --statistics-from shipped for an encoder of the sample stores, or --transductive "
                "to use the evaluated clips' own (the results will say so)"
            )
        parts = [(store, own, rows)]
        shared = own.digest != store.clips.digest
    for source, _, _ in parts if others else []:
        check_view(Wanted(source, view, source.clips))
    if name.startswith("whiten"):
        mean, covariance = mean_and_covariance([(source.view(view), rows) for source, _, rows in parts])
        _check_moments(parts, view, mean, covariance)
        matrix = whitening_matrix(covariance, shrinkage)
        return Transform(
            name, mean.astype(np.float32), None, name == "whiten_l2", label, shared, None, matrix, float(shrinkage)
        )
    with np.errstate(invalid="ignore"):  # a NaN or an infinity is named below
        mean, std = _moments([(source.view(view), rows) for source, _, rows in parts], Transform("none"))
    _check_moments(parts, view, mean, std)
    return Transform(name, mean.astype(np.float32), _scale(name, std), name == "center_l2", label, shared)


def _of_moments(
    moments: Moments, name: str, store: Store, view: str, clips: ClipTable, transductive: bool, shrinkage: float
) -> Transform:
    """A preprocessing with statistics that were computed before."""
    common = evaluated_clips_in(moments, store, view, clips, name)
    if common and not transductive:
        raise UserError(common)
    label = "transductive" if common else f"{moments.corpus}:{moments.digest}"
    if not name.startswith("whiten"):
        return Transform(name, moments.mean, _scale(name, moments.deviation), name == "center_l2", label)
    matrix = whitening_matrix(moments.covariance(), shrinkage)
    return Transform(name, moments.mean, None, name == "whiten_l2", label, matrix=matrix, shrinkage=float(shrinkage))


def _scale(name: str, std: np.ndarray) -> Float[np.ndarray, "dim"] | None:
    # A constant feature contains no information; dividing it by one leaves it at zero.
    return np.where(std > 0, std, 1.0).astype(np.float32) if name == "standardize" else None


def _check_moments(parts, view: str, *moments: np.ndarray) -> None:
    """Name the clip whose embedding makes statistics NaN or infinite."""
    if not all(np.isfinite(moment).all() for moment in moments):
        for source, clips, rows in parts:
            check_finite(Wanted(source, view, clips), source.view(view), rows)


def _divide_by_length(x: Float[np.ndarray, "rows dim"]) -> None:
    """Divide each row by its length, in place; a row of zeros has no direction and stays zero."""
    with np.errstate(over="ignore", under="ignore"):
        squares = np.einsum("rd,rd->r", x, x)[:, None]
    extreme = ~((squares > _SQUARES[0]) & (squares < _SQUARES[1]))[:, 0]
    if extreme.any():
        # The squares of 1e20 and 1e-25 are outside the range of float32. Multiplying a row by a power of two changes
        # none of its digits.
        exponent = np.frexp(np.abs(x[extreme]).max(1, keepdims=True))[1]
        x[extreme] = np.ldexp(x[extreme], -exponent)
        squares[extreme] = np.einsum("rd,rd->r", x[extreme], x[extreme])[:, None]
    squares[squares == 0] = 1.0
    x /= np.sqrt(squares)


def aligned_zeros(shape: tuple[int, int]) -> Float[np.ndarray, "rows dim"]:
    """Zeros that all devices of a CPU use without a copy: JAX copies arrays that do not begin at a multiple of 64 bytes."""
    size = int(np.prod(shape)) * 4
    memory = np.zeros(size + _ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % _ALIGNMENT
    return memory[start : start + size].view(np.float32).reshape(shape)


def segment_rows(clips: ClipTable, split: str | None) -> Int[np.ndarray, "rows"]:
    """The rows of a view that belong to clips of a split (None: of any split)."""
    wanted = np.ones(len(clips), bool) if split is None else clips.split == split
    return clips.rows(wanted)[0]


def _moments(views, transform):
    """Mean and standard deviation per feature, in float64, in blocks, of transformed rows of one view or of several."""
    dim, n_rows = views[0][0].shape[1], 0
    total, squares, shift = np.zeros(dim), np.zeros(dim), np.zeros(dim)
    for view, rows in views:
        for start in range(0, len(rows), _ROWS_AT_ONCE):
            x = transform(view[rows[start : start + _ROWS_AT_ONCE]]).astype(np.float64)
            # Relative to the first block's mean, so that the squares do not cancel if features have large means.
            shift = shift if n_rows else x.mean(0)
            x -= shift
            total += x.sum(0)
            squares += (x * x).sum(0)
            n_rows += len(x)
    mean = total / n_rows
    return mean + shift, np.sqrt(np.maximum(squares / n_rows - mean**2, 0.0))
