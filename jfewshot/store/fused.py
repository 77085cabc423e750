"""Several stores, or several layers of one, as one store that is never written: its views are the parts' views, side by side.

`fusing.py` writes such a store to disk. Here nothing is copied: the evaluator takes inner products of each part, and adds them up
with the parts' weights.
"""

import dataclasses
import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Int

from jfewshot.errors import UserError
from jfewshot.files import sha256_of_json
from jfewshot.printable import counted
from jfewshot.store.clips import ClipTable
from jfewshot.store.fusing import cost_of_parts, refuse_other_clips, shares_of, upstream_of_parts, weights_suffix
from jfewshot.store.reading import Store

# Raised when the way of choosing weights changes (evaluator/chosen_weights.py); part of the identity of such results.
CHOICE_VERSION = 1
_MOST_PARTS = 64


@dataclasses.dataclass(frozen=True, eq=False)
class FusedView:
    """One view of each part; indexed by rows it gives the parts' embeddings side by side, as stored.

    Attributes:
      arrays: the parts' embeddings as stored, segments x dim.
      rows: for each part the row of each row of the first part; None where they are the same.
      shares: the parts' weights, which sum to 1; None for weights that each episode chooses.
    """

    arrays: tuple[np.ndarray, ...]
    rows: tuple[Int[np.ndarray, "rows"] | None, ...]
    shares: tuple[float, ...] | None

    @property
    def shape(self) -> tuple[int, int]:
        """Segments, and numbers of all parts together."""
        return len(self.arrays[0]), sum(array.shape[1] for array in self.arrays)

    @functools.cached_property
    def with_equal_shares(self) -> "FusedView":
        """This view, with equal weights where each episode would choose its own."""
        n_parts = len(self.arrays)
        return self if self.shares is not None else dataclasses.replace(self, shares=(1 / n_parts,) * n_parts)

    def rows_of_part(self, part: int, rows: Int[np.ndarray, "n"]) -> Int[np.ndarray, "n"]:
        """The rows of a part's array.

        Args:
          part: its number.
          rows: in the order of the first part.
        """
        order = self.rows[part]
        return rows if order is None else order[rows]

    def __getitem__(self, rows: Int[np.ndarray, "n"]) -> np.ndarray:
        """The parts' embeddings of some rows, side by side, float32."""
        own = [array[self.rows_of_part(part, rows)] for part, array in enumerate(self.arrays)]
        return np.concatenate([block.astype(np.float32) for block in own], 1)


@dataclasses.dataclass(frozen=True)
class FusedStore(Store):
    """A store made of parts; make one with `fused_store` or `mixed_stores`.

    Attributes:
      parts: the stores; one store several times where its layers are mixed.
      part_views: for each view of this store, the views of the parts.
      shares: the parts' weights; None for weights that each episode chooses.
      is_mix: whether the parts are layers of one store.
    """

    parts: tuple[Store, ...] = dataclasses.field(kw_only=True)
    part_views: Mapping[str, tuple[str, ...]] = dataclasses.field(kw_only=True)
    shares: tuple[float, ...] | None = dataclasses.field(kw_only=True)
    is_mix: bool = dataclasses.field(kw_only=True, default=False)

    def view(self, name: str) -> np.memmap:
        """Refused: no single array holds a fused view."""
        raise UserError(
            f"{self.upstream} is fused for a run only; `jfewshot store fuse` writes its embeddings to a store"
        )

    def parts_of_view(self, name: str) -> list[tuple[Store, str]]:
        """The stores and their views that make up a view of this store.

        Args:
          name: of the view.
        """
        return list(zip(self.parts, self.part_views[name], strict=True))

    def fused_view(self, arrays: Sequence[np.ndarray]) -> FusedView:
        """A view of this store, from the arrays of its parts."""
        return FusedView(tuple(arrays), tuple(_rows_in(self.clips, part.clips) for part in self.parts), self.shares)

    def described(self, name: str) -> dict[str, Any]:
        """What a record says of a view: its parts, and how they are weighted.

        Args:
          name: of the view.
        """
        weights = [None] * len(self.parts) if self.shares is None else list(self.shares)
        parts = [
            {
                "upstream": part.upstream,
                "title": str(part.manifest["upstream"].get("title") or part.upstream),
                "view": view,
                "store": {"path": str(part.path), "digest": part.digest},
                "weight": weight,
            }
            for (part, view), weight in zip(self.parts_of_view(name), weights, strict=True)
        ]
        return {"weights": "fixed" if self.shares is not None else "leave-one-out", "parts": parts}


def fused_store(parts: Sequence[Store], weights: Sequence[float | int] | None = ()) -> FusedStore:
    """Several stores of one dataset as one.

    Args:
      parts: the stores, of the same clips and different upstreams.
      weights: of the parts, above 0, in any unit; none for equal ones; None for weights that each episode chooses.

    Returns:
      the store. Its upstream is called after the parts (`yamnet+whisper_tiny_en@75-25`). Its views are those that all parts
      have; where the parts' default views differ, `fused.mean` consists of these.

    Raises:
      UserError: if there are fewer than two parts, an upstream is there twice, the parts' clips or segments differ, or a weight
        is not above 0.
    """
    _check_number(len(parts))
    names = [part.upstream for part in parts]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UserError(f"'{twice}' is named twice in the fusion {'+'.join(names)}; name different upstreams")
    for part in parts[1:]:
        refuse_other_clips(parts[0], part)
    shares = None if weights is None else tuple(float(share) for share in shares_of(weights, len(parts)))
    shared = [name for name in parts[0].views if all(name in part.views for part in parts)]
    by_name = {name: (name,) * len(parts) for name in shared if not name.endswith(".frames")}
    defaults = tuple(part.default_view for part in parts)
    default = defaults[0] if len(set(defaults)) == 1 else "fused.mean"
    by_name[default] = defaults
    upstream = upstream_of_parts(parts, by_name[default], shares)
    return _store(parts, by_name, default, shares, upstream, is_mix=False)


def mixed_stores(
    store: Store, views: Sequence[str] = (), weights: Sequence[float | int] | None = ()
) -> list[FusedStore]:
    """The layers of one store, mixed: one store for each pooling.

    Args:
      store: with several layers.
      views: names of the views to mix; none for all views of the default view's pooling.
      weights: as for `fused_store`, one for each layer.

    Returns:
      a store for each pooling that has two layers or more, of the same upstream, with one view: `mix.mean`, or with weights
      `mix@75-25.mean`. Layers that are equal to the byte count once, as `last.mean` and the layer that it is.

    Raises:
      UserError: if the store lacks a view, a view is named twice, or weights do not fit the number of layers.
    """
    missing = next((name for name in views if name not in store.views), None)
    if missing is not None:
        raise UserError(f"{store.path} has no view '{missing}'; it has {', '.join(store.views)}")
    if len(set(views)) < len(views):
        raise UserError(f"a view is named twice in {', '.join(views)}; name different views to mix")
    own = [name for name in store.views if _pooling(name) == _pooling(store.default_view)]
    by_pooling: dict[str, dict[str, str]] = {}
    for name in views or own:
        by_pooling.setdefault(_pooling(name), {}).setdefault(store.view_digest(name), name)
    found = []
    for pooling, by_digest in by_pooling.items():
        layers = tuple(by_digest.values())
        if len(layers) > 1 and pooling != "frames":
            _check_number(len(layers))
            shares = None if weights is None else tuple(float(share) for share in shares_of(weights, len(layers)))
            name = f"mix{weights_suffix(shares)}.{pooling}"
            upstream = dict(store.manifest["upstream"])
            found.append(_store([store] * len(layers), {name: layers}, name, shares, upstream, is_mix=True))
    return found


def _pooling(view: str) -> str:
    return view.rpartition(".")[2]


def _store(
    parts: Sequence[Store],
    by_name: Mapping[str, tuple[str, ...]],
    default: str,
    shares: tuple[float, ...] | None,
    upstream: Mapping[str, Any],
    is_mix: bool,
) -> FusedStore:
    cost = parts[0].manifest.get("cost") if is_mix else cost_of_parts(parts)
    manifest = {
        "dataset": parts[0].manifest["dataset"],
        "upstream": upstream,
        "views": {name: _facts(parts, names, shares) for name, names in by_name.items()},
        "default_view": default,
        "clips_sha256": parts[0].manifest["clips_sha256"],
        "parts": [[part.digest, weight] for part, weight in zip(parts, shares or [None] * len(parts), strict=True)],
    } | ({"cost": cost} if cost else {})
    return FusedStore(
        # A folder that is not there: it names the store in messages, and no file is read from it.
        path=parts[0].path / default if is_mix else parts[0].path.parent / upstream["name"],
        manifest=manifest,
        clips=parts[0].clips,
        parts=tuple(parts),
        part_views=dict(by_name),
        shares=shares,
        is_mix=is_mix,
    )


def _check_number(n_parts: int) -> None:
    if not 2 <= n_parts <= _MOST_PARTS:
        raise UserError(f"a fusion has {counted(n_parts, 'part')}; it needs from 2 to {_MOST_PARTS}")


def _facts(parts: Sequence[Store], names: Sequence[str], shares: Iterable[float] | None) -> dict[str, Any]:
    """What the manifest says of a view. Its digest names the parts' views and weights, in whatever order they are given."""
    weights = [f"chosen {CHOICE_VERSION}"] * len(parts) if shares is None else list(shares)
    digests = [part.view_digest(name) for part, name in zip(parts, names, strict=True)]
    stated = [part.manifest["views"][name] for part, name in zip(parts, names, strict=True)]
    return {
        "pooling": stated[0].get("pooling"),
        "dim": sum(int(one["dim"]) for one in stated),
        "sha256": sha256_of_json(
            {"fused": sorted([digest, weight] for digest, weight in zip(digests, weights, strict=True))}
        ),
    }


def _rows_in(first: ClipTable, other: ClipTable) -> Int[np.ndarray, "rows"] | None:
    """The row in another store of each row of the first; None where the same clips lie in the same order."""
    if np.array_equal(first.first_segment, other.first_segment):
        return None
    # Both tables are sorted by clip id and hold the same clips, so the same numbers name the same clips.
    everyone = np.arange(len(first))
    order = np.full(first.n_rows, -1, np.int64)
    order[first.rows(everyone)[0]] = other.rows(everyone)[0]
    return order
