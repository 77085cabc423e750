"""Convert scores to probabilities by a temperature for each episode, which is computed from the supports alone.

Scores of different classifiers have different units: margins for `svm`, labels of +1 and -1 for `ridge`, squared distances for
`centroid`. So temperatures are measured in a unit that is computed for each episode, the *training margin*

    u = mean over the supports of (score of the own class - mean score of the other classes),

with the scores of the supports themselves. Multiplying all scores of an episode by a number multiplies u by it. With
the temperature T, the probabilities of a query with scores s are softmax(s / (T u)) (Guo et al., ICML 2017, who use a
fixed unit instead of u). The sharpness of an episode is 1 / (T u).

With several shots, T is fitted to supports that were left out. One support of every class is left out at a time, so
that classes stay balanced. (If only one support were left out, its class would have fewer supports than the others,
which would bias its scores.) The same classifier is trained on the other supports, and its scores of the left-out
supports are divided by the u of this fit. T minimises

    sum over the supports left out of -log p(own class) + 1/2 (log2(T / TEMPERATURE))^2,

over a grid of quarter octaves. The second term is a prior centred at the temperature that is used at one shot, with a
standard deviation of one octave. (Without a prior, T would be zero whenever all left-out supports are classified
correctly.)
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

# The temperature at one shot, as a multiple of the training margin. It is the best one on average over the sample
# cells, on episodes of seed 777 (studies/calibration.py).
TEMPERATURE = 0.35
# At most so many shots are left out in turn, since each costs a fit.
MOST_LEFT_OUT = 10
_OCTAVES = np.arange(-16, 17) / 4.0
_TINY = 1e-20


def is_probabilistic(classifier: Any) -> bool:
    """Whether the softmax of a classifier's scores is the probability of its model, as for `logistic`.

    Args:
      classifier: a classifier, possibly in an `Auto` or a `WithKernel`; its attribute `probabilistic` gives the answer.
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
      strength: the strength that the model was trained with, one for all episodes or one for each.

    Returns:
      1 / (TEMPERATURE u), and 1 / (T u) with the fitted temperature; both are equal if no support can be left out.
    """
    fixed = 1.0 / (TEMPERATURE * training_margin(classifier.score(model, support, support.gram), support.one_hot))
    if isinstance(classifier, Auto):
        classifier = classifier.classifier
    if support.k_shot == 1:
        return fixed, fixed
    try:
        logits = _left_out_logits(classifier, support, strength)
    except UserError:
        # A setting that is impossible with fewer supports, such as more neighbours than supports.
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
    """The best factor for the logits of left-out supports, for each episode."""
    n_way = logits.shape[1]
    own = jnp.asarray(np.eye(n_way)[np.arange(len(logits)) % n_way][:, :, None], logits.dtype)

    def loss(octave):
        scaled = jnp.exp(octave * math.log(2.0)) * logits
        return total(log_sum_exp(scaled) - total(scaled * own, 1), 0) + 0.5 * octave**2

    octaves = jnp.asarray(_OCTAVES, logits.dtype)
    best = lax.map(loss, octaves).argmin(0)
    return jnp.exp(octaves[best] * math.log(2.0))


def no_sharpness(like: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The factors of transductive classifiers, whose shares of a query are already probabilities.

    Args:
      like: an array of one value per episode.
    """
    return jnp.ones_like(like), jnp.ones_like(like)
