"""Make the cells of a run from stores and options, with their identities and keys."""

import dataclasses
import functools
import hashlib
import logging
from collections.abc import Sequence
from typing import Any

from jfewshot.cells.curves import check_all_labels, stopped_curves
from jfewshot.cells.fusions import check_fusions
from jfewshot.cells.scored import check_scores
from jfewshot.cells.tables import (
    check_order,
    check_pools,
    check_support_view,
    joined_tables,
    paired_tables,
    support_store,
    with_supports,
)
from jfewshot.classifiers import Strength
from jfewshot.classifiers.specs import AUTO, ClassifierSpec, StrengthValue
from jfewshot.episodes.mteb_draws import order_digest
from jfewshot.episodes.protocol import Protocol
from jfewshot.episodes.resolving import resolved
from jfewshot.episodes.separate import pools_digest
from jfewshot.errors import UserError
from jfewshot.evaluator.backgrounds import Background
from jfewshot.evaluator.parts import FusedTransform, fit_parts
from jfewshot.evaluator.preprocessing import Transform, fit_transform
from jfewshot.evaluator.whitening import SHRINKAGE
from jfewshot.files import canonical_json
from jfewshot.results.keys import KEY_DIGITS
from jfewshot.store import ClipTable, Store
from jfewshot.store.fused import FusedStore
from jfewshot.store.joined import JoinedTable

log = logging.getLogger(__name__)

# Increased when a change of the evaluator's arithmetic changes predictions beyond rounding; old records are then
# computed again. Version 2: `ridge` and `logistic` keep the sums of their coefficients at zero, which moves scores of
# embeddings of large norm.
NUMERICS_VERSION = 2
# Of single classifiers, by name. Version 3 of `ridge` solves with small penalties, where version 2 lost all digits.
_OWN_NUMERICS_VERSION = {"ridge": 3}


def numerics_version(classifier: str) -> int:
    """The version of the evaluator's arithmetic for a classifier, which is in the identity of its results."""
    return _OWN_NUMERICS_VERSION.get(classifier, NUMERICS_VERSION)


@dataclasses.dataclass(frozen=True)
class Cell:
    """One evaluation: a view of a store with a protocol, and a classifier at one or more strengths.

    Attributes:
      store: the embeddings; of several parts for a fusion.
      clips: the clips that take part (the store's, or those common to all stores of its dataset); a `JoinedTable` where
        supports are from another store.
      view: name of the view.
      transform: the fitted preprocessing.
      protocol: how episodes are drawn and scored.
      spec: classifier and strengths; each strength has a record of its own.
      support: the store that supports are from, where that is another one.
      keep_scores: whether the scores of all queries are kept. Predictions do not depend on it.
    """

    store: Store
    clips: ClipTable
    view: str
    transform: Transform | FusedTransform
    protocol: Protocol
    spec: ClassifierSpec
    support: Store | None = None
    keep_scores: bool = False

    @property
    def own_clips(self) -> ClipTable:
        """The clips of `store` that take part."""
        return self.clips.first if isinstance(self.clips, JoinedTable) else self.clips

    def draw_identity(self) -> dict[str, Any]:
        """What the drawn clips depend on: the key of their file."""
        return self.protocol.draw_identity(self.clips.stream) | self._pools

    def identity(self, strength: StrengthValue) -> dict[str, Any]:
        """Everything that can change a prediction, and nothing else.

        Args:
          strength: one of the classifier's strengths.
        """
        return self._shared_identity | {"strength": _identity_of(self.spec.classifier.strength, strength)}

    def key(self, strength: StrengthValue) -> str:
        """`key_of(self.identity(strength))`; the part that all strengths share is digested once.

        Args:
          strength: one of the classifier's strengths.
        """
        digest = self._shared_digest.copy()
        digest.update(_end_of_identity(self.spec.classifier.strength, strength))
        return digest.hexdigest()[:KEY_DIGITS]

    @functools.cached_property
    def _shared_identity(self) -> dict[str, Any]:
        return {
            "clip_table": self.clips.stream,
            "embeddings": self.store.view_digest(self.view),
            "segments": self.clips.segments_digest,
            "preprocessing": self.transform.identity(),
            "classifier": self.spec.identity(),
            "protocol": self.protocol.identity(),
            "numerics": numerics_version(self.spec.identity()["name"]),
            **self._pools,
            **self._supports,
        }

    @functools.cached_property
    def _pools(self) -> dict[str, str]:
        """Which clips are on which side; empty if all clips are on both."""
        if not self.protocol.is_separate:
            return {}
        order = {"clip_order": order_digest(self.clips)} if self.protocol.draws_by_order else {}
        return {"pools": pools_digest(self.clips, self.protocol, self.store.dataset), **order}

    @property
    def _supports(self) -> dict[str, str]:
        """The other store's clips and embeddings; empty if there is no other store."""
        if self.support is None or not isinstance(self.clips, JoinedTable):
            return {}
        return {
            "clip_table_of_supports": self.clips.second.digest,
            "embeddings_of_supports": self.support.view_digest(self.view),
        }

    @functools.cached_property
    def _shared_digest(self) -> "hashlib._Hash":
        # Canonical JSON sorts its fields, and "strength" is the last: what stands before it is the same for all strengths.
        assert max(self._shared_identity) < "strength"
        return hashlib.sha256(f'{canonical_json(self._shared_identity)[:-1]},"strength":'.encode())


def _identity_of(kind: Strength | None, strength: StrengthValue) -> dict[str, Any] | None:
    """The settings on which a result depends; for a strength that is chosen in each episode also the grid's version."""
    if kind is None:
        return None
    return {"name": kind.name, "value": strength} | ({"grid": kind.grid_version} if strength == AUTO else {})


@functools.lru_cache(maxsize=1024, typed=True)
def _end_of_identity(kind: Strength | None, strength: StrengthValue) -> bytes:
    """The last field of a cell's canonical JSON. A grid has few strengths and many cells."""
    return f"{canonical_json(_identity_of(kind, strength))}}}".encode()


def plan_cells(
    stores: Sequence[Store],
    protocols: Sequence[Protocol],
    specs: Sequence[ClassifierSpec],
    *,
    preprocessing: str = "l2",
    views: Sequence[str] | None = None,
    center_from: Background | None = None,
    transductive: bool = False,
    shrinkage: float = SHRINKAGE,
    intersect_clips: bool = False,
    support_from: Sequence[Store] = (),
    stop_curves: bool = False,
    keep_scores: bool = False,
) -> list[Cell]:
    """All cells of a run, in the order in which they are best computed.

    Args:
      stores: what to evaluate.
      protocols: what an episode is; each protocol is combined with each classifier.
      specs: classifiers with their strengths.
      preprocessing: see `fit_transform`.
      views: names of views; None for each store's default view.
      center_from: see `fit_transform`.
      transductive: see `fit_transform`.
      shrinkage: see `fit_transform`.
      intersect_clips: if stores of one dataset hold different clips, use the clips that all of them hold.
      support_from: stores from which supports are drawn; each evaluated store uses the one of its upstream. None for
        the evaluated stores themselves.
      stop_curves: leave out numbers of shots for which a class of the dataset has too few clips, instead of refusing them.
      keep_scores: whether the scores of all queries are kept.

    Returns:
      the cells, one for each store, view, protocol and classifier.

    Raises:
      UserError: if two stores of one dataset hold different clips (unless `intersect_clips`), two stores are of one upstream and
        dataset, a view or preprocessing does not fit, or the supports' stores or conditions do not.
    """
    cells: list[Cell] = []
    fitted: dict[tuple[int, str], Transform] = {}

    def fit(store: Store, view: str, clips: ClipTable) -> Transform:
        # One object for a store and all fusions that it is a part of, by which the evaluator finds its inner products again.
        key = id(store), view
        if key not in fitted:
            fitted[key] = fit_transform(
                preprocessing,
                store,
                view,
                clips=clips,
                center_from=center_from,
                transductive=transductive,
                shrinkage=shrinkage,
            )
        return fitted[key]

    for group in _by_dataset(stores):
        check_fusions(group, protocols, bool(support_from))
        own = paired_tables(group, intersect_clips)
        sources = [support_store(support_from, store) if support_from else None for store in group]
        tables = joined_tables(group, own, sources, intersect_clips)
        asked = [with_supports(protocol, sources[0]) for protocol in protocols]
        check_pools(group, tables, asked)
        check_order(group, tables, asked)
        if stop_curves:
            asked = stopped_curves(asked, tables[0], group[0].dataset)
        of_group = [resolved(protocol, tables[0], group[0].dataset) for protocol in asked]
        check_all_labels(of_group, specs, tables[0], group[0].dataset)
        check_scores(of_group, specs, tables, group[0].dataset, keep_scores)
        for store, source, clips, own_clips in zip(group, sources, tables, own, strict=True):
            for view in _views_of(store, views):
                if view not in store.views:
                    raise UserError(f"{store.path} has no view '{view}'; it has {', '.join(store.views)}")
                if view.endswith(".frames"):
                    raise UserError(
                        f"view '{view}' of {store.path} holds frames, which episodes cannot use: extract it pooled "
                        "(--pooling mean), or train on them (python -m jfewshot.downstream.emotion)"
                    )
                if source is not None:
                    check_support_view(source, store, view)
                transform: Transform | FusedTransform
                if isinstance(store, FusedStore):
                    transform = fit_parts(preprocessing, store, view, own_clips, fit)
                else:
                    transform = fit(store, view, own_clips)
                cells.extend(
                    Cell(store, clips, view, transform, protocol, spec, source, keep_scores)
                    for protocol in of_group
                    for spec in specs
                )
    return cells


def _views_of(store: Store, views: Sequence[str] | None) -> Sequence[str]:
    """The views of a store that are evaluated. Mixed layers are a view of their own."""
    is_mix = isinstance(store, FusedStore) and store.is_mix
    return [store.default_view] if is_mix or not views else views


def _by_dataset(stores: Sequence[Store]) -> list[list[Store]]:
    groups: dict[str, list[Store]] = {}
    for store in stores:
        group = groups.setdefault(store.dataset, [])
        twin = next((other for other in group if _row_of(other) == _row_of(store)), None)
        if twin is not None:
            raise UserError(
                f"{twin.path} and {store.path} are both '{store.upstream}' on '{store.dataset}'. "
                "Evaluate them into different result folders, or give one upstream another name"
            )
        group.append(store)
    return list(groups.values())


def _row_of(store: Store) -> tuple[str, str]:
    """What two stores of one dataset may not share, since they would share a table's row."""
    return store.upstream, store.default_view if isinstance(store, FusedStore) and store.is_mix else ""
