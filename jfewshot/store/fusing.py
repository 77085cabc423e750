"""Several encoders, or several layers of one, as one store: their embeddings side by side, each part with a weight.

Each part is scaled to unit length and multiplied by the square root of its weight; weights sum to 1. So an inner product of two
fused embeddings is the weighted mean of the parts' cosines, and a fused embedding has unit length, as `l2` gives it.
"""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jfewshot.errors import UserError
from jfewshot.files import sha256_of_json
from jfewshot.printable import counted
from jfewshot.store.clips import ClipTable
from jfewshot.store.reading import Store
from jfewshot.store.writing import check_store_place, write_store

_ROWS = 65_536  # at a time


def fuse_stores(
    path: Path | str,
    parts: Sequence[Store],
    views: Sequence[str] = (),
    weights: Sequence[float | int] = (),
    *,
    replace: bool = False,
) -> Store:
    """Write the fused store of some parts.

    Args:
      path: the folder to write.
      parts: stores of one dataset, with the same clips, classes, groups and segments; one store several times for several of its
        layers.
      views: name of each part's view; none for each store's default view: the manifest's, or `last.mean`, or the only view.
      weights: of each part, above 0, in any unit; none for equal ones.
      replace: replace a store that stands at `path`.

    Returns:
      the finished store. Its upstream is called after its parts (`whisper_tiny_en+yamnet`), and its only view is `fused.mean`.

    Raises:
      UserError: if there are fewer than two parts, the parts' clips or segments differ, or a weight is not above 0.
    """
    check_store_place(path, replace)
    if len(parts) < 2:
        raise UserError("a fusion needs at least two parts; name two stores, or a store several times with --views")
    names = list(views) or [_only_view(store) for store in parts]
    if len(names) != len(parts):
        named = counted(len(names), "view is", "views are")
        raise UserError(f"{named} named for {counted(len(parts), 'part')}; name one for each, in their order")
    shares = shares_of(weights, len(parts))
    first = parts[0].clips
    for store in parts[1:]:
        refuse_other_clips(parts[0], store)
    order = np.argsort(first.first_segment, kind="stable")
    arrays = [store.view(name) for store, name in zip(parts, names, strict=True)]
    # Both tables are sorted by clip id and have the same clips, so the same numbers name the same clips.
    rows = [store.clips.rows(order)[0] for store in parts]
    fused = np.empty((len(rows[0]), sum(array.shape[1] for array in arrays)), np.float32)
    at = 0
    for array, own_rows, share, store in zip(arrays, rows, shares, parts, strict=True):
        for start in range(0, len(own_rows), _ROWS):
            block = np.asarray(array[own_rows[start : start + _ROWS]], np.float64)
            norm = np.linalg.norm(block, axis=1, keepdims=True)
            if not (np.isfinite(norm).all() and (norm > 0).all()):
                raise UserError(
                    f"{store.path} has embeddings that are 0, NaN or infinite, which have no direction; leave them out"
                )
            fused[start : start + len(block), at : at + array.shape[1]] = np.sqrt(share) * block / norm
        at += array.shape[1]
    clips = ClipTable.build(
        first.clip_id[order].tolist(),
        first.class_name[order].tolist(),
        first.group[order].tolist(),
        first.split[order].tolist(),
        None,
        first.n_segments[order],
        unlabelled=True,
        further={name: column[order].tolist() for name, column in first.further.items()},
    )
    return write_store(
        path,
        views={"fused.mean": fused},
        clips=clips,
        dataset=parts[0].manifest["dataset"],
        upstream=upstream_of_parts(parts, names, shares),
        sample_rate=parts[0].manifest.get("sample_rate"),
        segment_samples=parts[0].manifest.get("segment_samples"),
        preprocessing="each part scaled to unit length and by the square root of its weight",
        cost=cost_of_parts(parts),
        replace=replace,
    )


def fuse_pairs(folder: Path | str, stores: Sequence[Store], *, replace: bool = False) -> list[Store]:
    """Write the fused store of every pair of encoders of each dataset, with equal weights.

    Args:
      folder: to write to: `DATASET/A+B`.
      stores: of any datasets; pairs are formed within each.
      replace: replace stores that stand there.

    Returns:
      the finished stores.

    Raises:
      UserError: if no dataset has two stores, or a pair's clips differ.
    """
    by_dataset: dict[str, list[Store]] = {}
    for store in stores:
        by_dataset.setdefault(store.dataset, []).append(store)
    pairs = [pair for own in by_dataset.values() for pair in itertools.combinations(own, 2)]
    if not pairs:
        raise UserError("no dataset has stores of two encoders, so there is no pair")
    made = []
    for pair in pairs:
        name = "+".join(store.upstream for store in pair)
        made.append(fuse_stores(Path(folder) / pair[0].dataset / name, pair, replace=replace))
    return made


def _only_view(store: Store) -> str:
    if store.manifest.get("default_view") is not None or "last.mean" in store.views:
        return store.default_view
    if len(store.views) > 1:
        raise UserError(
            f"{store.path} has several views ({', '.join(store.views)}); name one for each part with --views"
        )
    return store.views[0]


def shares_of(weights: Sequence[float | int], n_parts: int) -> np.ndarray:
    """Weights that sum to 1.

    Args:
      weights: above 0, in any unit; none for equal ones.
      n_parts: how many there have to be.

    Raises:
      UserError: if there are more or fewer, or one is not above 0.
    """
    if weights and len(weights) != n_parts:
        raise UserError(f"{len(weights)} weights are given for {n_parts} parts; give one for each, in their order")
    shares = np.array(weights or [1.0] * n_parts, np.float64)
    if not (np.isfinite(shares).all() and (shares > 0).all()):
        raise UserError(f"weights are {', '.join(f'{share:g}' for share in shares)}; each must be a number above 0")
    return shares / shares.sum()


def refuse_other_clips(one: Store, other: Store) -> None:
    """Refuse two stores whose clips or segments differ, and which therefore cannot be fused.

    Raises:
      UserError: naming the difference.
    """
    if one.clips.digest != other.clips.digest:
        raise UserError(
            f"{one.path} and {other.path} differ in clips, classes, groups or splits; fuse stores that were extracted from the "
            "same recordings"
        )
    if not np.array_equal(one.clips.n_segments, other.clips.n_segments):
        at = int(np.flatnonzero(one.clips.n_segments != other.clips.n_segments)[0])
        counts = [int(store.clips.n_segments[at]) for store in (one, other)]
        raise UserError(
            f"clip '{one.clips.clip_id[at]}' has {counts[0]} segments in {one.path} and {counts[1]} in {other.path}; extract "
            "both with --segment of one length, or --segment whole"
        )


def cost_of_parts(parts: Sequence[Store]) -> dict[str, Any] | None:
    """What the encoders cost together, one after another; of a store that is there twice once. None where one is not known."""
    own = {str(store.path): store.manifest.get("cost") or {} for store in parts}
    costs = list(own.values())
    found: dict[str, Any] = {}
    if all(cost.get("flop_per_clip") is not None for cost in costs):
        found["flop_per_clip"] = sum(cost["flop_per_clip"] for cost in costs)
    machines = {(cost.get("device"), cost.get("threads")) for cost in costs}
    if len(machines) == 1 and all(cost.get("clips_per_s") for cost in costs):
        rate = 1 / sum(1 / cost["clips_per_s"] for cost in costs)
        found |= {"clips_per_s": float(f"{rate:.4g}"), "device": costs[0]["device"]}
        if costs[0].get("threads") is not None:
            found["threads"] = costs[0]["threads"]
    return found or None


def _parameters(parts: Sequence[Store]) -> dict[str, int]:
    """Parameters of the encoders together, of an encoder that is there twice once; nothing where one is not known."""
    own = {str(store.path): store.manifest["upstream"].get("n_parameters") for store in parts}
    known = [count for count in own.values() if count is not None]
    return {"n_parameters": sum(known)} if len(known) == len(own) else {}


def weights_suffix(shares: Sequence[float] | np.ndarray | None) -> str:
    """What follows the names of the parts: nothing for equal weights, `@75-25` for others, `@auto` for chosen ones."""
    if shares is None:
        return "@auto"
    return "" if np.allclose(shares, shares[0]) else "@" + "-".join(f"{100 * share:.0f}" for share in shares)


def upstream_of_parts(
    parts: Sequence[Store], views: Sequence[str], shares: Sequence[float] | np.ndarray | None
) -> dict[str, Any]:
    """The upstream of a fused store: called after its parts, with a revision that is a digest of theirs.

    Args:
      parts: the stores.
      views: a view of each.
      shares: the parts' weights, which sum to 1; None for weights that each episode chooses.

    Returns:
      what the store's manifest says of the upstream.
    """
    facts = [store.manifest["upstream"] for store in parts]
    several = len({store.upstream for store in parts}) < len(parts)
    names = [
        f"{store.upstream}.{view}" if several else store.upstream for store, view in zip(parts, views, strict=True)
    ]
    titles = [str(fact.get("title") or fact["name"]) for fact in facts]
    if several:
        titles = [f"{title} {view}" for title, view in zip(titles, views, strict=True)]
    suffix = weights_suffix(shares)
    weights: list[float | str] = ["auto"] * len(parts)
    words = " (weights chosen in each episode)"
    if shares is not None:
        weights = [float(share) for share in shares]
        words = f" ({', '.join(f'{100 * share:.0f}%' for share in shares)})" if suffix else ""
    # Of the encoders and not of the embeddings, so that one fusion is one upstream on all datasets.
    revisions = [str(fact.get("revision") or "") for fact in facts]
    identity = [list(part) for part in zip(names, revisions, views, weights, strict=True)]
    return {
        "name": "+".join(names) + suffix,
        "title": " + ".join(titles) + words,
        "revision": f"fused sha256:{sha256_of_json(identity)}",
        "licence": "; ".join(dict.fromkeys(str(fact["licence"]) for fact in facts if fact.get("licence"))),
        "source": f"fused of {', '.join(names)}",
        **_parameters(parts),
    }
