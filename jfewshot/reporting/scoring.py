"""Scores of queries from kept predictions or counts: per episode, per class, and their covariance."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Integer, Shaped

from jfewshot.errors import UserError
from jfewshot.results import Results
from jfewshot.statistics import PoolCovariance, correct_from_predicted, pool_covariance
from jfewshot.statistics.calibration import among_first
from jfewshot.statistics.pool import Pool
from jfewshot.statistics.unbalanced import Metric, Scores, right_of_slots, scores_of, unbalanced_covariance

_BINS = 100  # bins of a histogram, if episodes have different numbers of queries


class Scored(NamedTuple):
    """Systems on the same episodes.

    Attributes:
      covariance: of their mean scores, by source of error.
      scores: a score of each query, of each class of an episode, or of the episode; its mean over the last axis is the episode's
        score.
      of_slots: share of correctly classified queries of each class of an episode.
      histogram: number of episodes of each system by score, in even steps from 0 to 1.
    """

    covariance: PoolCovariance
    scores: Shaped[np.ndarray, "n_systems n_episodes n"]
    of_slots: Float[np.ndarray, "n_systems n_episodes n_way"]
    histogram: Integer[np.ndarray, "n_systems n_bins"]


def scored(
    kept: Sequence[tuple[Results, Mapping[str, Any], np.ndarray]],
    draws: Mapping[str, np.ndarray],
    pool: Pool,
    counts: bool,
) -> Scored:
    """Score some systems on the same episodes.

    Args:
      kept: for each system the results, its record, and the value of `kept_of`.
      draws: the file of drawn clips.
      pool: the clips and classes of the episodes.
      counts: whether only the numbers of correct queries of each class are known, and not the predictions.

    Returns:
      the scores.

    Raises:
      UserError: for macro F1 if only counts were kept, and for top-k accuracy if scores were not kept.
    """
    protocol = kept[0][1]["identity"]["protocol"]
    n_way = protocol["n_way"]
    count = draws.get("query_count")
    if count is None:
        scores = np.stack([_right(*one, counts) for one in kept])
        n_queries = n_way * protocol["n_query"]
        right = np.rint(scores.mean(axis=2) * n_queries).astype(np.int64)
        of_slots = scores.reshape(*scores.shape[:2], n_way, -1).mean(axis=3, dtype=np.float64)
        return Scored(pool_covariance(scores, pool, counts), scores, of_slots, _histogram(right, n_queries))
    count = count.astype(np.int64)
    right = np.stack([one if counts else right_of_slots(one, count) for _, _, one in kept])
    # A fold of mteb may have no query of a class.
    of_slots = np.divide(right, count, out=np.full(right.shape, np.nan), where=np.broadcast_to(count > 0, right.shape))
    each = [_scores(record, one, of_slots[i], count, counts) for i, (_, record, one) in enumerate(kept)]
    episode = np.stack([one.episode for one in each])
    steps = np.rint(_BINS * episode).astype(np.int64)
    covariance = unbalanced_covariance(each, count, pool)
    return Scored(covariance, episode[:, :, None], of_slots, _histogram(steps, _BINS))


def kept_of(results: Results, record: Mapping[str, Any], counts: bool, draws: Mapping[str, np.ndarray]) -> np.ndarray:
    """The kept predictions or counts of a record.

    Args:
      results: where it is kept.
      record: of the cell.
      counts: whether counts are wanted, which both kinds of records give.
      draws: the file of drawn clips.

    Returns:
      predictions; or for each class of an episode the share of correct queries, and their number if classes have
      different numbers of queries.

    Raises:
      UserError: if they cannot be read.
    """
    if not counts:
        return results.predictions(record)
    right, n_query = results.right_of_slot(record), record["identity"]["protocol"]["n_query"]
    if "query_count" not in draws:
        return right / n_query
    return right - (n_query - draws["query_count"].astype(np.int64))


def _right(results: Results, record: Mapping[str, Any], kept: np.ndarray, counts: bool) -> np.ndarray:
    """Whether each query was classified correctly, or is among the first k; from counts, the share for each class."""
    protocol, metric = record["identity"]["protocol"], record.get("metric") or "accuracy"
    n_way, n_query = protocol["n_way"], protocol["n_query"]
    if metric == "auroc":
        raise UserError("upstreams are not compared in pairs by AUROC; leave out --metric auroc")
    if metric.startswith("top_"):
        log_p = results.scores(record).log_probability[:, : n_way * n_query]
        return among_first(log_p.astype(np.float64), np.repeat(np.arange(n_way), n_query), int(metric.split("_")[1]))
    return kept if counts else correct_from_predicted(kept, n_way)


def _scores(record, predicted, of_slots, count, counts: bool) -> Scores:
    metric: Metric = record.get("metric") or "accuracy"
    if not counts:
        return scores_of(metric, predicted, count, bool(record["identity"]["protocol"].get("mteb")))
    if metric == "macro_f1":
        raise UserError(
            f"record {record['key']} keeps counts only, and macro F1 needs predictions; run with --keep predictions"
        )
    # The change of the metric without a query can be computed only from predictions.
    unknown = np.full((*count.shape, int(count.max())), np.nan)
    if metric == "accuracy":
        return Scores(np.nansum(of_slots * count, axis=1) / count.sum(1), unknown)
    return Scores(np.nanmean(of_slots, axis=1), unknown)


def _histogram(steps: np.ndarray, most: int) -> np.ndarray:
    return np.stack([np.bincount(one, minlength=most + 1) for one in steps])
