"""Confusion matrices, unweighted average recall and accuracy, with intervals over speakers."""

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float, Int
from scipy import stats


def confusion(
    true: Int[np.ndarray, " n"], predicted: Int[np.ndarray, " n"], n_classes: int
) -> Int[np.ndarray, "true predicted"]:
    """Count how many utterances of each class (row) were recognised as each class (column).

    Args:
      true: number of each utterance's class.
      predicted: number of the class that each utterance was recognised as.
      n_classes: number of classes.

    Returns:
      the counts.
    """
    counts = np.zeros((n_classes, n_classes), np.int64)
    np.add.at(counts, (true, predicted), 1)
    return counts


def uar(counts: Int[np.ndarray, "true predicted"]) -> float:
    """Unweighted average recall: the mean over classes of the share of their utterances that was recognised.

    A class without utterances, which the speakers of a fold may lack, is left out of the mean.
    """
    there = counts.sum(axis=1)
    return float(np.mean(np.diag(counts)[there > 0] / there[there > 0]))


def accuracy(counts: Int[np.ndarray, "true predicted"]) -> float:
    """Share of all utterances that were recognised."""
    return float(np.trace(counts) / counts.sum())


def jackknife(
    counts: Int[np.ndarray, "*part speakers true predicted"],
    statistic: Callable[[Int[np.ndarray, "*part true predicted"]], float],
) -> tuple[float, float]:
    """Compute a statistic of all speakers' utterances, and its 95% half-width over speakers.

    The statistic is computed again without each of the n speakers: variance (n - 1) / n Σ (value without a speaker - mean of
    these values)² (Efron and Stein, 1981), and Student's t with n - 1 degrees of freedom. For a mean over speakers this is
    the textbook interval.

    Args:
      counts: confusions by speaker, which is the third axis from the end; `statistic` receives the axes before it (systems,
        seeds) unchanged.
      statistic: from confusions summed over speakers to a number.

    Returns:
      the value, and the half-width; NaN for a single speaker.
    """
    n = counts.shape[-3]
    whole = counts.sum(axis=-3)
    value = statistic(whole)
    if n < 2:
        return value, float("nan")
    without = np.array([statistic(whole - counts[..., speaker, :, :]) for speaker in range(n)])
    variance = (n - 1) / n * np.sum((without - without.mean()) ** 2)
    return value, float(stats.t.ppf(0.975, n - 1) * np.sqrt(variance))


def half_width(values: Float[np.ndarray, " n"]) -> float:
    """95% half-width of the mean of a few values (Student's t); NaN for one value."""
    if len(values) < 2:
        return float("nan")
    return float(stats.t.ppf(0.975, len(values) - 1) * stats.sem(values))


def mean_uar(counts: Int[np.ndarray, "seeds true predicted"]) -> float:
    """Mean over seeds of the UAR."""
    return float(np.mean([uar(each) for each in counts]))


def mean_accuracy(counts: Int[np.ndarray, "seeds true predicted"]) -> float:
    """Mean over seeds of the accuracy."""
    return float(np.mean([accuracy(each) for each in counts]))


def difference(counts: Int[np.ndarray, "two seeds true predicted"]) -> float:
    """Mean UAR of the first system less that of the second."""
    return mean_uar(counts[0]) - mean_uar(counts[1])


def by_speaker(
    true: Sequence[int], predicted: Sequence[int], speakers: Sequence[str], names: Sequence[str], n_classes: int
) -> Int[np.ndarray, "speakers true predicted"]:
    """Compute a confusion matrix for each speaker.

    Args:
      true: number of each utterance's class.
      predicted: number of the class that each utterance was recognised as.
      speakers: speaker of each utterance.
      names: the speakers, in the order of the result.
      n_classes: number of classes.

    Returns:
      the counts; zero for a speaker without utterances.
    """
    of = np.asarray(speakers)
    return np.stack(
        [confusion(np.asarray(true)[of == name], np.asarray(predicted)[of == name], n_classes) for name in names]
    )
