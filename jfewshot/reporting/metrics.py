"""The metric that a table shows: accuracy, balanced accuracy or macro F1 of results with all queries, or a metric of
kept scores."""

from collections.abc import Sequence
from typing import Any

from jfewshot.errors import UserError
from jfewshot.statistics.unbalanced import METRICS

# Known for results with scores.
SCORE_METRICS = ("top_2_accuracy", "top_3_accuracy", "top_5_accuracy", "auroc")
METRIC_WORDS = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "macro_f1": "macro F1",
    "top_2_accuracy": "top-2 accuracy",
    "top_3_accuracy": "top-3 accuracy",
    "top_5_accuracy": "top-5 accuracy",
    "auroc": "AUROC of known against unknown classes",
}


def with_metric(records: Sequence[dict[str, Any]], metric: str) -> list[dict[str, Any]]:
    """Records whose `accuracy` is replaced by another metric, for all functions that show accuracies.

    If all classes have equally many queries, balanced accuracy equals accuracy.

    Args:
      records: as `read_results` gives them.
      metric: one of `METRICS` or `SCORE_METRICS`.

    Returns:
      the records; records that show another metric than accuracy name it in a field `metric`, and have accuracy among
      their `metrics`.

    Raises:
      UserError: if no record has the metric.
    """
    if metric not in (*METRICS, *SCORE_METRICS):
        raise UserError(f"unknown metric '{metric}'; there are {', '.join((*METRICS, *SCORE_METRICS))}")
    if metric == "accuracy":
        return list(records)
    found: list[dict[str, Any]] = []
    for record in records:
        value = (record.get("metrics") or {}).get(metric)
        if value is not None:
            metrics = {**record["metrics"], "accuracy": record["accuracy"]}
            found.append({**record, "accuracy": value, "metrics": metrics, "metric": metric})
        elif metric == "balanced_accuracy":
            found.append(record)
    if not found and metric == "auroc":
        raise UserError(
            "no result has the metric auroc: it needs queries of unknown classes; evaluate with --unknown-ways 5"
        )
    if not found and metric in SCORE_METRICS:
        raise UserError(
            f"no result has the metric {metric}: it is computed where scores are kept and there are more ways; evaluate with "
            "--keep scores"
        )
    if not found:
        raise UserError(
            f"no result has the metric {metric}: it is computed where all queries are asked; evaluate with --n-query all"
        )
    return found
