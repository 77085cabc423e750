"""Choose the inner products for a call: those of an earlier call on the same view, or new ones, within the available memory."""

import logging
from typing import NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh

from jfewshot.evaluator.chunking import is_out_of_memory
from jfewshot.evaluator.gram import GramSource, gram_source
from jfewshot.evaluator.preprocessing import Transform
from jfewshot.profiling import stage

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

    def of(self, view: np.ndarray, rows: np.ndarray, transform: Transform, shifted: bool, wanted: int) -> GramSource:
        """Return the source of some rows' inner products: the source of an earlier call, or a new one.

        Args:
          view: segments x dim, as stored.
          rows: the rows of the view that may be used.
          transform: the preprocessing.
          shifted: whether the origin may be moved to the mean of the embeddings, which causes less rounding.
          wanted: how many products all episodes together need.

        Returns:
          the source, of the rows in their order in `rows`.
        """
        # Before a new source is made, the memory of the source for other embeddings is freed.
        self._kept = [kept for kept in self._kept if kept.is_of(view, rows, transform)]
        for kept in self._kept:
            if kept.shifted == shifted and kept.serves(wanted):
                return kept.source
        with stage("reading"):
            fitted = transform.with_origin(view, rows) if shifted else transform
        source = self._new(view, rows, fitted, wanted)
        if _stays_as_it_is(view):
            self._kept.append(_Kept(view, rows, transform, shifted, wanted, source))
        return source

    def _new(self, view, rows, transform, wanted: int) -> GramSource:
        budget = self._memory_bytes
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

    view: np.ndarray
    rows: np.ndarray
    transform: Transform
    shifted: bool
    wanted: int
    source: GramSource

    def is_of(self, view: np.ndarray, rows: np.ndarray, transform: Transform) -> bool:
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
