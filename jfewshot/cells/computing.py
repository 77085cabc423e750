"""Make records from cells: existing records are read, and the others are computed."""

import dataclasses
import functools
import logging
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from jfewshot._version import made_with
from jfewshot.cells.all_labels import solve_all_labels
from jfewshot.cells.finishing import Finishing
from jfewshot.cells.joining import JoinedViews, may_be, sides_of
from jfewshot.cells.mteb import ScikitLearn, mteb_parts, solve_mteb
from jfewshot.cells.planning import Cell
from jfewshot.cells.scored import parts_of_scores
from jfewshot.classifiers.rounding import IMPRECISE
from jfewshot.classifiers.specs import StrengthValue
from jfewshot.episodes.protocol import Protocol
from jfewshot.episodes.separate import Supports
from jfewshot.errors import UserError
from jfewshot.evaluator.evaluator import Drawn, Evaluator, Solved
from jfewshot.profiling import stage
from jfewshot.results import Records
from jfewshot.statistics.intervals import correct_from_predicted, interval_on_pool
from jfewshot.statistics.pool import Pool, make_pool
from jfewshot.statistics.unbalanced import METRICS, unbalanced_interval
from jfewshot.store import Store
from jfewshot.store.clips import ClipTable
from jfewshot.store.fused import FusedStore
from jfewshot.store.view_checks import CheckedViews, Wanted

log = logging.getLogger(__name__)


def missing_of(cell: Cell, folder: Records) -> list[StrengthValue]:
    """The strengths of a cell that have no record yet."""
    return [strength for strength in cell.spec.strengths if folder.find(cell.key(strength)) is None]


def evaluate_cells(
    cells: Sequence[Cell],
    evaluator: Evaluator,
    folder: Records | None,
    on_progress: Callable[[int], None] = lambda episodes: None,
) -> Iterator[tuple[dict[str, Any], bool]]:
    """Compute the records of all cells that have none yet.

    Args:
      cells: the wanted cells.
      evaluator: the evaluator.
      folder: the folder of records; None to keep nothing.
      on_progress: called with a number of episodes when they are solved, or when their record was found.

    Yields:
      Each record, and whether it was computed now (True) or found (False).
    """
    finishing, upcoming = Finishing(), _Upcoming(cells, folder)
    try:
        for number, cell in enumerate(cells):
            keys = [cell.key(strength) for strength in cell.spec.strengths]
            if len(finishing) and any(key in finishing for key in keys):
                yield from ((record, True) for record in finishing.take(0))
            missing, names = [], None
            for strength, key in zip(cell.spec.strengths, keys, strict=True):
                found = folder.find(key) if folder else None
                if found is None:
                    missing.append(strength)
                else:
                    on_progress(cell.protocol.n_episodes)
                    yield from ((record, True) for record in finishing.take(0))
                    names = names or _names(cell)
                    yield _under_its_name(found, names), False
            if missing:
                if folder is not None:
                    folder.check_writable()
                wanted = dataclasses.replace(cell, spec=cell.spec._replace(strengths=tuple(missing)))
                for _ in _compute(wanted, upcoming.after(number), evaluator, folder, on_progress, finishing):
                    yield from ((record, True) for record in finishing.take())
    except UserError:
        yield from ((record, True) for record in finishing.take(0))
        raise
    else:
        yield from ((record, True) for record in finishing.take(0))
    finally:
        finishing.close()
        if folder is not None:
            folder.flush()


def found_records(cells: Sequence[Cell], folder: Records) -> Iterator[dict[str, Any]]:
    """Read the records of cells that exist; cells without a record are left out.

    Args:
      cells: what is wanted.
      folder: where records are looked up.

    Yields:
      Each record, with the names of its cell.
    """
    for cell in cells:
        names = None
        for strength in cell.spec.strengths:
            found = folder.find(cell.key(strength))
            if found is not None:
                names = names or _names(cell)
                yield _under_its_name(found, names)


def _under_its_name(found: dict[str, Any], names: dict[str, Any]) -> dict[str, Any]:
    """A found record with the names of a cell; equal embeddings share a record, and may have two names."""
    was = found["upstream"]["name"], found["dataset"]["name"], found["view"]["name"]
    now = names["upstream"]["name"], names["dataset"]["name"], names["view"]["name"]
    if was != now:
        log.warning(
            "%s on %s, %s: these are the same embeddings as those of %s on %s, %s; the record is kept under that name",
            *now,
            *was,
        )
    return found | names


def _view_of(cell: Cell) -> Wanted:
    return Wanted(cell.store, cell.view, cell.own_clips)


class _Upcoming:
    """Finds the next cell of another view that has to be computed, in one pass over all cells."""

    def __init__(self, cells: Sequence[Cell], folder: Records | None):
        self._cells, self._folder = cells, folder
        self._place = 0

    def after(self, number: int) -> Cell | None:
        """The next cell of another view that has to be computed.

        Args:
          number: number of the current cell; never smaller than in an earlier call.
        """
        cell = self._cells[number]
        self._place = max(self._place, number + 1)
        while self._place < len(self._cells):
            later = self._cells[self._place]
            if not _is_same_view(later, cell) and self._has_to_be_computed(later):
                return later
            # Cells of one view are consecutive, so a cell that is passed here is never the next view of a later cell.
            self._place += 1
        return None

    def _has_to_be_computed(self, cell: Cell) -> bool:
        try:
            return self._folder is None or any(
                self._folder.find(cell.key(strength)) is None for strength in cell.spec.strengths
            )
        except UserError:
            return False  # reported later, since the cells before it are computed first


def _is_same_view(one: Cell, other: Cell) -> bool:
    return (
        one.store is other.store
        and one.view == other.view
        and one.clips is other.clips
        and one.support is other.support
    )


# One object for all calls in this process: a call may have a single cell, and the next call may use the same view.
_CHECKED = CheckedViews()
_JOINED = JoinedViews()


def _compute(cell, then, evaluator, folder, on_progress, finishing) -> Iterator[None]:
    """Solve a cell and submit its records to be finished; yields after each."""
    store, clips = cell.store, cell.clips
    with stage("reading"):
        view = _CHECKED.get(_view_of(cell), None if then is None else _view_of(then))
        view = _JOINED.get(cell, view, evaluator.memory_bytes)
    drawn = evaluator.draw(clips, cell.protocol, store.dataset)
    # Copied to the host by this thread, because only this thread may free memory of the devices.
    arrays = {"clips": drawn.clips, "segment": drawn.support_segment}
    if drawn.whole is not None:
        arrays["unknown"] = drawn.whole.clips[:, cell.protocol.n_way :, cell.protocol.k_shot :]
    # The same for all strengths.
    parts: dict[str, Any] = {}

    def finish(solved: Solved) -> dict[str, Any]:
        with stage("statistics"):
            if not parts:
                parts.update(_shared_parts(cell, drawn, evaluator))
            record = {"identity": cell.identity(solved.strength), **parts, **parts_of_solved(solved, drawn, clips)}
            if solved.scores is not None:
                pool = _pool_of(drawn, clips, cell.protocol.k_shot)
                whole = None if drawn.whole is None else _pool_of(drawn.whole, clips, cell.protocol.k_shot)
                record |= parts_of_scores(solved.scores, solved.predicted, cell.protocol, pool, whole)
        with stage("writing"):
            if folder is None:
                kept = {} if solved.scores is None else {"scores": solved.scores}
                return record | {"draws": "", "predicted": solved.predicted, **kept}
            if "draws" not in parts:
                table = {
                    "clip_id": clips.clip_id,
                    "class": clips.class_name,
                    "group": clips.group,
                    "split": clips.split,
                    **may_be(drawn, len(clips)),
                    **{
                        name: count
                        for name in ("query_count", "support_count")
                        if (count := getattr(drawn, name)) is not None
                    },
                }
                parts["draws"] = folder.write_draws(cell.draw_identity(), arrays | table)
            return folder.write_cell(record | {"draws": parts["draws"]}, solved.predicted, solved.scores)

    found: Iterator[Solved]
    if cell.protocol.mteb is not None:
        assert isinstance(view, np.ndarray)
        found = solve_mteb(view, cell, drawn, evaluator.memory_bytes, on_progress)
    elif cell.protocol.all_labels:
        found = solve_all_labels(view, cell, drawn, evaluator.memory_bytes, on_progress)
    else:
        found = evaluator.evaluate(
            view,
            clips,
            cell.transform,
            cell.protocol,
            [cell.spec],
            dataset=store.dataset,
            keep_scores=cell.keep_scores or cell.protocol.unknown_ways > 0,
            on_progress=on_progress,
        )
    for solved in found:
        finishing.submit(cell.key(solved.strength), functools.partial(finish, solved))
        yield


def _shared_parts(cell: Cell, drawn: Drawn, evaluator: Evaluator) -> dict[str, Any]:
    """The parts of a record that are equal for all strengths of a cell."""
    pool_clips, support = drawn.pool.all_clips, drawn.pool.support
    of_sides = {} if support is None else {"support_clips": len(support.clips), "query_clips": len(drawn.pool.clips)}
    return {
        **_names(cell),
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


def _names(cell: Cell) -> dict[str, Any]:
    """The parts of a record that name the source of its embeddings."""
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
    pool = _pool_of(drawn, clips, k_shot)
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


def _pool_of(drawn: Drawn, clips: ClipTable, k_shot: int) -> Pool:
    pool = _POOLS.get(drawn)
    if pool is None:
        class_of_clip = drawn.pool.class_of_row(len(clips))
        pool = make_pool(drawn.clips, class_of_clip, k_shot, sides_of(drawn, clips))
        pool = _POOLS[drawn] = pool.with_supports(drawn.support_count)
    return pool
