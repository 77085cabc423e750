"""Kernels: a linear classifier that gets kernel values instead of inner products has curved decision boundaries.

The Gaussian kernel (radial basis function, RBF) is

    k(x, y) = exp(-gamma |x - y|^2 / spread),

where the spread is the mean squared distance of an episode's supports from their mean. So gamma has no unit:
predictions stay the same if all embeddings are multiplied by a number, or shifted by a vector. Kernel values are inner
products in another space, so every classifier of this folder works with them unchanged. Squared distances come from
inner products and squared lengths: |x - y|^2 = |x|^2 + |y|^2 - 2 x.y. Only the squared lengths of queries are not
needed by a classifier without a kernel.
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
      gamma: inverse width, as a multiple of 1 / spread of an episode's supports. The default had the largest gains and
          the smallest losses with chosen strengths (studies/kernels.py).
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
          squared_lengths: squared lengths of the queries, relative to the same origin.

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
# The settings that a kernel adds to those of the classifier.
KERNEL_SETTINGS = frozenset({"kernel", "gamma"})


def kernel_settings(kernel: RBF | None) -> dict[str, Any]:
    """A kernel's part of a classifier's identity: its name and gamma; nothing without a kernel."""
    return {} if kernel is None else {"kernel": "rbf", "gamma": kernel.gamma}


@dataclasses.dataclass(frozen=True)
class WithKernel:
    """A classifier for `kernel=rbf`: it holds a classifier, and the kernel whose values replace inner products.

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
        """Always true: kernel values depend on distances only, and distances do not depend on the origin."""
        return True

    def fit(self, support: Support, strength):
        """Train on supports whose `gram` holds values of the kernel."""
        return self.classifier.fit(support, strength)

    def score(self, model, support, gram_qs):
        """Score queries by values of the kernel."""
        return self.classifier.score(model, support, gram_qs)


def taken_apart(classifier: Any) -> tuple[RBF | None, Any]:
    """A classifier's kernel, and the classifier that gets the kernel's values.

    Args:
      classifier: a classifier, one in a `WithKernel`, or either in an `Auto`.

    Returns:
      the kernel and the classifier; None and the classifier itself if there is no kernel.
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
        # Unrolled, the program for thousands of supports would take minutes to compile.
        return jnp.diagonal(gram).T
    return jnp.stack([gram[i, i] for i in range(gram.shape[0])])
