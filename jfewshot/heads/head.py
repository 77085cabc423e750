"""A fitted head, and its scores of new embeddings. NumPy only."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float, Float32, Int

from jfewshot.evaluator.preprocessing import Transform, without_statistics

# Classifiers that can be fitted: their scores are linear in the embedding, or they compare it with the labelled clips.
LINEAR = ("ridge", "logistic", "svm", "centroid")
CLASSIFIERS = (*LINEAR, "knn")
PREPROCESSINGS = ("none", "l2")


@dataclasses.dataclass(frozen=True, eq=False)
class Head:
    """A classifier that was fitted on labelled clips.

    Attributes:
      classes: names of the classes, sorted.
      classifier: its name, one of `CLASSIFIERS`.
      settings: its settings, such as `k` and `metric` of `knn`.
      strength: its strength; None for a classifier without one.
      preprocessing: what is done to each embedding first, `none` or `l2`.
      origin: subtracted from each embedding after that.
      weights: dim x classes; of `knn`, dim x clips: the labelled clips themselves.
      bias: one number per class; of `knn`, one per clip: minus half of its squared length, or 0 for the cosine metric.
      labels: of `knn`, the class number of each clip; empty for the others.
      facts: everything else that `head.json` says.
    """

    classes: tuple[str, ...]
    classifier: str
    settings: Mapping[str, Any]
    strength: float | None
    preprocessing: str
    origin: Float32[np.ndarray, " dim"]
    weights: Float32[np.ndarray, "dim columns"]
    bias: Float32[np.ndarray, " columns"]
    labels: Int[np.ndarray, " labelled"]
    facts: Mapping[str, Any]

    @property
    def transform(self) -> Transform:
        """Convert embeddings of the encoder to embeddings for the weights."""
        return dataclasses.replace(without_statistics(self.preprocessing), origin=self.origin)

    def scores(self, rows: Float[np.ndarray, "rows dim"]) -> Float32[np.ndarray, "rows classes"]:
        """Scores of embeddings; the class with the highest score wins.

        Args:
          rows: embeddings as the encoder gives them.

        Returns:
          one score per embedding and class.
        """
        return self.scores_of_transformed(self.transform(rows))

    def scores_of_transformed(self, rows: Float32[np.ndarray, "rows dim"]) -> Float32[np.ndarray, "rows classes"]:
        """Scores of embeddings that `transform` was applied to; of a clip's mean embedding, for instance.

        Args:
          rows: transformed embeddings.

        Returns:
          one score per embedding and class.
        """
        products = rows @ self.weights + self.bias
        if self.classifier != "knn":
            return products
        return neighbour_scores(products, self.labels, len(self.classes), int(self.settings["k"]))


def neighbour_scores(
    closeness: Float[np.ndarray, "rows clips"], labels: Int[np.ndarray, " clips"], n_classes: int, k: int
) -> Float[np.ndarray, "rows classes"]:
    """Scores of k nearest neighbours, as `jfewshot.classifiers.knn` defines them.

    Args:
      closeness: of each embedding to each labelled clip; larger is closer.
      labels: class number of each labelled clip.
      n_classes: how many classes there are.
      k: how many neighbours vote.

    Returns:
      for k = 1 the closeness of each class's closest clip, else the number of votes of each class.
    """
    scores = np.zeros((len(closeness), n_classes), closeness.dtype)
    if k == 1:
        for number in range(n_classes):
            scores[:, number] = closeness[:, labels == number].max(1, initial=-np.inf)
        return scores
    # The first of equally close clips comes first.
    nearest = np.argsort(-closeness, axis=1, kind="stable")[:, :k]
    np.add.at(scores, (np.arange(len(closeness))[:, None], labels[nearest]), 1)
    return scores


def margins(scores: Float[np.ndarray, "rows classes"]) -> Float[np.ndarray, " rows"]:
    """The confidence of a head: the highest score minus the second highest.

    Args:
      scores: of each clip, at least two classes.
    """
    highest = np.partition(scores, -2, axis=1)[:, -2:]
    return highest[:, 1] - highest[:, 0]
