"""Kernels: a linear classifier on the values of a kernel in place of inner products, which bends its boundaries.

The Gaussian kernel (radial basis function, RBF) is

    k(x, y) = exp(-gamma |x - y|^2 / spread),

where the spread is the mean squared distance of an episode's supports from their mean. So gamma is free of units: embeddings that
are multiplied by a number, or moved, give the same predictions. Values of a kernel are inner products in another space, so every
classifier of this folder works on them without change. Squared distances come from inner products and squared lengths:
|x - y|^2 = |x|^2 + |y|^2 - 2 x.y. Those of queries are the one thing that a plain classifier does not need.
"""

import dataclasses
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from jfewshot.classifiers.auto import Auto
from jfewshot.classifiers.base import Strength, Support, centred
from jfewshot.classifiers.linalg import computed_once, trace
from jfewshot.classifiers.many_supports import MANY

_TINY = 1e-30


@dataclasses.dataclass(frozen=True)
class RBF:
    """The Gaussian kernel.

    Attributes:
      gamma: how narrow it is, as a multiple of 1 / spread of an episode's supports. The default gained most with chosen strengths
        and lost least (studies/kernels.py).
    """

    gamma: float = 0.1

    def values(
        self,
        gram_ss: Float[Array, "n_support n_support episodes"],
        gram_qs: Float[Array, "n_query n_support episodes"],
        squared_lengths: Float[Array, "n_query episodes"],
    ) -> tuple[Float[Array, "n_support n_support episodes"], Float[Array, "n_query n_support episodes"]]:
        """The kernel's values, from inner products measured from any origin.

        Args:
          gram_ss: inner products among the supports.
          gram_qs: inner products of queries and supports.
          squared_lengths: of the queries, measured from the same origin.

        Returns:
          the kernel among the supports, and between queries and supports.
        """
        n_support = gram_ss.shape[0]
        narrowness = self.gamma * n_support / jnp.maximum(trace(centred(gram_ss)[0]), _TINY)
        squares = _diagonal(gram_ss)

        def kernel(gram, left, right, narrowness):
            distance = jnp.maximum(left[:, None] + right[None] - 2.0 * gram, 0.0)
            return jnp.exp(-narrowness * distance)

        return (
            computed_once(kernel, gram_ss, squares, squares, narrowness),
            computed_once(kernel, gram_qs, squared_lengths, squares, narrowness),
        )


# By the names that users write.
KERNELS: dict[str, type[RBF]] = {"rbf": RBF}
# What a classifier with a kernel is given after its own settings.
KERNEL_SETTINGS = frozenset({"kernel", "gamma"})


def kernel_settings(kernel: RBF | None) -> dict[str, Any]:
    """A kernel's part of a classifier's identity: its name and gamma; nothing without a kernel."""
    return {} if kernel is None else {"kernel": "rbf", "gamma": kernel.gamma}


@dataclasses.dataclass(frozen=True)
class WithKernel:
    """The evaluator's form of `kernel=rbf`: a classifier, and the kernel whose values it gets as inner products.

    The evaluator computes the kernel's values once for each block of episodes and gives them to `classifier` (`taken_apart`).

    Attributes:
      classifier: any classifier.
      kernel: the kernel.
    """

    classifier: Any
    kernel: RBF

    @property
    def strength(self) -> Strength | None:
        return self.classifier.strength

    @property
    def tolerance(self) -> float | None:
        return self.classifier.tolerance

    @property
    def translation_invariant(self) -> bool:
        """Distances are the same from every origin, whatever the classifier does with the kernel's values."""
        return True

    def fit(self, support: Support, strength):
        """Train on supports whose `gram` holds values of the kernel."""
        return self.classifier.fit(support, strength)

    def score(self, model, support, gram_qs):
        """Score queries by values of the kernel."""
        return self.classifier.score(model, support, gram_qs)


def taken_apart(classifier: Any) -> tuple[RBF | None, Any]:
    """A classifier's kernel, and the classifier that is given the kernel's values.

    Args:
      classifier: a classifier, one in a `WithKernel`, or either in an `Auto`.

    Returns:
      None and the classifier itself where there is no kernel.
    """
    if isinstance(classifier, Auto):
        kernel, inner = taken_apart(classifier.classifier)
        return kernel, Auto(inner)
    if isinstance(classifier, WithKernel):
        return classifier.kernel, classifier.classifier
    return None, classifier


def wants_squared_lengths(classifier: Any) -> bool:
    """Whether a classifier needs the squared lengths of the queries, as one with a kernel does.

    Args:
      classifier: as for `taken_apart`.
    """
    return taken_apart(classifier)[0] is not None


def _diagonal(gram: Float[Array, "n n episodes"]) -> Float[Array, "n episodes"]:
    if gram.shape[0] > MANY:
        # Written out, the program of thousands of supports would take minutes to compile.
        return jnp.diagonal(gram).T
    return jnp.stack([gram[i, i] for i in range(gram.shape[0])])
