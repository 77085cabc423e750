"""The interface between the evaluator and a classifier.

A classifier never sees features: it gets an episode's inner products and returns scores. For a linear classifier that
is trained from zero with an isotropic penalty (or none) inner products are sufficient, since its weights are a linear
combination of the support embeddings (W = S^T alpha). All arrays have the episodes last; see linalg.py for why, and for
products and inverses in that layout.

A classifier of your own is a frozen dataclass in a file in any place; commands name it as `module.Class`. A classifier
that comes with jfewshot lies in this folder and is named in `__init__.py`. A classifier may also choose its strength in
each episode: its `Strength` then has a grid, it has a method `choose` (auto.py), and its `fit` also takes one strength
per episode.
"""

import dataclasses
import functools
import typing
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, UInt32

from jfewshot.classifiers.linalg import computed_once, product, total


@functools.partial(
    jax.tree_util.register_dataclass, data_fields=["gram", "episode", "key"], meta_fields=["n_way", "k_shot"]
)
@dataclasses.dataclass(frozen=True)
class Support:
    """The support sets of many episodes: inner products and labels.

    Attributes:
      gram: inner products among the support embeddings; supports are in class-major order.
      episode: episode numbers, for classifiers that need random numbers.
      key: key of the classifier's random stream (randomness.py).
      n_way: classes per episode.
      k_shot: supports per class.
    """

    gram: Float[Array, "n_support n_support episodes"]
    episode: UInt32[Array, "episodes"]
    key: UInt32[Array, "2"]
    n_way: int
    k_shot: int

    @property
    def n_support(self) -> int:
        return self.n_way * self.k_shot

    @property
    def labels(self) -> np.ndarray:
        """The class slot of each support: 0 0 1 1 2 2 ..., the same in every episode."""
        return np.repeat(np.arange(self.n_way), self.k_shot)

    @property
    def one_hot(self) -> Float[Array, "n_support n_way 1"]:
        """1 where a support is of a class, 0 elsewhere."""
        return jnp.asarray(np.eye(self.n_way)[self.labels][:, :, None], self.gram.dtype)

    @property
    def class_share(self) -> Float[Array, "n_way 1"] | float:
        """Share of each class among the supports."""
        return 1.0 / self.n_way


@functools.partial(
    jax.tree_util.register_dataclass,
    data_fields=["gram", "episode", "key", "targets"],
    meta_fields=["n_way", "k_shot"],
)
@dataclasses.dataclass(frozen=True)
class LabelledClips(Support):
    """Labelled clips in any order, with any number of clips in each class: a support set for training one head on all clips.

    The classifiers `ridge`, `logistic` and `svm` accept it, because they use only `one_hot`, `class_share` and
    `n_support`.

    Attributes:
      targets: 1 where a clip is of a class, 0 elsewhere.
      k_shot: 1 if a class has a single clip, which cannot be left out; else 2.
    """

    targets: Float[Array, "n_support n_way 1"]

    @property
    def n_support(self) -> int:
        return self.gram.shape[0]

    @property
    def one_hot(self) -> Float[Array, "n_support n_way 1"]:
        return self.targets

    @property
    def class_share(self) -> Float[Array, "n_way 1"]:
        return self.targets.mean(0)


class Diagnostics(NamedTuple):
    """How accurately a solver solved each episode; NaN for closed forms, which have no residual.

    Attributes:
      residual: per episode, the violation of the optimality condition; each classifier defines its own measure.
      iterations: per episode.
      chosen: per episode, the grid index of the strength that was chosen from the supports; None if the strength was
          given.
    """

    residual: Float[Array, "episodes"]
    iterations: Float[Array, "episodes"]
    chosen: Int[Array, "episodes"] | None = None

    @classmethod
    def none(cls, support: Support) -> "Diagnostics":
        """Diagnostics of a closed form: NaN for every episode."""
        nothing = jnp.full(support.gram.shape[-1], jnp.nan, support.gram.dtype)
        return cls(nothing, nothing)


class Linear(NamedTuple):
    """A linear classifier in terms of inner products: scores = gram_qs alpha + bias.

    Attributes:
      alpha: the weights' coefficients on the supports, W = S^T alpha.
      bias: one per class.
    """

    alpha: Float[Array, "n_support n_way episodes"]
    bias: Float[Array, "n_way episodes"]

    def scores(self, gram_qs: Float[Array, "n_query n_support episodes"]) -> Float[Array, "n_query n_way episodes"]:
        """Scores of queries, from their inner products with the supports."""
        return product(gram_qs, self.alpha) + self.bias


class Strength(NamedTuple):
    """The one continuous parameter of a classifier, of which several values can be evaluated from the same Gram matrix.

    Attributes:
      name: `C`, `alpha`: scikit-learn's names and meanings.
      default: the value taken where none is given.
      grid: the values among which `auto` chooses, ascending; empty for a classifier that cannot choose.
      grid_version: increased when the grid or the rule of choice changes; part of the identity of results with `auto`.
    """

    name: str
    default: float
    grid: tuple[float, ...] = ()
    grid_version: int = 1


@typing.runtime_checkable
class Classifier(typing.Protocol):
    """The interface of a classifier for the evaluator: a frozen dataclass whose fields are its settings.

    Attributes:
      strength: its continuous parameter, if it has one.
      translation_invariant: whether the decision is the same when one vector is added to all embeddings. If so, the
          evaluator subtracts the store's mean before it computes inner products, which avoids rounding errors of
          float32 if embeddings share a large mean.
      tolerance: residuals above this value count as not converged; None if the classifier has no residual.
    """

    strength: ClassVar[Strength | None]
    tolerance: ClassVar[float | None]
    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def translation_invariant(self) -> bool: ...

    # The cache of compiled code uses the classifier as a key, so a classifier must be hashable. Frozen dataclasses are
    # hashable.
    def __hash__(self) -> int: ...

    def fit(self, support: Support, strength: Float[Array, ""]) -> tuple[Any, Diagnostics]:
        """Train on the supports.

        Args:
          support: of many episodes.
          strength: a positive scalar; ignored by a classifier without a `Strength`.

        Returns:
          A model (a pytree that `score` takes, episodes last in every array) and diagnostics.
        """
        ...

    def score(
        self, model: Any, support: Support, gram_qs: Float[Array, "n_query n_support episodes"]
    ) -> Float[Array, "n_query n_way episodes"]:
        """Score queries; the class with the highest score wins, and the smallest class index among equal scores.

        Args:
          model: model from `fit`.
          support: the support sets that the model was trained on.
          gram_qs: inner products of queries and supports.

        Returns:
          one score for each query and class.
        """
        ...


def class_sums(
    values: Float[Array, "rows n_support episodes"] | Int[Array, "rows n_support episodes"], support: Support
) -> Float[Array, "rows n_way episodes"]:
    """Sum over the supports of each class.

    Args:
      values: one column per support.
      support: gives the numbers of classes and shots.
    """
    by_class = values.reshape(values.shape[0], support.n_way, support.k_shot, *values.shape[2:])
    # Added term by term, since a reduction over a short middle axis is slow on CPUs.
    total = by_class[:, :, 0]
    for shot in range(1, support.k_shot):
        total = total + by_class[:, :, shot]
    return total


def centred(gram):
    """The Gram matrix of the supports minus their mean, and the mean's inner product with each support.

    If the coefficients sum to zero over the supports, the scores for centred inner products are gram_qs alpha minus
    (mean's product) alpha.
    """
    mean_row = computed_once(lambda gram: total(gram, 0) / gram.shape[0], gram)
    mean = computed_once(lambda mean_row: total(mean_row, 0) / mean_row.shape[0], mean_row)
    return gram - mean_row[None] - mean_row[:, None] + mean, mean_row
