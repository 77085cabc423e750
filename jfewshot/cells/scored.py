"""The parts of records that come from the scores of queries, and checks that scores can be kept."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Integer

from jfewshot.classifiers.specs import ClassifierSpec
from jfewshot.classifiers.transductive import is_transductive
from jfewshot.episodes.protocol import Protocol
from jfewshot.errors import UserError
from jfewshot.results import QueryScores
from jfewshot.statistics.abstention import risk_areas, risk_curve
from jfewshot.statistics.calibration import (
    Reliability,
    among_first,
    calibration_errors,
    log_losses,
    reliability,
    tempered,
)
from jfewshot.statistics.intervals import interval_of_episodes, interval_on_pool
from jfewshot.statistics.open_set import false_positives, separations
from jfewshot.statistics.pool import Pool
from jfewshot.store.clips import ClipTable

# Shares of answered queries (coverages) at which records give the risk.
COVERAGES = tuple(share / 20 for share in range(1, 21))
TOP_K = (2, 3, 5)
CONFIDENCES = ("probability", "score", "energy", "margin")


def check_scores(
    protocols: Sequence[Protocol],
    specs: Sequence[ClassifierSpec],
    tables: Sequence[ClipTable],
    dataset: str,
    keep_scores: bool,
) -> None:
    """Refuse to compute scores if a query would have none, or if classes have different numbers of queries.

    Args:
      protocols: of the run.
      specs: the classifiers.
      tables: the clip tables of the dataset's stores.
      dataset: its name, for messages.
      keep_scores: whether the scores of all protocols are kept; unknown classes need scores also.

    Raises:
      UserError: names the option that prevents it.
    """
    for protocol in protocols:
        if not (keep_scores or protocol.unknown_ways):
            continue
        spec = next((spec for spec in specs if is_transductive(spec.classifier)), None)
        if protocol.unknown_ways and spec is not None:
            raise UserError(
                f"'{spec.name}' shares all queries out among the classes of the supports, and --unknown-ways adds queries of "
                "other classes; choose a classifier that is not transductive"
            )
        unequal = {
            "--protocol mteb": protocol.mteb is not None,
            "--shots all": protocol.all_labels,
            "--n-query all": protocol.every_query,
            "--query-balance": protocol.query_balance is not None,
        }
        given = next((name for name, value in unequal.items() if value), None)
        if given is not None:
            asked = "--keep scores" if keep_scores else "--unknown-ways"
            raise UserError(
                f"{asked} needs equally many query clips of every class, and numbers of shots; leave out {given}"
            )
        most = max(int(clips.n_segments.max(initial=1)) for clips in tables)
        if protocol.query_segments == "vote" and most > 1:
            raise UserError(
                f"{dataset}: clips have up to {most} segments, and a vote of segments has no scores to keep; add "
                "--query-segments mean, or --query-segments one"
            )


def parts_of_scores(
    scores: QueryScores,
    predicted: Integer[np.ndarray, "episodes queries"],
    protocol: Protocol,
    pool: Pool,
    whole: Pool | None = None,
) -> dict[str, Any]:
    """The parts of a record that come from the scores of its queries.

    Args:
      scores: of all queries.
      predicted: the slot that each query was assigned to.
      protocol: the protocol.
      pool: the clips and classes of the episodes.
      whole: the same with the unknown classes; None if there are none.

    Returns:
      the record's `metrics`, `calibration` and, with unknown classes, `open_set`.
    """
    true = np.repeat(np.arange(protocol.n_way), protocol.n_query)
    of_known = scores.log_probability[:, : protocol.n_queries]
    log_p = tempered(of_known, np.ones(len(predicted)))
    correct = predicted == true
    confidence = np.exp(log_p.max(axis=2))
    plain = tempered(of_known, scores.temperature)
    plain_confidence = np.exp(plain.max(axis=2))
    risk = risk_curve(confidence, correct).mean(axis=0)
    # If float64 makes a whole number slightly larger, rounding up would answer one query too many.
    answered = np.ceil(np.array(COVERAGES) * len(true) - 1e-9).astype(int)
    values = {
        "nll": log_losses(log_p, true),
        "nll_uncalibrated": log_losses(plain, true),
        "ece": calibration_errors(confidence, correct),
        "ece_uncalibrated": calibration_errors(plain_confidence, correct),
        "aurc": risk_areas(confidence, correct),
    }
    calibration: dict[str, Any] = {name: interval_on_pool(value, pool)._asdict() for name, value in values.items()}
    calibration |= {
        "temperature": {
            f"q{100 * share:.0f}": float(f"{np.quantile(scores.temperature, share):.4g}") for share in (0.1, 0.5, 0.9)
        },
        "reliability": _bins(reliability(confidence, correct)),
        "reliability_uncalibrated": _bins(reliability(plain_confidence, correct)),
        "risk": [
            {"coverage": coverage, "risk": float(f"{risk[n - 1]:.6g}")}
            for coverage, n in zip(COVERAGES, answered, strict=True)
        ],
    }
    metrics = {
        f"top_{k}_accuracy": interval_on_pool(among_first(log_p, true, k), pool)._asdict()
        for k in TOP_K
        if k < protocol.n_way
    }
    found: dict[str, Any] = {"calibration": calibration}
    if whole is not None:
        found["open_set"] = _open_set(scores, protocol, whole)
        metrics["auroc"] = found["open_set"]["auroc"][CONFIDENCES[0]]
    return found | ({"metrics": metrics} if metrics else {})


def confidences(scores: QueryScores) -> dict[str, Float[np.ndarray, "episodes queries"]]:
    """Several confidence scores for each query; they are comparable only within an episode.

    - `probability`: the highest probability (Hendrycks and Gimpel, ICLR 2017)
    - `score`: the highest score (Hendrycks et al., ICML 2022: the maximum logit)
    - `energy`: log sum exp of the logits (Liu et al., NeurIPS 2020: the negative energy)
    - `margin`: the highest score minus the second highest

    Args:
      scores: of all queries.
    """
    log_p, normaliser = scores.log_probability.astype(np.float64), scores.normaliser.astype(np.float64)
    first_two = np.sort(log_p, axis=2)[:, :, -2:]
    highest = first_two[:, :, 1]
    return {
        "probability": highest,
        "score": highest + normaliser,
        "energy": normaliser,
        "margin": highest - first_two[:, :, 0],
    }


def _open_set(scores: QueryScores, protocol: Protocol, pool: Pool) -> dict[str, Any]:
    """How well each confidence score separates queries of unknown classes from the others."""
    auroc, fpr95, n = {}, {}, protocol.n_queries
    for name, confidence in confidences(scores).items():
        known, unknown = confidence[:, :n], confidence[:, n:]
        auroc[name] = interval_on_pool(separations(known, unknown), pool)._asdict()
        fpr95[name] = interval_of_episodes(false_positives(known, unknown), pool)._asdict()
    return {"unknown_ways": protocol.unknown_ways, "auroc": auroc, "fpr95": fpr95}


def _bins(found: Reliability) -> list[dict[str, float]]:
    """The bins that hold queries, as JSON."""
    return [
        {name: float(f"{value:.6g}") for name, value in zip(Reliability._fields, one, strict=True)}
        for one in zip(*found, strict=True)
        if one[0] > 0
    ]
