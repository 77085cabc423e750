"""Scores between two anchors, averages, ranks, and how sure they are: pure functions of accuracies.

The score is SUPERB's (Yang et al., Interspeech 2021): 1000 (accuracy - lower) / (upper - lower) for each task, averaged within a
dataset and then over datasets.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from jfewshot.statistics.ranks import as_read, average_ranks, bootstrap_over_datasets

# Fewer datasets are not resampled: with five, a bootstrap draws the same three or four again and again.
LEAST_DATASETS = 6
SCORE_DECIMALS = 1


def scores_of(
    accuracy: Float[np.ndarray, "*n"], lower: Float[np.ndarray, "*n"], upper: Float[np.ndarray, "*n"]
) -> Float[np.ndarray, "*n"]:
    """Place accuracies between two anchors: 0 at the lower one, 1000 at the upper one, and linear beyond both.

    Args:
      accuracy: 0-1.
      lower: anchors that score 0.
      upper: anchors that score 1000.

    Returns:
      the scores.
    """
    return 1000 * (accuracy - lower) / (upper - lower)


@dataclasses.dataclass(frozen=True, eq=False)
class Standing:
    """Encoders over datasets, under one track or over all of them.

    Attributes:
      encoders: names of the rows, the best score first.
      datasets: names of the columns.
      accuracy: 0-1; over several tracks, the mean of a dataset's tasks.
      half_width: 95% half-width of each accuracy over episodes.
      score: of each dataset.
      average: accuracy over the datasets.
      average_half_width: of `average`, over episodes.
      total: mean score over the datasets.
      rank: mean rank over the datasets, 1 the most accurate.
      over_datasets: for `total`, `average` and `rank` the 95% intervals (low, high) over datasets; None below six datasets.
      without: the mean score over the other datasets, one row for each dataset that is left out; None for a single dataset.
      hinge: a sentence: does the ranking hinge on one dataset?
    """

    encoders: tuple[str, ...]
    datasets: tuple[str, ...]
    accuracy: Float[np.ndarray, "n_encoders n_datasets"]
    half_width: Float[np.ndarray, "n_encoders n_datasets"]
    score: Float[np.ndarray, "n_encoders n_datasets"]
    average: Float[np.ndarray, " n_encoders"]
    average_half_width: Float[np.ndarray, " n_encoders"]
    total: Float[np.ndarray, " n_encoders"]
    rank: Float[np.ndarray, " n_encoders"]
    over_datasets: dict[str, Float[np.ndarray, "n_encoders 2"]] | None
    without: Float[np.ndarray, "n_datasets n_encoders"] | None
    hinge: str


def standing(
    encoders: Sequence[str],
    datasets: Sequence[str],
    accuracy: Float[np.ndarray, "n_encoders n_datasets"],
    half_width: Float[np.ndarray, "n_encoders n_datasets"],
    score: Float[np.ndarray, "n_encoders n_datasets"],
) -> Standing:
    """Rank encoders by their mean score.

    Args:
      encoders: names of the rows; at least one.
      datasets: names of the columns; at least one.
      accuracy: 0-1.
      half_width: 95% half-width of each accuracy over episodes.
      score: of each accuracy.

    Returns:
      the encoders, best first, with averages, ranks and what is known of their uncertainty.
    """
    order = sorted(range(len(encoders)), key=lambda row: (-score[row].mean(), encoders[row]))
    names = tuple(encoders[row] for row in order)
    accuracy, half_width, score = accuracy[order], half_width[order], score[order]
    n = len(datasets)
    over = None
    if n >= LEAST_DATASETS:
        by_accuracy, by_score = bootstrap_over_datasets(accuracy), bootstrap_over_datasets(score / 1000)
        assert by_accuracy is not None
        assert by_score is not None
        over = {"total": 1000 * by_score.accuracy, "average": by_accuracy.accuracy, "rank": by_accuracy.rank}
    without = np.stack([np.delete(score, column, axis=1).mean(axis=1) for column in range(n)]) if n > 1 else None
    return Standing(
        encoders=names,
        datasets=tuple(datasets),
        accuracy=accuracy,
        half_width=half_width,
        score=score,
        average=accuracy.mean(axis=1),
        # Datasets have episodes of their own, so their errors add in squares.
        average_half_width=np.sqrt((half_width**2).sum(axis=1)) / n,
        total=score.mean(axis=1),
        rank=average_ranks(accuracy),
        over_datasets=over,
        without=without,
        hinge=hinge_sentence(names, datasets, score.mean(axis=1), without),
    )


def hinge_sentence(
    encoders: Sequence[str],
    datasets: Sequence[str],
    total: Float[np.ndarray, " n_encoders"],
    without: Float[np.ndarray, "n_datasets n_encoders"] | None,
) -> str:
    """Say whether the ranking depends on one dataset.

    Args:
      encoders: names, in the order of the ranking.
      datasets: names of the datasets.
      total: mean score of each encoder over all datasets.
      without: mean score over the other datasets, one row for each dataset that is left out; None for a single dataset.

    Returns:
      a sentence or two.
    """
    if len(encoders) < 2:
        return "There is one encoder, so there is no ranking."
    if without is None:
        return f"The ranking is of one dataset, {datasets[0]}."
    whole = _order(total)
    first = {name: _order(row)[0] for name, row in zip(datasets, without, strict=True)}
    turned = [name for name in datasets if first[name] != whole[0]]
    if turned:
        said = "; ".join(f"without {name}, {encoders[first[name]]} is first" for name in turned)
        return f"The first place hinges on one dataset: {encoders[whole[0]]} is first over all, and {said}."
    moved = [name for name, row in zip(datasets, without, strict=True) if _order(row) != whole]
    if moved:
        return (
            f"The first place does not hinge on one dataset: {encoders[whole[0]]} stays first whichever is left out. Lower "
            f"places change without {_listed(moved)}."
        )
    return "The ranking does not hinge on one dataset: it stays the same whichever is left out."


def _order(total: np.ndarray) -> list[int]:
    """Places by score as tables print it, so that scores that read the same keep their order."""
    read = as_read(total, SCORE_DECIMALS)
    return sorted(range(len(read)), key=lambda row: (-read[row], row))


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"
