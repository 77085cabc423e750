"""Compute predictions and the scores that are kept from the scores of a chunk's queries."""

from typing import Any

import numpy as np

from jfewshot.classifiers.calibration import is_probabilistic
from jfewshot.classifiers.transductive import is_transductive
from jfewshot.evaluator.segments import highest
from jfewshot.results.scores import query_scores

_LEAST_SHARE = 1e-30


def kept_answers(classifier: Any, answers: list[np.ndarray]) -> list[np.ndarray]:
    """Compute predictions and kept scores from a solver's results on the host.

    Logits are scores times the sharpness (`calibration.py`) with the fitted temperature. Without calibration, the
    logits of `logistic` are its scores, so that their softmax is the probability that the model itself gives, and those
    of other inductive classifiers are their scores times the sharpness with the fixed temperature. Transductive
    classifiers give each class a share of each query; their logits are the logarithms of these shares, and no
    temperature is fitted.

    Args:
      classifier: the classifier that gave the scores.
      answers: scores, residuals, iterations, rounding errors, choices if there are any, and two factors, each [strengths,
        episodes, ...].

    Returns:
      predictions, residuals, iterations, rounding errors, choices if there are any, and the three arrays of `QueryScores`.
    """
    scores, *others, fixed, fitted = answers
    if is_transductive(classifier):
        logits, temperature = np.log(np.maximum(scores, _LEAST_SHARE)), fitted
    else:
        logits = scores * fitted[:, :, None, None]
        temperature = (1.0 if is_probabilistic(classifier) else fixed) / fitted
    kept = [query_scores(own, factor) for own, factor in zip(logits, temperature, strict=True)]
    return [highest(scores), *others, *(np.stack(parts) for parts in zip(*kept, strict=True))]
