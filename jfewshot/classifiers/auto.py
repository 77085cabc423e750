"""A classifier whose strength is chosen in each episode, from the episode's supports alone."""

import dataclasses
import typing
from typing import Any, ClassVar, Protocol

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jfewshot.classifiers.base import Strength, Support


@typing.runtime_checkable
class Chooser(Protocol):
    """A classifier that can choose its strength; its `Strength` has a grid, and its `fit` takes one strength per episode."""

    def choose(self, support: Support) -> Int[Array, "episodes"]:
        """Choose a strength for each episode.

        Args:
          support: the support sets of many episodes.

        Returns:
          for each episode, an index into the grid of the classifier's `Strength`.
        """
        ...


@dataclasses.dataclass(frozen=True)
class Auto:
    """A classifier for `C=auto`: it chooses a strength in each episode and then fits with that strength.

    The strength is one of those that a user could give. Fitting uses the classifier's `fit`, or its `choose_and_fit`,
    which solves the same problem and uses one decomposition for choosing and fitting. So an episode's predictions are
    those of the fixed strength, except for rounding.

    Attributes:
      classifier: a classifier that is a `Chooser`.
    """

    classifier: Any

    strength: ClassVar[Strength | None] = None
    tolerance: ClassVar[float | None] = None

    @property
    def translation_invariant(self) -> bool:
        return self.classifier.translation_invariant

    def fit(self, support: Support, strength=None):
        if hasattr(self.classifier, "choose_and_fit"):
            return self.classifier.choose_and_fit(support)
        place = self.classifier.choose(support)
        grid = jnp.asarray(self.classifier.strength.grid, support.gram.dtype)
        model, diagnostics = self.classifier.fit(support, grid[place])
        return model, diagnostics._replace(chosen=place)

    def score(
        self, model: Any, support: Support, gram_qs: Float[Array, "n_query n_support episodes"]
    ) -> Float[Array, "n_query n_way episodes"]:
        return self.classifier.score(model, support, gram_qs)
