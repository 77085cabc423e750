"""From scores to probabilities: the temperature of each episode, from the supports alone.

Scores of different classifiers have different units: margins for `svm`, labels of +1 and -1 for `ridge`, squared distances for
`centroid`. So temperatures are measured in the episode's own unit, the *training margin*

    u = mean over the supports of (score of the own class - mean score of the other classes),

with the scores of the supports themselves. Multiplying all scores of an episode by a number multiplies u by it. With the
temperature T, the probabilities of a query with scores s are softmax(s / (T u)) (Guo et al., ICML 2017, without their fixed
unit). The sharpness of an episode is 1 / (T u).

With several shots, T is fitted to supports that were left out. One support of every class is left out at a time: classes stay
balanced, whereas a single support that is left out belongs to the class that then has the fewest supports, which biases its
scores. The same classifier is trained on the other supports, and its scores of those left out are divided by its own u. T
minimises

    sum over the supports left out of -log p(own class) + 1/2 (log2(T / TEMPERATURE))^2,

over a grid of quarter octaves. The second term is a prior of one octave about the temperature that is used at one shot, where
nothing can be left out. (Without a prior, T would be zero wherever all supports left out are classified correctly.)
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from jfewshot.classifiers.auto import Auto
from jfewshot.classifiers.base import Support
from jfewshot.classifiers.linalg import log_sum_exp, total
from jfewshot.errors import UserError

# At one shot, as a multiple of the training margin: the best one on the mean over the sample cells, on episodes of seed 777
# (studies/calibration.py).
TEMPERATURE = 0.35
# Of the shots at most so many are left out in turn, each of which costs a fit.
MOST_LEFT_OUT = 10
_OCTAVES = np.arange(-16, 17) / 4.0
_TINY = 1e-20


def is_probabilistic(classifier: Any) -> bool:
    """Whether the softmax of a classifier's scores is the classifier's own probability, as that of `logistic` is.

    Args:
      classifier: a classifier, which says so by an attribute `probabilistic`, or one in an `Auto` or a `WithKernel`.
    """
    inner = classifier
    while hasattr(inner, "classifier"):
        inner = inner.classifier
    return bool(getattr(inner, "probabilistic", False))


def training_margin(
    scores: Float[Array, "n_support n_way episodes"], one_hot: Float[Array, "n_support n_way _"]
) -> Float[Array, "episodes"]:
    """The mean difference between a support's score of its own class and its mean score of the other classes; never zero.

    Args:
      scores: of the supports, by the model that was trained on them.
      one_hot: 1 where a support is of a class, else 0.
    """
    n_support, n_way = scores.shape[:2]
    own = total(total(scores * one_hot, 1), 0)
    every = total(total(scores, 1), 0)
    return jnp.maximum((own - (every - own) / (n_way - 1)) / n_support, _TINY)


def sharpness(
    classifier: Any, model: Any, support: Support, strength: Float[Array, "..."]
) -> tuple[Float[Array, "episodes"], Float[Array, "episodes"]]:
    """The factors that turn the scores of each episode's queries into logits.

    Args:
      classifier: an inductive classifier without a kernel around it.
      model: trained on the supports.
      support: the support sets.
      strength: what the model was trained with, one number or one of each episode.

    Returns:
      1 / (TEMPERATURE u), and 1 / (T u) with the fitted temperature; the same where nothing can be left out.
    """
    fixed = 1.0 / (TEMPERATURE * training_margin(classifier.score(model, support, support.gram), support.one_hot))
    if isinstance(classifier, Auto):
        classifier = classifier.classifier
    if support.k_shot == 1:
        return fixed, fixed
    try:
        logits = _left_out_logits(classifier, support, strength)
    except UserError:
        # A setting that does not fit fewer supports, such as more neighbours than there are.
        return fixed, fixed
    return fixed, fixed * _fitted(logits)


def _left_out_logits(
    classifier: Any, support: Support, strength: Float[Array, "..."]
) -> Float[Array, "left_out n_way episodes"]:
    """Logits at TEMPERATURE of supports by models that were trained without them, one support of each class at a time."""
    n_way, k_shot = support.n_way, support.k_shot
    shots = np.arange(min(k_shot, MOST_LEFT_OUT))
    left = shots[:, None] + np.arange(n_way) * k_shot
    rest = np.stack([np.delete(np.arange(support.n_support), row) for row in left])

    def one_fold(rows):
        left, rest = rows
        kept = Support(support.gram[rest][:, rest], support.episode, support.key, n_way, k_shot - 1)
        model, _ = classifier.fit(kept, strength)
        unit = training_margin(classifier.score(model, kept, kept.gram), kept.one_hot)
        return classifier.score(model, kept, support.gram[left][:, rest]) / (TEMPERATURE * unit)

    found = lax.map(one_fold, (jnp.asarray(left, jnp.int32), jnp.asarray(rest, jnp.int32)))
    return found.reshape(-1, *found.shape[2:])


def _fitted(logits: Float[Array, "left_out n_way episodes"]) -> Float[Array, "episodes"]:
    """The factor of each episode that the logits of left-out supports are best multiplied with."""
    n_way = logits.shape[1]
    own = jnp.asarray(np.eye(n_way)[np.arange(len(logits)) % n_way][:, :, None], logits.dtype)

    def loss(octave):
        scaled = jnp.exp(octave * math.log(2.0)) * logits
        return total(log_sum_exp(scaled) - total(scaled * own, 1), 0) + 0.5 * octave**2

    octaves = jnp.asarray(_OCTAVES, logits.dtype)
    best = lax.map(loss, octaves).argmin(0)
    return jnp.exp(octaves[best] * math.log(2.0))


def no_sharpness(like: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The factors of transductive classifiers, which share the queries out: their shares are their probabilities.

    Args:
      like: an array of one value per episode.
    """
    return jnp.ones_like(like), jnp.ones_like(like)
