"""Choose the inner products for a call: those of an earlier call on the same view, or new ones, within the available memory."""

import logging
from typing import NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh

from jfewshot.evaluator.chunking import is_out_of_memory
from jfewshot.evaluator.gram import GramSource, gram_source
from jfewshot.evaluator.parts import FusedTransform, parts_of, weighted_sum
from jfewshot.evaluator.preprocessing import Transform
from jfewshot.profiling import stage
from jfewshot.store.fused import FusedView

log = logging.getLogger(__name__)


class Sources:
    """Sources of inner products, kept from call to call as long as the view stays the same.

    Args:
      mesh: the devices.
      memory_bytes: the evaluator's budget.
    """

    def __init__(self, mesh: Mesh, memory_bytes: int):
        self._mesh, self._memory_bytes = mesh, memory_bytes
        self._kept: list[_Kept] = []

    def forget(self) -> None:
        """Drop the inner products or embeddings that are kept."""
        self._kept.clear()

    def of(
        self,
        view: np.ndarray | FusedView,
        rows: np.ndarray,
        transform: Transform | FusedTransform,
        shifted: bool,
        wanted: int,
    ) -> GramSource:
        """Return the source of some rows' inner products: the source of an earlier call, or a new one.

        Args:
          view: segments x dim, as stored; or a view of each part of a fusion.
          rows: the rows of the view that may be used.
          transform: the preprocessing.
          shifted: whether the origin may be moved to the mean of the embeddings, which causes less rounding.
          wanted: how many products all episodes together need.

        Returns:
          the source, of the rows in their order in `rows`.
        """
        if not isinstance(view, FusedView):
            assert isinstance(transform, Transform)
            # Before a new source is made, the memory of the source for other embeddings is freed.
            self._kept = [kept for kept in self._kept if kept.is_of(view, rows, transform)]
            return self._of_array(view, rows, transform, shifted, wanted, self._memory_bytes)
        assert isinstance(transform, FusedTransform)
        assert view.shares is not None
        parts = self.of_parts(view, rows, transform, shifted, wanted)
        found = self._found(view, rows, transform, shifted, wanted)
        if found is None:
            with stage("Gram"):
                found = weighted_sum(parts, view.shares, self._mesh)
            if all(map(_stays_as_it_is, view.arrays)):
                self._kept.append(_Kept(view, rows, transform, shifted, wanted, found))
        return found

    def of_parts(
        self, view: FusedView, rows: np.ndarray, transform: FusedTransform, shifted: bool, wanted: int
    ) -> tuple[GramSource, ...]:
        """The sources of a fusion's parts, which share the memory.

        Args:
          view: the parts' views.
          rows: as for `of`.
          transform: of the parts.
          shifted: as for `of`.
          wanted: as for `of`.

        Returns:
          a source of each part.
        """
        parts = parts_of(view, rows, transform)
        self._kept = [
            kept for kept in self._kept if kept.is_of(view, rows, transform) or any(kept.is_of(*part) for part in parts)
        ]
        return tuple(self._of_array(*part, shifted, wanted, self._memory_bytes // len(parts)) for part in parts)

    def _found(self, view, rows, transform, shifted: bool, wanted: int) -> GramSource | None:
        """The source that is kept of an earlier call."""
        for kept in self._kept:
            if kept.is_of(view, rows, transform) and kept.shifted == shifted and kept.serves(wanted):
                return kept.source
        return None

    def _of_array(
        self, view: np.ndarray, rows, transform: Transform, shifted: bool, wanted: int, budget: int
    ) -> GramSource:
        found = self._found(view, rows, transform, shifted, wanted)
        if found is None:
            with stage("reading"):
                fitted = transform.with_origin(view, rows) if shifted else transform
            found = self._new(view, rows, fitted, wanted, budget)
            if _stays_as_it_is(view):
                self._kept.append(_Kept(view, rows, transform, shifted, wanted, found))
        return found

    def _new(self, view, rows, transform, wanted: int, budget: int) -> GramSource:
        while True:
            try:
                with stage("Gram"):
                    return gram_source(view, rows, transform, self._mesh, budget, wanted)
            except jax.errors.JaxRuntimeError as error:
                if not is_out_of_memory(error) or not budget:
                    raise
                # With a budget of zero, embeddings stay on disk.
                budget //= 4
            log.warning("out of memory for the embeddings; continuing with %.2g GiB for them", budget / 2**30)


class _Kept(NamedTuple):
    """A source that is kept for the next call, since a run evaluates the cells of one view one after the other."""

    view: np.ndarray | FusedView
    rows: np.ndarray
    transform: Transform | FusedTransform
    shifted: bool
    wanted: int
    source: GramSource

    def is_of(self, view: np.ndarray | FusedView, rows: np.ndarray, transform: Transform | FusedTransform) -> bool:
        """Whether the source holds the products of exactly these rows."""
        return self.view is view and self.transform is transform and np.array_equal(self.rows, rows)

    def serves(self, wanted: int) -> bool:
        """Whether the source suits a number of products: with many more, computing all products at once would be faster."""
        return self.source.kind == "precomputed" or wanted <= 4 * self.wanted


def _stays_as_it_is(view: np.ndarray) -> bool:
    """Whether an array and its bases are all read-only; otherwise its contents may change before the next call."""
    part: object = view
    while isinstance(part, np.ndarray):
        if part.flags.writeable:
            return False
        part = part.base
    return True
