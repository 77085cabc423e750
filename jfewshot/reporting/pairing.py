"""Paired comparison of one dataset's upstreams by their kept predictions on the same episodes."""

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Integer

from jfewshot.errors import UserError
from jfewshot.reporting.leaderboard import Leaderboard
from jfewshot.reporting.scoring import kept_of, scored
from jfewshot.results import Results
from jfewshot.statistics import (
    PoolCovariance,
    SidesOfClips,
    class_pseudo_values,
    class_scores,
    make_pool,
)

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, eq=False)
class PairedDataset:
    """Upstreams compared on one dataset.

    Attributes:
      dataset: its label.
      rows: rows of the leaderboard, in its order.
      covariance: covariance of their mean accuracies, by source of error.
      pseudo_values: jackknife pseudo-value of each class; None if every class is in every episode.
      class_names: the classes.
      class_accuracy: accuracy of each class's own queries.
      confusion: for the best upstream, the share of a class's queries that were assigned to another class, over the
          episodes with both classes (NaN if there are none); the diagonal is the share of correct queries. None if
          predictions were not kept.
      best: row of the leaderboard for `confusion`.
      histogram: number of episodes of each upstream by their score, in even steps from 0 to 1.
    """

    dataset: str
    rows: tuple[int, ...]
    covariance: PoolCovariance
    pseudo_values: Float[np.ndarray, "n_upstreams n_classes"] | None
    class_names: tuple[str, ...]
    class_accuracy: Float[np.ndarray, "n_upstreams n_classes"]
    confusion: Float[np.ndarray, "n_classes n_classes"] | None
    best: int
    histogram: Integer[np.ndarray, "n_upstreams n_bins"]


def pair_dataset(
    results: Results, board: Leaderboard, column: int, rows: Sequence[int], problems: list[str]
) -> PairedDataset | None:
    """Read the predictions of some upstreams on one dataset.

    Args:
      results: the result folder.
      board: the leaderboard.
      column: column of the dataset.
      rows: rows of the upstreams.
      problems: receives a sentence for each file that could not be used.

    Returns:
      None if no upstream's predictions could be read.
    """
    kept = [results.keeps_predictions(board.cells[row, column]) for row in rows if (row, column) in board.cells]
    of_slots = not all(kept)
    read: list[tuple[int, tuple[Results, Mapping[str, Any], np.ndarray]]] = []
    draws: Mapping[str, np.ndarray] | None = None
    drawn: str | None = None
    for row in rows:
        record = board.cells.get((row, column))
        if record is None:
            continue
        if drawn is not None and record["draws"] != drawn:
            raise UserError(
                f"{board.datasets[column]}: cells of one table point to different draws; evaluate them again"
            )
        try:
            draws = results.draws(record) if draws is None else draws
            kept_here = kept_of(results, record, of_slots, draws)
        except UserError as error:
            problems.append(str(error))
            continue
        drawn = record["draws"]
        read.append((row, (results, record, kept_here)))
    if not read or draws is None:
        return None
    protocol = read[0][1][1]["identity"]["protocol"]
    n_way, k_shot = protocol["n_way"], protocol["k_shot"]
    names, class_of_clip = classes_of_clips(draws, protocol)
    clips = draws["clips"].astype(np.int64)
    try:
        pool = make_pool(clips, class_of_clip, k_shot, sides_of_clips(draws)).with_supports(draws.get("support_count"))
        found = scored([kept for _, kept in read], draws, pool, of_slots)
    except UserError as error:
        problems.append(str(error))
        return None
    except ValueError as error:
        problems.append(f"{results.path}: the file of draws {drawn} is damaged ({error}); delete it and run again")
        return None
    rows_read = tuple(row for row, _ in read)
    best = int(np.argmax(found.covariance.mean))
    seen = np.unique(class_of_clip[clips[:, :, 0]])
    return PairedDataset(
        dataset=board.datasets[column],
        rows=rows_read,
        covariance=found.covariance,
        pseudo_values=class_pseudo_values(found.scores, pool) if len(seen) > n_way else None,
        class_names=tuple(str(names[i]) for i in seen),
        class_accuracy=class_scores(found.of_slots, pool),
        confusion=None
        if of_slots
        else _confusion(read[best][1][2], pool.slot_class, len(seen), draws.get("query_count")),
        best=rows_read[best],
        histogram=found.histogram,
    )


def classes_of_clips(
    draws: Mapping[str, np.ndarray], protocol: Mapping[str, Any]
) -> tuple[np.ndarray, Integer[np.ndarray, " n_clips"]]:
    """Names of the classes, and the class of each clip of the table: -1 for clips that could not be drawn.

    If episodes were drawn from one split, the `split` column of the draws gives its clips; in files without that
    column, the drawn clips are assumed to be all clips. Draws from separate pools contain the clips of each pool.
    """
    names, index = np.unique(draws["class"], return_inverse=True)
    index = index.astype(np.int64)
    sides = sides_of_clips(draws)
    if sides is not None:
        index[~(sides.support.astype(bool) | sides.query.astype(bool))] = -1
        return names, index
    split = protocol.get("split")
    if split is not None:
        if "split" in draws:
            index[draws["split"] != split] = -1
        else:
            unseen = np.ones(len(index), dtype=bool)
            unseen[draws["clips"].ravel()] = False
            index[unseen] = -1
    count = np.bincount(index[index >= 0], minlength=len(names))
    least = protocol.get("min_clips") or 0
    index[(index >= 0) & (count[index] < least)] = -1
    return names, index


def sides_of_clips(draws: Mapping[str, np.ndarray]) -> SidesOfClips | None:
    """Which clips could be supports and which queries; None where all clips could be both.

    Args:
      draws: a file of drawn clips.
    """
    if "may_support" not in draws or "may_query" not in draws:
        return None
    # Two recordings of one clip have its id.
    unit = np.unique(draws["clip_id"], return_inverse=True)[1].reshape(-1)
    return SidesOfClips(draws["may_support"], draws["may_query"], unit)


def _confusion(
    predicted: Integer[np.ndarray, "n_episodes n_queries"],
    slot_class: Integer[np.ndarray, "n_episodes n_way"],
    n_classes: int,
    query_count: Integer[np.ndarray, "n_episodes n_way"] | None = None,
) -> Float[np.ndarray, "n_classes n_classes"]:
    n_way = slot_class.shape[1]
    n_query = predicted.shape[1] // n_way
    true = np.repeat(slot_class, n_query, axis=1)
    given = np.take_along_axis(slot_class, predicted.astype(np.int64), axis=1)
    size = np.full(slot_class.shape, n_query) if query_count is None else query_count.astype(np.int64)
    is_query = (np.arange(n_query) < size[:, :, None]).reshape(true.shape)
    counts = np.bincount((true * n_classes + given)[is_query], minlength=n_classes**2).reshape(n_classes, n_classes)
    together = np.zeros((n_classes, n_classes))
    for first in range(n_way):
        for second in range(n_way):
            np.add.at(together, (slot_class[:, first], slot_class[:, second]), size[:, first])
    return np.divide(counts, together, out=np.full(counts.shape, np.nan), where=together > 0)
