"""The parts of a record: where its embeddings come from, what was drawn, and how accurately and how fast it was solved."""

import time
import weakref
from typing import Any

import numpy as np

from jfewshot._version import made_with
from jfewshot.cells.joining import sides_of
from jfewshot.cells.mteb import ScikitLearn, mteb_parts
from jfewshot.cells.planning import Cell
from jfewshot.classifiers.rounding import IMPRECISE
from jfewshot.episodes.protocol import Protocol
from jfewshot.episodes.separate import Supports
from jfewshot.evaluator.evaluator import Drawn, Evaluator, Solved
from jfewshot.statistics.intervals import correct_from_predicted, interval_on_pool
from jfewshot.statistics.pool import Pool, make_pool
from jfewshot.statistics.unbalanced import METRICS, unbalanced_interval
from jfewshot.store import Store
from jfewshot.store.clips import ClipTable
from jfewshot.store.fused import FusedStore


def shared_parts(cell: Cell, drawn: Drawn, evaluator: Evaluator) -> dict[str, Any]:
    """The parts of a record that are equal for all strengths of a cell.

    Args:
      cell: the cell.
      drawn: its episodes.
      evaluator: the evaluator that solves it.

    Returns:
      the names of its source, and the record's `counts` and `made_with`.
    """
    pool_clips, support = drawn.pool.all_clips, drawn.pool.support
    of_sides = {} if support is None else {"support_clips": len(support.clips), "query_clips": len(drawn.pool.clips)}
    return {
        **names_of(cell),
        "counts": {
            "clips": len(pool_clips),
            "classes": len(drawn.pool.names),
            "segments": int(cell.clips.n_segments[pool_clips].sum()),
            "classes_left_out": [{"class": name, "clips": n} for name, n in drawn.pool.left_out],
            "redraws": drawn.redraws,
            "class_redraws": drawn.class_redraws,
            "class_episodes": _class_episodes(cell.protocol, drawn),
            **of_sides,
            **_labels(cell.protocol, support),
        },
        "made_with": made_with(
            "jax", "numpy", *(["scikit-learn"] if isinstance(cell.spec.classifier, ScikitLearn) else [])
        )
        | {
            "device": evaluator.mesh.devices.flat[0].device_kind,
            "n_devices": int(evaluator.mesh.devices.size),
        },
    }


def _labels(protocol: Protocol, support: Supports | None) -> dict[str, Any]:
    """How many labels the classes have, if all labels were used for training."""
    if not protocol.all_labels or support is None:
        return {}
    count = support.count
    return {
        "labels_per_class": {"least": int(count.min()), "mean": round(float(count.mean()), 2), "most": int(count.max())}
    }


def parts_of_solved(solved: Solved, drawn: Drawn, clips: ClipTable) -> dict[str, Any]:
    """The parts of a record that depend on the solution with one strength.

    Args:
      solved: the solution.
      drawn: the episodes that were solved.
      clips: the table from which they were drawn.

    Returns:
      the record's `accuracy`, `solver`, `timing` and, if episodes chose them, `chosen` (their strength) and `chosen_weights`
      (of the parts of a fusion).
    """
    return {
        **_accuracy(solved, drawn, clips),
        "solver": _solver(solved),
        **_chosen(solved),
        **_chosen_weights(solved),
        "timing": {
            "wall_s": round(solved.wall_s, 6),
            "episodes_per_s": round(len(solved.predicted) / max(solved.wall_s, 1e-9), 1),
            "compile_s": round(solved.compile_s, 6),
            "inner_products": solved.gram_kind,
            "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        },
    }


def _solver(solved: Solved) -> dict[str, Any]:
    """How accurately the episodes were solved, and how many have scores that float32 cannot distinguish."""
    tolerance = solved.spec.classifier.tolerance
    # JSON cannot represent NaN or infinity. The median of two of the largest float32 numbers would overflow in float32.
    largest = float(np.finfo(np.float32).max)
    said: dict[str, Any] = {}
    if tolerance is not None:
        residual = np.nan_to_num(solved.residual.astype(np.float64), nan=largest, posinf=largest)
        said |= {
            "residual_max": float(residual.max()),
            "residual_median": float(np.median(residual)),
            "not_converged": int((~(residual <= tolerance)).sum()),
            "tolerance": tolerance,
            "iterations_mean": float(solved.iterations.mean()),
        }
    if not np.isnan(solved.rounding).any():
        rounding = np.nan_to_num(solved.rounding.astype(np.float64), posinf=largest)
        said |= {
            "rounding_max": float(f"{rounding.max():.3g}"),
            "rounding_median": float(f"{np.median(rounding):.3g}"),
            "imprecise": int((rounding > IMPRECISE).sum()),
        }
    return said


def _chosen(solved: Solved) -> dict[str, Any]:
    """How many episodes chose each strength of the grid; empty if the strength was given."""
    kind = solved.spec.classifier.strength
    if solved.chosen is None or kind is None:
        return {}
    counts = np.bincount(solved.chosen, minlength=len(kind.grid)).tolist()
    return {"chosen": [{"value": value, "episodes": n} for value, n in zip(kind.grid, counts, strict=True)]}


def _chosen_weights(solved: Solved) -> dict[str, Any]:
    """The weights of a fusion's parts over the episodes, in the order of the parts; nothing where the weights were given."""
    if solved.weights is None:
        return {}
    deciles = np.quantile(solved.weights.astype(np.float64), (0.1, 0.5, 0.9), axis=0).T
    means = solved.weights.mean(0, dtype=np.float64)
    return {
        "chosen_weights": [
            {"mean": round(float(mean), 4), "deciles": [round(float(value), 4) for value in row]}
            for mean, row in zip(means, deciles, strict=True)
        ]
    }


def _class_episodes(protocol: Protocol, drawn: Drawn) -> dict[str, Any] | None:
    """How often each class takes part in group-aware episodes, if groups make some classes rarer than others."""
    if not protocol.group_aware:
        return None
    names, episodes = drawn.pool.names.tolist(), drawn.class_episodes.tolist()
    least, most = (names[pick(range(len(names)), key=episodes.__getitem__)] for pick in (min, max))
    return {
        "expected": protocol.n_episodes * protocol.n_way / len(names),
        "least": {"class": least, "episodes": min(episodes)},
        "most": {"class": most, "episodes": max(episodes)},
        "all": [{"class": name, "episodes": n} for name, n in zip(names, episodes, strict=True)]
        if drawn.class_redraws
        else None,
    }


def names_of(cell: Cell) -> dict[str, Any]:
    """The parts of a record that name the source of its embeddings.

    Args:
      cell: the cell.

    Returns:
      the record's `dataset`, `upstream`, `view` and `store`, and where they apply `cost`, `support_from` and `fusion`.
    """
    store, facts = cell.store, cell.store.manifest["views"][cell.view]
    return {
        "dataset": dict(store.manifest["dataset"]),
        "upstream": dict(store.manifest["upstream"]),
        "view": {"name": cell.view} | {key: facts.get(key) for key in ("layer", "pooling", "dim")},
        "store": {"path": str(store.path), "digest": store.digest},
        **({"cost": dict(store.manifest["cost"])} if store.manifest.get("cost") else {}),
        **({} if cell.support is None else {"support_from": _other_store(cell.support)}),
        **({"fusion": store.described(cell.view)} if isinstance(store, FusedStore) else {}),
    }


def _other_store(store: Store) -> dict[str, Any]:
    """The parts of a record that name the store of the supports."""
    return {"dataset": dict(store.manifest["dataset"]), "store": {"path": str(store.path), "digest": store.digest}}


def _accuracy(solved: Solved, drawn: Drawn, clips: ClipTable) -> dict[str, Any]:
    """Accuracy with its intervals, and other metrics if classes may have different numbers of queries."""
    _, n_way, of_class = drawn.clips.shape
    correct = correct_from_predicted(solved.predicted, n_way)
    k_shot = of_class - solved.predicted.shape[1] // n_way
    pool = pool_of(drawn, clips, k_shot)
    if drawn.experiments is not None:
        return mteb_parts(solved, drawn, pool)
    if drawn.query_count is None:
        return {"accuracy": interval_on_pool(correct, pool)._asdict()}
    found = {
        metric: unbalanced_interval(metric, solved.predicted, drawn.query_count, pool)._asdict() for metric in METRICS
    }
    return {"accuracy": found.pop("accuracy"), "metrics": found}


# Cells of one dataset and protocol share their episodes and the data for the jackknife. An entry is dropped with its
# episodes.
_POOLS: weakref.WeakKeyDictionary[Drawn, Pool] = weakref.WeakKeyDictionary()


def pool_of(drawn: Drawn, clips: ClipTable, k_shot: int) -> Pool:
    """The clips and classes of some episodes, for intervals; made once for all cells with these episodes.

    Args:
      drawn: the episodes.
      clips: the table from which they were drawn.
      k_shot: supports per class.

    Returns:
      the pool, for the jackknife.
    """
    pool = _POOLS.get(drawn)
    if pool is None:
        class_of_clip = drawn.pool.class_of_row(len(clips))
        pool = make_pool(drawn.clips, class_of_clip, k_shot, sides_of(drawn, clips))
        pool = _POOLS[drawn] = pool.with_supports(drawn.support_count)
    return pool
